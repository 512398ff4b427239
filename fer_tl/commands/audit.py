"""List and show the labels that a run's held-out predictions contradict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import choose_folder
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder, check_done
from fer_tl.runs.imports import refuse_labels

if TYPE_CHECKING:
    from fer_tl.evaluation.label_errors import LabelErrors


@dataclass(frozen=True, eq=False, repr=False)
class AuditResult(Shown):
    """Labels that a run contradicts: the folder of list and page, the suspects with counts, and the tables as text."""

    out_dir: Path
    found: LabelErrors
    text: str


def audit(
    run_dir: Path | str,
    data_dir: Path | str | None = None,
    top: int = 60,
    out: Path | str | None = None,
    say: Say = say_line,
) -> AuditResult:
    """List the labels that are most likely wrong, by the predictions that a run made of images it was not trained on.

    Args:
        run_dir: a finished ``cv`` run, or a ``train`` run, of which only the images that it was scored on are judged.
        data_dir: where the dataset is now; default: where the run found it. Without it, no images are shown.
        top: how many images the page shows.
        out: folder of list and page; default: ``audit`` in the run.
        say: prints a line.

    Raises:
        UserError: no run, an unfinished or diverged one, another build of the data, or other files in the folder.
    """
    if top < 1:
        raise UserError(f"--top {top}: show one image or more")
    from fer_tl.evaluation.label_errors import open_audit
    from fer_tl.reports.audit_page import LIST, write_audit

    run = RunFolder(Path(run_dir))
    run.read_run()
    refuse_labels(run.path, "labels are judged by these; import its probabilities with fer-tl import-predictions")
    folder = choose_folder(out, run.path / "audit", LIST, "audit")
    check_done(run, "predictions.npz")
    opened = open_audit(run, data_dir)
    text = write_audit(opened, folder, top)
    say(text)
    return AuditResult(folder, opened.found, text)


COMMAND = Command(audit, positional=("run_dir",))
