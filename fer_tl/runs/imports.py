"""A run whose predictions another framework made: it has answers and no model, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.runs.run_file import IMPORTED, read_run_file

OUT_OF_FOLD = "every fold in turn"


@dataclass(frozen=True)
class Imported:
    """What ``run.json`` says of predictions that were imported.

    Attributes:
        model: what made them, as whoever imported them calls it.
        file: name of the table that they were first read from.
        sha256: of that file.
        labels_only: whether they are classes without probabilities.
    """

    model: str
    file: str
    sha256: str
    labels_only: bool

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``read_import`` reads it back."""
        return asdict(self)

    @property
    def remark(self) -> str:
        """What nobody here can check, a sentence."""
        return (
            f"imported from {self.file} ({self.model}); that it was trained on none of the images scored here is the "
            "word of whoever made it"
        )


def read_import(about: Mapping[str, Any]) -> Imported | None:
    """Where a run's predictions come from if they were imported, else None.

    Args:
        about: its ``run.json``, as ``RunFolder.read_run`` gives it.
    """
    said = about.get(IMPORTED)
    return None if said is None else Imported(**{key: said[key] for key in Imported.__dataclass_fields__})


def refuse_imported(folder: Path, what: str) -> None:
    """Refuse a run that has no model where one is needed.

    Args:
        folder: of the run.
        what: could be done with it, the end of the message.

    Raises:
        UserError: its predictions were imported.
    """
    if found := read_import(read_run_file(folder)):
        raise UserError(f"{folder} holds predictions that were imported from {found.file}, and no model: {what}")


def refuse_labels(folder: Path, what: str) -> None:
    """Refuse a run that has no probabilities where they are needed.

    Args:
        folder: of the run.
        what: needs them, the end of the message.

    Raises:
        UserError: labels alone were imported.
    """
    found = read_import(read_run_file(folder))
    if found and found.labels_only:
        raise UserError(f"{folder} holds labels without probabilities: {what}")


def refuse_opened(folder: Path, what: str) -> None:
    """Refuse a run that has answers for the images of an opened split alone, where held-out ones are needed.

    Args:
        folder: of the run.
        what: could be done otherwise, the end of the message.

    Raises:
        UserError: its first predictions were imported for the test split.
    """
    about = read_run_file(folder)
    if read_import(about) and about["kind"] != "cv" and about["held_out"] == "split test":
        raise UserError(f"{folder} holds predictions of split test alone: {what}")
