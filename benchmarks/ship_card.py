"""The card of the network that ships: what it is, how good it is and how that is known, as JSON and as Markdown."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.data.directory import build_arguments
from fer_tl.evaluation.calibration import choose_scaling, reliability_of
from fer_tl.evaluation.open_split import results_folder
from fer_tl.evaluation.run_contents import RunContents
from fer_tl.models import shipped
from fer_tl.models.costs import read_costs
from fer_tl.reports.model_card import data_terms, intended_use, known_limits, start_licence
from fer_tl.reports.rendering import Table, as_markdown, per_cent
from fer_tl.reports.run_facts import flags, verb
from fer_tl.reports.run_report import selection_note
from fer_tl.reports.run_tables import class_table, measure_table, spell_interval
from fer_tl.reports.tables import confusion_markdown
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import read_dated_openings, read_environments
from fer_tl.runs.predictions import Predictions


def card_facts(trained: RunFolder, contents: RunContents, loss: dict[str, float], note: str) -> dict[str, Any]:
    """All figures of the card, JSON-ready.

    Args:
        trained: the run whose model it was, and whose openings of splits are on record.
        contents: of the run of the network as it ships, with its dataset.
        loss: what 16 bits cost, see ``ship_model``.
        note: what a reader must know besides; may be empty.
    """
    held_out, experiment, about = contents.held_out, contents.experiment, contents.about
    weights = contents.run.path / shipped.WEIGHTS
    result, pooled = contents.parts[0].result, held_out.summary.pooled
    fitted = choose_scaling(contents.run, ["model"])
    scaled = held_out.calibration
    terms = data_terms(about["dataset"]).removesuffix(".")
    return {
        "name": shipped.NAME,
        "backbone": experiment.backbone,
        "alpha": experiment.alpha,
        **asdict(read_costs(weights)),
        "bytes": weights.stat().st_size,
        "image_shape": list(contents.source.dataset.image_shape),
        "dataset": about["dataset"],
        "fingerprint": about["fingerprint"],
        "source": contents.source.manifest.source,
        "split": about["held_out"],
        "images": pooled.images,
        "trained_on": result["trained_on"],
        "watched": result["watched"],
        "epochs": result["epochs"],
        "selection": selection_note(contents.run),
        "note": note,
        "accuracy": pooled.accuracy,
        "interval_95": {name: list(interval) for name, interval in held_out.summary.intervals.items()},
        "measures": pooled.to_dict(),
        "class_interval_95": {
            name: {key: _bounds(found[k]) for key, found in held_out.class_intervals.items()}
            for k, name in enumerate(pooled.class_names)
        },
        "calibration": {
            "temperature": fitted.temperature,
            "note": fitted.note,
            "error_without": pooled.calibration_error,
            "error_on_the_images_it_was_fitted_to": _error_at(held_out.predictions, fitted.temperature),
            "error_cross_fitted": held_out.scaled.calibration_error if scaled else None,
        },
        "float16": loss,
        "evaluations": _evaluations(trained),
        "commands": _commands(contents),
        "licence": {"weights": shipped.LICENCE, "data": f"{terms}; none of them is in this package."},
    }


def card_markdown(contents: RunContents, facts: dict[str, Any]) -> str:
    """The card as Markdown; ``facts`` is what ``card_facts`` returned."""
    held_out = contents.held_out
    sections = {
        "What it is": _what(facts),
        "Data": _data(facts),
        "How good it is": _quality(contents, facts),
        "Confusion matrix": confusion_markdown(held_out.summary.pooled),
        "Whether its probabilities mean what they say": _calibration(facts),
        "What 16 bits cost": _float16(facts),
        "What it is for": intended_use(),
        "What it is not for, and its limits": known_limits(held_out.summary.class_names, facts["image_shape"]),
        "Licences": f"{facts['licence']['weights']}. {start_licence(contents.experiment)} {facts['licence']['data']}",
        "How to make it again": _again(contents, facts),
    }
    title = f"# {shipped.NAME}: the network that ships with fer-tl"
    return "\n\n".join([title, *(f"## {heading}\n\n{text.strip()}" for heading, text in sections.items())]) + "\n"


def _bounds(interval: np.ndarray) -> list[float] | None:
    """An interval float64 ``[2]``, None where it is not defined, as that of the F1 of a class that is never named."""
    return interval.tolist() if np.isfinite(interval).all() else None


def _error_at(predictions: Predictions, temperature: float) -> float:
    scaled = (predictions.logits / temperature).astype("float32")
    return reliability_of(Predictions(predictions.ids, predictions.labels, scaled, predictions.class_names)).error


def _evaluations(run: RunFolder) -> list[dict[str, Any]]:
    """What each opening of a split found, of the network before its kernels were rounded."""
    found = []
    for entry in read_dated_openings(run.path):
        asked = [entry["split"], entry.get("tta", "none"), entry.get("dataset"), entry.get("classes")]
        try:
            result = read_json(results_folder(run, *asked) / "result.json")
        except UserError:  # deleted since
            continue
        measures = next(iter(result["models"].values()))
        found.append(
            dict(zip(("split", "tta", "dataset", "classes"), asked, strict=True))
            | {"images": measures["images"], "accuracy": measures["accuracy"]}
            | {"interval_95": result["interval_95"]["accuracy"]}
        )
    return found


def _commands(contents: RunContents) -> list[str]:
    dataset = contents.about["dataset"]
    return [
        f"fer-tl build {build_arguments(dataset, contents.source.manifest)}",
        shlex.join(["fer-tl", verb(contents), *flags(contents.as_trained), "--run-dir", "RUN"]),
        "fer-tl evaluate RUN --split validation --tta flip",
        "python benchmarks/ship_model.py RUN",
    ]


def _what(facts: dict[str, Any]) -> str:
    height, width, channels = facts["image_shape"]
    alpha = "" if facts["alpha"] == 1 else f" of width {facts['alpha']:g}"
    return (
        f"A network that names the expression of one face, {', '.join(facts['measures']['per_class'])}: "
        f"{facts['backbone']}{alpha}, "
        f"{facts['parameters']:,} parameters, {facts['macs'] / 1e6:.1f} million multiplications for an image of "
        f"{height}x{width} {'grey' if channels == 1 else 'colour'} pixels; {facts['bytes']:,} bytes. "
        "It finds no faces. `fer-tl predict photo.jpg` takes it where no run is named, and so do `serve`, `explain`, "
        f"`export` and `fer_tl.load()`; `--weights {shipped.NAME}` starts a training from it."
    )


def _data(facts: dict[str, Any]) -> str:
    source = facts["source"]
    options = "".join(f", {key} {value}" for key, value in source.items() if key not in ("kind", "name", "sha256"))
    watched = f", {facts['watched']:,} of them watched only" if facts["watched"] else ""
    return (
        f"Dataset {facts['dataset']}, fingerprint {facts['fingerprint']}, built from "
        f"{source.get('name', 'drawings')} (kind {source.get('kind', 'unknown')}{options}). Trained on "
        f"{facts['trained_on']:,} images{watched}, epochs: {facts['epochs']}; scored on the {facts['images']:,} images "
        f"of {facts['split']}, from which no weight was learnt."
    )


def _quality(contents: RunContents, facts: dict[str, Any]) -> str:
    held_out = contents.held_out
    pooled = held_out.summary.pooled
    rows = [
        [
            str(each["dataset"] or facts["dataset"]),
            each["split"],
            each["tta"],
            f"{each['images']:,}",
            per_cent(each["accuracy"]),
            spell_interval("accuracy", each["interval_95"]),
        ]
        for each in facts["evaluations"]
    ]
    header = ["dataset", "split", "views", "images", "accuracy", "95 % interval"]
    opened = f"\n\nBefore its kernels were rounded:\n\n{as_markdown(Table(header, [rows]))}" if rows else ""
    return (
        f"All figures are of the network as it ships, one view of each image. {facts['selection']} {facts['note']}\n\n"
        f"{as_markdown(measure_table(pooled, held_out.summary.intervals))}\n"
        f"{as_markdown(class_table(pooled, held_out.class_intervals))}{opened}\n\n"
        "Intervals: 95 %, bootstrap over groups of images. They tell how the figures would vary with other images of "
        "the same kind, not with other kinds of images."
    )


def _calibration(facts: dict[str, Any]) -> str:
    found = facts["calibration"]
    cross = found["error_cross_fitted"]
    honest = "" if cross is None else (
        f" Scored on images that the temperature was not fitted to, in five parts, it is {per_cent(cross)}."
    )  # fmt: skip
    on_same = per_cent(found["error_on_the_images_it_was_fitted_to"])
    return (
        f"{found['note']} Its expected calibration error (15 bins) is {per_cent(found['error_without'])} without it, "
        f"and {on_same} with it on the same images, where it is flattered.{honest} On images of another kind nothing "
        "is known of it."
    )


def _float16(facts: dict[str, Any]) -> str:
    loss = facts["float16"]
    low, high = (100 * bound for bound in loss["interval"])
    return (
        "Kernels are stored in 16 bits and computed in 32. The network as it was trained names the same class for "
        f"{per_cent(loss['agreement'])} of {loss['images']:,} images. The largest difference of a probability is "
        f"{loss['largest_probability_difference']:.5f}; accuracy is {per_cent(loss['quantized'])} instead of "
        f"{per_cent(loss['original'])}, a loss of {100 * loss['difference']:.2f} points (95 %: {low:.2f} to "
        f"{high:.2f})."
    )


def _again(contents: RunContents, facts: dict[str, Any]) -> str:
    begun = read_environments(contents.run.path, lambda line: None)
    commands = "\n".join(facts["commands"])
    if not begun:
        return f"```sh\n{commands}\n```"
    versions = ", ".join(f"{name} {number}" for name, number in begun[0]["versions"].items())
    return f"```sh\n{commands}\n```\n\nTrained from {begun[0]['date'][:10]} on, with {versions}."
