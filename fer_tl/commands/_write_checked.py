"""Write one model of a run in one format and compare it with the original, for the commands that write models."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.inference.export.folder import size_of
from fer_tl.inference.export.formats import Format
from fer_tl.runs.exports import MODELS, describe_models

if TYPE_CHECKING:
    from fer_tl.evaluation.run_contents import RunContents
    from fer_tl.inference.export.images import HeldOutImages
    from fer_tl.inference.export.parity import Loss, Runner
    from fer_tl.inference.predictor import ExpressionModel
    from fer_tl.reports.model_card_data import ExportFacts


@dataclass(frozen=True)
class ExportRequest:
    """What is asked for; ``parts`` are those that ``fold`` means."""

    chosen: Format
    int8: bool
    fold: int | str | None
    parts: list[str]
    data_dir: Path | str | None


def write_checked(request: ExportRequest, contents: RunContents, new: Path) -> ExportFacts:
    """Write a model, and make sure that it says what the original says.

    Args:
        request: what is asked for.
        contents: of the run.
        new: folder to write it to, under the format's name for it.

    Raises:
        UserError: it is a model in float, and not the same.
    """
    from fer_tl.inference.export.images import calibration_images, held_out_images
    from fer_tl.inference.predictor import load

    run, chosen, source = contents.run, request.chosen, contents.source
    held_out = held_out_images(run, request.parts, source) if source else None
    calibration = None
    if request.int8 and held_out:
        calibration = calibration_images(run, request.parts[0], held_out, request.data_dir)
    original = load(run.path, request.fold, brief=True)
    from fer_tl.inference.export.network import build_network, open_exported, write_model

    paths = [run.part(part) / "model.keras" for part in request.parts]
    network = build_network(paths, original.temperature, calibration)
    path = write_model(network, original.class_names, chosen, new, original.recipe, calibration)
    facts = _check(original, open_exported(path, chosen), held_out, contents, request, path)
    return replace(facts, calibrated=0 if calibration is None else len(calibration))


def _check(
    original: ExpressionModel,
    exported: Runner,
    held_out: HeldOutImages | None,
    contents: RunContents,
    request: ExportRequest,
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
        where = f"{len(images)} made-up images, not faces, because the dataset was not at hand"
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


def origin_record(contents: RunContents, facts: ExportFacts) -> dict[str, Any]:
    """Whose model it is and what goes in and comes out, JSON-ready."""
    return {
        "class_names": list(facts.class_names),
        "image_shape": list(facts.image_shape),
        "faces": facts.recipe.to_dict(),
        "temperature": facts.temperature,
        "calibration": facts.calibration,
        "run": {key: contents.about[key] for key in ("kind", "dataset", "fingerprint")},
        "parts": list(facts.parts),
        MODELS: describe_models(contents.run, facts.parts),
    }


def export_record(contents: RunContents, facts: ExportFacts) -> dict[str, Any]:
    """What a program may want to know of an export, JSON-ready."""
    return {
        "format": facts.chosen.name,
        "model": facts.chosen.file,
        **origin_record(contents, facts),
        "parity": asdict(facts.parity),
        "int8": asdict(facts.loss) if facts.loss else None,
        "milliseconds": round(facts.milliseconds, 3),
    }
