"""What a process leaves that trains a part of a run, for the commands that train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._shown import Shown
from fer_tl.core.say import Say

if TYPE_CHECKING:
    from fer_tl.training.prepare_run import Work


@dataclass(frozen=True, repr=False)
class PartResult(Shown):
    """What a process leaves that has no whole result to show: a cross validation of which other folds are missing, or
    a worker whose chief writes the run.

    Attributes:
        run_dir: folder of the run; None on a worker.
        done: names of the folds that are done.
        missing: names of those that are not.
        text: what that means, as the terminal shows it.
    """

    run_dir: Path | None
    done: tuple[str, ...]
    missing: tuple[str, ...]
    text: str


def leave_to_chief(work: Work, say: Say) -> PartResult:
    return PartResult(None, (), (), say_chief(work.worker, say))


def say_chief(worker: int, say: Say) -> str:
    text = f"worker {worker} is done; the results are where the chief says"
    say(text)
    return text
