"""What is remembered of the records of a source besides their pixels: in columns, on the disk, 70 bytes and the texts
of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fer_tl.sources.records import SPLITS, Record

_ROW = np.dtype(
    [
        ("split", "u1"), ("crop", "u1"), ("label", "<i4"), ("size", "<i4", 2), ("end", "<u8"),
        ("pixels", "S32"), ("stored", "S32"),
    ]
)  # fmt: skip
_SPLITS, _CROPS = (None, *SPLITS), ("", "whole", "cropped", "clipped")
_TEXTS = ("id", "group", "person")
_MEASURE = "measure."
_AT_ONCE = 1 << 16


class RowWriter:
    """Appends rows to the files of a folder; close it when all are there.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._rows = self._open("rows")
        self._texts = {name: self._open(name) for name in _TEXTS}
        self._targets: BinaryIO | None = None
        self._measures: dict[str, BinaryIO] = {}
        self.count = 0

    def add(self, record: Record, pixels: bytes, stored: bytes, end: int) -> None:
        """Append a record.

        Args:
            record: whose image is kept elsewhere.
            pixels: SHA-256 of its pixels.
            stored: the same of what the encoded image is decoded to.
            end: how many bytes of images there are, with its own.
        """
        row = (
            _SPLITS.index(record.split), _CROPS.index(record.crop), record.label, record.size, end, pixels, stored
        )  # fmt: skip
        self._rows.write(np.array(row, _ROW).tobytes())
        for name, file in self._texts.items():
            file.write(getattr(record, name).encode() + b"\n")
        if record.targets is not None:
            if self._targets is None:
                self._targets = self._open("targets")
                self._targets.write(np.full((self.count, len(record.targets)), np.nan, np.float32).tobytes())
            self._targets.write(record.targets.tobytes())
        for name in record.measures.keys() - self._measures.keys():
            self._measures[name] = self._open(f"{_MEASURE}{name}")
            self._measures[name].write(np.full(self.count, np.nan).tobytes())
        for name, file in self._measures.items():
            file.write(np.float64(record.measures.get(name, np.nan)).tobytes())
        self.count += 1

    def close(self) -> None:
        for file in (self._rows, *self._texts.values(), self._targets, *self._measures.values()):
            if file is not None:
                file.close()

    def _open(self, name: str) -> BinaryIO:
        return (self._place / name).open("wb")


class Rows:
    """The rows of several folders, one after the other.

    Args:
        places: filled by ``RowWriter``.

    Attributes:
        starts: int64 ``[P]``, the first row of each folder.
        id: bytes ``[N]`` in UTF-8, whose order is that of the texts; ``group`` and ``person`` likewise.
        label: int64 ``[N]``.
        size: int32 ``[N, 2]``, height and width, pixels.
        end: uint64 ``[N]``, bytes of images in the row's folder, with its own.
        pixels: bytes ``[N]``, see ``RowWriter.add``; ``stored`` likewise.
        measures: {name: float64 ``[N]``, NaN where there is none}.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        tables = [np.fromfile(place / "rows", _ROW) for place in places]
        self.starts = np.cumsum([0, *map(len, tables)])[:-1]
        table = tables[0] if len(tables) == 1 else np.concatenate(tables)
        del tables
        self.label, self.size, self.end = table["label"].astype(np.int64), table["size"].copy(), table["end"].copy()
        self.pixels, self._split, self._crop = table["pixels"].copy(), table["split"].copy(), table["crop"].copy()
        stored = table["stored"]
        self.stored = self.pixels if np.array_equal(stored, self.pixels) else stored.copy()
        self.id, self.group, self.person = (_lines(place / name for place in places) for name in _TEXTS)
        counts = [len(ids) for ids in np.split(self.id, self.starts[1:])]
        named = {path.name for place in places for path in place.glob(f"{_MEASURE}*")}
        self.measures = {
            name.removeprefix(_MEASURE): np.concatenate(
                [_numbers(place / name, np.float64, count) for place, count in zip(places, counts, strict=True)]
            )
            for name in sorted(named)
        }
        self._targets: np.ndarray | None = None
        if len(self) and (places[0] / "targets").exists():
            found = [np.fromfile(place / "targets", np.float32) for place in places if (place / "targets").exists()]
            self._targets = np.concatenate(found).reshape(len(self), -1)

    def __len__(self) -> int:
        return len(self.label)

    @property
    def has_targets(self) -> bool:
        """Whether every row has soft targets."""
        return self._targets is not None

    def targets(self, row: int) -> np.ndarray | None:
        """float32 ``[K]``."""
        return None if self._targets is None else self._targets[row]

    def splits(self) -> np.ndarray:
        """The split that the source says of each: object ``[N]``, None where it says none."""
        return np.array(_SPLITS, object)[self._split]

    def crop(self, row: int) -> str:
        """See ``Record.crop``."""
        return _CROPS[self._crop[row]]

    def crops(self, chosen: np.ndarray) -> Mapping[str, int]:
        """How many of the chosen rows, bool ``[N]``, are cropped how."""
        return dict(zip(_CROPS, np.bincount(self._crop[chosen], minlength=len(_CROPS)).tolist(), strict=True))

    def measures_of(self, row: int) -> dict[str, float]:
        """See ``Record.measures``."""
        return {name: float(values[row]) for name, values in self.measures.items() if not np.isnan(values[row])}


def _numbers(path: Path, kind: type, count: int) -> np.ndarray:
    with contextlib.suppress(FileNotFoundError):
        return np.fromfile(path, kind)
    return np.full(count, np.nan)


def _lines(paths: Iterable[Path]) -> np.ndarray:
    """The lines of files, one file after the other: bytes ``[N]``."""
    found = [_lines_of(path) for path in paths]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _lines_of(path: Path) -> np.ndarray:
    data = np.fromfile(path, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))  # [N]
    lengths = np.diff(ends, prepend=-1) - 1
    width = max(1, int(lengths.max(initial=0)))
    found = np.zeros((len(ends), width), np.uint8)
    for first in range(0, len(ends), _AT_ONCE):  # what is between would be as large as all of it
        ours = slice(first, first + _AT_ONCE)
        some = data[ends[first] - lengths[first] : ends[ours][-1]]
        found[ours][np.arange(width) < lengths[ours, None]] = some[some != ord("\n")]
    return found.view(f"S{width}").reshape(-1)


def as_text(column: np.ndarray) -> np.ndarray:
    """A column of bytes as text ``[N]``."""
    return np.char.decode(column, "utf-8") if len(column) else np.zeros(0, "U1")


def hex_of(digest: bytes) -> str:
    """A SHA-256 out of a column, which leaves zeros out at its end: 64 hexadecimal digits."""
    return digest.ljust(32, b"\0").hex()


def text_of(cell: bytes) -> str:
    """One of a column."""
    return cell.decode("utf-8")
