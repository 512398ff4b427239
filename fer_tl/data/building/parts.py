"""Parts of a dataset on the disk: each read by some process, all of them together what the dataset is written of.

A part lies in ``<data_dir>/.parts/<dataset>/<hash of what is read, and how>/2-of-8``, with ``part.json`` in it. What it
is read from, and with which options and versions, is in that file as well; where it was read is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import Checksum, checksum, checksums
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json
from fer_tl.core.framework import version_of
from fer_tl.core.json_files import load_json
from fer_tl.core.staging import put_in_place, workplace
from fer_tl.core.version import __version__
from fer_tl.data.building.order import Order
from fer_tl.data.building.reading import ReadPart, read_part
from fer_tl.sources.findings import Findings, Part
from fer_tl.sources.records import VERSION

PARTS = ".parts"
_HEADER = "part.json"
_FOLDER = re.compile(r"([1-9]\d*)-of-([1-9]\d*)")


@dataclass(frozen=True)
class PartFiles:
    """The parts of a dataset.

    Attributes:
        order: the dataset.
    """

    order: Order

    @property
    def about(self) -> dict[str, str]:
        """What a part is read from, and how: parts of which all this is equal belong together. What is decided when
        they are merged is not in it."""
        source, curation = self.order.source, self.order.request.curation
        made = {key: self.order.entry[key] for key in ("kind", "name", "sha256")}
        with_versions = {"builder": VERSION, "fer-tl": __version__, "Pillow": version_of("pillow")}
        looks = {"duplicates": "kept" if curation.duplicates == "keep" else "looked for"}
        return {**source.options, "encoding": curation.encoding, **looks, **made, **with_versions}

    @property
    def folder(self) -> Path:
        """Where they are."""
        digest = hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()
        dataset = "-".join(filter(None, (self.order.request.format.name, self.order.config)))
        return self.order.root / PARTS / dataset / digest[:16]

    def count(self) -> int | None:
        """How many parts there are to be, by those that are there: by those of a complete set, else by the most that
        are of one."""
        found: dict[int, set[int]] = {}
        for part in self._parts_in(self.folder):
            found.setdefault(part.count, set()).add(part.number)
        return max(found, key=lambda count: (len(found[count]) == count, len(found[count])), default=None)

    def has(self, part: Part) -> bool:
        """Whether a part is there and whole."""
        try:
            self.load(part)
        except (OSError, UserError):
            return False
        return True

    def write(self, part: Part) -> ReadPart:
        """Read a part of the source and put it in its place, all at once.

        Raises:
            UserError: the source cannot be read or be divided, or nothing can be written there.
            UnusableExamples: some of its examples cannot be used, and none may be left out.
        """
        source, curation = self.order.source, self.order.request.curation
        refuse_undivided(source)
        source.part = part
        with workplace(self.order.root, f"{self.folder.parent.name}-part") as place:
            read = place / "part"
            read.mkdir()
            found = read_part(source, read, curation.encoding, curation.duplicates != "keep")
            header = {
                "about": self.about,
                "part": str(part),
                "image_shape": found.image_shape,
                "count": found.count,
                "findings": found.findings.to_dict(),
                "checksums": {name: asdict(one) for name, one in checksums(sorted(read.iterdir())).items()},
            }
            write_json(read / _HEADER, header)
            put_in_place(read, self._place(part), place)
        return ReadPart(self._place(part), found.findings, found.image_shape, found.count)

    def load(self, part: Part) -> ReadPart:
        """A part that is there.

        Raises:
            FileNotFoundError: it is not.
            UserError: it is damaged, or of something else.
        """
        place = self._place(part)
        again = f"give the command with --part {part} again"
        try:
            header = load_json(place / _HEADER)
            differing = _differing(self.about, header["about"])
            expected = {name: Checksum(**one) for name, one in header["checksums"].items()}
            height, width, channels = header["image_shape"]
            found = ReadPart(place, Findings.from_dict(header["findings"]), (height, width, channels), header["count"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{place / _HEADER} is damaged ({error}): {again}") from None
        if differing or header["part"] != str(part):
            raise UserError(f"{place} is a part {_of_something_else(differing)}: {again}")
        for name, wanted in expected.items():
            if not (place / name).is_file() or checksum(place / name) != wanted:
                raise UserError(f"{place / name} is missing or damaged: {again}")
        return found

    def load_all(self) -> list[ReadPart]:
        """All parts, in their order.

        Raises:
            UserError: some are missing, damaged, or of something else.
        """
        count, name = self.count(), self.order.request.name
        if count is None:
            raise UserError(
                f"--merge finds no part of {name} in {self.folder}{self._others(None)}: give the same command with "
                "--part 1/2 and --part 2/2, or as many as you like, in place of --merge first"
            )
        found, missing = [], []
        for part in (Part(number, count) for number in range(1, count + 1)):
            try:
                found.append(self.load(part))
            except FileNotFoundError:
                missing.append(part)
        if missing:
            shown = ", ".join(map(str, missing[:8])) + (", ..." if missing[8:] else "")
            raise UserError(
                f"--merge needs all {count} parts of {name}, and {shown} {'are' if missing[1:] else 'is'} missing in "
                f"{self.folder}{self._others(missing[0])}: give the same command with --part {missing[0]} in place of "
                "--merge"
            )
        shapes = {part.image_shape for part in found}
        if len(shapes) > 1:
            raise UserError(f"{self.folder} has parts with images of different shapes: remove it and read again")
        return found

    def remove(self) -> None:
        """Delete them."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.folder.parent, self.folder.parent.parent):
            with contextlib.suppress(OSError):  # others are there
                folder.rmdir()

    def _place(self, part: Part) -> Path:
        return self.folder / part.folder

    def _others(self, missing: Part | None) -> str:
        """What to say of parts that do not belong to these; "" if there are none."""
        found: list[tuple[bool, str]] = []
        for folder in sorted(self.folder.parent.iterdir()) if self.folder.parent.is_dir() else ():
            for part in self._parts_in(folder) if folder != self.folder else ():
                if missing in (None, part):
                    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                        differing = _differing(self.about, load_json(folder / part.folder / _HEADER)["about"])
                        what = f"; part {part} in {folder} is {_of_something_else(differing)}"
                        found.append(("sha256" in differing, what))
        return min(found, default=(False, ""))[1]  # rather one of the same source

    @staticmethod
    def _parts_in(folder: Path) -> Iterator[Part]:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if found := _FOLDER.fullmatch(path.name):
                yield Part(int(found[1]), int(found[2]))


def refuse_undivided(source: Any) -> None:
    """Raise ``UserError`` if a source cannot be read in parts."""
    if not source.divides:
        raise UserError(
            f"{source.name} ({source.kind}) cannot be read in parts: its class {type(source).__name__} does not say "
            "that it `divides`: build it in one piece, without --part and --jobs"
        )


def _differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Sequence[str]:
    return [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]


def _of_something_else(differing: Sequence[str]) -> str:
    if "sha256" in differing:
        return "of another source"
    versions = [key for key in differing if key in ("builder", "fer-tl", "Pillow")]
    if versions:
        return f"by another version of {', '.join(versions)}"
    return f"with other options ({', '.join(differing)})" if differing else "with another number"
