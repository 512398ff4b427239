"""Counts and a one-line summary of a predict call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError
from fer_tl.data.tones import is_nearly_blank
from fer_tl.faces.opening import several_frames
from fer_tl.inference.predict.find_faces import Seen
from fer_tl.inference.predict.outputs import Row

LISTED = 20  # pictures whose faces, or whose problems, are told line by line


@dataclass(eq=False)
class Tally:
    """What was predicted so far, and what to say of it.

    Attributes:
        name: of the source.
        video: whether it is one.
        promised: frames that a video says it has, 0 if it does not.
        rate: frames a second of a video.
        time: of its last frame, seconds.
        damaged: frames of a camera or stream that were passed over.
        pictures: or frames, that were analysed.
        faces: in them.
        without_face: pictures or frames with none.
        unreadable: pictures that could not be read.
        read: pictures or frames, analysed or not.
        blank: faces of nearly one tone.
        upright: faces that are not aligned, since their eyes were not found; None where none is to be.
        several: pictures that are the first of several frames or pages of a file.
        labels: how many faces have each.
        problems: why, of the first that could not be read.
        lines: on the faces of the first pictures.
        passed_over: a line on files that were not read, "" for none.
    """

    name: str
    video: bool = False
    promised: int = 0
    rate: float = 0.0
    time: float = 0.0
    damaged: int = 0
    pictures: int = 0
    faces: int = 0
    without_face: int = 0
    unreadable: int = 0
    read: int = 0
    blank: int = 0
    upright: int | None = None
    several: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    passed_over: str = ""

    def add(self, seen: Seen, rows: Sequence[Row]) -> None:
        """Count a picture or frame."""
        self.read += 1
        self.time = seen.time or 0.0
        self.several += seen.several
        self.blank += sum(map(is_nearly_blank, seen.crops))
        if seen.problem:
            self.unreadable += 1
            if len(self.problems) < LISTED:
                self.problems.append(seen.problem)
        if seen.faces is None:
            return
        self.pictures += 1
        self.faces += len(seen.faces)
        self.without_face += not seen.faces
        if self.upright is not None:
            self.upright += sum(face.tilt is None for face in seen.faces)
        self.labels.update(row.label or "unsure" for row in rows if row.face is not None)
        if len(self.lines) <= LISTED:
            self.lines += [_line(row) for row in rows]

    def join(self, later: Tally) -> None:
        """Count what was predicted behind these pictures."""
        for name in ("read", "several", "blank", "unreadable", "pictures", "faces", "without_face"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        if self.upright is not None and later.upright is not None:
            self.upright += later.upright
        self.labels.update(later.labels)  # in the order in which they were first seen, as ``add`` does
        self.problems += later.problems[: LISTED - len(self.problems)]
        if len(self.lines) <= LISTED:
            self.lines += later.lines

    def counts(self) -> dict[str, int]:
        """Those of ``PredictResult``."""
        return {
            "pictures": self.pictures,
            "faces": self.faces,
            "without_face": self.without_face,
            "unreadable": self.unreadable,
        }

    def refuse_nothing(self) -> None:
        """Raise if nothing could be read."""
        if self.pictures:
            return
        if self.unreadable == 1:
            raise UserError(self.problems[0])
        if self.unreadable:
            raise UserError(f"none of {self.unreadable:,} pictures could be read; the first: {self.problems[0]}")
        raise UserError(f"{self.name}: no frame could be read; it is truncated, or not a video")

    def describe(self, seconds: float, written: Sequence[Path]) -> str:
        """The summary: faces one by one if they are few, counts, what could not be read, and the files."""
        lines = list(self.lines) if len(self.lines) <= LISTED and not self.video else []
        what = "pictures" if not self.video else "frames"
        rate = f", {self.read / seconds:,.0f} {what}/s" if self.read > 1 else ""
        counted = ", ".join(f"{label} {count:,}" for label, count in self.labels.most_common())
        found = f"{self.faces:,} face{'s' * (self.faces > 1)} ({counted})" if self.faces else "no face found"
        without = f", {self.without_face:,} without a face" if self.without_face and self.faces else ""
        lines.append(f"{self.pictures:,} {what if self.pictures > 1 else what[:-1]}: {found}{without}{rate}")
        lines += [f"not read: {problem}" for problem in self.problems]
        if self.unreadable > len(self.problems):
            lines.append(f"not read: {self.unreadable - len(self.problems):,} more")
        if self.passed_over:
            lines.append(self.passed_over)
        if self.blank:
            what = "face is" if self.blank == 1 else "faces are"
            lines.append(f"{self.blank:,} {what} nearly black, white or of one tone: next to nothing can be seen there")
        if self.upright:
            lines.append(
                f"{self.upright:,} of {self.faces:,} faces {fitting(self.upright, 'is', 'are')} not aligned: no eyes "
                "were found there"
            )
        if self.several:
            lines.append(
                f"{several_frames(self.several)} (one that is given alone has all analysed, unless they are pages)"
            )
        if self.read < self.promised:
            lines.append(self._missing())
        if self.damaged:
            what = "damaged frame was" if self.damaged == 1 else "damaged frames were"
            lines.append(f"{self.damaged:,} {what} passed over")
        if written:
            lines.append(f"wrote {', '.join(str(path) for path in written)}")
        return "\n".join(lines)

    def _missing(self) -> str:
        """What became of the frames of a film that were not read: those at its end, or some amid it."""
        came_to_its_end = self.time * self.rate > self.promised - 2.5  # half a frame more than one is missing
        if not came_to_its_end:
            return (
                f"{self.name} is truncated or damaged: {self.read:,} of its {self.promised:,} frames could be read, "
                "and behind a gap in it the times may be too early"
            )
        lost = self.promised - self.read
        what = "is damaged and was" if lost == 1 else "are damaged and were"
        return f"{lost:,} of the {self.promised:,} frames of {self.name} {what} passed over"


def _line(row: Row) -> str:
    """A face in words: its expression and the next best, and where it is."""
    if row.face is None or row.probabilities is None:
        return f"{row.id}: no face found"
    top, left, bottom, right = (round(edge) for edge in row.face.box)
    sure = f"{row.probabilities.max():.0%}"
    what = f"{row.label} {sure}" if row.label else f"unsure (at most {sure})"
    return f"{row.id}: {what}, rows {top} to {bottom}, columns {left} to {right}"
