"""A run that has answers and no model, and says so: another framework made them, or an ensemble of runs."""

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
    """What ``run.json`` says of answers without a model of its own.

    Attributes:
        model: what made them, as whoever imported them calls it.
        file: name of the table that they were first read from, or of the ensemble's record.
        sha256: of that file; empty for an ensemble.
        labels_only: whether they are classes without probabilities.
        members: names of the runs whose soft vote they are; empty for others.
        export: name of the export that answered, such as ``tflite-int8``; empty for others.
        run: name of the run that it was made of.
        part: of that run; ``all`` for the mean of all its models.
        milliseconds: that the export takes for one image; None where nobody measured it.
    """

    model: str
    file: str
    sha256: str
    labels_only: bool
    members: tuple[str, ...] = ()
    export: str = ""
    run: str = ""
    part: str = ""
    milliseconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``read_import`` reads it back."""
        of_export = ("export", "run", "part", "milliseconds")
        found = {key: value for key, value in asdict(self).items() if self.export or key not in of_export}
        return found | {"members": list(self.members)}

    @property
    def remark(self) -> str:
        """Where they come from, and what nobody here can check."""
        if self.members:
            return f"the soft vote of {', '.join(self.members)}"
        if self.export:
            part = "the mean of all models" if self.part == "all" else self.part
            return (
                f"answers of {self.file}, the {self.export} export of {self.run}, {part} (SHA-256 {self.sha256[:12]})"
            )
        return (
            f"imported from {self.file} ({self.model}); that it was trained on none of the images scored here is the "
            "word of whoever made it"
        )

    @property
    def kind(self) -> str:
        """What a folder of them holds, for messages."""
        if self.export:
            return f"the answers of an exported model, {self.export}"
        return "the answers of an ensemble" if self.members else f"predictions that were imported from {self.file}"


def read_import(about: Mapping[str, Any]) -> Imported | None:
    """What a run says of its answers if it has no model, else None.

    Args:
        about: its ``run.json``, as ``RunFolder.read_run`` gives it.
    """
    said = about.get(IMPORTED)
    if said is None:
        return None
    found = {key: said[key] for key in ("model", "file", "sha256", "labels_only")}
    found |= {key: said[key] for key in ("export", "run", "part", "milliseconds") if key in said}
    return Imported(**found, members=tuple(map(str, said.get("members", ()))))


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
        what: could be done otherwise, the end of the message, with ``{split}`` in it.

    Raises:
        UserError: its first predictions were imported for the test split, or it is an ensemble on any split.
    """
    about = read_run_file(folder)
    found = read_import(about)
    if found is None or about["kind"] == "cv" or not about["held_out"].startswith("split "):
        return
    split = about["held_out"].removeprefix("split ")
    if split == "test" or about.get("opened"):
        raise UserError(f"{folder} holds predictions of split {split} alone: {what.format(split=split)}")
