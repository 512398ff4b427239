"""What was predicted, as CSV, JSON lines, and pictures or a video with boxes, each whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from fer_tl.core.files import is_temporary, sync, temporary_of, write_json
from fer_tl.core.safe_text import csv_line
from fer_tl.faces.boxes import Box, Face
from fer_tl.inference.face_record import face_record
from fer_tl.inference.predict.annotate import Mark, annotate
from fer_tl.inference.predict.video import VideoWriter

FORMATS = ("csv", "jsonl", "pictures")
MARK = "predict.json"
_LONGEST_NAME = 255  # bytes of a file's name, on nearly all file systems
PICTURES, _VIDEO = "pictures", "annotated.mp4"


class Row(NamedTuple):
    """A face and its expression, or a picture without a face.

    Attributes:
        id: of the picture or video.
        frame: of a video, from 0; None for a picture.
        time: of it, seconds; None for a picture.
        face: None if none was found.
        label: the class, "" where none is sure enough or there is no face.
        probabilities: float32 ``[K]``; None without a face.
        number: of the face in a video, which stays with it, from 1; None for a picture, or without a face.
    """

    id: str
    frame: int | None
    time: float | None
    face: Face | None
    label: str
    probabilities: np.ndarray | None
    number: int | None = None


class CsvTable:
    """Rows as CSV, with the columns that ``fer-tl build --boxes`` reads: id, top, left, bottom, right."""

    format, file = "csv", "faces.csv"

    def __init__(self, stream: TextIO, class_names: Sequence[str]) -> None:
        self._stream = stream
        self._classes = len(class_names)
        columns = [
            "id",
            "frame",
            "time",
            "face",
            *Box._fields,
            "score",
            "label",
            *(f"p_{name}" for name in class_names),
        ]
        self._header = csv_line(columns)
        self._stream.write(self._header)

    def write(self, row: Row) -> None:
        """Append a row; what is not known is blank."""
        moment = "" if row.time is None else f"{row.time:.3f}"
        cells = ["", "", "", "", ""] if row.face is None else [*map(_short, row.face.box), _short(row.face.score)]
        p = [""] * self._classes if row.probabilities is None else [f"{value:.4f}" for value in row.probabilities]
        moments = ["" if row.frame is None else row.frame, moment, "" if row.number is None else row.number]
        self._stream.write(csv_line([row.id, *moments, *cells, row.label, *p]))

    def append(self, table: TextIO) -> None:
        """Append the rows of another table of the same classes."""
        table.read(len(self._header))
        shutil.copyfileobj(table, self._stream)


class JsonLines:
    """Rows as one JSON object a line, with the names of the CSV's columns; probabilities by class name."""

    format, file = "jsonl", "faces.jsonl"

    def __init__(self, stream: TextIO, class_names: Sequence[str]) -> None:
        self._stream, self._classes = stream, class_names

    def write(self, row: Row) -> None:
        """Append a line; what is not known is null."""
        line = {
            "id": row.id,
            "frame": row.frame,
            "time": None if row.time is None else round(row.time, 3),
            "face": row.number,
            **face_record(row.face, row.label, row.probabilities, self._classes),
        }
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")

    def append(self, table: TextIO) -> None:
        """Append the lines of another one of the same classes."""
        shutil.copyfileobj(table, self._stream)


def marks_of(rows: Sequence[Row]) -> list[Mark]:
    """What to draw for the rows of a picture: a class with its probability, or "?" where none is sure enough."""
    marks = []
    for row in rows:
        if row.face is None or row.probabilities is None:
            continue
        best = int(row.probabilities.argmax())
        text = f"{row.label} {row.probabilities[best]:.0%}" if row.label else "?"
        marks.append(Mark(row.face.box, text, best if row.label else None))
    return marks


_TABLES: tuple[type[CsvTable | JsonLines], ...] = (CsvTable, JsonLines)


class PictureFolder:
    """Pictures with boxes, as JPEG files in a folder, each by its id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[Path] = set()

    def write(self, name: str, image: np.ndarray, marks: Sequence[Mark]) -> None:
        """Write ``name.jpg``, see ``place_of``."""
        annotate(image, marks).save(self.place_of(name), quality=90)

    def take(self, name: str, written: Path) -> None:
        """The same for a file that was written elsewhere, which stays there."""
        place = self.place_of(name)
        try:
            os.link(written, place)
        except OSError:  # not on this file system
            shutil.copyfile(written, place)

    def place_of(self, name: str) -> Path:
        """The file of the next picture, ``name.jpg``; folders within the name are made. A name that is too long, or
        that stands for another picture already, is made shorter, and ends in a part of its hash."""
        parts = [part for part in name.split("/") if part not in ("", ".", "..")] or ["picture"]
        path = self._folder.joinpath(*parts[:-1], f"{parts[-1]}.jpg")
        if path in self._taken or len(os.fsencode(path.name)) > _LONGEST_NAME:
            short = os.fsencode(parts[-1])[: _LONGEST_NAME - 16].decode(errors="ignore")
            digest = hashlib.sha256(f"{len(self._taken)} {name}".encode(errors="surrogateescape")).hexdigest()
            path = path.with_name(f"{short}-{digest[:8]}.jpg")
        self._taken.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class AnnotatedVideo:
    """A video with boxes; the marks of the last analysed frame stay on those after it."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: VideoWriter | None = None
        self._marks: Sequence[Mark] = ()

    def write(self, pixels: np.ndarray, marks: Sequence[Mark] | None) -> None:
        """Append a frame, uint8 ``[H, W, 3]``, red, green, blue; ``marks`` None where it was not analysed."""
        self._marks = self._marks if marks is None else marks
        if self._writer is None:
            self._writer = VideoWriter(self._path, self._rate, pixels.shape[1::-1])
        drawn: np.ndarray = np.asarray(annotate(pixels, self._marks, enlarge=False)) if self._marks else pixels
        self._writer.write(drawn)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


class Results:
    """The files of one prediction, filled as it goes. They get their names together, when ``finish`` was called and
    the context is left without an error; otherwise none is there, and earlier ones stay.

    Args:
        folder: of the files; None for JSON lines on stdout.
        formats: of ``FORMATS``.
        class_names: the K classes.
        rate: frames a second of a video; None for pictures.
    """

    def __init__(
        self, folder: Path | None, formats: Sequence[str], class_names: Sequence[str], rate: float | None
    ) -> None:
        self._folder, self._formats, self._names, self._rate = folder, formats, class_names, rate
        self._stack = ExitStack()
        self._tables: list[CsvTable | JsonLines] = []
        self._pictures: PictureFolder | None = None
        self._video: AnnotatedVideo | None = None
        self._places: list[Path] = []  # in the order in which they get their names

    def __enter__(self) -> Results:
        if self._folder is None:
            self._tables.append(JsonLines(sys.stdout, self._names))
            return self
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in filter(is_temporary, self._folder.glob(".*")):  # by a process that was killed
            _remove(left)
        for table in _TABLES:
            if table.format in self._formats:
                stream = self._stack.enter_context(self._stage(table.file).open("w", encoding="utf-8", newline=""))
                self._tables.append(table(stream, self._names))
        if "pictures" in self._formats and self._rate is None:
            self._pictures = PictureFolder(self._stage(PICTURES))
        elif "pictures" in self._formats and self._rate is not None:
            self._video = AnnotatedVideo(self._stage(_VIDEO), self._rate)
            self._stack.callback(self._video.close)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._stack.close()  # a full disk is told here, at the latest
        finally:
            for path in self._places:
                _remove(temporary_of(path))

    def write(self, name: str, image: np.ndarray | None, rows: Sequence[Row], analysed: bool) -> None:
        """Add a picture's or frame's rows, and draw them where pictures are wanted."""
        for table in self._tables:
            for row in rows:
                table.write(row)
        if self._folder is None:
            sys.stdout.flush()
        if image is None:
            return
        if self._pictures is not None:
            self._pictures.write(name, image, marks_of(rows))
        if self._video is not None:
            self._video.write(image, marks_of(rows) if analysed else None)

    def append(self, folder: Path, names: Sequence[str]) -> None:
        """Add what other ``Results`` of the same formats and classes have written into a folder.

        Args:
            folder: where the picture of each name, if there is one, has its number as its name.
            names: of all pictures that these are about, in their order.
        """
        for table in self._tables:
            with (folder / table.file).open(encoding="utf-8", newline="") as stream:
                table.append(stream)
        if self._pictures is not None:
            drawn = set(os.listdir(folder / PICTURES)) if (folder / PICTURES).is_dir() else set()
            for number, name in enumerate(names):
                if (file := f"{number}.jpg") in drawn:
                    self._pictures.take(name, folder / PICTURES / file)

    def finish(self, about: Mapping[str, Any]) -> list[Path]:
        """Close the files and give them their names, in place of those of an earlier prediction.

        Args:
            about: what ``MARK`` says: JSON-ready.

        Returns:
            The files and folders.
        """
        self._stack.close()
        if self._folder is None:
            return []
        write_json(self._folder / MARK, about)
        for name in (*(table.file for table in _TABLES), PICTURES, _VIDEO):
            _remove(self._folder / name)
        written = [path for path in self._places if temporary_of(path).exists()]
        for path in written:
            if temporary_of(path).is_file():
                sync(temporary_of(path))
            os.replace(temporary_of(path), path)
        return written

    def _stage(self, name: str) -> Path:
        assert self._folder is not None  # nothing is staged for stdout
        self._places.append(self._folder / name)
        return temporary_of(self._folder / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
