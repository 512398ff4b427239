"""Open a split that a run has not seen: score the fold ensemble and each fold alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._evaluate_export import evaluate_export
from fer_tl.commands._evaluation_result import EvaluationResult
from fer_tl.core.errors import UserError
from fer_tl.core.files import remove_temporaries
from fer_tl.core.framework import import_backend
from fer_tl.core.lock import hold
from fer_tl.core.say import Say, say_line
from fer_tl.data.dataset import group_by_id
from fer_tl.runs.folder import RunFolder, check_done
from fer_tl.runs.predictions import Predictions

if TYPE_CHECKING:
    from fer_tl.evaluation.open_split import Opening


def evaluate(
    run_dir: Path | str,
    split: str | None = None,
    data_dir: Path | str | None = None,
    tta: str = "none",
    data: str | None = None,
    classes: Sequence[str] | None = None,
    export: Path | str | None = None,
    say: Say = say_line,
) -> EvaluationResult:
    """Open a split that the run has not seen: every model of the run, and the mean of their probabilities.

    The only door to the test split. The run records each opening in ``evaluations.json``, and the data folder
    in ``openings.jsonl``, which tells how many models a split was opened for. Images that the models, or what they come
    from, were trained on, are left out and listed in ``left-out.csv``, whatever dataset they are in. Where models,
    images and options are those of an earlier evaluation, its predictions are read and nothing is opened again.

    Args:
        run_dir: a finished run.
        split: ``test`` or ``validation``; any split of another dataset, as the run has seen none of them. Default:
            ``test``, or the only split of another dataset.
        data_dir: where the dataset is now; default: where the run found it.
        tta: test-time augmentation, probabilities averaged over views of each image: ``flip`` for the image and its
            mirror, ``ten-crop`` for corners, centre and their mirrors; ``none`` for the image alone.
        data: another dataset to score on, as built; default: the run's own. Its classes are matched by name, its images
            are converted to the size and channels of the run's.
        classes: the classes to score, such as ``["happy", "negative=angry+sad"]``: labels are merged, and the
            probabilities of the parts added; images of other classes are left out. Default: those of the run.
        export: score an exported model of the run in its place: the folder or file of ``fer-tl export``, or its name
            such as ``tflite-int8``. Without a split, on the images that its training held out.
        say: prints a line.

    Raises:
        UserError: no run, an unfinished one, no export of it as it is, classes that one side does not know, a split it
            was trained on, no such test-time augmentation, results on another build of the dataset in the way, too few
            images that are new to the models, or another process at work on the run.
    """
    run = RunFolder(Path(run_dir))
    run.read_run("class_names")  # before the lock, which would make the folder
    with hold(run.path, say=say):
        if export:
            if tta != "none" or data or classes:
                raise UserError("--export goes with --split alone, not with --tta, --data or --classes")
            return evaluate_export(run, export, split, data_dir, say)
        from fer_tl.evaluation.learnt_images import leave_out_learnt
        from fer_tl.evaluation.open_split import prepare_opening

        opening = prepare_opening(run, split, tta, data_dir, data, classes)
        check_done(run, "model.keras")
        opening = leave_out_learnt(opening)
        from fer_tl.evaluation.class_matching import answers_without_images
        from fer_tl.reports.run_report import score_rows, selection_note, write_result

        note = selection_note(opening.run)
        remove_temporaries(opening.folder)
        opening, predictions = _answers(opening, say)
        result = score_rows(predictions, group_by_id(opening.dataset))
        note += opening.remark + answers_without_images(next(iter(predictions.values())))
        text = write_result(opening.folder, opening.title, result, note)
        say(f"\n{text}\n\nresults: {opening.folder}")
        return EvaluationResult(result, predictions, text)


def _answers(opening: Opening, say: Say) -> tuple[Opening, dict[str, Predictions]]:
    """What the models say, and the opening with what is to be told of its images: from an earlier evaluation if nothing
    has changed since, which opens nothing again."""
    from fer_tl.evaluation.saved_answers import read_answers

    predictions = read_answers(opening)
    if predictions is None or opening.foreign:
        import_backend()
        from fer_tl.evaluation.predict_split import adapt_opening, predict_opening

        opening = adapt_opening(opening)
        if predictions is None:
            return opening, predict_opening(opening, say)
    count = f"{len(opening.dataset):,} images of {opening.dataset.name}, split {opening.split}"
    say(f"{count}: models, images and options are those of the last evaluation; what it saved is read.{opening.remark}")
    return opening, predictions


COMMAND = Command(evaluate, positional=("run_dir",))
