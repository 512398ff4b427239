"""Write a model as a file for other programs: Keras, SavedModel, TensorFlow Lite or ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.commands._write_checked import ExportRequest, export_record, write_checked
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.framework import require_tensorflow
from fer_tl.core.say import Say, say_line
from fer_tl.inference.choose_models import ALL, choose_parts, open_run
from fer_tl.inference.export.folder import publish, refuse_foreign, workplace
from fer_tl.inference.export.formats import choose_format
from fer_tl.runs.part import check_part
from fer_tl.runs.refits import refuse_refit

if TYPE_CHECKING:
    from fer_tl.evaluation.run_contents import RunContents
    from fer_tl.inference.export.parity import Loss, Parity


@dataclass(frozen=True, eq=False, repr=False)
class ExportResult(Shown):
    """An exported model.

    Attributes:
        out_dir: folder of the model, its card and its record.
        path: the model itself: a file, or the folder of a SavedModel.
        parity: how far it is from the original.
        loss: what int8 costs; None for a model in float.
        size: bytes of the model.
        milliseconds: for one image.
        text: the table.
    """

    out_dir: Path
    path: Path
    parity: Parity
    loss: Loss | None
    size: int
    milliseconds: float
    text: str


def export(
    run_dir: Path | str | None = None,
    format: str = "keras",
    int8: bool = False,
    fold: int | str | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> ExportResult:
    """Write a model of a run as a file that needs no fer-tl, with a model card beside it.

    It takes raw uint8 pixels of the dataset's size and gives the probabilities that ``fer-tl predict`` gives,
    calibrated where that can be; preprocessing and class names are inside. It is compared with the original on images
    that the run held out before it is put in its place; a model in float that differs is not kept. The test split is
    not opened.

    Args:
        run_dir: a run; if it is unfinished, its finished parts can be exported. Without a run, the network that ships
            with fer-tl is exported.
        format: ``keras``, ``savedmodel``, ``tflite`` or ``onnx``.
        int8: use 8-bit integers, whose ranges are set from images that the model was trained on. For ``tflite`` and
            ``onnx``.
        fold: the fold whose model to export, or ``all`` for the average of all; default: the first that is finished.
        data_dir: where the dataset is now; default: where the run found it. Without it, the export is checked on
            made-up images, and int8 is not possible.
        out: folder of the result; default: ``export/FORMAT`` in the run, or here without one, with ``-int8`` behind it.
            An earlier export there is replaced.
        say: prints a line.

    Raises:
        UserError: no run, nothing trained, no such format or fold, a package that is missing, a damaged part, no or
            another build of the dataset, other files in the folder, or a model that differs from the original.
    """
    chosen = choose_format(format, int8)
    require_tensorflow("an export")
    run = open_run(run_dir, say)
    run.read_run("class_names")
    parts = choose_parts(run, fold)
    if int8 and len(parts) > 1:
        raise UserError(
            f"--int8 --fold {ALL}: each image is in the training of some fold, so nothing is left to measure the loss "
            "on: give the number of one fold"
        )
    if int8:
        refuse_refit(run.path, "nothing is left to measure what int8 costs on; export a fold of the cross validation")
    for part in parts:
        check_part(run.part(part), ("model.keras", "predictions.npz"))
    folder = Path(out) if out else Path(run_dir or "") / "export" / (f"{chosen.name}-int8" if int8 else chosen.name)
    refuse_foreign(folder)
    from fer_tl.evaluation.run_contents import open_contents

    with workplace(folder) as new:
        contents = open_contents(run, data_dir, say)
        if int8 and contents.source is None:
            raise UserError(f"--int8 needs images of the training, and {contents.missing}")
        return _export(ExportRequest(chosen, int8, fold, parts, data_dir), contents, folder, new, say)


def _export(request: ExportRequest, contents: RunContents, folder: Path, new: Path, say: Say) -> ExportResult:
    facts = write_checked(request, contents, new)
    from fer_tl.reports.model_card import NAME, card_text, export_text

    write_text(new / NAME, card_text(contents, facts))
    publish(new, folder, export_record(contents, facts))
    text, path = export_text(contents, facts), folder / request.chosen.file
    say(f"{text}\n\n{path}, and {NAME} beside it")
    return ExportResult(folder, path, facts.parity, facts.loss, facts.size, facts.milliseconds, text)


COMMAND = Command(export, positional=("run_dir",))
