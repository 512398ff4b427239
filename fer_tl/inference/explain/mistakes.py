"""The most confident mistakes of a run on images that it held out, and the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.evaluation.calibration import choose_scaling
from fer_tl.evaluation.run_dataset import held_out_predictions, open_held_out
from fer_tl.inference.explain.pictures import Picture, magnify
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, predicted_labels, softmax


@dataclass(frozen=True, eq=False)
class Mistakes:
    """The mistakes that were asked for, the most confident first, then by id, each image once; and how many there are
    of how many answers for held-out images, several of an image where a cross validation is repeated."""

    pictures: list[Picture]
    wrong: int
    answers: int


def find_mistakes(run: RunFolder, parts: Sequence[str], count: int, data_dir: Path | str | None) -> Mistakes:
    """The images that models of a run were most sure of and wrong, each given to the model that did not train on it.

    Args:
        run: whose saved predictions are read; their checksums are the caller's to check.
        parts: of the run, done, whose held-out images count.
        count: of mistakes at most; 1 or more.
        data_dir: where the dataset is; None for where the run found it.

    Raises:
        UserError: no dataset, another build of it, predictions of other images than the fold table says or that are
            not finite, or no mistake.
    """
    dataset = open_held_out(run, data_dir)
    predictions = held_out_predictions(run, dataset.ids, parts)
    found = []
    for part, each in zip(parts, predictions, strict=True):
        found += _mistakes_of(part, each, choose_scaling(run, [part]).temperature)
    answers = sum(len(each.ids) for each in predictions)
    if not found:
        raise UserError(f"{run.path} made no mistake on {answers:,} held-out images: give image files to explain")
    found.sort()
    once = {mistake[1]: mistake for mistake in reversed(found)}  # of an image's several the most confident
    row_of = {example_id: row for row, example_id in enumerate(dataset.ids.tolist())}
    pictures = []
    for _, example_id, label, predicted, part in sorted(once.values())[:count]:
        pixels = np.asarray(dataset.images[row_of[example_id]])
        pictures.append(Picture(example_id, pixels, magnify(pixels), part, label, predicted))
    return Mistakes(pictures, len(found), answers)


def _mistakes_of(part: str, predictions: Predictions, temperature: float) -> list[tuple[float, str, str, str, str]]:
    """Minus the probability of the answer, id, label, answer and part of each mistake."""
    probabilities, names = softmax(predictions.logits / temperature), predictions.class_names  # [N, K]
    answers = predicted_labels(predictions)  # [N]
    return [
        (
            -float(probabilities[row, answers[row]]),
            str(predictions.ids[row]),
            names[predictions.labels[row]],
            names[answers[row]],
            part,
        )
        for row in np.flatnonzero(answers != predictions.labels)
    ]
