"""Train one model on the out-of-fold answers of finished cross validations, along with the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._part_result import PartResult
from fer_tl.commands._settings import settle
from fer_tl.commands.train import fit
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.options import CONFIG_HELP, add_options
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.commands._grid import SweepResult
    from fer_tl.commands.train import FitResult


def distill(
    run_dirs: Sequence[Path | str] = (), experiment: Experiment | None = None, say: Say = say_line, **settings: Any
) -> FitResult | PartResult | SweepResult:
    """Train a student on the whole training split, as ``fit`` does, towards what its teachers answered.

    The target of an image is a mix of its label and of what the folds that did not train on it answered, see
    ``fer_tl.training.teachers.teach``.

    Args:
        run_dirs: the teachers, finished cross validations of the same images with grouped folds.
        experiment: of the student, from ``fer_tl.load_experiment``; its ``distill`` holds the share and the
            temperature, and the teachers where no ``run_dirs`` are given.
        say: prints a line.
        settings: in place of those of the experiment, or of the defaults: ``data="fer2013", backbone="facevgg"``, as
            ``fer_tl.load_experiment`` takes them.

    Returns:
        As ``fit``.

    Raises:
        UserError: as ``fit``; no teacher, or one that is unfinished, no cross validation, leaks, or was trained on
            other images or classes.
    """
    experiment = settle(experiment, settings, say) or Experiment()
    given, known = tuple(map(str, run_dirs)), experiment.distill.teachers
    if not given and not known:
        raise UserError("a student needs a teacher: fer-tl distill RUN, a finished cross validation")
    if given and known and given != tuple(known):
        raise UserError(
            f"the teachers {', '.join(given)} are not those of 'distill.teachers', {', '.join(known)}: name them once"
        )
    return fit(replace(experiment, distill=replace(experiment.distill, teachers=given or known)), say)


def _add_arguments(parser: Any) -> None:
    text = "the teachers, finished cross validations of the same images; default: distill.teachers of --config"
    parser.add_argument("run_dirs", type=str, nargs="*", metavar="RUN", help=text)
    parser.add_argument("--config", type=str | None, help=CONFIG_HELP)
    add_options(parser, short={"distill.share": "--share", "distill.temperature": "--temperature"})


COMMAND = Command(distill, positional=("run_dirs",), takes_experiment=True, add_arguments=_add_arguments, resumes=True)
