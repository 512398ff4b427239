"""What is remembered of the records of a source besides their pixels: a file for each column, mapped from the disk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fer_tl.data.building.joined_files import joined, mapped
from fer_tl.sources.records import SPLITS, Record

_NUMBERS = struct.Struct("<BBiiiQ")
_ROW = np.dtype(
    [("split", "u1"), ("crop", "u1"), ("label", "<i4"), ("height", "<i4"), ("width", "<i4"), ("end", "<u8")]
)
_DIGEST = np.dtype("S32")
_SPLITS, _CROPS = (None, *SPLITS), ("", "whole", "cropped", "clipped")
_MEASURE = "measure."
_AT_ONCE = 1 << 16


class RowWriter:
    """Appends rows to the files of a folder; close it when all are there.

    Args:
        place: an empty folder.
        lossy: whether encoded images have other pixels than those that were encoded.

    Attributes:
        count: of the rows.
    """

    def __init__(self, place: Path, lossy: bool) -> None:
        self._place = place
        self._rows, self._pixels = self._open("rows"), self._open("pixels")
        self._stored = self._open("stored") if lossy else None
        self._texts = {name: self._open(name) for name in ("id", "group", "person")}
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
        split, crop = _SPLITS.index(record.split), _CROPS.index(record.crop)
        self._rows.write(_NUMBERS.pack(split, crop, record.label, *record.size, end))
        self._pixels.write(pixels)
        if self._stored:
            self._stored.write(stored)
        group = "" if record.group == record.id else record.group  # of most it is
        for name, text in (("id", record.id), ("group", group), ("person", record.person)):
            self._texts[name].write(text.encode() + b"\n")
        if record.targets is not None:
            if self._targets is None:
                self._targets = self._open("targets")
                self._targets.write(np.full((self.count, len(record.targets)), np.nan, np.float32).tobytes())
            self._targets.write(record.targets.tobytes())
        for name in record.measures.keys() - self._measures.keys():
            self._measures[name] = self._open(f"{_MEASURE}{name}")
            self._measures[name].write(np.full(self.count, np.nan).tobytes())
        for name, file in self._measures.items():
            file.write(struct.pack("<d", record.measures.get(name, np.nan)))
        self.count += 1

    def close(self) -> None:
        more = (self._rows, self._pixels, self._stored, self._targets)
        for file in (*more, *self._texts.values(), *self._measures.values()):
            if file is not None:
                file.close()

    def _open(self, name: str) -> BinaryIO:
        return (self._place / name).open("wb")


class Rows:
    """The rows of several folders, one after the other.

    Args:
        places: filled by ``RowWriter``.
        folder: for files that hold those of all places; or the only place.

    Attributes:
        starts: int64 ``[P]``, the first row of each folder.
        label: int32 ``[N]``.
        end: uint64 ``[N]``, bytes of images in the row's folder, with its own.
        id: bytes ``[N]`` in UTF-8, whose order is that of the texts.
        group: likewise; the same array as ``id`` where each is its own.
        person: likewise; None where nobody is known.
        pixels: bytes ``[N]``, see ``RowWriter.add``.
        stored: likewise.
        measures: {name: float64 ``[N]``, NaN where there is none}.
    """

    def __init__(self, places: Sequence[Path], folder: Path) -> None:
        counts = [(place / "rows").stat().st_size // _ROW.itemsize for place in places]
        self.starts = np.cumsum([0, *counts])[:-1]

        def column(name: str, kind: np.dtype) -> np.ndarray:
            # As a plain array: a `memmap` takes 2 µs for each number that is asked for.
            return np.asarray(joined([place / name for place in places], folder / name, kind))

        def has(name: str) -> bool:
            """Whether there is more than ends of lines."""
            return any((place / name).stat().st_size > count for place, count in zip(places, counts, strict=True))

        self._rows = column("rows", _ROW)
        self.label, self.end = self._rows["label"], self._rows["end"]
        self.pixels = self.stored = column("pixels", _DIGEST)
        if (places[0] / "stored").exists():
            self.stored = column("stored", _DIGEST)
        self.id = self.group = _as_array(lambda: _lines(places, "id"), folder / "ids")
        if has("group"):
            self.group = _as_array(lambda: _groups(places), folder / "groups")
        self.person = _as_array(lambda: _lines(places, "person"), folder / "persons") if has("person") else None
        named = {path.name for place in places for path in place.glob(f"{_MEASURE}*")}
        self.measures = {
            name.removeprefix(_MEASURE): np.concatenate(
                [_measure(place / name, count) for place, count in zip(places, counts, strict=True)]
            )
            for name in sorted(named)
        }
        self._targets: np.ndarray | None = None
        if any((place / "targets").exists() for place in places):
            found = [np.fromfile(place / "targets", np.float32) for place in places if (place / "targets").exists()]
            self._targets = np.concatenate(found).reshape(len(self), -1)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_targets(self) -> bool:
        """Whether every row has soft targets."""
        return self._targets is not None

    def targets(self, row: int) -> np.ndarray | None:
        """float32 ``[K]``."""
        return None if self._targets is None else self._targets[row]

    def splits(self) -> np.ndarray:
        """The split that the source says of each: object ``[N]``, None where it says none."""
        return np.array(_SPLITS, object)[self._rows["split"]]

    def size(self, row: int) -> tuple[int, int]:
        """See ``Record.size``."""
        return int(self._rows["height"][row]), int(self._rows["width"][row])

    def crop(self, row: int) -> str:
        """See ``Record.crop``."""
        return _CROPS[self._rows["crop"][row]]

    def crops(self, chosen: np.ndarray) -> Mapping[str, int]:
        """How many of the chosen rows, int ``[n]``, are cropped how."""
        found = np.bincount(self._rows["crop"][chosen], minlength=len(_CROPS))
        return dict(zip(_CROPS, found.tolist(), strict=True))

    def measures_of(self, row: int) -> dict[str, float]:
        """See ``Record.measures``."""
        return {name: float(values[row]) for name, values in self.measures.items() if not np.isnan(values[row])}


def each(rows: np.ndarray) -> Iterator[int]:
    """Numbers of rows, int ``[n]``, as those of Python, not all of them at once."""
    for start in range(0, len(rows), _AT_ONCE):
        yield from rows[start : start + _AT_ONCE].tolist()


def _measure(path: Path, count: int) -> np.ndarray:
    return np.fromfile(path, "<f8") if path.exists() else np.full(count, np.nan)


def _lines(places: Iterable[Path], name: str) -> Iterator[bytes]:
    """The lines of files, one file after the other, without their ends."""
    for place in places:
        with (place / name).open("rb") as file:
            for line in file:
                yield line[:-1]


def _groups(places: Sequence[Path]) -> Iterator[bytes]:
    """The group of each row, its id where no other one is written."""
    pairs = zip(_lines(places, "group"), _lines(places, "id"), strict=True)
    return (group or own for group, own in pairs)


def _as_array(lines: Callable[[], Iterator[bytes]], path: Path) -> np.ndarray:
    """Lines as bytes ``[N]``, mapped from a file that is written; they are read twice."""
    kind = np.dtype(f"S{max(1, max(map(len, lines()), default=1))}")
    given = lines()
    with path.open("wb") as out:
        while some := list(islice(given, _AT_ONCE)):
            out.write(np.array(some, kind).tobytes())
    return np.asarray(mapped(path, kind))


def as_text(column: np.ndarray) -> np.ndarray:
    """A column of bytes as text ``[N]``."""
    return np.char.decode(column, "utf-8") if len(column) else np.zeros(0, "U1")


def hex_of(digest: bytes) -> str:
    """A SHA-256 out of a column, which leaves zeros out at its end: 64 hexadecimal digits."""
    return digest.ljust(32, b"\0").hex()


def text_of(cell: bytes) -> str:
    """One of a column."""
    return cell.decode("utf-8")
