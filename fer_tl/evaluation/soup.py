"""A greedy soup: the mean of the weights of several models, of which each is taken that does not make it worse.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", ICML 2022, recipe 1. Only models of one start lie close enough together for the mean to be any good;
whether they do is what the recipe measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.devices.choose import choose_devices
from fer_tl.engines.choose import choose_engine
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions
from fer_tl.runs.saved_model import load_model

BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Soup:
    """The mean of the weights of some models, and what it says of the images that they were chosen on.

    Attributes:
        model: with the mean weights.
        ingredients: names of the models that are in it, the best first.
        left_out: names of the others.
        predictions: of the images.
    """

    model: keras.Model
    ingredients: tuple[str, ...]
    left_out: tuple[str, ...]
    predictions: Predictions


def cook(run: RunFolder, order: Sequence[str], dataset: Dataset, say: Say) -> Soup:
    """Mix the models of a run: the first one, then each of the others that does not lower the accuracy of the mix.

    All weights are averaged, the statistics of BatchNorm among them.

    Args:
        run: finished; its parts are models of one architecture.
        order: names of its parts, the best of the images first.
        dataset: images that none of them was trained on, with the run's classes.
        say: prints a line.

    Raises:
        UserError: a damaged model, or one of another architecture.
    """
    devices = choose_devices("auto")
    with devices.scope():
        model, names = load_model(run.part(order[0]) / "model.keras")
    engine = choose_engine()(devices, model, dataset.images, dataset.labels, BATCH_SIZE * devices.replicas)
    columns = [names.index(name) for name in dataset.class_names]

    def answer() -> tuple[np.ndarray, float]:
        logits = engine.predict(np.arange(len(dataset)))[:, columns]  # [N, K]
        return logits, float((logits.argmax(axis=1) == dataset.labels).mean())

    kept, total = [order[0]], _in_float64(model.get_weights())
    logits, best = answer()
    say(f"{order[0]}: {100 * best:.2f} % of {len(dataset):,} images alone, the best; the soup begins with it")
    for name in order[1:]:
        more = _in_float64(_weights_of(run, name, model))
        model.set_weights(_mean(total, more, len(kept) + 1))
        tried, accuracy = answer()
        if accuracy >= best:
            kept, total, logits = [*kept, name], [one + two for one, two in zip(total, more, strict=True)], tried
        say(f"{name}: with it {100 * accuracy:.2f} %, {'taken' if accuracy >= best else 'left out'}")
        best = max(best, accuracy)
    model.set_weights(_mean(total, None, len(kept)))
    predictions = Predictions(dataset.ids, dataset.labels, logits, dataset.class_names)
    return Soup(model, tuple(kept), tuple(name for name in order if name not in kept), predictions)


def _weights_of(run: RunFolder, name: str, like: keras.Model) -> list[np.ndarray]:
    found: list[np.ndarray] = load_model(run.part(name) / "model.keras")[0].get_weights()
    shapes = [[each.shape for each in weights] for weights in (found, like.get_weights())]
    if shapes[0] != shapes[1]:
        raise UserError(f"{run.part(name) / 'model.keras'} has other layers than the other folds of {run.path}")
    return found


def _in_float64(weights: list[np.ndarray]) -> list[np.ndarray]:
    return [each.astype(np.float64) for each in weights]


def _mean(total: list[np.ndarray], more: list[np.ndarray] | None, count: int) -> list[np.ndarray]:
    """Of sums of weights float64, and of one model more: float32."""
    sums = total if more is None else [one + two for one, two in zip(total, more, strict=True)]
    return [(each / count).astype(np.float32) for each in sums]
