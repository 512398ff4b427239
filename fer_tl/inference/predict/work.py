"""Pictures or a video looked at, answered for and written, by this process."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from fer_tl.core.ahead import map_ahead
from fer_tl.core.archive_members import describe_passed_over
from fer_tl.core.errors import Terminated
from fer_tl.core.say import Say
from fer_tl.faces.boxes import Box
from fer_tl.faces.films import VideoFrame
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference import predictor
from fer_tl.inference.predict.find_faces import Looker, Seen, answer, read_boxes
from fer_tl.inference.predict.opened import Opened
from fer_tl.inference.predict.outputs import Results
from fer_tl.inference.predict.piped import read_stdin
from fer_tl.inference.predict.portions import portion_size
from fer_tl.inference.predict.request import Request
from fer_tl.inference.predict.smoothing import Smoother
from fer_tl.inference.predict.sources import PictureBytes, PictureFile
from fer_tl.inference.predict.summary import Tally
from fer_tl.inference.predictor import ExpressionModel

BRIEF = 8
"""Pictures up to which the model is opened for few."""
# What is in work at once, and what one call of the network gets at most. Frames of 640 x 480 are 1 MB each, photos up
# to 0.3 GB; crops are small.
_AHEAD = {"crop": (128, 64), "photo": (4, 8), "video": (16, 16), "live": (2, 1)}
# They decode and detect, each on its own core; OpenCV's own threads share one detection less evenly.
_THREADS = 2


class Predicted(NamedTuple):
    """What was predicted: the counts, what was written, and how long it took, in seconds, without loading the model."""

    tally: Tally
    text: str
    seconds: float


def predict_here(request: Request, opened: Opened, folder: Path | None, say: Say) -> Predicted:
    """Do all that was asked for.

    Args:
        request: that.
        opened: its sources.
        folder: of the results; None for stdout.
        say: prints a line.

    Raises:
        UserError: a run, detector or table that cannot be used, or nothing that could be read.
    """
    table = None if request.boxes is None else read_boxes(Path(request.boxes), opened.pictures)
    brief = opened.video is None and len(opened.pictures) <= BRIEF
    model, looker = open_model(request, opened.video is not None, brief, table, say)
    about = request.describe(model.parts, model.temperature, model.calibration, looker.recipe, looker.detector)
    began, tally = time.perf_counter(), open_tally(opened, looker.recipe, request.detects)
    with Results(folder, request.formats, model.class_names, opened.rate) as results:
        try:
            border = portion_size(len(opened.pictures), looker.whole) if opened.pictures else 0
            write_answers(request, opened, model, looker, results, tally, border)
        except (KeyboardInterrupt, Terminated):
            if not opened.live:  # a camera has no other end
                raise
        tally.damaged = opened.damaged
        tally.refuse_nothing()
        written = results.finish({**about, "precision_trial": model.outcome, **tally.counts()})
    seconds = time.perf_counter() - began
    lines = [tally.describe(seconds, written), model.calibration, model.outcome]
    return Predicted(tally, "\n".join(filter(None, lines)), seconds)


def open_model(
    request: Request, fast: bool, brief: bool, boxes: Mapping[str, Sequence[Box]] | None, say: Say
) -> tuple[ExpressionModel, Looker]:
    """What answers, and what finds the faces that it answers for.

    Args:
        request: says which.
        fast: for a video.
        brief: for few pictures, see ``fer_tl.inference.predictor.load``.
        boxes: in place of a detector, see ``Looker``.
        say: told which network ships, where that one answers.
    """
    named = request.open_named(fast)  # before the model, which takes seconds
    model = predictor.load(request.run, request.fold, brief, request.precision, say)
    found, recipe = request.fit(named, model.recipe, fast)
    return model, Looker(model.image_shape, found, boxes, recipe, request.largest, "pictures" in request.formats)


def open_tally(opened: Opened, recipe: FaceRecipe, detects: bool) -> Tally:
    """Counts of nothing yet."""
    upright = 0 if recipe.align and detects else None
    tally = Tally(opened.name, opened.video is not None, opened.promised, opened.rate or 0.0, upright=upright)
    tally.passed_over = describe_passed_over(opened.passed)
    return tally


def write_answers(
    request: Request,
    opened: Opened,
    model: ExpressionModel,
    looker: Looker,
    results: Results,
    tally: Tally,
    border: int = 0,
    numbered: bool = False,
) -> None:
    """Look at everything ahead in threads, answer in batches, write.

    Args:
        request: says how.
        opened: what to look at.
        model: answers.
        looker: finds the faces.
        results: get them.
        tally: counts them.
        border: of ``fer_tl.inference.predict.find_faces.batches``.
        numbered: whether pictures get numbers, from 0, as names of their files, see ``Results.append``.
    """
    kind = "live" if opened.live else "video" if opened.video else "crop" if looker.whole else "photo"
    waiting, most = _AHEAD[kind]
    smoother, sure = Smoother(request.smooth), request.min_confidence
    with closing(_look(opened, looker, request.every, waiting)) as seen:
        for number, (each, rows) in enumerate(answer(seen, model, most, smoother, sure, border)):
            tally.add(each, rows)
            results.write(str(number) if numbered else each.id, each.image, rows, each.faces is not None)
    if opened.video is not None:
        opened.video.close()


def _look(opened: Opened, looker: Looker, every: int, waiting: int) -> Generator[Seen]:
    if opened.video is None:
        pictures: Iterable[PictureFile | PictureBytes] = opened.pictures or read_stdin()
        return map_ahead(looker.look_at_picture, pictures, _THREADS, waiting)
    name = Path(opened.name).stem if not opened.live else opened.name

    def look(frame: VideoFrame) -> Seen:
        return looker.look_at_frame(frame, name, frame.number % every == 0)

    frames = opened.video.read(lambda number: looker.keep or number % every == 0)
    return map_ahead(look, frames, _THREADS, waiting)
