"""The tables of `engine.py`, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from engine_task import BATCH, COUNTS, FOLDS, SIDE, SIDES

from fer_tl.core.environment import describe_environment
from fer_tl.reports.rendering import Table, as_markdown

Found = dict[tuple[str, str], list[dict[str, float]]]
"""By what and system: what each repeat measured."""

TUNING_EPOCHS, FROZEN_EPOCHS = 8, 20
HEADER = ["", "ours", "Keras", "generator", "limit", "ours to Keras", "ours to generator", "ours to limit", "spread"]
NOTES = f"""
All systems train the same MobileNetV2 at {SIDE}x{SIDE} with ImageNet weights (by `build_classifier`), in batches of
{BATCH}, by Adam, with rotation and shear up to 10 degrees, zoom and shift up to 10 %, and mirroring. The images are
grey, of 48x48; all but Keras in the rows that say so treat them as grey until the model repeats them.

- **ours**: `fer-tl cv`, images in memory, decoded before. Input: on its way into a model that only averages it.
- **Keras**: JPEG files by `image_dataset_from_directory` as it is (parallel reading, prefetch, no cache), RandomFlip,
  RandomRotation, RandomTranslation, RandomZoom and RandomShear in front of the model, `fit` with a new model a fold.
- **generator**: JPEG files by the legacy `ImageDataGenerator.flow_from_directory`, batches made in a thread for each
  core, `fit` with a new model a fold.
- **limit**: our compiled step on constant pixels that are in memory; ours and limit take turns in one process.
- Start: from the command to the end of the first step, with everything in caches. Memory: at the peak over what the
  imports take; of Keras and generator in two folds, the second only begun.
- \\*: extrapolated linearly, from measured seconds to the first step, rates of training and evaluation, and what a
  further fold costs. Frozen, ours was run whole, by the command, without features from before.
- Medians. Spread: the largest difference between repeats of one system, as a share of its median."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: what was measured.
        values: by column, of each repeat.
        more: whether more is better: images/s, not seconds or memory.
        unit: "s" for durations, else shown as it is.
        guessed: columns that are extrapolated.
    """

    name: str
    values: dict[str, list[float]]
    more: bool = True
    unit: str = ""
    guessed: Sequence[str] = ()

    def cells(self) -> list[str]:
        """As the table shows it."""
        medians = {name: float(np.median(values)) for name, values in self.values.items() if values}
        shown = [self._show(name, medians) for name in HEADER[1:5]]
        for other in HEADER[2:5]:
            if other not in medians or "ours" not in medians:
                shown.append("–")
                continue
            ratio = medians["ours"] / medians[other] if self.more else medians[other] / medians["ours"]
            shown.append(f"{100 * ratio:.1f} %" if other == "limit" else f"{ratio:.1f} ×")
        spread = max((np.ptp(values) / np.median(values) for values in self.values.values() if values), default=0.0)
        return [self.name, *shown, f"{100 * spread:.0f} %"]

    def _show(self, name: str, medians: dict[str, float]) -> str:
        if name not in medians:
            return "–"
        value, star = medians[name], "\\*" if name in self.guessed else ""
        if self.unit != "s":
            return f"{value:,.0f}{f' {self.unit}' if self.unit else ''}{star}"
        return f"{value:.1f} s{star}" if value < 100 else f"{value / 60:,.1f} min{star}"


def report(rows: Sequence[str], found: Found, images: int, command: str) -> str:
    """What was measured, with the command, date, versions and hardware."""
    about = describe_environment("")
    versions = ", ".join(
        f"{name} {number}" for name, number in {**about["versions"], "scipy": version("scipy")}.items()
    )
    parts = [
        "# The engine side by side",
        f"    {command}",
        f"{about['date'][:10]}; {about['processor']}, {about['cores']} cores; {versions}; {images:,} training images.",
    ]
    table = [row.cells() for name, build in BUILD.items() if name in rows for row in build(found, images)]
    if table:
        parts += [as_markdown(Table(HEADER, [table])).strip(), NOTES.strip()]
    if "scale" in rows:
        parts.append(scale_text(found))
    return "\n\n".join(parts) + "\n"


def values_of(found: Found, what: str, key: str) -> dict[str, list[float]]:
    """What the repeats of each system measured, by the heading of its column."""
    names = {"ours": "ours", "keras": "Keras", "generator": "generator"}
    return {
        heading: [repeat[key] for repeat in found.get((what, system), []) if key in repeat]
        for system, heading in names.items()
    }


def input_rows(found: Found, images: int) -> list[Row]:
    """Augmented images a second."""
    rows = [Row(f"augmented input, {side}x{side}, images/s", values_of(found, "input", str(side))) for side in SIDES]
    for side in SIDES:
        values = values_of(found, "input", f"{side} rgb") | {"ours": values_of(found, "input", str(side))["ours"]}
        rows.append(Row(f"the same, Keras with its default of 3 channels, {side}x{side}, images/s", values))
    return rows


def training_rows(found: Found, images: int) -> list[Row]:
    """Images a second that are trained on."""
    values = values_of(found, "fit", "train")
    return [
        Row("training, images/s", {**values, "limit": [repeat["limit"] for repeat in found["fit", "ours"]]}),
    ]


def evaluation_rows(found: Found, images: int) -> list[Row]:
    """Images a second that are scored."""
    return [Row("evaluation, images/s", values_of(found, "fit", "evaluate"))]


def tuning_rows(found: Found, images: int) -> list[Row]:
    """Seconds of a whole fine-tuning."""
    start = float(np.median([repeat["start"] for repeat in found["start", "ours"]]))
    ours = [{**repeat, "start": start, "train": repeat["loop"]} for repeat in found["fit", "ours"]]
    values = {
        "ours": [whole_seconds(repeat, images, TUNING_EPOCHS) for repeat in ours],
        "Keras": [whole_seconds(repeat, images, TUNING_EPOCHS) for repeat in found["fit", "keras"]],
        "generator": [whole_seconds(repeat, images, TUNING_EPOCHS) for repeat in found["fit", "generator"]],
    }
    name = f"fine-tuning, {FOLDS} folds of {TUNING_EPOCHS} epochs"
    return [Row(name, values, more=False, unit="s", guessed=list(values))]


def frozen_rows(found: Found, images: int) -> list[Row]:
    """Seconds of a whole cross validation of a frozen backbone."""
    values = {
        "ours": [repeat["whole"] for repeat in found["frozen", "ours"]],
        "Keras": [whole_seconds(repeat, images, FROZEN_EPOCHS) for repeat in found["frozen", "keras"]],
        "generator": [whole_seconds(repeat, images, FROZEN_EPOCHS) for repeat in found["frozen", "generator"]],
    }
    name = f"frozen backbone, {FOLDS} folds of {FROZEN_EPOCHS} epochs"
    return [Row(name, values, more=False, unit="s", guessed=["Keras", "generator"])]


def whole_seconds(measured: dict[str, float], images: int, epochs: int) -> float:
    """A cross validation, from rates and from what its start and a further fold cost."""
    held_out = images / FOLDS
    epoch = (images - held_out) / measured["train"] + held_out / measured["evaluate"]
    return measured["start"] + (FOLDS - 1) * measured["fold"] + FOLDS * epochs * epoch


def memory_rows(found: Found, images: int) -> list[Row]:
    """Memory over the imports."""
    return [
        Row(f"peak memory, {name}", values_of(found, what, "memory"), more=False, unit="MB")
        for what, name in (("fit", "fine-tuning"), ("frozen", "frozen backbone"))
    ]


def start_rows(found: Found, images: int) -> list[Row]:
    """Seconds to the first step."""
    values = values_of(found, "fit", "start") | {"ours": values_of(found, "start", "start")["ours"]}
    return [Row("start of fine-tuning", values, more=False, unit="s")]


BUILD = {
    "input": input_rows,
    "training": training_rows,
    "evaluation": evaluation_rows,
    "tuning": tuning_rows,
    "frozen": frozen_rows,
    "memory": memory_rows,
    "start": start_rows,
}


def scale_text(found: Found) -> str:
    """Costs by the number of images."""
    header = ["images", "planning", "input", "training", "memory over imports", "records: opening", "input"]
    header += ["training", "memory over imports"]
    lines = []
    for count in COUNTS:
        resident, stream = (found[f"scale {count}", system][0] for system in ("resident", "stream"))
        cells = [f"{count:,}", *(f"{1e3 * resident[key]:,.2f} ms" for key in ("plan", "input", "train"))]
        cells += [f"{resident['memory']:,.0f} MB"]
        cells += [f"{1e3 * stream[key]:,.2f} ms" for key in ("open", "input", "train")] + [
            f"{stream['memory']:,.0f} MB"
        ]
        lines.append(cells)
    return (
        "## By the number of images\n\nEach 1,000 images of 48x48 cost: random ones in memory, and drawn faces (2,800 "
        "different ones) streamed from 16 shards. The network is liu_3conv at 24x24.\n\n"
        + as_markdown(Table(header, [lines])).strip()
    )
