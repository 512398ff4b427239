"""Train one model on all training images of a cross validation, with its settings."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._again import settings_again
from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import check_part

if TYPE_CHECKING:
    from fer_tl.runs.refits import Refit


@dataclass(frozen=True, eq=False, repr=False)
class RefitResult(Shown):
    """A model of all training images: its folder, what its cross validation lets expect of it, and that as text."""

    run_dir: Path
    refit: Refit
    text: str


def refit(
    run_dir: Path | str,
    target: Path | str | None = None,
    data_dir: Path | str | None = None,
    say: Say = say_line,
) -> RefitResult:
    """Train one model on all images that a cross validation was made on, none held out.

    Settings are those of the cross validation but for its folds. Where early stopping chose the epoch of each fold, the
    refit ends after the median of them, on the same course of learning rates. What accuracy to expect is estimated by
    the out-of-fold answers. Neither validation nor test split is touched: fer-tl evaluate opens them. The same command
    continues a refit that was interrupted.

    Args:
        run_dir: a finished run of fer-tl cv, whose folds are grouped.
        target: folder of the new run; default: that of the cross validation with ``-refit`` behind it.
        data_dir: where the dataset is now; default: where the run found it.
        say: prints a line.

    Raises:
        UserError: no finished cross validation, folds that leak, a learning rate that follows watched images, another
            build of the data, or another run in the folder.
    """
    source = RunFolder(Path(run_dir))
    experiment = _settings(source)
    folder = Path(target) if target else source.path.resolve().with_name(f"{source.path.resolve().name}-refit")
    experiment = replace(experiment, run_dir=str(folder), data_dir=str(data_dir or experiment.data_dir))
    # Not above: --help needs none of them, and NumPy alone takes a third of a second.
    from fer_tl.data.merging import load_training_images
    from fer_tl.evaluation.run_dataset import find_dataset
    from fer_tl.reports.run_report import write_refit_report
    from fer_tl.runs.run_file import REFIT
    from fer_tl.training.prepare_run import prepare

    if not find_dataset(source, experiment.data_dir, "stream")[0]:
        raise UserError(f"the dataset of {source.path} is not under {experiment.data_dir}: say where with --data-dir")
    kept = _kept_epochs(source)
    experiment = _shortened(experiment, kept)
    found = _expect(source, experiment, kept, say)
    _refuse_other_models(RunFolder(folder), found)
    with prepare(experiment, REFIT, say) as work:
        from fer_tl.training.cross_validation import train_all

        settings = work.experiment
        train_all(settings, load_training_images(settings, say), work.run, found, say)
        if work.writes:
            write_refit_report(work.run, say)
    text = f"{found.choice} {found.estimate}"
    say(f"\n{text}\n\nmodel: {folder}")
    return RefitResult(folder, found, text)


def _settings(source: RunFolder) -> Experiment:
    """Those of a cross validation, but for folds and what watches images."""
    from fer_tl.evaluation.open_split import check_finished

    kind = source.read_run("class_names")["kind"]
    if kind != "cv":
        raise UserError(f"{source.path} is a run of fer-tl {kind}: a refit is of a finished run of fer-tl cv")
    check_finished(source)
    for part in source.parts:
        check_part(source.part(part), ("predictions.npz", "history.csv"))
    experiment = settings_again(source)
    if not experiment.group_folds:
        raise UserError(
            f"{source.path} was trained with group_folds false: copies flatter its figure, which is not an estimate of "
            "what a refit can do; cross-validate it with grouped folds"
        )
    if experiment.schedule.kind == "plateau":
        raise UserError(
            f"{source.path} slows down by images that are set aside ('schedule.kind: plateau'), and a refit sets none "
            "aside: cross-validate with --schedule.kind cosine or step, and refit that"
        )
    return replace(experiment, early_stopping=0, repeats=1, fold_table=None, fold_seed=None)


def _kept_epochs(source: RunFolder) -> list[tuple[int, int]]:
    """Epochs of the head and of the main stage up to the one that each fold kept; none where nothing was chosen."""
    from fer_tl.runs.history import read_history
    from fer_tl.runs.part import read_result

    if not source.read_experiment().early_stopping:
        return []
    kept = []
    for part in source.parts:
        history = read_history(source.part(part) / "history.csv")[: read_result(source.part(part))["kept_epoch"]]
        head = sum(record["stage"] == "head" for record in history)
        kept.append((head, len(history) - head))
    return kept


def _shortened(experiment: Experiment, kept: list[tuple[int, int]]) -> Experiment:
    """An experiment that trains each stage for the median of the epochs that the folds kept, of two the later."""
    if not kept:
        return experiment
    head, main = (statistics.median_high(epochs) for epochs in zip(*kept, strict=True))
    return replace(experiment, head_epochs=head, stop_after=main)


def _expect(source: RunFolder, experiment: Experiment, kept: list[tuple[int, int]], say: Say) -> Refit:
    """What the out-of-fold answers of a cross validation let expect of its refit."""
    from fer_tl.evaluation.openings import key_of_run
    from fer_tl.evaluation.run_contents import open_contents
    from fer_tl.runs.refits import Refit

    held_out = open_contents(source, experiment.data_dir, say).held_out
    assert held_out is not None  # it is finished
    low, high = held_out.summary.intervals["accuracy"]
    fitted = held_out.calibration.part_temperatures.tolist() if held_out.calibration else []
    return Refit(
        run=source.path.resolve().name,
        models=key_of_run(source),
        number=len(source.parts),
        accuracy=float(held_out.summary.pooled.accuracy),
        interval=(low, high),
        temperature=float(statistics.median(fitted)) if fitted else 1.0,
        kept_epochs=tuple(main for _, main in kept),
    )


def _refuse_other_models(target: RunFolder, found: Refit) -> None:
    """Make sure that a refit which is there, if any, is of the same cross validation."""
    from fer_tl.runs.refits import read_refit

    if not (target.path / "run.json").exists():
        return
    before = read_refit(target.read_run())
    if before and before.models != found.models:
        raise UserError(f"{target.path} holds a refit of other models than {found.run}'s: give another --run-dir")


COMMAND = Command(refit, positional=("run_dir",), flags={"target": "--run-dir"}, resumes=True)
