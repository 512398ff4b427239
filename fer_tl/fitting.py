"""The verbs that train: cross-validate, fit, sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.config import Experiment, check
from fer_tl.data.build import build
from fer_tl.data.classes import CLASS_NAMES
from fer_tl.data.dataset import group_by_id, load_dataset
from fer_tl.data.manifest import dataset_directory, read_manifest
from fer_tl.data.merging import parse_classes, take_classes
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.errors import UserError
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.options import flatten_known
from fer_tl.results import CvResult, FitResult, SweepResult
from fer_tl.scoring import ensemble
from fer_tl.sweeps import Cell, Sweep, read_sweep
from fer_tl.training.run_folder import (
    RunFolder,
    default_run_dir,
    load_fold_predictions,
    load_predictions,
)
from fer_tl.training.strategy import check_cluster, claim_devices

if TYPE_CHECKING:
    from fer_tl.reports.sweep_table import SweepRow

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
    summary = summarize(folds, group_by_id(dataset))
    text = write_cv_report(run, summary)
    say(f"\n{text}\n\n{_last_line(experiment, run)}")
    return CvResult(run.path, summary, folds, text)


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
    result = score_rows({"model": predictions}, group_by_id(dataset))
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
