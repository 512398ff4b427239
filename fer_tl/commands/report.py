"""Write what a run found as one HTML page: tables, figures, mistakes, how to reproduce it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.output_folder import refuse_other_page
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import refuse_labels

if TYPE_CHECKING:
    from fer_tl.evaluation.run_contents import RunContents


@dataclass(frozen=True, eq=False, repr=False)
class ReportResult(Shown):
    """A run as one page.

    Attributes:
        path: of the page.
        contents: what it shows.
        text: what the terminal shows.
    """

    path: Path
    contents: RunContents
    text: str


def report(
    run_dir: Path | str,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    top: int = 24,
    say: Say = say_line,
) -> ReportResult:
    """Write what a run found as one self-contained HTML page, which needs no network and no script.

    Everything is computed from the saved predictions; no model is run, TensorFlow is not imported, and no split is
    opened. Of an unfinished run the page shows what there is, and says so.

    Args:
        run_dir: a ``cv`` or ``train`` run, imported predictions, an ensemble or an exported model.
        data_dir: where its dataset is now, for the images of mistakes and the groups that intervals resample; default:
            where the run found it.
        out: the page; default: ``report.html`` in the run. An earlier report there is replaced.
        top: at most so many mistakes are shown as images.
        say: prints a line.

    Raises:
        UserError: no run, one of labels without probabilities, files of it that were changed since they were written,
            no such build of the dataset under ``data_dir``, or something else where the page should go.
    """
    if top < 1:
        raise UserError(f"--top {top}: show one image or more")
    run = RunFolder(Path(run_dir))
    run.read_run()
    refuse_labels(run.path, "its loss, calibration and confident mistakes are of these; fer-tl compare shows the rest")
    from fer_tl.evaluation.run_contents import open_contents
    from fer_tl.reports.run_facts import unmeasured
    from fer_tl.reports.run_page import TITLE, headline, run_page, title

    path = Path(out) if out else run.path / "report.html"
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file for the page, such as {path / 'report.html'}")
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path} would hold a web page: give --out a name that ends in .html")
    refuse_other_page(path, f"<title>{TITLE}", "report of fer-tl")
    contents = open_contents(run, data_dir, say)
    write_text(path, run_page(contents, top))
    found = headline(contents, contents.held_out) if contents.held_out else unmeasured(contents)
    unfinished = "" if contents.is_finished else " Unfinished: the page shows what there is."
    missing = f"\n\nThe images are not shown: {contents.missing}" if contents.missing else ""
    text = f"{title(contents)}\n\n{found}{unfinished}{missing}\n\npage: {path} ({path.stat().st_size / 1e6:.1f} MB)"
    say(text)
    return ReportResult(path, contents, text)


COMMAND = Command(report, positional=("run_dir",))
