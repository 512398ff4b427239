"""Compare runs: how good they are, how certain the differences are, how large and how fast they are."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import choose_requested
from fer_tl.core.say import Say, say_line
from fer_tl.runs.run_file import spread_sweeps

if TYPE_CHECKING:
    import numpy as np

    from fer_tl.evaluation.compared_runs import ComparedRun
    from fer_tl.evaluation.comparison import Pair
    from fer_tl.reports.compare_table import CompareRow


@dataclass(frozen=True, eq=False, repr=False)
class CompareResult(Shown):
    """Runs side by side.

    Attributes:
        out_dir: folder of the tables.
        rows: of each run, in the order given.
        pairs: of the runs that were tested against each other, by their numbers in ``rows``.
        text: the tables as the terminal shows them.
    """

    out_dir: Path
    rows: tuple[CompareRow, ...]
    pairs: tuple[Pair, ...]
    text: str


def compare(
    run_dirs: Sequence[Path | str],
    split: str | None = None,
    tta: str = "none",
    data_dir: Path | str | None = None,
    paper: Sequence[str] = (),
    unpaired: bool = False,
    seeds: str = "together",
    out: Path | str | None = None,
    say: Say = say_line,
) -> CompareResult:
    """Put runs side by side: how good, how surely better, how large and how fast. No model is run.

    Without a split, the out-of-fold predictions of ``cv`` runs or the held-out ones of ``train`` runs are scored, with
    one the predictions that ``evaluate`` saved of it. Runs on the same images and folds are tested against each other,
    corrected for the number of pairs. A run of which only some folds are done is shown with these.

    Runs that differ in their seed alone, on the same folds, are one row: mean and standard deviation over these
    trainings, an interval over trainings and images, and a test of both against other such rows.

    Args:
        run_dirs: two or more runs, or a sweep, which stands for its cells; with a paper, one is enough.
        split: ``test`` or ``validation``; each run must have been evaluated on it.
        tta: ``--tta`` of the evaluations to compare.
        data_dir: where the dataset is now, to know which images belong together; default: where the runs found it.
        paper: papers whose claims are shown too: liu, pham, du, li, sikic.
        unpaired: also show runs with other data or folds, marked and without tests.
        seeds: ``together``: one row for runs that differ only in the seed; ``apart``: a row for each.
        out: folder of the tables; default: ``runs/comparison-<hash of the request>``.
        say: prints a line.

    Raises:
        UserError: too few runs, the same twice, a folder that is not a run, changed predictions, runs of other data or
            folds without ``unpaired``, no such paper, a split that was not evaluated, or other files in the folder.
    """
    if isinstance(run_dirs, str | Path):
        raise UserError(f"a comparison takes a list of run folders, such as [{str(run_dirs)!r}, ...], not a single one")
    from fer_tl.evaluation.compared_runs import count_opened, open_runs
    from fer_tl.evaluation.groups_of_runs import groups_of_runs
    from fer_tl.evaluation.one_fold import narrow_to_fold
    from fer_tl.evaluation.pairing import find_twins, pair_runs, refuse_unpaired
    from fer_tl.evaluation.side_by_side import agreements, class_differences
    from fer_tl.evaluation.tested_rows import pairs_of_rows
    from fer_tl.evaluation.trainings import check_seeds, group_trainings
    from fer_tl.reports.bibliography import find_papers
    from fer_tl.reports.compare_report import FILE, write_comparison
    from fer_tl.reports.compare_table import Comparison, best_of

    papers = find_papers([paper] if isinstance(paper, str) else paper)
    check_seeds(seeds)
    run_dirs = spread_sweeps(run_dirs)
    if len(run_dirs) < (1 if papers else 2):
        raise UserError("a comparison needs two runs, or one and a --paper: fer-tl compare RUN RUN ...")
    request = {
        "runs": sorted(map(str, run_dirs)),
        "split": split,
        "tta": tta,
        "papers": sorted(each.name for each in papers),
        "unpaired": unpaired,
        **({"seeds": seeds} if seeds != "together" else {}),
    }
    folder = choose_requested(out, FILE, "comparison", request)
    opened_runs = open_runs(run_dirs, split, tta)
    each = pair_runs(opened_runs if split else narrow_to_fold(opened_runs), split)
    if not unpaired:
        refuse_unpaired(each, split)
    runs = group_trainings(each) if seeds == "together" else each
    groups = groups_of_runs(runs, split, data_dir)
    has_groups = all(found is not None for found, run in zip(groups, runs, strict=True) if run.predictions)
    with ThreadPoolExecutor() as pool:  # resampling lets other threads run
        rows = tuple(pool.map(_score, runs, groups))
    tested = {number: row.run for number, row in enumerate(rows) if row.is_tested}
    pairs = pairs_of_rows(tested, dict(enumerate(groups)), split)
    opened = count_opened(each, split, data_dir) if split else 0
    best = best_of(rows)
    classes = class_differences(tested, best, groups[best]) if best is not None else ()
    comparison = Comparison(
        rows, pairs, papers, split, tta, has_groups, opened, find_twins(each), classes, agreements(tested)
    )
    text = write_comparison(folder, comparison, request)
    say(f"{text}\n\ntables: {folder}")
    return CompareResult(folder, rows, pairs, text)


def _score(run: ComparedRun, groups: np.ndarray | None) -> CompareRow:
    """The row of a run; without groups, images are resampled."""
    from fer_tl.evaluation.intervals import bootstrap_intervals
    from fer_tl.evaluation.metrics import score
    from fer_tl.evaluation.trainings import score_trainings
    from fer_tl.models.costs import Uncounted, read_costs
    from fer_tl.reports.compare_table import CompareRow, compared_intervals
    from fer_tl.runs.exports import exported_milliseconds

    costs, uncounted = None, ""
    try:
        model = _model_of(run)
        costs = read_costs(model) if model else None
    except Uncounted as error:
        uncounted = str(error)
    if run.predictions is None:
        return CompareRow(run, {}, {}, costs, uncounted)
    milliseconds = exported_milliseconds(run.run.path)
    if run.imported and run.imported.milliseconds:
        milliseconds = {run.imported.export: run.imported.milliseconds}
    found = run.predictions.ids if groups is None else groups
    if (found == found[0]).all():
        raise UserError(f"{run.path} was scored on a single group of images: two are the least to compare")
    if run.trainings:
        means, spread, intervals = score_trainings(run, found, compared_intervals())
        return CompareRow(run, means, intervals, costs, uncounted, spread, milliseconds)
    intervals = bootstrap_intervals(run.predictions, found, compared_intervals())
    labels_only = bool(run.imported and run.imported.labels_only)
    values = score(run.predictions, labels_only).values
    return CompareRow(run, values, intervals, costs, uncounted, milliseconds=milliseconds)


def _model_of(run: ComparedRun) -> Path | None:
    """The model that costs are counted of, of an export that which it was made of; None where there is none."""
    said = run.imported
    if said and said.export:
        model = run.run.path.parent / said.part / "model.keras"
        return model if said.part != "all" and model.is_file() else None
    return run.run.part(run.done[0]) / "model.keras" if run.done and not said else None


COMMAND = Command(compare, positional=("run_dirs",))
