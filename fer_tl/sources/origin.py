"""Where a source was found, and the files of it that are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.archives import Files
from fer_tl.core.checksums import hash_stream
from fer_tl.core.counting import counted
from fer_tl.core.file_kinds import readable, refuse_names_that_are_no_text
from fer_tl.sources.records import Source

CONSTANT = "constant"
"""Counts images of one flat colour, see ``Findings``."""


@dataclass(frozen=True)
class Origin:
    """Where a source was found.

    Attributes:
        path: what the user gave.
        files: that, opened.
        used: the names in ``files`` that are read.

    Raises:
        UserError: one of these names is not text.
    """

    path: Path
    files: Files
    used: list[str]

    def __post_init__(self) -> None:
        refuse_names_that_are_no_text([self.files.label, *self.used])

    @property
    def name(self) -> str:
        """Base name, for the manifest."""
        return self.files.label

    def sha256(self) -> str:
        """SHA-256 of a file or archive as it lies there, or of the used files of a folder, as 64 hexadecimal digits."""
        if self.path.is_dir():
            return self.files.sha256(self.used)
        with readable(self.path.name), self.path.open("rb") as stream:
            return hash_stream(stream)


class FileSource(Source):
    """A source that reads files.

    Args:
        origin: where they were found.
        class_names: see ``Source``.
        options: see ``Source``.
        notes: see ``Source``.
    """

    def __init__(self, origin: Origin, class_names: tuple[str, ...], options: dict[str, str], notes: list[str]) -> None:
        self.name = origin.name
        self.class_names, self.options, self.notes = class_names, options, notes
        self._origin = origin

    def sha256(self) -> str:
        return self._origin.sha256()

    def warnings(self) -> list[str]:
        return (
            [f"{counted(constant, 'image is', 'images are')} one flat colour, without a face."]
            if (constant := self.findings.counts[CONSTANT])
            else []
        )

    def close(self) -> None:
        self._origin.files.close()
