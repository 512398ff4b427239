"""What a tracker can be told, and what it is told of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
"""Of an epoch: what a row of ``history.csv`` holds."""


@dataclass(frozen=True)
class About:
    """What a run is.

    Attributes:
        name: the last two folders of its path, such as ``runs/one``; no more of the machine.
        group: the folder that it lies in, which the runs of a sweep share.
        settings: by dotted name, with what ``run.json`` says of data and backend; JSON-ready.
        parts: how many it consists of.
    """

    name: str
    group: str
    settings: Mapping[str, Any]
    parts: int


@dataclass(frozen=True)
class Outcome:
    """What came out of a run.

    Attributes:
        measures: value and 95 % interval by name, the ends None where there is none; shares are 0 to 1. Empty where
            nothing was held out.
        pictures: its figures, PNG files: no images of the dataset.
        files: SHA-256 by the name of the file in the run's folder, with slashes; "" where the run keeps none.
    """

    measures: Mapping[str, tuple[float, float | None, float | None]]
    pictures: Sequence[Path]
    files: Mapping[str, str]

    def numbers(self) -> dict[str, float]:
        """The measures one by one: ``result/accuracy``, ``result/accuracy_low`` and ``result/accuracy_high``."""
        found = {}
        for name, ends in self.measures.items():
            for suffix, number in zip(("", "_low", "_high"), ends, strict=True):
                if number is not None:
                    found[f"result/{name}{suffix}"] = float(number)
        return found

    def file_list(self) -> str:
        """The names of the files, one a line, with their checksums where there are some."""
        return "".join(f"{name}  {checksum}".rstrip() + "\n" for name, checksum in self.files.items())


class Tracker(ABC):
    """One program that shows trainings. Any exception of its library may leave a method: ``Tracking`` handles it.

    Attributes:
        where: what to tell the user once it is open; may be empty.
    """

    where = ""

    @abstractmethod
    def open(self) -> None:
        """Reach it, and find the entry of this run there or begin one."""

    @abstractmethod
    def begin(self, part: str, history: Sequence[Record], seconds: Sequence[float]) -> None:
        """A part begins or goes on. These of its epochs are done, and took so many seconds each where that is known."""

    @abstractmethod
    def epoch(self, part: str, record: Record) -> None:
        """An epoch of a part has ended."""

    @abstractmethod
    def outcome(self, outcome: Outcome) -> None:
        """The run is done; told again each time that its command is given."""

    @abstractmethod
    def close(self, status: str) -> None:
        """The process leaves the run: ``finished``, ``interrupted`` or ``failed``."""

    @abstractmethod
    def abandon(self) -> None:
        """It failed, and is told nothing more."""
