"""How often a run is right on held-out images that are blurred, noisy, dark, covered, turned or small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.progress import Clock
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.evaluation.intervals import Interval, mean_interval
from fer_tl.evaluation.run_dataset import held_out_predictions, open_held_out
from fer_tl.inference.compiled import Logits, open_network
from fer_tl.inference.stress.corruptions import SEVERITIES, Corruption
from fer_tl.runs.folder import RunFolder

_BATCH = 256


@dataclass(frozen=True, eq=False)
class Level:
    """One severity of a corruption.

    Attributes:
        severity: 1..5.
        accuracy: 0..1.
        interval: of it, 95 %.
        lost: of the accuracy on the images as they are, -1..1; negative where more answers are right.
        lost_interval: of it, 95 %, paired image by image.
    """

    severity: int
    accuracy: float
    interval: Interval
    lost: float
    lost_interval: Interval


@dataclass(frozen=True, eq=False)
class Stress:
    """What corruptions cost a run.

    Attributes:
        run: the run.
        parts: whose models answered, each for images that it held out.
        images: uint8 ``[N, H, W, C]``, those that were changed.
        ids: text ``[N]``.
        held_out: of how many images they were drawn.
        accuracy: on the images as they are, 0..1, and its interval.
        interval: of it, 95 %.
        mean: accuracy over all corruptions and severities, each counting the same.
        mean_interval: of it, 95 %.
        levels: by corruption, the five severities.
    """

    run: RunFolder
    parts: tuple[str, ...]
    images: np.ndarray
    ids: np.ndarray
    held_out: int
    accuracy: float
    interval: Interval
    mean: float
    mean_interval: Interval
    levels: dict[Corruption, tuple[Level, ...]]


def measure_stress(
    run: RunFolder,
    parts: Sequence[str],
    corruptions: Sequence[Corruption],
    count: int,
    data_dir: Path | str | None,
    say: Say,
) -> Stress:
    """Corrupt images that a run held out, and score it on them.

    Which images are drawn and how each is changed depends on their ids alone: two runs that held out the same images
    see the same pixels.

    Args:
        run: whose models answer.
        parts: of the run, done; each answers for the images that it held out.
        corruptions: at least one.
        count: of images at most, 1 or more.
        data_dir: where the dataset is; None for where the run found it.
        say: prints a line for each model.

    Raises:
        UserError: no dataset, another build of it, damaged parts, or fewer than two groups of images.
    """
    dataset = open_held_out(run, data_dir)
    rows, part_of, held_out = _draw(run, dataset, parts, count)
    if len(np.unique(dataset.groups[rows])) < 2:
        raise UserError(f"{run.path} held out a single group of images: two are the least to score")
    images = np.stack([np.asarray(dataset.images[row]) for row in rows])  # [N, H, W, C]
    right = np.zeros((1 + len(corruptions) * len(SEVERITIES), len(rows)), bool)
    for number, part in enumerate(parts):
        own = np.flatnonzero(part_of == number)
        if len(own):
            clock = Clock()
            right[:, own] = _answer(run.part(part) / "model.keras", dataset, rows[own], images[own], corruptions)
            say(f"{part}: {counted(len(own), 'image')} in {counted(len(right), 'condition')}, {clock.lap():.0f} s")
    groups = dataset.groups[rows]
    clean, changed = right[0].astype(float), right[1:].astype(float)
    levels = [_level(clean, each, groups, SEVERITIES[i % len(SEVERITIES)]) for i, each in enumerate(changed)]
    each = len(SEVERITIES)
    return Stress(
        run=run,
        parts=tuple(parts),
        images=images,
        ids=dataset.ids[rows],
        held_out=held_out,
        accuracy=float(clean.mean()),
        interval=mean_interval(clean, groups),
        mean=float(changed.mean()),
        mean_interval=mean_interval(changed.mean(axis=0), groups),
        levels={kind: tuple(levels[i * each : (i + 1) * each]) for i, kind in enumerate(corruptions)},
    )


def _draw(run: RunFolder, dataset: Dataset, parts: Sequence[str], count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows of the images that are drawn, the number of the part that held out each, and of how many they are."""
    predictions = held_out_predictions(run, dataset.ids, parts)
    # Of a repeated cross validation, which holds an image out several times, the first fold that did answers.
    ids, first = np.unique(np.concatenate([each.ids for each in predictions]), return_index=True)
    part_of = np.repeat(np.arange(len(parts)), [len(each.ids) for each in predictions])[first]
    chosen = np.argsort(uniform(example_keys(ids), "stress"), kind="stable")[:count]
    order = np.argsort(dataset.ids)
    return order[np.searchsorted(dataset.ids[order], ids[chosen])], part_of[chosen], len(ids)


def _answer(
    model: Path, dataset: Dataset, rows: np.ndarray, images: np.ndarray, corruptions: Sequence[Corruption]
) -> np.ndarray:
    """Whether a model is right: bool ``[1 + 5 C, N]``, first for the images as they are."""
    network = open_network(model)
    truth = np.array([network.class_names.index(dataset.class_names[label]) for label in dataset.labels[rows]])
    right = [_predict(network.logits, images) == truth]
    for kind in corruptions:
        for severity in SEVERITIES:
            pairs = zip(images, dataset.ids[rows].tolist(), strict=True)
            changed = np.stack([kind.apply(image, severity, identity) for image, identity in pairs])
            right.append(_predict(network.logits, changed) == truth)
    return np.stack(right)


def _predict(logits: Logits, images: np.ndarray) -> np.ndarray:
    """Index of the most probable class: int64 ``[N]``."""
    batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
    return np.concatenate([logits(batch) for batch in batches]).argmax(axis=1)


def _level(clean: np.ndarray, changed: np.ndarray, groups: np.ndarray, severity: int) -> Level:
    lost = clean - changed
    return Level(
        severity,
        float(changed.mean()),
        mean_interval(changed, groups),
        float(lost.mean()),
        mean_interval(lost, groups),
    )
