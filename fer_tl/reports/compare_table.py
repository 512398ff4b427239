"""Several runs side by side as tables: what is known of each, who is better, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fer_tl.evaluation.compared_runs import ComparedRun
from fer_tl.evaluation.comparison import Pair
from fer_tl.evaluation.intervals import Interval
from fer_tl.evaluation.measures import headline_measures
from fer_tl.evaluation.side_by_side import Agreement, ClassDifference
from fer_tl.evaluation.test_time_augmentation import TTA
from fer_tl.models.costs import Costs
from fer_tl.reports.bibliography import Claim, Paper
from fer_tl.reports.rendering import Table
from fer_tl.reports.tables import model_cells, model_header

_NONE = "–"


@dataclass(frozen=True, eq=False)
class CompareRow:
    """A run in a comparison.

    Attributes:
        run: which.
        scores: measures of what is done of it by name; empty if nothing is.
        intervals: 95 % intervals of ``compared_intervals``.
        costs: of one of its models; None where they are not known.
        uncounted: why they are not, else "".
        spread: sample standard deviation of each measure over the trainings that it stands for; empty for one.
        milliseconds: for one image, by the format that it was exported to; empty if it was not.
    """

    run: ComparedRun
    scores: dict[str, float]
    intervals: dict[str, Interval]
    costs: Costs | None
    uncounted: str = ""
    spread: Mapping[str, float] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many are scored, each counted once."""
        return len(np.unique(self.run.predictions.ids)) if self.run.predictions else 0

    @property
    def counted(self) -> str:
        """What its confusions count: an image has several answers in repetitions and of several trainings."""
        return "answers" if self.run.repeats > 1 or self.run.trainings else "images"

    @property
    def is_tested(self) -> bool:
        """Whether it is scored on the same images as the first whole run, all of them."""
        return self.run.is_whole and not self.run.differs

    @property
    def label(self) -> str:
        """Its name, and what sets it apart."""
        state = f" ({self.run.state})" if self.run.state else ""
        return f"{self.run.name}{state}{' †' if self.run.differs else ''}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side.

    Attributes:
        rows: in the order given.
        pairs: of the rows that are tested, by their numbers in ``rows``.
        papers: whose claims stand below.
        split: that is scored; None for the runs' own held-out images.
        tta: test-time augmentation of the predictions.
        has_groups: whether intervals and tests know which images belong together.
        opened: how many models the split was opened for in the data folder, these rows among them; 0 where no ledger
            says it.
        twins: pairs of runs that answer alike, from ``fer_tl.evaluation.pairing.find_twins``.
        class_differences: recalls of the other tested rows less those of the best.
        agreements: of each two tested rows.
    """

    rows: tuple[CompareRow, ...]
    pairs: tuple[Pair, ...]
    papers: tuple[Paper, ...]
    split: str | None
    tta: str
    has_groups: bool
    opened: int = 0
    twins: tuple[tuple[str, str, bool], ...] = ()
    class_differences: tuple[ClassDifference, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    @property
    def title(self) -> str:
        """How many runs, of what data, and what is scored."""
        data = ", ".join(dict.fromkeys(row.run.about["dataset"] for row in self.rows))
        held_out = dict.fromkeys(
            "out of fold" if row.run.about["kind"] == "cv" else str(row.run.about["held_out"]) for row in self.rows
        )
        scored = f"split {self.split}" if self.split else next(iter(held_out)) if len(held_out) == 1 else "held out"
        views = f", {TTA[self.tta]}" if TTA[self.tta] else ""
        number = sum(len(row.run.trainings) or 1 for row in self.rows)
        many = f"{number} runs" if number > 1 else "One run"
        return f"{many} on {data}, {scored}{views}"

    @property
    def has_folds(self) -> bool:
        """Whether the rows are tested over folds too."""
        return bool(self.pairs) and not self.split and len(self.rows[self.pairs[0].better].run.done) > 1

    @property
    def has_trainings(self) -> bool:
        """Whether a row stands for several trainings."""
        return any(row.run.trainings for row in self.rows)

    @property
    def is_tested_over_trainings(self) -> bool:
        """Whether two rows are tested over trainings and images."""
        return any(pair.trainings is not None for pair in self.pairs)

    @property
    def best(self) -> int | None:
        """Number of the tested row with the highest accuracy, of equal ones the first; None if none is tested."""
        return best_of(self.rows)

    @property
    def to_best(self) -> dict[int, Pair]:
        """The pair of each other tested row and the best one, by the number of the row."""
        return {pair.other: pair for pair in self.pairs if pair.better == self.best}


def best_of(rows: Sequence[CompareRow]) -> int | None:
    """Number of the tested row with the highest accuracy, of equal ones the first; None if none is tested."""
    scored = [(-row.scores["accuracy"], n) for n, row in enumerate(rows) if row.is_tested]
    return min(scored)[1] if scored else None


def compared_intervals() -> list[str]:
    """Names of the measures whose intervals are compared. Those of examples take a second a run to resample, and have
    one only if tables give it a column."""
    return [each.name for each in headline_measures() if each.of_counts or each.interval_beside]


def result_table(comparison: Comparison) -> Table:
    """How good each row is, the best values of those tested marked, and in a block of their own what papers claim."""
    several = ["trainings", "acc. sd"] if comparison.has_trainings else []
    header = ["run", "images", *model_header(), *several]
    rows = [
        [row.label, f"{row.images:,}", *model_cells(row.scores, row.intervals), *_spread_cells(row)[: len(several)]]
        if row.scores
        else [row.label, "0", *[_NONE] * (len(header) - 2)]
        for row in comparison.rows
    ]
    claims = [
        [f"{paper.name}: {claim.model}", claim.split, *_claimed_cells(claim), *[""] * len(several)]
        for paper in comparison.papers
        for claim in paper.claims
    ]
    columns = {each.heading: header.index(each.heading) for each in headline_measures()}
    return Table(header, [rows, *([claims] if claims else [])], marks=best_cells(comparison, columns))


def _spread_cells(row: CompareRow) -> list[str]:
    """How many trainings a row stands for, and the standard deviation of their accuracies in points."""
    sd = row.spread.get("accuracy")
    return [str(len(row.run.trainings) or 1), _NONE if sd is None else f"{100 * sd:.2f}"]


def _claimed_cells(claim: Claim) -> list[str]:
    cells = []
    for measure in headline_measures():
        value = getattr(claim, measure.name, None)  # in per cent if it is a share
        unknown = _NONE if measure.interval_beside else ""
        cells.append(unknown if value is None else f"{value:g}{' %' * measure.is_share}")
        cells += ["claim"] if measure.interval_beside else []
    return cells


def best_cells(comparison: Comparison, columns: Mapping[str, int]) -> frozenset[tuple[int, int]]:
    """The best of each headline measure among the rows that are tested: row, and the column of its heading."""
    tested = {number: row.scores for number, row in enumerate(comparison.rows) if row.is_tested}
    if len(tested) < 2:
        return frozenset()
    marks = set()
    for each in headline_measures():
        known = {number: scores[each.name] for number, scores in tested.items() if each.name in scores}
        best = (max if each.higher_is_better else min)(known.values(), default=None)
        marks |= {(number, columns[each.heading]) for number, value in known.items() if value == best}
    return frozenset(marks)


def difference_table(comparison: Comparison) -> Table:
    """How far each row is behind the best one: rows as in ``result_table``, without claims."""
    rows = []
    for number, row in enumerate(comparison.rows):
        pair = comparison.to_best.get(number)
        if pair:
            ends = _range(-pair.interval[1], -pair.interval[0])
            cells = [spell_points(-pair.difference), ends, *_p_texts(pair, comparison)]
        else:
            cells = ["best" if number == comparison.best else _NONE, *[""] * (1 + len(_p_header(comparison)))]
        rows.append([row.label, *cells])
    return Table(["run", "gap to best", "gap, 95 % interval", *_p_header(comparison)], [rows])


def joined_table(results: Table, differences: Table) -> Table:
    """Both in one table; claims have no differences. Without any pair, the results alone."""
    if all(row[1] in ("best", _NONE) for row in differences.blocks[0]):
        return results
    empty = [""] * (len(differences.header) - 1)
    ours = [[*one, *other[1:]] for one, other in zip(results.blocks[0], differences.blocks[0], strict=True)]
    claims = [[[*row, *empty] for row in block] for block in results.blocks[1:]]
    return Table([*results.header, *differences.header[1:]], [ours, *claims], results.left, results.marks)


def cost_table(comparison: Comparison) -> Table:
    """Size, work and time of each row."""
    rows = []
    for row in comparison.rows:
        costs, seconds, speed = row.costs, row.run.seconds, row.run.images_per_second
        counted = [f"{costs.parameters:,}", f"{costs.macs / 1e6:,.1f} M"] if costs else [_NONE, _NONE]
        minutes = _NONE if seconds is None else f"{seconds / 60:,.1f}"
        rate = _NONE if speed is None else f"{speed:,.0f}"
        rows.append([row.label, row.run.settings["backbone"], *counted, minutes, rate])
    header = ["run", "backbone", "parameters", "MACs", "minutes", "images/s"]
    return Table(header, [rows], left=frozenset({0, 1}))


def pair_table(comparison: Comparison) -> Table:
    """Every pair that was tested, the better row first."""
    rows = [
        [
            *(comparison.rows[number].run.name for number in (pair.better, pair.other)),
            spell_points(pair.difference),
            _range(*pair.interval),
            *_p_texts(pair, comparison),
        ]
        for pair in comparison.pairs
    ]
    header = ["better", "other", "points", "95 % interval", *_p_header(comparison)]
    return Table(header, [rows], left=frozenset({0, 1}))


def _p_header(comparison: Comparison) -> list[str]:
    """The columns of p, each with the adjusted one beside it; of a single pair nothing is adjusted."""
    adjusted = ["adjusted"] if len(comparison.pairs) > 1 else []
    over = ["over trainings p", *adjusted] if comparison.is_tested_over_trainings else []
    return [*over, "p", *adjusted, *(["t-test p", *adjusted] if comparison.has_folds else [])]


def _p_texts(pair: Pair, comparison: Comparison) -> list[str]:
    """The cells under ``_p_header``."""
    values: list[float | None] = [pair.sign_flip, pair.sign_flip_adjusted]
    if comparison.is_tested_over_trainings:
        values = [pair.trainings, pair.trainings_adjusted, *values]
    values += [pair.t_test, pair.t_test_adjusted] if comparison.has_folds else []
    values = values if len(comparison.pairs) > 1 else values[::2]
    return [spell_p(p) for p in values]


def spell_p(p: float | None) -> str:
    """A p with three decimals; a dash where there is none."""
    return _NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _range(low: float, high: float) -> str:
    return f"{spell_points(low)} to {spell_points(high)}"


def spell_points(share: float, digits: int = 2) -> str:
    """A difference of shares in points, with a sign."""
    text = f"{100 * share:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
