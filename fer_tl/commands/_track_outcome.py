"""What the trackers of a run are told at its end, for the commands that train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fer_tl.runs.part import PART_FILES, read_result
from fer_tl.training.trackers.tracker import Outcome

if TYPE_CHECKING:
    from fer_tl.evaluation.metrics import Metrics
    from fer_tl.runs.folder import RunFolder
    from fer_tl.training.prepare_run import Work

_FIGURES = ("confusion.png", "reliability.png", "learning_curves.png")
_FILES = ("config.yaml", "run.json", "folds.csv", "result.json", "table.md", "table.csv", "confusion.csv", *_FIGURES)


def tell_outcome(work: Work, metrics: Metrics, intervals: Mapping[str, tuple[float, float]]) -> None:
    """Tell the trackers of a run whose report is written how good it is and what is in its folder.

    Args:
        work: the run.
        metrics: of all images that were held out.
        intervals: 95 % intervals by measure.
    """
    if work.tracking is None:
        return
    measures = {name: (value, *intervals.get(name, (None, None))) for name, value in metrics.values.items()}
    figures = [work.run.path / name for name in _FIGURES if (work.run.path / name).is_file()]
    work.tracking.outcome(Outcome(measures, figures, _files_of(work.run)))


def _files_of(run: RunFolder) -> dict[str, str]:
    """The names of the run's files, with the checksums that it keeps of some."""
    found = {name: "" for name in _FILES if (run.path / name).is_file()}
    for part in run.done:
        recorded = read_result(run.part(part)).get("files", {})
        found |= {f"{part}/{name}": recorded.get(name, {}).get("sha256", "") for name in PART_FILES}
    return found
