"""What to build, as a person asked for it: checked before anything is read, then opened."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError, suggest
from fer_tl.data.building.drop_copies import POLICIES, Curation
from fer_tl.data.splits import read_splits
from fer_tl.faces.box_table import read_box_table
from fer_tl.faces.detected_crop import DetectedCrop, open_detected_crop
from fer_tl.faces.recipe import DETECTORS, FITS
from fer_tl.sources.images import ENCODINGS
from fer_tl.sources.records import ON_ERROR
from fer_tl.sources.votes import MODES

if TYPE_CHECKING:
    from fer_tl.sources.records import Source

DATASETS = ("fer2013", "expw", "folder", "toyfaces")
DEFAULT_IMAGE_SIZE = 96
DRAWN = "toyfaces"

# Which datasets take an option; all of them take those that are not here.
_OWNERS = {
    "source": ("fer2013", "expw", "folder"),
    "image_size": ("expw", "folder"),
    "fit": ("folder",),
    "channels": ("folder",),
    "bits": ("folder",),
    "labels": ("fer2013", "folder"),
    "ferplus": ("fer2013",),
    "votes": ("fer2013", "expw"),
    "boxes": ("fer2013", "folder"),
    "detector": ("fer2013", "folder"),
    "detector_model": ("fer2013", "folder"),
    "box_margin": ("fer2013", "expw", "folder"),
    "min_confidence": ("expw",),
    "on_error": ("fer2013", "expw", "folder"),
    "duplicates": ("fer2013", "expw", "folder"),
    "splits": ("expw",),
    "split_seed": ("expw",),
}
_CHOICES = {
    "fit": FITS,
    "channels": (1, 3),
    "votes": MODES,
    "detector": DETECTORS,
    "on_error": ON_ERROR,
    "duplicates": POLICIES,
    "encoding": ENCODINGS,
}
_LIMITS = {
    "shards": (1, 10_000),
    "image_size": (8, 1024),
    "bits": (8, 16),
    "box_margin": (0, 1),
    "split_seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class BuildRequest:
    """The arguments of `fer_tl.data.building.build.build`, None where one is not given; see there.

    Raises:
        UserError: a value that cannot be, or an option of another dataset.
    """

    name: str
    source: str | Path | None = None
    shards: int | None = None
    image_size: int | None = None
    fit: str | None = None
    channels: int | None = None
    bits: int | None = None
    labels: str | None = None
    ferplus: str | Path | None = None
    votes: str | None = None
    boxes: str | Path | None = None
    detector: str | None = None
    detector_model: str | Path | None = None
    box_margin: float | None = None
    min_confidence: float | None = None
    on_error: str | None = None
    duplicates: str | None = None
    splits: str | Path | None = None
    split_seed: int | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        builder, slash, config = self.name.partition("/")
        if builder not in DATASETS:
            raise UserError(f"There is no dataset {builder!r} to build: choose one of {', '.join(DATASETS)}.")
        if slash and builder != "folder":
            raise UserError(f"{builder} has no variants: write {builder}, not {self.name}.")
        if slash and not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", config):
            raise UserError(f"{self.name}: {config!r} cannot be a folder's name: use a-z, 0-9, - and _.")
        for field, owners in _OWNERS.items():
            if getattr(self, field) is not None and builder not in owners:
                raise UserError(f"--{_flag(field)} is for {' and '.join(owners)}, not for {builder}: leave it out.")
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            if value is not None and value not in choices:
                raise UserError(f"--{_flag(field)} {value}: no such choice{suggest(str(value), map(str, choices))}.")
        for field, (low, high) in _LIMITS.items():
            value = getattr(self, field)
            if value is not None and not low <= value <= high:
                raise UserError(f"--{_flag(field)} is {value:g}, not {low:,} to {high:,}.")
        self._check_pairs()

    def _check_pairs(self) -> None:
        self._check_crop()
        if self.votes is not None and self.builder == "fer2013" and self.ferplus is None:
            raise UserError("--votes says how the votes of --ferplus become labels: give that as well.")
        if self.splits is not None and self.split_seed is not None:
            raise UserError("--splits gives the split and --split-seed draws one: use one of them.")

    def _check_crop(self) -> None:
        if self.boxes is not None and self.detector is not None:
            raise UserError("--boxes gives the faces and --detector looks for them: use one of them.")
        for flag, given in (("boxes", self.boxes), ("detector", self.detector)):
            if given is not None and self.source is None:
                raise UserError(f"--{flag} crops the images of --source: give that as well.")
        if self.detector_model is not None and self.detector != "yunet":
            raise UserError("--detector-model is for --detector yunet: give that as well, or leave it out.")
        boxed = self.builder == "expw" or self.boxes is not None or self.detector is not None
        if self.box_margin is not None and not boxed:
            raise UserError("--box-margin widens the boxes of --boxes or --detector: give one, or leave it out.")

    @property
    def builder(self) -> str:
        """The package below `tfrecords_builder`."""
        return self.name.partition("/")[0]

    @property
    def config(self) -> str:
        """The name after the slash, "" if none was given."""
        return self.name.partition("/")[2]

    @cached_property
    def curation(self) -> Curation:
        """How the dataset is looked after; reads the table of splits."""
        drawn = self.builder == DRAWN  # its faces are all different, and alike to a hash of photographs
        return Curation(
            duplicates="keep" if drawn else self.duplicates or "group",
            encoding=self.encoding or "png",
            split_seed=self.split_seed or 0,
            splits=None if self.splits is None else read_splits(_expanded(self.splits)),
        )

    @cached_property
    def options(self) -> dict[str, str]:
        """What changes the dataset besides the source and its own options, as text for the manifest."""
        curation = self.curation
        found = {"duplicates": curation.duplicates, "encoding": curation.encoding}
        if curation.splits is not None:
            rows = json.dumps(sorted(curation.splits.items()))
            return found | {"splits": f"{len(curation.splits)} ids, sha256 {hashlib.sha256(rows.encode()).hexdigest()}"}
        return found | ({"split_seed": str(curation.split_seed)} if self.builder == "expw" else {})

    def open(self) -> Source:
        """Opens the source, without TensorFlow.

        Raises:
            UserError: it is not what it should be.
        """
        if self.builder == DRAWN:
            from fer_tl.sources.toyfaces.source import ToySource

            return ToySource()
        path = _expanded(str(self.source))
        if self.builder == "expw":
            from fer_tl.sources.expw.source import open_expw

            return open_expw(
                path,
                self.image_size or DEFAULT_IMAGE_SIZE,
                margin=self.box_margin or 0.0,
                min_confidence=self.min_confidence,
                votes=self.votes or "majority",
                on_error=self.on_error or "stop",
            )
        table = read_box_table(_expanded(self.boxes)) if self.boxes is not None else None
        detected = self._detected_crop()
        source: Source
        if self.builder == "folder":
            from fer_tl.sources.folder.reader import open_folder

            size, fit = self.image_size or DEFAULT_IMAGE_SIZE, self.fit or FITS[0]
            source = open_folder(path, size, fit, self.labels, self.channels, self.bits)
        else:
            from fer_tl.sources.fer2013.open_source import open_source

            source = open_source(path, self.labels, **self._ferplus())
        source.on_error = self.on_error or "stop"
        if table:
            source.use_boxes(table, self.box_margin or 0.0)
        if detected:
            source.use_detector(detected)
        return source

    def _detected_crop(self) -> DetectedCrop | None:
        if self.detector is None:
            return None
        model = None if self.detector_model is None else _expanded(self.detector_model)
        return open_detected_crop(self.detector, model, self.box_margin)

    def _ferplus(self) -> dict[str, Any]:
        return {"ferplus": _expanded(self.ferplus), "votes": self.votes or "majority"} if self.ferplus else {}


def _flag(field: str) -> str:
    return field.replace("_", "-")


def _expanded(path: str | Path) -> Path:
    return Path(os.path.expanduser(str(path)))  # Path.expanduser raises for an unknown user
