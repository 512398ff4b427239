"""Write a folder for the Hugging Face Hub: models, card, figures; send it only if asked to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.commands._write_checked import ExportRequest, origin_record, write_checked
from fer_tl.core.files import write_text
from fer_tl.core.framework import require_tensorflow
from fer_tl.core.say import Say, say_line
from fer_tl.core.version import __version__
from fer_tl.inference.choose_models import choose_parts
from fer_tl.inference.export.folder import files_of, publish, refuse_foreign, size_of, workplace
from fer_tl.inference.export.formats import LABELS, choose_format
from fer_tl.inference.export.hub import check_hub_name, find_token, send_folder
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import check_part

if TYPE_CHECKING:
    from fer_tl.evaluation.run_contents import RunContents

_FORMATS = ("keras", "onnx")


@dataclass(frozen=True, eq=False, repr=False)
class PushResult(Shown):
    """A folder for the Hub.

    Attributes:
        out_dir: the folder.
        files: what is in it, names with slashes.
        address: of the repository that it was sent to; "" where it was not sent.
        text: what was said of it.
    """

    out_dir: Path
    files: tuple[str, ...]
    address: str
    text: str


def push(
    run_dir: Path | str,
    hub: str,
    upload: bool = False,
    fold: int | str | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> PushResult:
    """Write a model of a run as a folder for the Hugging Face Hub, and send it there where that is asked for.

    The folder has ``model.keras``, which ``keras.saving.load_model`` opens without fer-tl, ``model.onnx``,
    ``labels.txt``, figures, ``LICENSE.md`` and ``README.md``: a model card with metadata, figures and their intervals.
    Images, predictions and their names are not in it. Both files are compared with the original, as by ``export``.

    Args:
        run_dir: a run; if it is unfinished, its finished parts can be pushed.
        hub: name there, ``OWNER/NAME``.
        upload: send the folder, with the token in HF_TOKEN; a new repository is created as a private one.
        fold: the fold whose model to push, or ``all`` for the average; default: the first that is finished.
        data_dir: where the dataset is now; default: where the run found it. Without it, the files are checked on
            made-up images.
        out: the folder; default: ``hub`` in the run. An earlier one there is replaced.
        say: prints a line.

    Raises:
        UserError: no run, nothing trained, no such fold, a package or the token that is missing, a damaged part, other
            files in the folder, a file that differs from the original, or a Hub that does not take it.
    """
    check_hub_name(hub)
    token = find_token() if upload else ""
    chosen = [choose_format(name, False) for name in _FORMATS]
    require_tensorflow("a push")
    run = RunFolder(Path(run_dir))
    run.read_run("class_names")
    parts = choose_parts(run, fold)
    for part in parts:
        check_part(run.part(part), ("model.keras", "predictions.npz"))
    folder = Path(out) if out else run.path / "hub"
    refuse_foreign(folder)
    from fer_tl.evaluation.run_contents import open_contents

    with workplace(folder) as new:
        contents = open_contents(run, data_dir, say)
        requests = [ExportRequest(each, False, fold, parts, data_dir) for each in chosen]
        _fill(new, folder, hub, contents, requests)
    files = tuple(files_of(folder))
    text = f"{folder}: {', '.join(files)}; {size_of(folder) / 1e6:.1f} MB"
    say(text)
    address = send_folder(folder, hub, token, f"fer-tl {__version__}") if upload else ""
    say(f"sent to {address}" if address else f"nothing was sent: --upload sends it to {hub}, as a private repository")
    return PushResult(folder, files, address, text)


def _fill(new: Path, folder: Path, hub: str, contents: RunContents, requests: list[ExportRequest]) -> None:
    """Write all files of the folder, and put it in its place."""
    models = [write_checked(request, contents, new) for request in requests]
    from fer_tl.reports.hub_card import CARD, FIGURES, LICENCE, draw_figures, hub_card, licence_text, score_pushed

    scored = score_pushed(contents, models[0].parts)
    (new / FIGURES).mkdir()
    figures = draw_figures(contents, scored, new / FIGURES)
    write_text(new / CARD, hub_card(hub, contents, models, scored, figures))
    write_text(new / LICENCE, licence_text(contents))
    write_text(new / LABELS, "".join(f"{name}\n" for name in models[0].class_names))
    publish(new, folder, {"hub": hub, **origin_record(contents, models[0])})


COMMAND = Command(push, positional=("run_dir",))
