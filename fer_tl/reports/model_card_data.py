"""The part of a model card that says which images trained and measured the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_tl.core.safe_text import for_markdown
from fer_tl.data.merging import parse_classes
from fer_tl.evaluation.run_contents import HeldOut, RunContents
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.export.formats import Format
from fer_tl.inference.export.parity import Loss, Parity
from fer_tl.reports.rendering import Table, as_markdown
from fer_tl.reports.run_facts import part_counts


@dataclass(frozen=True)
class ExportFacts:
    """What is known of an exported model besides what its run says.

    Attributes:
        chosen: its format.
        parts: of the run, whose models it is the mean of.
        class_names: in the order of its output.
        image_shape: height, width and channels that it takes.
        recipe: how pictures become its input.
        temperature: inside it.
        calibration: what that was fitted to, or why the probabilities are not calibrated; a sentence.
        parity: how far it is from the original.
        compared_on: the images of that comparison, as the end of a sentence.
        loss: what int8 costs; None for a model in float.
        calibrated: images that set the ranges of its int8 numbers; 0 for a model in float.
        size: bytes of the model.
        milliseconds: for one image.
    """

    chosen: Format
    parts: tuple[str, ...]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    recipe: FaceRecipe
    temperature: float
    calibration: str
    parity: Parity
    compared_on: str
    loss: Loss | None
    calibrated: int
    size: int
    milliseconds: float


def data_lines(contents: RunContents, held_out: HeldOut | None, facts: ExportFacts) -> str:
    about, source = contents.about, contents.source
    lines = [f"Dataset {for_markdown(about['dataset'])}, fingerprint {for_markdown(about['fingerprint'])}."]
    if source:
        made = source.manifest.source
        options = "".join(f", {key} {value}" for key, value in made.items() if key not in ("kind", "name", "sha256"))
        name, kind = made.get("name", "drawings"), made.get("kind", "unknown")
        lines.append(f"It was built from {for_markdown(f'{name} (kind {kind}{options})')}.")
    if contents.experiment.classes:
        lines.append(f"Classes were merged: {for_markdown(', '.join(contents.experiment.classes))}.")
    if held_out is None:
        return (
            f"{' '.join(lines)} The model was trained on all {contents.about['images']:,} images of its training split."
        )
    shown = _fold_images(contents, held_out, facts) if contents.is_cv else _split_images(contents, held_out)
    watched = next((part.result.get("watched", 0) for part in contents.done if part.name == facts.parts[0]), 0)
    aside = ""
    if watched:
        which = "" if len(facts.parts) == 1 else "for each model, about "
        aside = (
            f"\nOf the images to train on, {which}{watched:,} were watched only, to choose the epoch or the learning "
            "rate: no weight learnt from them."
        )
    return f"{' '.join(lines)}\n\n{shown}{aside}"


def _fold_images(contents: RunContents, held_out: HeldOut, facts: ExportFacts) -> str:
    """The images of a cross validation, and which of them the exported models were trained on."""
    names = [part.name for part in contents.parts]
    number = held_out.summary.repetition_of(names.index(facts.parts[0]))
    counts = part_counts(held_out, names, number)
    repeated = f" of repetition {number}" if contents.repeats > 1 else ""
    if len(facts.parts) == 1:
        trained = (
            f"The exported model was trained on the other folds' images{repeated}, not on those of {facts.parts[0]}."
        )
    else:
        trained = "Each of the exported models was trained on all folds' images but its own's; their mean has seen all."
    undone = "" if contents.is_finished else " Images of folds that are not done are not counted here."
    by = f"by the fold{repeated} that held them out"
    return f"{trained} Images by class, and {by}:{undone}\n\n{as_markdown(counts)}"


def _split_images(contents: RunContents, held_out: HeldOut) -> str:
    """The images of a single fit: those to train on, and those that it was scored on."""
    labels, names, scored = held_out.predictions.labels, held_out.summary.class_names, contents.about["held_out"]
    held = np.bincount(labels, minlength=len(names))  # [K]
    source = contents.source
    if source is None:
        told = contents.done[0].result.get("trained_on")
        trained = f"trained on {told:,} images of {contents.about['dataset']}" if told else "trained on other images"
        rows = [[name, f"{count:,}"] for name, count in zip(names, held.tolist(), strict=True)]
        table = Table(["class", "held out"], [rows, [["all", f"{held.sum():,}"]]])
        start = f"The model was {trained}; how many of each class is not known, because the dataset is not at hand."
        return f"{start} Images of {scored}, which it was scored on and did not learn from:\n\n{as_markdown(table)}"
    counted = source.manifest.counts["train"]
    map_ = parse_classes(contents.experiment.classes, list(counted)) if contents.experiment.classes else None
    train = np.zeros(len(names), np.int64)
    for name, label in zip(counted, map_.labels_of(list(counted)) if map_ else range(len(counted)), strict=True):
        if label >= 0:
            train[names.index(map_.names[label] if map_ else name)] += counted[name]
    if "validation" not in source.manifest.counts:
        train -= held  # they are images of the training split
    pairs = zip(names, train.tolist(), held.tolist(), strict=True)
    rows = [[name, f"{one:,}", f"{other:,}"] for name, one, other in pairs]
    table = Table(["class", "trained on", "held out"], [rows, [["all", f"{train.sum():,}", f"{held.sum():,}"]]])
    return (
        f"Images by class: those to train on, and those of {scored}, which the model was scored on and did not learn "
        f"from:\n\n{as_markdown(table)}"
    )
