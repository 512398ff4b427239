"""Films of known persons as a source: chosen frames, decoded when they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fer_tl.core.archives import Files
from fer_tl.core.errors import UserError
from fer_tl.faces.detection import import_opencv
from fer_tl.faces.films import VideoReader
from fer_tl.sources.findings import Findings, Skipped
from fer_tl.sources.images import image_paths, is_constant
from fer_tl.sources.origin import CONSTANT, FileSource, Origin
from fer_tl.sources.portraits import Portrait, Portraits, find_classes
from fer_tl.sources.ravdess.choosing import Choice
from fer_tl.sources.records import Record, reason_of


class Films(FileSource):
    """Frames of films; a film is a group, and each has one person and one class. A split is drawn.

    Args:
        origin: where the films were found.
        files: the folder or archive that holds them.
        films: what each shows, and who.
        class_names: names in label order.
        choice: which frames are taken.
        size: height and width of the images to hand out, pixels.
        channels: 1 or 3.
        fit: see ``Source``.
    """

    kind = "films"
    divides = True

    def __init__(
        self,
        origin: Origin,
        files: Files,
        films: Sequence[Portrait],
        class_names: tuple[str, ...],
        choice: Choice,
        *,
        size: int,
        channels: int,
        fit: str,
    ) -> None:
        options = {"image_size": str(size), "fit": fit, "channels": str(channels)}
        options |= {"every": str(choice.every)} if choice.frames is None else {"frames": str(choice.frames)}
        super().__init__(origin, class_names, options, [])
        self._files, self._films, self._choice, self.fit = files, films, choice, fit
        self._shape = (size, size, channels)
        self._ids = {path.name: path.id for path in image_paths(film.name for film in films)}
        self._chosen: dict[str, list[int]] = {}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self._shape

    def total(self) -> int:
        return sum(len(self._numbers(film)) for film in self.part.of(self._films))

    def names(self) -> dict[str, str | None]:
        """Ids, and paths with the number of the frame behind."""
        found: dict[str, str | None] = {}
        for film in self._films:
            for number in self._numbers(film):
                identity = self._id(film, number)
                found |= {f"{film.name}#{number}": identity, identity: identity}
        return found

    def _numbers(self, film: Portrait) -> list[int]:
        """Which frames of a film are taken, none if it does not say how many it has."""
        if film.name not in self._chosen:
            self._chosen[film.name] = []
            with contextlib.suppress(UserError), self._files.on_disk(film.name) as path:  # `records` tells why
                reader = VideoReader(str(path), live=False)
                self._chosen[film.name] = self._choice.of(reader.frames)
                reader.close()
        return self._chosen[film.name]

    def records(self) -> Iterator[Record]:
        self.findings, good = Findings(), 0
        _ = self.crop  # before the loop: what this refuses is no fault of one film
        for film in self.part.of(self._films):
            try:
                for record in self._of(film):
                    good += 1
                    yield record
            except UserError as error:
                reason = reason_of(error, self._files.where(film.name))
                self.findings.skipped.append(Skipped(film.name, self._ids[film.name], reason))
        self.stop_at_errors(good)

    def _of(self, film: Portrait) -> Iterator[Record]:
        left = set(self._numbers(film))
        with self._files.on_disk(film.name) as path:
            if path.stat().st_size == 0:
                raise UserError(f"{self._files.where(film.name)} is empty: replace or remove it")
            try:
                reader = VideoReader(str(path), live=False)
            except UserError:
                raise UserError(
                    f"{self._files.where(film.name)} is not a film that OpenCV can read, or it is truncated"
                ) from None
            try:
                if not left:
                    raise UserError(f"{self._files.where(film.name)} does not say how many frames it has: convert it")
                last = max(left)
                for frame in reader.read(left.__contains__):
                    if frame.pixels is not None and frame.number in left:
                        left.remove(frame.number)
                        yield self._record(film, frame.number, frame.pixels)
                    if frame.number >= last:
                        break
            finally:
                reader.close()
        for number in sorted(left):
            where = f"frame {number:,} of {self._files.where(film.name)}"
            self.findings.skipped.append(Skipped(film.name, self._id(film, number), f"{where} cannot be decoded"))

    def _record(self, film: Portrait, number: int, pixels: np.ndarray) -> Record:
        """An example of a frame, uint8 ``[H, W, 3]``, blue first."""
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
        if self.image_shape[2] == 1:
            picture = picture.convert("L")
        identity = self._id(film, number)
        photo = self.photo_of(picture)
        image, shape, crop = self.cut(picture, identity, self.image_shape[0])
        self.findings.counts[CONSTANT] += is_constant(image)
        label = self.class_names.index(film.shows)
        return Record(
            None, identity, label, image, self._ids[film.name], crop=crop, size=shape, photo=photo, person=film.person
        )

    def _id(self, film: Portrait, number: int) -> str:
        return f"{self._ids[film.name]}#{number}"


def open_films(
    path: Path,
    files: Files,
    found: Portraits,
    classes: Sequence[str],
    choice: Choice,
    *,
    image_size: int,
    fit: str,
    channels: int | None,
) -> Films:
    """Films whose names tell class and person; for the other arguments and what is raised, see ``open_portraits``.

    Args:
        path: the folder or archive.
        files: the same, opened.
        found: the films.
        classes: all classes that there may be, in label order.
        choice: which frames are taken.
        image_size: height and width of the images to hand out, pixels.
        fit: see ``Source``.
        channels: 1 or 3; None for 3.
    """
    import_opencv()
    source = Films(
        Origin(path, files, [film.name for film in found.images]),
        files,
        found.images,
        find_classes(found.images, classes, files.label),
        choice,
        size=image_size,
        channels=channels or 3,
        fit=fit,
    )
    number = f"{choice.frames} frames of each" if choice.frames else f"one of {choice.every} frames"
    first = PurePosixPath(found.images[0].name).name
    source.notes = [f"{len(found.images):,} films are read, such as {first}, {number}.", *found.notes]
    source.passed_over = found.passed_over
    return source
