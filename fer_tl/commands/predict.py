"""Find faces in pictures, videos or from a camera, and name their expressions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.output_folder import choose_folder
from fer_tl.core.say import Say, say_line
from fer_tl.inference.predict.opened import STDOUT, open, refuse_misplaced, refuse_undivided

_LONGEST_SMOOTH = 60.0  # seconds
_MOST_JOBS = 1000


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
    jobs: int | None = None,
    executor: str = "local",
    executor_options: str | Sequence[str] | None = None,
    say: Say = say_line,
) -> PredictResult:
    """Find the faces of pictures or of a video, and say what a run sees in them.

    Memory does not grow with the number of pictures or the length of a video. Results appear under their names when
    they are whole; a camera or stream that is ended with Ctrl-C leaves whole ones. With ``jobs`` or another
    ``executor`` than "local", pictures are predicted in parts, beside each other; the files have the bytes of one
    process on a CPU, and parts that are done before an interrupt are kept.

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
        jobs: predict so many parts of the pictures at the same time, each by a process of its own.
        executor: where these are: ``local``, ``ray`` or ``slurm``.
        executor_options: of Ray or Slurm, such as ``num_cpus=4``, as for ``fer-tl cv``.
        say: prints a line.

    Raises:
        UserError: no run, no such source, nothing that could be read, options that do not fit together, OpenCV missing
            where it is needed, other files in the folder, or parts that could not be predicted: the others are kept.
    """
    from fer_tl.executors.choose import Executor
    from fer_tl.inference.choose_models import tell_run

    units = Executor(executor, jobs, executor_options)
    units.refuse_unknown(_MOST_JOBS)
    words = [str(source)] if isinstance(source, str | Path) else [str(each) for each in source]
    formats = _choose_formats(save, faces, out)
    _refuse_unclear(faces, detector, detector_model, boxes, margin, align)
    _refuse_numbers(every, min_confidence, smooth, margin)
    run, sources = tell_run(run_dir, words)
    if run and not sources:
        raise UserError(f"{run} is a run, or holds some: name what to predict on behind it")
    folder = None if str(out) == STDOUT else _choose_folder(run, sources, out)
    from fer_tl.inference.predict.request import Request

    request = Request(
        run=None if run is None else str(run),
        sources=sources,
        faces=faces,
        detector=detector,
        detector_model=None if detector_model is None else str(detector_model),
        boxes=None if boxes is None else str(boxes),
        margin=margin,
        align=align,
        largest=largest,
        fold=fold,
        every=every,
        min_confidence=min_confidence,
        smooth=smooth,
        precision=precision,
        formats=formats,
    )
    if units.asked:
        refuse_undivided(request, folder)
    opened = open(sources)
    refuse_misplaced(opened, every, smooth, boxes)
    say = say if folder else partial(print, file=sys.stderr)
    if units.asked and folder is not None:
        from fer_tl.inference.predict.beside import predict_beside

        predicted = predict_beside(request, opened, folder, units, say)
    else:
        from fer_tl.inference.predict.work import predict_here

        predicted = predict_here(request, opened, folder, say)
    say(predicted.text)
    counts = predicted.tally.counts()
    problems = tuple(predicted.tally.problems)
    return PredictResult(folder, **counts, problems=problems, seconds=predicted.seconds, text=predicted.text)


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


COMMAND = Command(predict, positional=("run_dir", "source"))
