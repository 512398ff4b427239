"""All that a run folder says, finished or not: its parts, what they predicted, how that scores, and its dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say, say_line
from fer_tl.data.dataset import group_by_id
from fer_tl.data.folds import count_split, read_repetitions
from fer_tl.evaluation.calibration import Calibration, Scaling, calibrate, choose_scaling
from fer_tl.evaluation.intervals import class_intervals
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.evaluation.run_dataset import RunDataset, find_dataset
from fer_tl.evaluation.summary import CvSummary, summarize
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import known_history, read_history
from fer_tl.runs.imports import Imported, read_import
from fer_tl.runs.part import check_part, known_seconds, read_result
from fer_tl.runs.predictions import Predictions, join_predictions, load_predictions
from fer_tl.runs.refits import Refit, read_refit
from fer_tl.runs.run_file import holds_none_out


@dataclass(frozen=True, eq=False)
class PartContents:
    """A fold, or the only model of a single fit.

    Attributes:
        name: ``fold-0``, or ``model``.
        history: one record an epoch, as far as it came.
        result: ``result.json`` if it is done, else empty.
        seconds: that it took; None if it is not done, or nobody knows any more.
        failure: why its training failed, else "".
    """

    name: str
    history: list[dict[str, Any]]
    result: dict[str, Any]
    seconds: float | None
    failure: str

    @property
    def is_done(self) -> bool:
        """Whether it is trained and has predicted what was held out."""
        return bool(self.result)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What the parts that are done say of images that they were not trained on.

    Attributes:
        predictions: N, part after part: of a repeated cross validation each image several times.
        parts: int64 ``[N]``, number of the part that predicted each.
        groups: text ``[N]``; ids where groups are not known.
        summary: metrics of each part and of all, with intervals; ``numbers`` are those of the parts.
        class_intervals: 95 % intervals float64 ``[K, 2]`` of ``precision``, ``recall`` and ``f1``.
        calibration: temperatures of each part's model; None if there are too few images.
        scaled: metrics under temperatures that were fitted to other images of the same part.
    """

    predictions: Predictions
    parts: np.ndarray
    groups: np.ndarray
    summary: CvSummary
    class_intervals: dict[str, np.ndarray]
    calibration: Calibration | None
    scaled: Metrics | None


@dataclass(frozen=True, eq=False)
class RunContents:
    """A run as it stands.

    Attributes:
        run: its folder.
        about: its ``run.json``.
        experiment: its configuration.
        parts: in order.
        held_out: None while no part is done, and of a refit, which holds nothing out.
        source: its dataset; None if it is not at hand.
        missing: why not, else "".
    """

    run: RunFolder
    about: dict[str, Any]
    experiment: Experiment
    parts: tuple[PartContents, ...]
    held_out: HeldOut | None
    source: RunDataset | None
    missing: str

    @property
    def is_cv(self) -> bool:
        """Whether it is a cross validation."""
        return bool(self.about["kind"] == "cv")

    @property
    def repeats(self) -> int:
        """How often a cross validation is repeated, else 1."""
        return self.run.repeats

    @property
    def refit(self) -> Refit | None:
        """Where it comes from if it is a refit."""
        return read_refit(self.about)

    @property
    def imported(self) -> Imported | None:
        """Where its answers come from if it has no model."""
        return read_import(self.about)

    @property
    def backbone(self) -> str:
        """What was trained, or what answered."""
        return self.imported.model if self.imported else self.experiment.backbone

    @property
    def as_trained(self) -> Experiment:
        """Its configuration with the precision that it was trained in, where that was left to a trial.

        Raises:
            UserError: its ``run.json`` was changed.
        """
        found = self.run.precision(self.experiment.precision)
        return replace(self.experiment, precision=found)  # type: ignore[arg-type]

    @property
    def is_finished(self) -> bool:
        """Whether all its parts are done."""
        return all(part.is_done for part in self.parts)

    def scaling(self, parts: Sequence[str]) -> Scaling:
        """How the answers of these parts' models are scaled, see ``fer_tl.evaluation.calibration.choose_scaling``."""
        return choose_scaling(self.run, parts)

    @property
    def done(self) -> tuple[PartContents, ...]:
        """Its parts that are done."""
        return tuple(part for part in self.parts if part.is_done)


def open_contents(run: RunFolder, data_dir: Path | str | None, say: Say = say_line) -> RunContents:
    """Read a run, finished or not, and check what is read against the checksums that were written with it.

    Args:
        run: its folder.
        data_dir: where its dataset is; without one, it is taken from where the run found it, if it is still there.
        say: told of a history that cannot be read.

    Raises:
        UserError: no run, files that were changed since they were written, a diverged run, or no such build of the
            dataset under ``data_dir``.
    """
    about = run.read_run()
    run.refuse_edited()
    experiment = run.read_experiment()
    parts = tuple(_read_part(run, name, say) for name in run.parts)
    try:
        source, missing = find_dataset(run, data_dir, "stream")
    except UserError as error:
        if data_dir:
            raise
        source, missing = None, str(error)
    held_out = None
    if not holds_none_out(about) and any(part.is_done for part in parts):
        found, numbers = _read_predictions(run, parts)
        try:
            held_out = _score(found, numbers, parts, group_by_id(source.dataset) if source else {}, run.repeats)
        except UserError as error:
            raise UserError(f"{run.path}: {error}") from None
        if source and about["kind"] == "cv" and all(part.is_done for part in parts):
            run.refuse_untrue("split_over_folds", _count_split(held_out, len(parts) // run.repeats))
    return RunContents(run, about, experiment, parts, held_out, source, missing)


def _read_part(run: RunFolder, name: str, say: Say) -> PartContents:
    folder, is_done = run.part(name), run.is_scored(name)
    if is_done:
        check_part(folder, ("predictions.npz",))
        history = known_history(folder, say)
    else:
        history = read_history(folder / "history.csv") if (folder / "history.csv").is_file() else []
    return PartContents(
        name,
        history,
        read_result(folder) if is_done else {},
        known_seconds(folder) if is_done else None,
        run.failures.get(name, ""),
    )


def _read_predictions(run: RunFolder, parts: tuple[PartContents, ...]) -> tuple[list[Predictions], list[int]]:
    """Predictions of the parts that are done, those of a fold checked against the fold table, and their numbers."""
    numbers = [number for number, part in enumerate(parts) if part.is_done]
    found = [load_predictions(run.part(parts[number].name) / "predictions.npz") for number in numbers]
    about = run.read_run()
    run.refuse_untrue("class_names", list(found[0].class_names))
    if about["kind"] == "cv":
        table = run.path / "folds.csv"
        if all(part.is_done for part in parts):
            run.refuse_untrue("images", sum(len(each.ids) for each in found) // run.repeats)
        ids = np.concatenate([each.ids for each in found])
        part_of = np.repeat(numbers, [len(each.ids) for each in found])
        unique, row_of = np.unique(ids, return_inverse=True)
        assigned = read_repetitions(table, unique, run.repeats, others=True)  # [R, N]
        repetition_of = part_of // (len(parts) // run.repeats)
        if not np.array_equal(assigned[repetition_of, row_of], part_of):
            raise UserError(f"{table} gives other images to the folds than they predict; {run.fold_table_remedy()}")
    return found, numbers


def _count_split(held_out: HeldOut, folds: int) -> int:
    """The most images of one repetition that have one of their group in another fold."""
    repetition_of = held_out.parts // folds
    chosen = [repetition_of == each for each in np.unique(repetition_of)]
    return max(count_split(held_out.parts[rows], held_out.groups[rows]) for rows in chosen)


def _score(
    found: list[Predictions],
    numbers: list[int],
    parts: tuple[PartContents, ...],
    group_of: dict[str, str],
    repeats: int,
) -> HeldOut:
    predictions = join_predictions(found)
    part_of = np.repeat(numbers, [len(each.ids) for each in found])  # [N]
    groups = np.array([group_of.get(i, i) for i in predictions.ids.tolist()])
    failed = {number: part.failure for number, part in enumerate(parts) if part.failure}
    by_id = dict(zip(predictions.ids.tolist(), groups.tolist(), strict=True))
    # Folds may be missing that have not failed.
    summary = summarize(found, by_id, failed=failed, numbers=numbers, repeats=repeats, parts=len(parts))
    calibration = calibrate(predictions, np.unique(part_of, return_inverse=True)[1], groups)
    return HeldOut(
        predictions,
        part_of,
        groups,
        summary,
        class_intervals(predictions, groups),
        calibration,
        score(calibration.scaled) if calibration else None,
    )
