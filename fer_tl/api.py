"""The verbs of fer-tl: build, load, cross-validate, fit, evaluate, vote. They return values and leave files behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.config import Experiment, check
from fer_tl.data.build import build
from fer_tl.data.classes import CLASS_NAMES
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.manifest import dataset_directory, read_manifest
from fer_tl.data.merging import parse_classes, take_classes
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.errors import UserError
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.options import flatten_known
from fer_tl.quiet import import_tensorflow
from fer_tl.results import (
    AuditResult,
    CvResult,
    EnsembleResult,
    EvaluationResult,
    FitResult,
    FoldsResult,
    InspectionResult,
    SweepResult,
)
from fer_tl.sweeps import Cell, Sweep, read_sweep
from fer_tl.training.run_folder import (
    RunFolder,
    default_run_dir,
    load_fold_predictions,
    load_predictions,
)
from fer_tl.training.strategy import check_cluster, claim_devices

if TYPE_CHECKING:
    from fer_tl.reports.models_table import ModelRow
    from fer_tl.reports.sweep_table import SweepRow

__all__ = [
    "AuditResult",
    "CvResult",
    "EnsembleResult",
    "EvaluationResult",
    "FitResult",
    "FoldsResult",
    "InspectionResult",
    "SweepResult",
    "audit",
    "build",
    "cross_validate",
    "draw_folds",
    "ensemble",
    "evaluate",
    "fit",
    "inspect_dataset",
    "list_models",
    "load_dataset",
    "sweep",
]

Say = Callable[[str], None]


def cross_validate(experiment: Experiment | None = None, say: Say = print) -> CvResult:
    """Cross-validate an experiment on the training split of its dataset.

    Folds are stratified and grouped; every fold starts from the same weights. An interrupted run continues where its
    last checkpoint stands, a finished one is only reported.

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults.
        say: prints a line.

    Raises:
        UserError: bad settings, missing or half-built data, missing weights, another run in the folder.
    """
    experiment, run = _prepare(experiment, "cv", say)
    from fer_tl.training.cross_validation import train_folds

    dataset = load_dataset(experiment.data, experiment.data_dir, "train")
    dataset = take_classes(dataset, experiment.classes, say)
    train_folds(experiment, dataset, run, say)
    from fer_tl.evaluation.summary import summarize
    from fer_tl.reports.run_report import write_cv_report

    folds = load_fold_predictions(run, dataset.ids)
    summary = summarize(folds, _groups(dataset))
    text = write_cv_report(run, summary)
    say(f"\n{text}\n\n{_last_line(experiment, run)}")
    return CvResult(run.path, summary, folds, text)


def inspect_dataset(
    data: str = "toyfaces", data_dir: Path | str = "data", out: Path | str | None = None, say: Say = print
) -> InspectionResult:
    """Show what is in a built dataset: counts, duplicates, conflicting labels, blank images, brightness, sizes, faces.

    No image of the test split is shown.

    Args:
        data: a built dataset.
        data_dir: where it is.
        out: folder of page and pictures; default: ``inspect/<data>``.
        say: prints a line.

    Raises:
        UserError: no such data, or it was built by an older version.
    """
    from fer_tl.reports.inspect_page import write_inspection

    folder = Path(out) if out else Path("inspect") / data.replace("/", "-")
    text = write_inspection(data, data_dir, folder)
    say(f"{text}\n\npage: {folder / 'index.html'}")
    return InspectionResult(folder, text)


def draw_folds(
    data: str = "toyfaces",
    data_dir: Path | str = "data",
    number: int = 4,
    seed: int = 0,
    table: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = print,
) -> FoldsResult:
    """Draw the folds that ``cv`` would draw and write them down, or check a table that somebody gives.

    A table is good if it has every training image once, every fold has every class, and no group (duplicates, faces of
    one photo) is split.

    Args:
        data: a built dataset.
        data_dir: where it is.
        number: how many folds to draw.
        seed: of the drawing.
        table: a CSV with the columns id and fold to check in place of drawing one.
        out: file to write; default: ``folds-<data>-<number>-<seed>.csv``, none where a table is checked.
        say: prints a line.

    Raises:
        UserError: no such data, or the table is not good, with the reason.
    """
    from fer_tl.data.folds import check_folds, count_split, make_folds, read_folds, write_folds
    from fer_tl.reports.folds_table import folds_text

    if number < 2:
        raise UserError(f"--folds {number}: cross validation needs two folds or more")
    dataset = load_dataset(data, data_dir, "train")
    if table:
        assigned = read_folds(Path(table), dataset.ids, others=True)
        number = int(assigned.max()) + 1
        if number < 2:
            raise UserError(f"{table} has fewer than two folds: cross validation needs two or more")
    else:
        assigned = make_folds(dataset.ids, dataset.labels, dataset.groups, dataset.class_names, number, seed)
    text = folds_text(dataset, assigned)
    say(f"{data}, split train, {number} folds{f' of {table}' if table else f', seed {seed}'}\n\n{text}")
    split = count_split(assigned, dataset.groups)
    if split:
        raise UserError(
            f"{table} leaks: {split:,} of {len(dataset):,} images have a duplicate or a face of the same photo in "
            "another fold; draw folds without --table"
        )
    check_folds(assigned, dataset.labels, dataset.groups, dataset.class_names, number)
    say("Every image is in one fold, every fold has every class, no group is split.")
    path = None
    if out or not table:
        path = Path(out) if out else Path(f"folds-{data.replace('/', '-')}-{number}-{seed}.csv")
        write_folds(path, dataset.ids, assigned)
        say(f"Written to {path}; fer-tl cv --data {data} --folds {number} --fold-table {path} uses it.")
    return FoldsResult(dict(zip(dataset.ids.tolist(), assigned.tolist(), strict=True)), path, text)


def fit(experiment: Experiment | None = None, say: Say = print) -> FitResult:
    """Train one model on the training split and score the validation split (the first fold where there is none).

    Args and errors as ``cross_validate``.
    """
    experiment, run = _prepare(experiment, "train", say)
    from fer_tl.training.cross_validation import train_one

    manifest = read_manifest(dataset_directory(Path(experiment.data_dir), experiment.data))
    splits = tuple(split for split in FIT_SPLITS if split in manifest.counts)
    dataset = take_classes(load_dataset(experiment.data, experiment.data_dir, splits), experiment.classes, say)
    train_one(experiment, dataset, run, say)
    from fer_tl.reports.run_report import score_rows, write_train_report

    predictions = load_predictions(run.part("model") / "predictions.npz")
    result = score_rows({"model": predictions}, _groups(dataset))
    text = write_train_report(run, result)
    say(f"\n{text}\n\n{_last_line(experiment, run)}")
    return FitResult(run.path, result, predictions, text)


def sweep(path: Path | str, say: Say = print, **overrides: Any) -> SweepResult:
    """Run every cell of a grid of experiments and write one table of them all.

    A cell is a run like any other, in a folder of its own inside the sweep's; cells that are done are left alone, so
    the same command continues an interrupted sweep.

    Args:
        path: YAML file with a ``sweep`` key, see ``fer_tl.sweeps.read_sweep``.
        say: prints a line.
        overrides: options that hold in every cell, by name; a group is a dictionary.

    Raises:
        UserError: a file that is no sweep, or a cell that cannot run, before any cell is trained; or, when all others
            are done, cells whose training failed.
    """
    grid = read_sweep(Path(path), flatten_known(overrides, "fer-tl sweep"))
    for cell in grid.cells:
        try:
            _check_ready(cell.experiment, grid.command)
        except UserError as error:
            raise UserError(f"{path}, cell {cell.name}: {error}") from None
    say(f"sweep: {len(grid.cells)} runs in {grid.run_dir}")
    rows = []
    for number, cell in enumerate(grid.cells, start=1):
        say(f"\n[{number}/{len(grid.cells)}] {cell.name}")
        rows.append(_run_cell(grid, cell, say))
    failed = [row for row in rows if row.failure]
    if grid.ensemble and not failed:
        rows.append(_vote_of_cells(grid))
    from fer_tl.reports.sweep_table import write_sweep

    text = write_sweep(grid.run_dir, f"{grid.name}, {grid.cells[0].experiment.data}", grid.axes, rows)
    say(f"\n{text}\nresults: {grid.run_dir}")
    if failed:
        first = f"{failed[0].name}: {failed[0].failure}"
        raise UserError(f"{len(failed)} of {len(grid.cells)} runs of the sweep failed, such as {first}")
    return SweepResult(grid.run_dir, tuple(rows), text)


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

    The only door to the test split. The run records each opening in ``evaluations.json``.

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
            test-time augmentation, or results on another build of the dataset in the way.
    """
    from fer_tl.evaluation.open_split import prepare_opening

    opening = prepare_opening(RunFolder(Path(run_dir)), split, tta, data_dir, data, classes)
    import_tensorflow()
    from fer_tl.evaluation.class_matching import answers_without_images
    from fer_tl.evaluation.predict_split import adapt_opening, predict_opening
    from fer_tl.reports.run_report import score_rows, selection_note, write_result

    note = selection_note(opening.run)
    opening = adapt_opening(opening)
    predictions = predict_opening(opening, say)
    result = score_rows(predictions, _groups(opening.dataset))
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
    from fer_tl.evaluation.ensemble import choose_folder, find_groups, make_ensemble
    from fer_tl.reports.run_report import score_rows, write_ensemble

    made = make_ensemble(run_dirs, split, tta, weights)
    folder = choose_folder(made, out)
    groups, note = find_groups(made), made.note
    if groups is None:
        groups = {example_id: example_id for example_id in made.predictions["ensemble"].ids.tolist()}
        note += " The intervals resample images, not groups: the dataset is not where the runs found it."
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
    from fer_tl.reports.audit_page import choose_folder, write_audit

    run = RunFolder(Path(run_dir))
    folder = choose_folder(run, out)
    opened = open_audit(run, data_dir)
    text = write_audit(opened, folder, top)
    say(text)
    return AuditResult(folder, opened.found, text)


def list_models(say: Say = print) -> tuple[ModelRow, ...]:
    """Every backbone with its record, and which of its published weights are in the Keras cache.

    Args:
        say: prints the table.
    """
    from fer_tl.reports.models_table import model_row, models_table_text

    rows = tuple(model_row(backbone) for backbone in BACKBONES.values())
    say(models_table_text(rows))
    return rows


def _prepare(experiment: Experiment | None, kind: str, say: Say) -> tuple[Experiment, RunFolder]:
    """Check all that can be checked before TensorFlow is imported, and draw toyfaces if they are asked for."""
    experiment = Experiment() if experiment is None else experiment
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"an experiment comes from fer_tl.load_experiment(...), but this is a {type(experiment).__name__}"
        )
    run = _check_ready(experiment, kind)
    if not run.is_finished:
        claim_devices(experiment.strategy)
    if experiment.data == "toyfaces":
        say("data: toyfaces, drawn faces made by code (no photographs); --data NAME takes a dataset of your own")
        try:
            dataset_directory(Path(experiment.data_dir), "toyfaces")
        except UserError:
            build("toyfaces", data_dir=experiment.data_dir, say=say)
    say(f"run: {run.path}")
    # Absolute, so that the run finds its data from another folder too.
    return replace(experiment, run_dir=str(run.path), data_dir=str(Path(experiment.data_dir).absolute())), run


def _check_ready(experiment: Experiment, kind: str) -> RunFolder:
    """The folder of an experiment whose settings, data and weights are good; needs no TensorFlow."""
    check(experiment)
    spec = resolve_model(experiment)
    worker = check_cluster() if experiment.strategy == "multiworker" else 0
    path = Path(experiment.run_dir) if experiment.run_dir else default_run_dir(experiment, kind)
    if worker:
        # Every worker ends with the whole result; the chief's is the run.
        path = path.with_name(f"{path.name}-worker-{worker}")
    run = RunFolder(path)
    run.refuse_others(experiment, kind)
    class_names: tuple[str, ...] = CLASS_NAMES
    if experiment.data != "toyfaces":
        manifest = read_manifest(dataset_directory(Path(experiment.data_dir), experiment.data))
        spec.channels_for(manifest.image_shape[2])
        class_names = manifest.class_names
    if experiment.classes is not None:
        parse_classes(experiment.classes, class_names)
    if not run.is_finished:
        find_weights(spec, experiment.weights, experiment.accept_licence)
    return run


def _run_cell(grid: Sweep, cell: Cell, say: Say) -> SweepRow:
    """Train one cell and score it; what goes wrong becomes its row."""
    from fer_tl.reports.sweep_table import SweepRow

    def brief(line: str) -> None:
        if "\n" not in line:  # the tables of each run are in its folder
            say(line)

    try:
        if grid.command == "cv":
            summary = cross_validate(cell.experiment, brief).summary
            metrics, intervals = summary.pooled, summary.intervals
        else:
            result = fit(cell.experiment, brief).result
            metrics, intervals = result.rows[0][1], result.intervals
    except UserError as error:
        say(f"{cell.name} failed: {error}")
        return SweepRow(cell.labels, None, failure=str(error))
    return SweepRow(cell.labels, metrics, intervals["accuracy"], RunFolder(grid.run_dir / cell.name).seconds)


def _vote_of_cells(grid: Sweep) -> SweepRow:
    from fer_tl.reports.sweep_table import SweepRow

    folders = [grid.run_dir / cell.name for cell in grid.cells]
    result = ensemble(folders, out=grid.run_dir / "ensemble", say=lambda line: None).result
    return SweepRow(("soft vote", *("" for _ in grid.axes[1:])), result.rows[0][1], result.intervals["accuracy"])


def _last_line(experiment: Experiment, run: RunFolder) -> str:
    drawn = " (on toyfaces, drawn faces: it says nothing about photographs)" if experiment.data == "toyfaces" else ""
    return f"results: {run.path}{drawn}"


def _groups(dataset: Dataset) -> dict[str, str]:
    return dict(zip(dataset.ids.tolist(), dataset.groups.tolist(), strict=True))
