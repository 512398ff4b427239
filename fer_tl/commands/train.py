"""The verbs that train: cross-validate, fit, sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.commands.evaluate import ensemble
from fer_tl.commands.results import CvResult, FitResult, PartResult, SweepResult
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import remove_temporaries
from fer_tl.core.lock import hold, take_turns
from fer_tl.core.options import flatten_known
from fer_tl.data.dataset import group_by_id, load_dataset
from fer_tl.data.manifest import dataset_directory, read_manifest
from fer_tl.data.merging import take_classes
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.runs.folder import RunFolder, load_fold_predictions
from fer_tl.runs.part import check_part
from fer_tl.runs.predictions import load_predictions
from fer_tl.training.prepare_run import Work, check_ready, prepare
from fer_tl.training.sweep_grid import Cell, Sweep, read_sweep

if TYPE_CHECKING:
    from fer_tl.reports.sweep_table import SweepRow

Say = Callable[[str], None]


def cross_validate(experiment: Experiment | None = None, say: Say = print) -> CvResult | PartResult:
    """Cross-validate an experiment on the training split of its dataset.

    Folds are stratified and grouped; every fold starts from the same weights. An interrupted run continues where its
    last checkpoint stands, a finished one is only reported. A fold whose training fails is named in the result, and
    tried again by the next call.

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults. Its ``fold`` trains that fold only.
        say: prints a line.

    Returns:
        The result; a ``PartResult`` while other folds are missing, and on every worker but the chief.

    Raises:
        UserError: bad settings, missing or half-built data, missing weights, another run in the folder, another process
            at work there, or folds whose training failed, if that is all or the one that was asked for.
    """
    with prepare(experiment, "cv", say) as work:
        if work.worker and work.trained:
            return _leave_to_chief(work, say)
        from fer_tl.training.cross_validation import train_folds

        settings = work.experiment
        dataset = load_dataset(settings.data, settings.data_dir, "train", settings.input)
        dataset = take_classes(dataset, settings.classes, say)
        train_folds(settings, dataset, work.run, say)
        if work.worker:
            return _leave_to_chief(work, say)
        missing = _missing_folds(work, say)
        if missing:
            return missing
        if work.shared:
            for name in set(work.run.done) - {f"fold-{settings.fold}"}:
                check_part(work.run.part(name))  # what this process did not train, or look at before
        # Other folds may end at the same moment.
        with take_turns(work.run.path) if work.shared and work.writes else nullcontext():
            return report_folds(work.run, dataset.ids, group_by_id(dataset), say, writes=work.writes)


def report_folds(
    run: RunFolder,
    ids: np.ndarray,
    groups_by_id: Mapping[str, str],
    say: Say,
    remark: str = "",
    writes: bool = True,
) -> CvResult:
    """Sum up the folds of a cross validation that are done, write the tables, and say them.

    Args:
        run: all of whose folds are done or failed; no other process may write to its folder.
        ids: text ``[N]``, of all images that were cross-validated.
        groups_by_id: the group of each.
        say: prints a line.
        remark: what a reader must know besides how the weights were chosen, with a blank before it; may be empty.
        writes: whether the tables are written, or said only.

    Raises:
        UserError: no fold is done, or predictions that the fold table does not fit.
    """
    from fer_tl.evaluation.summary import summarize
    from fer_tl.reports.run_report import cv_report_text, selection_note, write_cv_report

    failed = {run.parts.index(name): why for name, why in run.failures.items()}
    if len(failed) == len(run.parts):
        raise UserError(f"the training of all {len(failed)} folds failed, of fold 0 so: {failed[0]}")
    folds = load_fold_predictions(run, ids)
    summary = summarize(folds, groups_by_id, failed=failed)
    note = selection_note(run) + remark
    text = cv_report_text(run, summary, note)
    if writes:
        remove_temporaries(run.path)
        write_cv_report(run, summary, folds, note, groups_by_id)
    say(f"\n{text}\n\n{_last_line(run)}")
    return CvResult(run.path, summary, folds, text)


def fit(experiment: Experiment | None = None, say: Say = print) -> FitResult | PartResult:
    """Train one model on the training split and score the validation split (the first fold where there is none).

    Args, errors and what workers other than the chief return as ``cross_validate``; a training that fails is an error.
    """
    with prepare(experiment, "train", say) as work:
        if work.worker and work.trained:
            return _leave_to_chief(work, say)
        from fer_tl.training.cross_validation import train_one

        settings = work.experiment
        manifest = read_manifest(dataset_directory(Path(settings.data_dir), settings.data))
        splits = tuple(split for split in FIT_SPLITS if split in manifest.counts)
        dataset = load_dataset(settings.data, settings.data_dir, splits, settings.input)
        dataset = take_classes(dataset, settings.classes, say)
        train_one(settings, dataset, work.run, say)
        if work.worker:
            return _leave_to_chief(work, say)
        from fer_tl.reports.run_report import score_rows, train_report_text, write_train_report

        run = work.run
        predictions = load_predictions(run.part("model") / "predictions.npz")
        result = score_rows({"model": predictions}, group_by_id(dataset))
        text = train_report_text(run, result)
        if work.writes:
            remove_temporaries(run.path)
            write_train_report(run, result)
        say(f"\n{text}\n\n{_last_line(run)}")
        return FitResult(run.path, result, predictions, text)


def sweep(path: Path | str, say: Say = print, **overrides: Any) -> SweepResult:
    """Run every cell of a grid of experiments and write one table of them all.

    A cell is a run like any other, in a folder of its own inside the sweep's; cells that are done are left alone, so
    the same command continues an interrupted sweep.

    Args:
        path: YAML file with a ``sweep`` key, see ``fer_tl.training.sweep_grid.read_sweep``.
        say: prints a line.
        overrides: options that hold in every cell, by name; a group is a dictionary.

    Raises:
        UserError: a file that is no sweep, or a cell that cannot run, before any cell is trained; or, when all others
            are done, cells whose training failed.
    """
    grid = read_sweep(Path(path), flatten_known(overrides, "fer-tl sweep"))
    for cell in grid.cells:
        try:
            worker = check_ready(cell.experiment, grid.command).worker
        except UserError as error:
            raise UserError(f"{path}, cell {cell.name}: {error}") from None
    with ExitStack() as stack:
        if not worker:
            stack.enter_context(hold(grid.run_dir, say=say))
        say(f"sweep: {len(grid.cells)} runs in {grid.run_dir}")
        rows = []
        for number, cell in enumerate(grid.cells, start=1):
            say(f"\n[{number}/{len(grid.cells)}] {cell.name}")
            rows.append(_run_cell(grid, cell, say))
        if worker:
            return SweepResult(grid.run_dir, (), _say_chief(worker, say))
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


def _missing_folds(work: Work, say: Say) -> PartResult | None:
    """What to do about folds that are neither done nor failed, said, if there are any."""
    run, fold = work.run, work.experiment.fold
    done, failures = run.done, run.failures
    asked = f"fold-{fold}"
    if asked in failures:
        raise UserError(f"the training of {asked} failed: {failures[asked]}; the same command tries it again")
    missing = [name for name in run.parts if name not in done and name not in failures]
    if not missing:
        return None
    text = (
        f"{asked} is done; missing: {', '.join(missing)}.\n"
        "The same command without --fold trains them all and prints the table; with --fold "
        f"{missing[0].removeprefix('fold-')}, also on another machine, it trains one of them, and fer-tl collect RUN "
        "RUN ... --out DIR joins runs of several places."
    )
    say(f"\n{text}")
    return PartResult(run.path, tuple(done), tuple(missing), text)


def _leave_to_chief(work: Work, say: Say) -> PartResult:
    return PartResult(None, (), (), _say_chief(work.worker, say))


def _say_chief(worker: int, say: Say) -> str:
    text = f"worker {worker} is done; the results are where the chief says"
    say(text)
    return text


def _run_cell(grid: Sweep, cell: Cell, say: Say) -> SweepRow:
    """Train one cell and score it; what goes wrong becomes its row."""
    from fer_tl.reports.sweep_table import SweepRow

    def brief(line: str) -> None:
        if "\n" not in line:  # the tables of each run are in its folder
            say(line)

    try:
        found = (cross_validate if grid.command == "cv" else fit)(cell.experiment, brief)
        if isinstance(found, PartResult):
            return SweepRow(cell.labels, None)
        if isinstance(found, CvResult):
            found.refuse_failed()  # its images would be others than those of the other rows
            metrics, intervals = found.summary.pooled, found.summary.intervals
        else:
            metrics, intervals = found.result.rows[0][1], found.result.intervals
    except UserError as error:
        say(f"{cell.name} failed: {error}")
        return SweepRow(cell.labels, None, failure=str(error))
    return SweepRow(cell.labels, metrics, intervals["accuracy"], RunFolder(grid.run_dir / cell.name).seconds)


def _vote_of_cells(grid: Sweep) -> SweepRow:
    from fer_tl.reports.sweep_table import SweepRow

    folders = [grid.run_dir / cell.name for cell in grid.cells]
    result = ensemble(folders, out=grid.run_dir / "ensemble", say=lambda line: None).result
    return SweepRow(("soft vote", *("" for _ in grid.axes[1:])), result.rows[0][1], result.intervals["accuracy"])


def _last_line(run: RunFolder) -> str:
    toys = run.read_run()["dataset"] == "toyfaces"
    drawn = " (on toyfaces, drawn faces: it says nothing about photographs)" if toys else ""
    return f"results: {run.path}{drawn}"
