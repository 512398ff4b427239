"""Cross-validate a backbone on the training split of a dataset."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._part_result import PartResult, leave_to_chief
from fer_tl.commands._settings import settle
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.lock import take_turns
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.commands._grid import SweepResult
    from fer_tl.commands._report_folds import CvResult
    from fer_tl.training.prepare_run import Work


def cross_validate(
    experiment: Experiment | None = None, say: Say = say_line, **settings: Any
) -> CvResult | PartResult | SweepResult:
    """Cross-validate an experiment on the training split of its dataset.

    Folds are stratified and grouped; every fold starts from the same weights. An interrupted run continues where its
    last checkpoint stands, a finished one is only reported. A fold whose training fails is named in the result, and
    tried again by the next call.

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults. Its ``fold`` trains that fold only.
        say: prints a line.
        settings: in place of those of the experiment, or of the defaults: ``data="fer2013", backbone="facevgg"``, as
            ``fer_tl.load_experiment`` takes them.

    Returns:
        The result; a ``PartResult`` while other folds are missing, and on every worker but the chief; of an experiment
        with ``seeds`` what a sweep over them gives.

    Raises:
        UserError: bad settings, missing or half-built data, missing weights, another run in the folder, another process
            at work there, or folds whose training failed, if that is all or the one that was asked for.
    """
    experiment = settle(experiment, settings, say)
    if isinstance(experiment, Experiment) and experiment.seeds is not None:
        from fer_tl.commands._grid import train_seeds

        return train_seeds(experiment, "cv", cross_validate, say)
    # Not above: --help needs none of them, and NumPy alone takes a third of a second.
    from fer_tl.commands._report_folds import report_folds
    from fer_tl.commands._track_outcome import tell_outcome
    from fer_tl.commands._units import said_once, train_folds_beside
    from fer_tl.data.dataset import group_by_id
    from fer_tl.data.merging import load_training_images
    from fer_tl.runs.part import NEEDED, check_part
    from fer_tl.training.prepare_run import prepare

    if isinstance(experiment, Experiment) and experiment.in_units:
        say = said_once(say)
    with prepare(experiment, "cv", say) as work:
        if work.worker and work.trained:
            return leave_to_chief(work, say)
        from fer_tl.training.cross_validation import train_folds

        given = work.experiment
        dataset = load_training_images(given, say)
        if given.in_units:
            train_folds_beside(given, work.run, say)
        else:
            train_folds(given, dataset, work.run, say, work.tracking)
        if work.worker:
            return leave_to_chief(work, say)
        missing = _missing_folds(work, say)
        if missing:
            return missing
        if work.shared:
            for name in set(work.run.done) - {f"fold-{given.fold}"}:
                check_part(work.run.part(name), NEEDED)  # what this process did not train, or look at before
        # Other folds may end at the same moment.
        with take_turns(work.run.path) if work.shared and work.writes else nullcontext():
            result = report_folds(work.run, dataset.ids, group_by_id(dataset), say, writes=work.writes)
        tell_outcome(work, result.summary.pooled, result.summary.intervals)
        return result


def _missing_folds(work: Work, say: Say) -> PartResult | None:
    """What to do about folds that are neither done nor failed, said, if there are any."""
    run, fold = work.run, work.experiment.fold
    done, failures = run.done, run.failures
    asked = f"fold-{fold}"
    if asked in failures:
        raise UserError(f"the training of {asked} failed: {failures[asked]}; rerun the same command to retry it")
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


def _refuse_failed(found: CvResult | PartResult | SweepResult) -> None:
    from fer_tl.commands._report_folds import CvResult

    if isinstance(found, CvResult):
        found.refuse_failed()


COMMAND = Command(cross_validate, words=("--data",), takes_experiment=True, resumes=True, finish=_refuse_failed)
