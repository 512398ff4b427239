"""Import the predictions of another framework as a run, to compare it with others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Scored
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.lock import hold
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder

if TYPE_CHECKING:
    from fer_tl.evaluation.given_predictions import GivenPredictions
    from fer_tl.evaluation.import_run import ImportTarget
    from fer_tl.evaluation.metrics import Metrics

VALUES = ("probabilities", "logits")


@dataclass(frozen=True, eq=False, repr=False)
class ImportResult(Scored):
    """Predictions that were imported.

    Attributes:
        run_dir: the folder of the run that they became.
        metrics: of them; without probabilities those that need some are missing.
        intervals: 95 % intervals of what tables show with one, by measure.
        text: the tables as the terminal shows them.
    """

    run_dir: Path
    metrics: Metrics
    intervals: dict[str, tuple[float, float]]
    text: str

    def _headline(self) -> tuple[Metrics, dict[str, tuple[float, float]]]:
        return self.metrics, self.intervals


def import_predictions(
    file: Path | str,
    data: str | None = None,
    split: str | None = None,
    fold_table: Path | str | None = None,
    values: str = "probabilities",
    labels: str | None = None,
    model: str | None = None,
    skip_others: bool = False,
    data_dir: Path | str = "data",
    out: Path | str | None = None,
    say: Say = say_line,
) -> ImportResult:
    """Make a run of predictions of another framework: ``compare`` and ``ensemble`` take it like any other, with the
    same images, intervals and tests.

    The table has a column ``id`` and one for each class, or one called ``prediction`` with the class that was answered.
    Every image of the split has to be there once. Who imports predictions of a split has opened it: that is recorded as
    ``evaluate`` records it. Predictions of several splits by the same model go into the same folder, those out of fold
    first.

    Args:
        file: a CSV.
        data: the dataset, as built; default: the only one of photographs.
        split: ``validation`` or ``test``; default: the training split, out of fold.
        fold_table: for out-of-fold predictions, a CSV with ``id`` and ``fold``: which images were held out together.
            With the ``folds.csv`` of a run, both are paired fold by fold.
        values: what the numbers are: ``probabilities``, or ``logits``, before softmax.
        labels: what classes mean that are numbers: fer, raf, affectnet, ferplus, ckplus.
        model: what predicted, for the tables; default: the name of the file.
        skip_others: pass over rows of images that the split does not have, such as copies that the build left out.
        data_dir: folder of the built datasets.
        out: folder of the run; default: ``runs/<data>-<file>``.
        say: prints a line.

    Raises:
        UserError: a table that cannot be used, with the first row or column that is wrong; images that are missing or
            there twice; no such data; another run in the folder.
    """
    if values not in VALUES:
        raise UserError(f"--values {values}: no such form{suggest(values, VALUES)}")
    from fer_tl.data.choose_dataset import choose_dataset
    from fer_tl.evaluation.given_predictions import read_predictions
    from fer_tl.evaluation.import_run import open_target, write_import
    from fer_tl.runs.imports import Imported

    path = Path(file)
    target = open_target(
        choose_dataset(data, data_dir), Path(data_dir), split, None if fold_table is None else Path(fold_table)
    )
    given = read_predictions(path, target.dataset, values == "logits", labels, skip_others)
    said = Imported(model or path.stem, path.name, given.sha256, given.labels_only)
    run = RunFolder(Path(out) if out else Path("runs") / f"{target.dataset.name.replace('/', '-')}-{path.stem}")
    with hold(run.path, say=say):
        unwritten = write_import(run, target, given, said)
    if unwritten:
        say(unwritten)
    text, metrics, intervals = _score(target, given, said.model, unwritten is None, run)
    say(f"{text}\n\nrun: {run.path}")
    return ImportResult(run.path, metrics, intervals, text)


def _score(
    target: ImportTarget, given: GivenPredictions, model: str, is_known: bool, run: RunFolder
) -> tuple[str, Metrics, dict[str, tuple[float, float]]]:
    """The tables as text, and what they show."""
    from fer_tl.evaluation.intervals import bootstrap_intervals
    from fer_tl.evaluation.metrics import score
    from fer_tl.reports.compare_table import compared_intervals
    from fer_tl.reports.rendering import Table, as_text
    from fer_tl.reports.tables import confusion_text, model_cells, model_header

    metrics = score(given.predictions, labels_only=given.labels_only)
    intervals = bootstrap_intervals(given.predictions, target.dataset.groups, compared_intervals())
    row = [model, f"{len(target.dataset):,}", *model_cells(metrics.values, intervals)]
    table = as_text(Table(["model", "images", *model_header()], [[row]]))
    title = f"{model} on {target.dataset.name}, {target.scored}"
    return f"{title}\n\n{table}\n{_note(target, given, is_known, run)}\n\n{confusion_text(metrics)}", metrics, intervals


def _note(target: ImportTarget, given: GivenPredictions, is_known: bool, run: RunFolder) -> str:
    from fer_tl.evaluation.given_predictions import FLOOR
    from fer_tl.evaluation.openings import standing_remark

    note = "Only whoever made the table knows whether the model had learnt from these images."
    if given.labels_only:
        note += " Labels alone: there is no loss and no calibration."
    if given.zeros:
        zeros = counted(given.zeros, "image")
        note += f" For {zeros} the true class had the probability 0, which counts as {FLOOR:.1e} in the loss."
    if given.passed_over:
        note += f" Skipped: {counted(given.passed_over, 'row')} of images that are not in the split."
    if given.unread:
        note += f" Columns that were not read: {', '.join(given.unread[:8])}."
    leak = run.read_run().get("split_over_folds", 0)
    if leak and not target.split:
        images = counted(leak, "image has", "images have")
        note += f" The folds leak: {images} a duplicate or a face of the same photo in another fold."
    if target.split:
        note += standing_remark(target.data_dir, run, target.split, target.manifest)
    return note + (" The same was imported before; nothing is written." if is_known else "")


COMMAND = Command(import_predictions, positional=("file",))
