"""The verbs that score and question finished runs: evaluate, vote, audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fer_tl.commands.results import AuditResult, EnsembleResult, EvaluationResult
from fer_tl.core.errors import UserError
from fer_tl.core.files import remove_temporaries
from fer_tl.core.framework import import_backend
from fer_tl.core.lock import hold
from fer_tl.core.output_folder import choose_folder, choose_requested
from fer_tl.data.dataset import group_by_id
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import check_part

Say = Callable[[str], None]

UNGROUPED = " The intervals resample images, not groups: the dataset is not where the runs found it."


def evaluate(
    run_dir: Path | str,
    split: str | None = None,
    data_dir: Path | str | None = None,
    tta: str = "none",
    data: str | None = None,
    classes: Sequence[str] | None = None,
    say: Say = print,
) -> EvaluationResult:
    """Open a split that the run has not seen: every model of the run, and the mean of their probabilities.

    The only door to the test split. The run records each opening in ``evaluations.json``, and the data folder
    in ``openings.jsonl``, which tells how many models a split was opened for.

    Args:
        run_dir: a finished run.
        split: ``test`` or ``validation``; of another dataset any, none of which the run has seen. Default: ``test``,
            or the only split of another dataset.
        data_dir: where the dataset is now; default: where the run found it.
        tta: test-time augmentation, probabilities averaged over views of each image: ``flip`` for the image and its
            mirror, ``ten-crop`` for corners, centre and their mirrors; ``none`` for the image alone.
        data: another dataset to score on, as built; default: the run's own. Its classes are matched by name, its images
            are brought to the size and channels of the run's.
        classes: the classes to score, such as ``["happy", "negative=angry+sad"]``: labels are merged, and the
            probabilities of the parts added; images of other classes are left out. Default: those of the run.
        say: prints a line.

    Raises:
        UserError: no run, an unfinished one, classes that one side does not know, a split it was trained on, no such
            test-time augmentation, results on another build of the dataset in the way, or another process at work on
            the run.
    """
    run = RunFolder(Path(run_dir))
    run.read_run("class_names")  # before the lock, which would make the folder
    with hold(run.path, say=say):
        return _evaluate(run, split, data_dir, tta, data, classes, say)


def _evaluate(
    run: RunFolder,
    split: str | None,
    data_dir: Path | str | None,
    tta: str,
    data: str | None,
    classes: Sequence[str] | None,
    say: Say,
) -> EvaluationResult:
    from fer_tl.evaluation.open_split import prepare_opening

    opening = prepare_opening(run, split, tta, data_dir, data, classes)
    _check_parts(run, "model.keras")
    import_backend()
    from fer_tl.evaluation.class_matching import answers_without_images
    from fer_tl.evaluation.predict_split import adapt_opening, predict_opening
    from fer_tl.reports.run_report import score_rows, selection_note, write_result

    note = selection_note(opening.run)
    remove_temporaries(opening.folder)
    opening = adapt_opening(opening)
    predictions = predict_opening(opening, say)
    result = score_rows(predictions, group_by_id(opening.dataset))
    note += opening.remark + answers_without_images(next(iter(predictions.values())))
    text = write_result(opening.folder, opening.title, result, note)
    say(f"\n{text}\n\nresults: {opening.folder}")
    return EvaluationResult(result, predictions, text)


def ensemble(
    run_dirs: Sequence[Path | str],
    split: str | None = None,
    weights: str = "equal",
    tta: str = "none",
    out: Path | str | None = None,
    say: Say = print,
) -> EnsembleResult:
    """Soft voting: average the probabilities that several runs saved. No model is run.

    Without a split, the out-of-fold predictions of ``cv`` runs or the held-out ones of ``train`` runs are averaged,
    with one the predictions that ``evaluate`` saved of it. Runs are matched by image id and class name.

    Args:
        run_dirs: two or more finished runs.
        split: ``test`` or ``validation``, evaluated before for each run.
        weights: ``equal``; or ``validation`` for weights that maximize the likelihood of the runs' own held-out
            predictions: all of them where a split is scored, those of the other folds where out-of-fold predictions
            are.
        tta: test-time augmentation of the evaluations to average.
        out: folder of the result; default: ``runs/ensemble-<hash of runs, split, tta and weights>``.
        say: prints a line.

    Raises:
        UserError: one run, the same twice, unfinished ones, other classes, ids or labels, a split that was not
            evaluated, weights that would be fitted on what is scored, or other files in the folder.
    """
    if isinstance(run_dirs, str | Path):
        raise UserError(f"an ensemble takes a list of run folders, such as [{str(run_dirs)!r}, ...], not a single one")
    from fer_tl.evaluation.ensemble import FILE, find_groups, make_ensemble
    from fer_tl.reports.run_report import score_rows, write_ensemble

    if split is None or weights != "equal":
        for path in run_dirs:
            _check_parts(RunFolder(Path(path)), "predictions.npz")
    made = make_ensemble(run_dirs, split, tta, weights)
    folder = choose_requested(out, FILE, "ensemble", made.request)
    groups, note = find_groups(made), made.note
    if groups is None:
        groups = {example_id: example_id for example_id in made.predictions["ensemble"].ids.tolist()}
        note += UNGROUPED
    result = score_rows(made.predictions, groups)
    text = write_ensemble(folder, made, result, note)
    say(f"{text}\n\nresults: {folder}")
    return EnsembleResult(folder, result, made.predictions, made.weights, text)


def audit(
    run_dir: Path | str,
    data_dir: Path | str | None = None,
    top: int = 60,
    out: Path | str | None = None,
    say: Say = print,
) -> AuditResult:
    """List the labels that are most likely wrong, by the predictions that a run made of images it was not trained on.

    Args:
        run_dir: a finished ``cv`` run; of a ``train`` run, the images that it was scored on are judged.
        data_dir: where the dataset is now; default: where the run found it. Without it, no images are shown.
        top: how many images the page shows.
        out: folder of list and page; default: ``audit`` in the run.
        say: prints a line.

    Raises:
        UserError: no run, an unfinished or diverged one, another build of the data, or other files in the folder.
    """
    if top < 1:
        raise UserError(f"--top {top}: show one image or more")
    from fer_tl.evaluation.label_errors import open_audit
    from fer_tl.reports.audit_page import LIST, write_audit

    run = RunFolder(Path(run_dir))
    folder = choose_folder(out, run.path / "audit", LIST, "audit")
    _check_parts(run, "predictions.npz")
    opened = open_audit(run, data_dir)
    text = write_audit(opened, folder, top)
    say(text)
    return AuditResult(folder, opened.found, text)


def _check_parts(run: RunFolder, file: str) -> None:
    """Make sure that what is read of the parts that are done is what was written; whether all are done is asked for
    elsewhere."""
    if (run.path / "run.json").is_file():
        for name in run.done:
            check_part(run.part(name), (file,))
