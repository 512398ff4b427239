"""ExpW as a source of examples, one for each face that its list names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from fer_tl.core.archives import Files, open_files
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.faces import boxes
from fer_tl.faces.detection import DetectedCrop
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.sources.expw.detected import DetectedBoxes
from fer_tl.sources.expw.faces import Face, Problem
from fer_tl.sources.expw.layout import ORIGINAL, Found, find_expw, refuse_seven_zip
from fer_tl.sources.expw.photos import Picture, Places, UnusablePhoto, cut_photos, default_workers
from fer_tl.sources.expw.survey import Survey, take_stock
from fer_tl.sources.findings import Findings, Skipped
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.images import is_constant
from fer_tl.sources.origin import CONSTANT, FileSource, Origin
from fer_tl.sources.records import Record, UnusableExamples
from fer_tl.sources.votes import check_mode

_CLIPPED = "clipped"
NOT_LISTED = "files that the list does not name"


@dataclass(frozen=True)
class Cutting:
    """How faces are cut and what happens to those that cannot be; see ``open_expw``."""

    image_size: int
    margin: float
    min_confidence: float | None
    workers: int


class ExpwSource(FileSource):
    """Faces cut out of photos, or face crops: photo by photo in the order of the list; the group is the photo.

    Args:
        origin: where the files were found.
        files: the folder or archive that holds the list and its images.
        found: the list and its images.
        cutting: how faces are cut.
        options: see ``Source``.
    """

    divides = True

    def __init__(self, origin: Origin, files: Files, found: Found, cutting: Cutting, options: dict[str, str]) -> None:
        self.kind = found.kind
        super().__init__(origin, CLASS_NAMES, options, found.notes)
        self._files, self._found, self._cutting = files, found, cutting
        self._surveyed: Survey | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (self._cutting.image_size, self._cutting.image_size, 3)

    @cached_property
    def cropped(self) -> DetectedBoxes | None:
        """What replaces the boxes of the list, if a detector shall."""
        return None if self._detected is None else DetectedBoxes(self._detected)

    def use_detector(self, crop: DetectedCrop) -> None:
        """Let ``records`` cut each face by the box that is found where the list has one; call it before ``records``.

        Raises:
            UserError: the list has no photos.
        """
        if self._found.kind != ORIGINAL:
            raise UserError(
                f"{self._found.name} lists face crops, in which no face is looked for: leave --detector out"
            )
        super().use_detector(crop)

    @property
    def recipe(self) -> FaceRecipe:
        if self._detected is not None:
            return super().recipe
        boxed = self._found.kind == ORIGINAL
        return FaceRecipe(self.fit, margin=self._cutting.margin, cutter="boxes" if boxed else "", bits=self.bits)

    def total(self) -> int:
        return sum(len(faces) for _, faces in self.part.of(self._survey().photos))

    def records(self) -> Iterator[Record]:
        photos = self.part.of(self._survey().photos)
        self.findings = Findings()
        places = ((name, self._places(faces)) for name, faces in photos)
        good = 0
        side, workers = self._cutting.image_size, self._cutting.workers
        with closing(cut_photos(self._files, places, side, self.recipe, workers)) as cut:
            for (_, faces), pictures in zip(photos, cut, strict=True):
                if isinstance(pictures, UnusablePhoto):
                    undecoded = [Problem(face.line, face.id, str(pictures)) for face in faces]
                    self.findings.skipped += self._described(undecoded)
                    continue
                good += len(faces)
                yield from map(self._record, faces, pictures)
        self.stop_at_errors(good)

    def warnings(self) -> list[str]:
        survey = self._survey()
        lines = self._left_out(survey)
        if clipped := self.findings.counts[_CLIPPED]:
            wide = " with their margin" if self.recipe.margin else ""
            lines.append(f"{clipped:,} boxes{wide} reach beyond their photo, which is black there.")
        lines += super().warnings()
        if survey.turned:
            lines.append(
                f"{survey.turned:,} photos have an EXIF tag that asks for a turn; they are taken as they are stored."
            )
        return lines

    def skipped(self) -> list[Skipped]:
        return sorted([*self._described(self._survey().problems), *self.findings.skipped], key=_line_of)

    def _places(self, faces: list[Face]) -> Places:
        listed = [None if face.box is None else boxes.Face(face.box, 1.0) for face in faces]
        if (detected := self.cropped) is None:
            return lambda photo: listed
        known = {face.id: face.box for face in faces if face.box is not None}
        return lambda photo: detected.find_listed(photo, known, self.findings.counts)

    def _record(self, face: Face, picture: Picture) -> Record:
        cut = picture.cut
        self.findings.counts[_CLIPPED] += cut.crop == "clipped"
        self.findings.counts[CONSTANT] += is_constant(cut.pixels)
        return Record(
            None,
            face.id,
            face.label,
            cut.pixels,
            group=face.group,
            targets=face.targets,
            measures=face.measures,
            crop="" if face.box is None else cut.crop,
            size=cut.size,
            photo=None if face.box is None else picture.photo,
        )

    def _survey(self) -> Survey:
        """Raise ``UserError`` if no face can be used."""
        if self._surveyed is None:
            cutting, listing = self._cutting, self._found.listing
            survey = take_stock(self._files, listing, self._found.images, self.recipe, cutting.min_confidence)
            usable = sum(len(faces) for _, faces in survey.photos)
            if survey.problems and not usable:
                where = self._files.where(self._found.name)
                raise UnusableExamples(self._described(survey.problems), 0, where, "Correct the list or its photos.")
            if not usable:
                told = " ".join(self._left_out(survey)) or "It is empty."
                raise UserError(f"{self._files.where(self._found.name)} gives no face. {told}")
            self._surveyed = survey
        return self._surveyed

    def _left_out(self, survey: Survey) -> list[str]:
        lines = list(self._found.listing.warnings)
        if survey.unsure:
            least = self._cutting.min_confidence
            lines.append(f"{counted(survey.unsure, 'face')} left out: the detector's confidence is below {least:g}.")
        return lines

    def _described(self, problems: list[Problem]) -> list[Skipped]:
        name = PurePosixPath(self._found.name).name
        found = [Skipped(f"{name}, line {problem.line:,}", problem.what, problem.reason) for problem in problems]
        return sorted(found, key=_line_of)


def _line_of(skipped: Skipped) -> int:
    """The line of the list that an example is in."""
    return int(skipped.where.rpartition(" ")[2].replace(",", ""))


def open_expw(
    path: Path,
    image_size: int = DEFAULT_IMAGE_SIZE,
    *,
    box_margin: float = 0.0,
    min_confidence: float | None = None,
    votes: str = "majority",
    workers: int | None = None,
) -> ExpwSource:
    """Open ExpW in any of its layouts: ``label.lst`` with photos, or ``label_expw.csv`` with face crops.

    List and images may lie in any folders of a folder or archive. A box is of the photo's pixels as they are stored.

    Args:
        path: the folder or archive.
        image_size: height and width of the faces to hand out, pixels.
        box_margin: what to add on each side of a box, see ``FaceRecipe``.
        min_confidence: leave out faces whose detector score is below it; None for all faces.
        votes: "majority" or "soft": what to make of the votes on face crops, see ``votes.decide``.
        workers: threads that decode photos; by default one for each core, 16 at most.

    Raises:
        UserError: nothing usable is there, or an option does not fit what is there.
    """
    check_mode(votes)
    if min_confidence is not None and not math.isfinite(min_confidence):
        raise UserError(f"min-confidence is {min_confidence}, not a number")
    if not path.is_dir():
        refuse_seven_zip(path.name)
    files = open_files(path)
    try:
        found = find_expw(files, votes)
        options = {"image_size": str(image_size), **_options(found, box_margin, min_confidence, votes)}
        origin = Origin(path, files, [found.name, *found.images.values()])
        cutting = Cutting(image_size, box_margin, min_confidence, default_workers() if workers is None else workers)
        source = ExpwSource(origin, files, found, cutting, options)
        used = {found.name, *found.images.values()}
        source.passed_over = {**files.passed_over, NOT_LISTED: [name for name in files.names if name not in used]}
        return source
    except BaseException:
        files.close()
        raise


def _options(found: Found, margin: float, min_confidence: float | None, votes: str) -> dict[str, str]:
    """Raise ``UserError`` for options that the list found cannot fulfil."""
    if found.kind == ORIGINAL:
        if votes != "majority":
            raise UserError(
                f"{found.name} has one label for each face and no votes: --votes {votes} needs ExpW Cleaned"
            )
        scores = {} if min_confidence is None else {"min_confidence": repr(float(min_confidence))}
        return {"box_margin": repr(float(margin)), **scores}
    for option, given in (("box-margin", margin != 0), ("min-confidence", min_confidence is not None)):
        if given:
            raise UserError(f"{found.name} lists face crops without boxes and scores: leave --{option} out")
    return {"votes": votes}
