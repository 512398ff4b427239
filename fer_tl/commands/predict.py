"""Find faces in pictures, videos or from a camera, and name their expressions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import Terminated, UserError, suggest
from fer_tl.core.output_folder import choose_folder
from fer_tl.core.say import Say, say_line
from fer_tl.core.version import __version__
from fer_tl.inference.predict.opened import STDOUT, Opened, open, refuse_misplaced
from fer_tl.models.shipped import NAME

if TYPE_CHECKING:
    from fer_tl.faces.films import VideoFrame
    from fer_tl.inference.predict.find_faces import Looker, Seen
    from fer_tl.inference.predict.outputs import Results
    from fer_tl.inference.predict.sources import PictureBytes, PictureFile
    from fer_tl.inference.predict.summary import Tally
    from fer_tl.inference.predictor import ExpressionModel


_LONGEST_SMOOTH = 60.0  # seconds
_BRIEF = 8  # pictures up to which the model is opened for few
# What is in work at once, and what one call of the network gets at most. Frames of 640 x 480 are 1 MB each, photos up
# to 0.3 GB; crops are small.
_AHEAD = {"crop": (128, 64), "photo": (4, 8), "video": (16, 16), "live": (2, 1)}
# They decode and detect, each on its own core; OpenCV's own threads share one detection less evenly.
_THREADS = 2


@dataclass(frozen=True, repr=False)
class PredictResult(Shown):
    """What was predicted.

    Attributes:
        out_dir: folder of the table and pictures; None where they went to stdout.
        pictures: or frames that were analysed.
        faces: in them.
        without_face: pictures or frames with none.
        unreadable: how many pictures could not be read.
        problems: why, of the first of them.
        seconds: that it took, without loading the model.
        text: the summary.
    """

    out_dir: Path | None
    pictures: int
    faces: int
    without_face: int
    unreadable: int
    problems: tuple[str, ...]
    seconds: float
    text: str


def predict(
    run_dir: Path | str | None = None,
    source: Path | str | Sequence[Path | str] = (),
    faces: str = "detect",
    detector: str | Callable[..., Any] = "auto",
    detector_model: Path | str | None = None,
    boxes: Path | str | None = None,
    margin: float | None = None,
    align: bool = False,
    largest: bool = False,
    fold: int | str | None = None,
    every: int = 1,
    min_confidence: float = 0.0,
    smooth: float = 0.0,
    precision: str = "float32",
    save: str | Sequence[str] | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> PredictResult:
    """Find the faces of pictures or of a video, and say what a run sees in them.

    Memory does not grow with the number of pictures or the length of a video. Results appear under their names when
    they are whole; a camera or stream that is ended with Ctrl-C leaves whole ones.

    Args:
        run_dir: a run; if it is unfinished, a finished fold answers. Default: the network that ships with fer-tl.
        source: a picture, a folder (with its subfolders), a pattern such as ``photos/*.jpg``, or several of these; or a
            video, the index of a camera ("0"), the address of a stream, or "-" for pictures on stdin.
        faces: ``detect``: find them; ``crop``: each picture already is a face, as in FER-2013.
        detector: ``mtcnn``, ``yunet``, ``haar``, ``none``, ``package.module:function`` for your own (in Python the
            function itself, see ``fer_tl.faces.given_detector``), or ``auto``: the one that cropped the faces of
            the training, else MTCNN, or YuNet if its model is given.
        detector_model: file with YuNet's model; default: downloaded once.
        boxes: CSV with id, top, left, bottom, right in place of a detector; a picture may have several rows.
        margin: room to add on each side of a box, as a fraction of its size; default: as in training.
        align: rotate each face until its eyes are level; done anyway if the training did so.
        largest: keep only the largest face of each picture.
        fold: the fold whose model answers, or ``all`` for the average of all; default: the first that is finished.
        every: analyse every Nth frame of a video; its boxes stay on the frames after it.
        min_confidence: 0 to 1; a face whose most probable class is less probable gets no label, only "?".
        smooth: time constant in seconds of exponential smoothing along a face in a video, 0 for none.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 if it is faster and changes no probability by more
            than 0.01, tried on the first faces.
        save: ``csv``, ``jsonl``, ``pictures`` (or the annotated video), or several, separated by commas; default:
            csv and pictures, for crops only csv.
        out: folder of the result; default: ``predict`` in the run, or here without one; "-" prints only JSON lines.
        say: prints a line.

    Raises:
        UserError: no run, no such source, nothing that could be read, options that do not fit together, OpenCV missing
            where it is needed, or other files in the folder.
    """
    from fer_tl.inference.choose_models import tell_run

    words = [str(source)] if isinstance(source, str | Path) else [str(each) for each in source]
    formats = _choose_formats(save, faces, out)
    _refuse_unclear(faces, detector, detector_model, boxes, margin, align)
    _refuse_numbers(every, min_confidence, smooth, margin)
    run, sources = tell_run(run_dir, words)
    if run and not sources:
        raise UserError(f"{run} is a run, or holds some: name what to predict on behind it")
    folder = None if str(out) == STDOUT else _choose_folder(run, sources, out)
    opened = open(sources)
    refuse_misplaced(opened, every, smooth, boxes)
    from fer_tl.inference.choose_detector import changed_recipe, open_fitting, open_named
    from fer_tl.inference.predict.find_faces import Looker, read_boxes
    from fer_tl.inference.predict.outputs import Results
    from fer_tl.inference.predictor import load

    table = None if boxes is None else read_boxes(Path(boxes), opened.pictures)
    detects, fast = faces != "crop" and boxes is None, opened.video is not None
    named = open_named(detector, detector_model, fast) if detects else None
    say = say if folder else partial(print, file=sys.stderr)
    model = load(run, fold, opened.video is None and len(opened.pictures) <= _BRIEF, precision, say)
    recipe = changed_recipe(model.recipe, margin, align)
    found = open_fitting(named, recipe, str(run), detector_model, fast) if detects else None
    looker = Looker(model.image_shape, found, table, recipe, largest, "pictures" in formats and folder is not None)
    about = {
        "run": str(run or f"{NAME}, which ships with fer-tl {__version__}"),
        "parts": list(model.parts),
        "source": sources,
        "faces": faces,
        "detector": None if found is None else found.name,
        "boxes": None if boxes is None else str(boxes),
        "margin": recipe.margin,
        "recipe": recipe.to_dict(),
        "largest": largest,
        "every": every,
        "min_confidence": min_confidence,
        "smooth": smooth,
        "precision": precision,
        "temperature": model.temperature,
        "calibration": model.calibration,
    }
    began, tally = time.perf_counter(), _open_tally(opened, recipe.align and detects)
    with Results(folder, formats, model.class_names, opened.rate) as results:
        try:
            _work(opened, looker, model, every, smooth, min_confidence, results, tally)
        except (KeyboardInterrupt, Terminated):
            if not opened.live:  # a camera has no other end
                raise
        tally.damaged = opened.damaged
        tally.refuse_nothing()
        written = results.finish({**about, "precision_trial": model.outcome, **tally.counts()})
    seconds = time.perf_counter() - began
    text = "\n".join(filter(None, [tally.describe(seconds, written), model.calibration, model.outcome]))
    say(text)
    return PredictResult(folder, **tally.counts(), problems=tuple(tally.problems), seconds=seconds, text=text)


def _choose_formats(save: str | Sequence[str] | None, faces: str, out: Path | str | None) -> tuple[str, ...]:
    from fer_tl.inference.predict.outputs import FORMATS

    if str(out) == STDOUT:
        if save is not None:
            raise UserError("--save is for a folder: --out - writes JSON lines to stdout and no file")
        return ()
    if save is None:
        return ("csv",) if faces == "crop" else ("csv", "pictures")
    chosen = [word.strip() for word in save.split(",")] if isinstance(save, str) else list(save)
    for word in chosen:
        if word not in FORMATS:
            raise UserError(f"--save {word}: no such output{suggest(word, FORMATS)}")
    return tuple(chosen)


def _refuse_unclear(
    faces: str,
    detector: str | Callable[..., Any],
    model: Path | str | None,
    boxes: Path | str | None,
    margin: float | None,
    align: bool,
) -> None:
    from fer_tl.faces.detection import check_align, check_detector
    from fer_tl.inference.choose_detector import check_faces, refuse_for_crops

    check_faces(faces)
    check_detector(detector)
    given = {"--detector": detector != "auto", "--detector-model": model is not None, "--boxes": boxes is not None}
    given |= {"--margin": margin is not None, "--align": align}
    named = [option for option, there in given.items() if there]
    refuse_for_crops(faces, named)
    if boxes is not None and named[0] != "--boxes":
        raise UserError(f"{named[0]} and --boxes: the boxes take the detector's place; leave one of them out")
    if boxes is not None and align:
        raise UserError(
            "--align and --boxes: faces are rotated by their eyes, which a table does not have; leave one out"
        )
    if align:
        check_align(detector)


def _refuse_numbers(every: int, min_confidence: float, smooth: float, margin: float | None) -> None:
    from fer_tl.faces.boxes import check_margin

    if every < 1:
        raise UserError(f"--every {every}: give 1 or more")
    if not 0 <= min_confidence <= 1:
        raise UserError(f"--min-confidence {min_confidence:g}: a probability is between 0 and 1")
    if not 0 <= smooth <= _LONGEST_SMOOTH:
        raise UserError(f"--smooth {smooth:g}: give seconds from 0 to {_LONGEST_SMOOTH:g}")
    check_margin(margin)


def _choose_folder(run: Path | None, sources: Sequence[str], out: Path | str | None) -> Path:
    from fer_tl.inference.predict.outputs import MARK
    from fer_tl.inference.predict.sources import is_stream

    folder = choose_folder(out, (run or Path()) / "predict", MARK, "prediction")
    inside = folder.resolve()
    for source in sources:
        if source == STDOUT or is_stream(source) or not Path(source).exists():
            continue
        if Path(source).resolve().is_relative_to(inside):
            raise UserError(f"{source} lies in {folder}, whose files are replaced: give another --out")
        if out is None and run is None and inside.is_relative_to(Path(source).resolve()):
            raise UserError(f"{folder} would lie in {source} and be read as pictures the next time: give --out")
    return folder


def _open_tally(opened: Opened, aligns: bool) -> Tally:
    from fer_tl.core.archive_members import describe_passed_over
    from fer_tl.inference.predict.summary import Tally

    video = opened.video is not None
    tally = Tally(opened.name, video, opened.promised, opened.rate or 0.0, upright=0 if aligns else None)
    tally.passed_over = describe_passed_over(opened.passed)
    return tally


def _work(
    opened: Opened,
    looker: Looker,
    model: ExpressionModel,
    every: int,
    smooth: float,
    min_confidence: float,
    results: Results,
    tally: Tally,
) -> None:
    """Look at everything ahead in threads, answer in batches, write."""
    from fer_tl.inference.predict.find_faces import answer
    from fer_tl.inference.predict.smoothing import Smoother

    kind = "live" if opened.live else "video" if opened.video else "crop" if looker.whole else "photo"
    waiting, most = _AHEAD[kind]
    with closing(_look(opened, looker, every, waiting)) as seen:
        for each, rows in answer(seen, model, most, Smoother(smooth), min_confidence):
            tally.add(each, rows)
            results.write(each.id, each.image, rows, each.faces is not None)
    if opened.video is not None:
        opened.video.close()


def _look(opened: Opened, looker: Looker, every: int, waiting: int) -> Generator[Seen]:
    from fer_tl.core.ahead import map_ahead

    if opened.video is None:
        from fer_tl.inference.predict.piped import read_stdin

        pictures: Iterable[PictureFile | PictureBytes] = opened.pictures or read_stdin()
        return map_ahead(looker.look_at_picture, pictures, _THREADS, waiting)
    name = Path(opened.name).stem if not opened.live else opened.name

    def look(frame: VideoFrame) -> Seen:
        return looker.look_at_frame(frame, name, frame.number % every == 0)

    frames = opened.video.read(lambda number: looker.keep or number % every == 0)
    return map_ahead(look, frames, _THREADS, waiting)


COMMAND = Command(predict, positional=("run_dir", "source"))
