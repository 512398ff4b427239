"""What every reader hands to a builder: labelled images, one at a time, without TensorFlow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.sources.findings import WHOLE, Findings, Part, Skipped

if TYPE_CHECKING:
    from PIL import Image

    from fer_tl.faces.box_table import BoxTable
    from fer_tl.faces.boxes import Crop, Cropped
    from fer_tl.faces.cutting import Cut
    from fer_tl.faces.detection import DetectedCrop
    from fer_tl.faces.recipe import FaceRecipe

VERSION = "1.2.0"
"""Of all builders here: raised when the same source gives other examples or other files."""

SPLITS = ("train", "validation", "test")

MOST_SKIPPED = 0.05
"""Share of the examples that may be left out as unusable: more of them say that something else is wrong."""

_LISTED = 10  # examples that a message names


@dataclass(frozen=True)
class Record:
    """One labelled image.

    Attributes:
        split: one of ``SPLITS``; None if the source has no split, so that one is drawn when it is built.
        id: unique over the whole dataset and stable.
        label: index into the source's class names.
        image: uint8 [H, W, C], 0..255.
        group: what must never be divided over folds, as far as the source knows: the photo that a face is cut from.
        targets: float32 [K], the share of votes for each class, sum 1; None where the label is all there is.
        crop: "whole", "cropped", or "clipped" (cropped, and the box left the image); "" where there are no boxes.
        size: height and width in pixels of what was resized to ``image``, after cropping.
        photo: uint8 [h, w, 3], the whole of what ``image`` was cropped from, in small; None if there was no more. The
            same for all examples of a group.
        person: who is in it, "" if unknown: images of one person, and of the groups they are in, are never divided
            either, and training has none of those who are in validation or test.
        measures: what the source says of it besides its class, finite numbers by name: {"valence": 0.3}.
    """

    split: str | None
    id: str
    label: int
    image: np.ndarray
    group: str
    targets: np.ndarray | None = None
    crop: str = ""
    size: tuple[int, int] = (0, 0)
    photo: np.ndarray | None = None
    person: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)


class UnusableExamples(UserError):
    """Examples that cannot be used and may not be left out, too.

    Attributes:
        skipped: all of them; the message names the first.
        unnamed: how many the message does not name.
    """

    def __init__(self, skipped: Sequence[Skipped], good: int, label: str, advice: str) -> None:
        total = len(skipped) + good
        # Where most are bad it is the whole source, which two of them tell as well.
        named = skipped[: _LISTED if len(skipped) <= good else 2]
        places: dict[str, list[str]] = {}
        for example in named:
            places.setdefault(example.reason, []).append(example.place)
        self.skipped = tuple(skipped)
        self.unnamed = len(skipped) - len(named)
        listed = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in places.items())
        more = f"; and {self.unnamed:,} more" if self.unnamed else ""
        super().__init__(
            f"{len(skipped):,} of {total:,} examples in {label} ({100 * len(skipped) / total:.1f} %) cannot be used: "
            f"{listed}{more}. {advice}"
        )


def reason_of(error: UserError, where: str) -> str:
    """What a message says of an example, without its name in front and what to do about it at the end."""
    return str(error).removeprefix(where).lstrip(" :,").removesuffix(".").removesuffix(": replace or remove it")


def check_share(skipped: Sequence[Skipped], good: int, label: str) -> None:
    """Raise ``UnusableExamples`` if more than ``MOST_SKIPPED`` of all examples had to be left out."""
    if len(skipped) > MOST_SKIPPED * (len(skipped) + good):
        advice = f"--on-error skip leaves out {100 * MOST_SKIPPED:.0f} % at most: correct or remove them."
        raise UnusableExamples(skipped, good, label, advice)


class Source(ABC):
    """A dataset as someone has it. Opening one is cheap; ``records`` reads it.

    Attributes:
        kind: what it is, in a word or two, for the manifest: "csv", "images", "drawn".
        name: its base name, never a path.
        class_names: names in label order.
        options: what changes the examples besides the bytes of the source, as text.
        notes: lines to tell before the build.
        on_error: "stop" or "skip": whether an example that cannot be used stops ``records`` at its end, when all of
            them are known, or is left out.
        passed_over: files that are not read: {why: names}.
        divides: whether ``total`` and ``records`` are of ``part`` only, and what they count is in ``findings``, so that
            parts of it can be read by different processes.
        part: what is to be read.
        findings: what ``records`` has found so far, the last time that it was called.
        unusable: examples that are known to be no use before anything is read.
        fit: see ``fer_tl.faces.recipe.FaceRecipe``.
        bits: likewise.
    """

    on_error = "stop"
    divides = False
    part: Part = WHOLE
    unusable: Sequence[Skipped] = ()
    passed_over: Mapping[str, list[str]] = MappingProxyType({})
    kind: str
    name: str
    class_names: tuple[str, ...]
    options: dict[str, str]
    notes: list[str]
    fit: str = "pad"
    bits: int | None = None
    _boxes: tuple[BoxTable, float] | None = None
    _detected: DetectedCrop | None = None

    @cached_property
    def findings(self) -> Findings:
        return Findings()

    def use_boxes(self, table: BoxTable, margin: float) -> None:
        """Let ``records`` crop every image to its box; call it before ``records``. For ``margin`` see
        ``FaceRecipe``."""
        self._boxes = table, margin
        # What is told of copies was added later: builds of before are told from those of now by it.
        given = {"boxes": table.sha256, "box_margin": repr(float(margin)), "copies": "of whole images"}
        self.options = {**self.options, **given}

    def use_detector(self, crop: DetectedCrop) -> None:
        """Let ``records`` crop every image to the largest face that is found in it; call it before ``records``, and
        where no image has a box."""
        self._detected, self._boxes = crop, None
        own = {key: value for key, value in self.options.items() if key not in ("boxes", "box_margin", "copies")}
        self.options = {**own, **crop.options}

    def photo_of(self, picture: Image.Image) -> np.ndarray | None:
        """``Record.photo`` of an image before it is cropped, where its copies may be cut otherwise; None if it stays
        whole."""
        if self.crop is None:
            return None
        from fer_tl.faces.cutting import in_small  # Pillow's 0.03 s need not be paid by the reading of a dataset

        return in_small(picture)

    @cached_property
    def crop(self) -> Crop | None:
        """What crops the images, None if they stay whole; the first use finds the image of each box.

        Raises:
            UserError: the boxes are not those of these images.
        """
        if self._boxes is None:
            return self._detected
        table, margin = self._boxes
        return table.match(self.names(), margin)

    @property
    def has_boxes(self) -> bool:
        """Whether any image has a box that is given."""
        return self._boxes is not None and any(row.box is not None for row in self._boxes[0].rows)

    @property
    def cropped(self) -> Cropped | None:
        """What is known of the faces once ``records`` has cut them, None where it cuts none by ``crop``."""
        return self.crop

    @property
    def recipe(self) -> FaceRecipe:
        """How pictures become the images of the examples."""
        from fer_tl.faces.recipe import FaceRecipe

        if self._boxes is not None:
            return FaceRecipe(self.fit, margin=float(self._boxes[1]), cutter="boxes", bits=self.bits)
        if (found := self._detected) is not None:
            return FaceRecipe(self.fit, "square", found.margin, found.name, self.bits, found.align)
        return FaceRecipe(self.fit, bits=self.bits)

    def cut(self, picture: Image.Image, identity: str, side: int) -> Cut:
        """An image of an example out of its picture, in mode "L" or "RGB"; ``crop`` is "" where there are no boxes."""
        from fer_tl.faces.cutting import cut_face

        face = None if self.crop is None else self.crop.find(picture, identity, self.findings.counts)
        cut = cut_face(picture, face, side, self.recipe)
        assert cut is not None  # `find` gives no box outside of the picture
        return cut if self.crop is not None else cut._replace(crop="")

    def names(self) -> dict[str, str | None]:
        """{name: id} for every name by which a table may call an image, None if several images have it; empty where
        an image has no name but its id. Those that take boxes have at least the ids."""
        return {}

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image."""

    @abstractmethod
    def total(self) -> int:
        """How many examples ``records`` will give of the part if all can be used, without decoding an image.

        Raises:
            UserError: the source is not what it should be.
        """

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """Read the examples of the part, in a fixed order; those that cannot be used are left out.

        Raises:
            UserError: the source cannot be read.
            UnusableExamples: at the end, naming what was left out, if ``on_error`` is "stop".
        """

    @abstractmethod
    def sha256(self) -> str:
        """Hash of everything that is read, as 64 hexadecimal digits."""

    @abstractmethod
    def warnings(self) -> list[str]:
        """What a careful reader should know about the examples that ``findings`` is about."""

    def skipped(self) -> list[Skipped]:
        """What was left out because it could not be used: known before, or found by ``records``."""
        return [*self.unusable, *self.findings.skipped]

    def judge(self) -> None:
        """Look at what ``findings`` tells of the whole source, once all of it was read.

        Raises:
            UserError: it cannot be what was meant.
        """
        if self.cropped:
            self.cropped.refuse_unfound(self.findings.counts)

    def stop_at_errors(self, good: int) -> None:
        """Raise ``UnusableExamples`` if some were left out and none may be; ``good`` could be used. What is known
        before anything is read is told with the first part."""
        skipped = self.skipped() if self.part.number == 1 else self.findings.skipped
        if skipped and self.on_error == "stop":
            share = len(skipped) / (len(skipped) + good)
            allowed = ", or leave them out with --on-error skip" if share <= MOST_SKIPPED else ""
            raise UnusableExamples(skipped, good, self.name, f"Correct or remove them{allowed}.")

    def close(self) -> None:  # noqa: B027  # a drawn source has nothing to close
        """Close files that are open."""
