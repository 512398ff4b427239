"""Write a model as a file for other programs: Keras, SavedModel, TensorFlow Lite or ONNX."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.framework import require_tensorflow
from fer_tl.core.say import Say, say_line
from fer_tl.inference.choose_models import ALL, choose_parts, open_run
from fer_tl.inference.export.folder import publish, refuse_foreign, size_of, workplace
from fer_tl.inference.export.formats import Format, choose_format
from fer_tl.runs.exports import MODELS, describe_models
from fer_tl.runs.part import check_part
from fer_tl.runs.refits import refuse_refit

if TYPE_CHECKING:
    from fer_tl.evaluation.run_contents import RunContents
    from fer_tl.inference.export.images import HeldOutImages
    from fer_tl.inference.export.parity import Loss, Parity, Runner
    from fer_tl.inference.predictor import ExpressionModel
    from fer_tl.reports.model_card_data import ExportFacts


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


@dataclass(frozen=True)
class _Request:
    """What is asked for; ``parts`` are those that ``fold`` means."""

    chosen: Format
    int8: bool
    fold: int | str | None
    parts: list[str]
    data_dir: Path | str | None


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
        run_dir: a run; of an unfinished one, the parts that are done can be exported. Without one, the network that
            ships with fer-tl.
        format: ``keras``, ``savedmodel``, ``tflite`` or ``onnx``.
        int8: with 8-bit integers, whose ranges are set by images that the model was trained on. Of ``tflite`` and
            ``onnx``.
        fold: whose model, a number, or ``all`` for the average of all folds; default: the first that is done.
        data_dir: where the dataset is now; default: where the run found it. Without it the comparison is on made
            images, and there is no int8.
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
        return _export(_Request(chosen, int8, fold, parts, data_dir), contents, folder, new, say)


def _export(request: _Request, contents: RunContents, folder: Path, new: Path, say: Say) -> ExportResult:
    from fer_tl.inference.export.images import calibration_images, held_out_images
    from fer_tl.inference.predictor import load

    run, chosen, source = contents.run, request.chosen, contents.source
    held_out = held_out_images(run, request.parts, source) if source else None
    calibration = None
    if request.int8 and held_out:
        calibration = calibration_images(run, request.parts[0], held_out, request.data_dir)
    original = load(run.path, request.fold, brief=True)
    from fer_tl.inference.export.network import build_network, open_exported, write_model
    from fer_tl.reports.model_card import NAME, card_text, export_text

    paths = [run.part(part) / "model.keras" for part in request.parts]
    network = build_network(paths, original.temperature, calibration)
    path = write_model(network, original.class_names, chosen, new, original.recipe, calibration)
    facts = _check(original, open_exported(path, chosen), held_out, contents, request, path)
    facts = replace(facts, calibrated=0 if calibration is None else len(calibration))
    write_text(new / NAME, card_text(contents, facts))
    publish(new, folder, _record(contents, facts))
    text = export_text(contents, facts)
    say(f"{text}\n\n{folder / chosen.file}, and {NAME} beside it")
    return ExportResult(folder, folder / chosen.file, facts.parity, facts.loss, facts.size, facts.milliseconds, text)


def _check(
    original: ExpressionModel,
    exported: Runner,
    held_out: HeldOutImages | None,
    contents: RunContents,
    request: _Request,
    path: Path,
) -> ExportFacts:
    """Compare an exported model with the original.

    Raises:
        UserError: it is a model in float, and not the same.
    """
    from fer_tl.inference.export.images import draw_images, made_images
    from fer_tl.inference.export.parity import TOLERANCE, compare_probabilities, run_batched, time_one
    from fer_tl.reports.model_card_data import ExportFacts

    if held_out and contents.refit:  # whether two models say the same can be asked of any image
        rows = draw_images(held_out.dataset.ids, contents.experiment.seed)
        images = held_out.dataset.images[np.sort(rows)]
        where = f"{len(images):,} images of {held_out.dataset.name} that it was trained on"
    elif held_out:
        images = held_out.dataset.images[held_out.draw(contents.experiment.seed)]
        by = "the training" if len(request.parts) == 1 else "one of its models, and not the others,"
        where = f"{len(images):,} images of {held_out.dataset.name} that {by} held out"
    else:
        images = made_images(original.image_shape)
        where = f"{len(images)} made images, no faces: the dataset was not at hand"
    answers = run_batched(exported, images, np.arange(len(images)))
    parity = compare_probabilities(original.answer(images).probabilities, answers)
    if not request.int8 and not parity.difference <= TOLERANCE:
        raise UserError(
            f"the exported model differs from that of {contents.run.path}: probabilities by up to "
            f"{parity.difference:.2g}, where {TOLERANCE:g} is allowed; nothing was written, try another --format"
        )
    return ExportFacts(
        chosen=request.chosen,
        parts=tuple(request.parts),
        class_names=original.class_names,
        image_shape=original.image_shape,
        recipe=original.recipe,
        temperature=original.temperature,
        calibration=original.calibration,
        parity=parity,
        compared_on=where,
        loss=_loss(exported, held_out, original.class_names) if request.int8 and held_out else None,
        calibrated=0,
        size=size_of(path),
        milliseconds=time_one(exported, images[:1]),
    )


def _loss(exported: Runner, held_out: HeldOutImages, class_names: tuple[str, ...]) -> Loss:
    """What int8 costs on all images that the part held out; the original's answers are those that were saved."""
    from fer_tl.inference.export.parity import measure_loss, run_batched

    saved = held_out.predictions
    column_of = np.array([class_names.index(name) for name in saved.class_names])
    answers = run_batched(exported, held_out.dataset.images, held_out.rows).argmax(axis=1)
    return measure_loss(column_of[saved.labels], column_of[saved.logits.argmax(axis=1)], answers, held_out.groups)


def _record(contents: RunContents, facts: ExportFacts) -> dict[str, Any]:
    """What a program may want to know of an export, JSON-ready."""
    return {
        "format": facts.chosen.name,
        "model": facts.chosen.file,
        "class_names": list(facts.class_names),
        "image_shape": list(facts.image_shape),
        "faces": facts.recipe.to_dict(),
        "temperature": facts.temperature,
        "calibration": facts.calibration,
        "run": {key: contents.about[key] for key in ("kind", "dataset", "fingerprint")},
        "parts": list(facts.parts),
        MODELS: describe_models(contents.run, facts.parts),
        "parity": asdict(facts.parity),
        "int8": asdict(facts.loss) if facts.loss else None,
        "milliseconds": round(facts.milliseconds, 3),
    }


COMMAND = Command(export, positional=("run_dir",))
