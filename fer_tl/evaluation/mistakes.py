"""The most confident mistakes of a model, spread over the confusions that it makes most often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_tl.runs.predictions import Predictions, predicted_labels

_EACH = 3  # images of a confusion: enough to see what they share, few enough that many confusions are seen


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for another class.

    Attributes:
        id: of the image.
        probability: of the class that it was taken for, 0..1.
    """

    id: str
    probability: float


@dataclass(frozen=True)
class Confusion:
    """Images of one class that are taken for another one.

    Attributes:
        label: index of their class.
        predicted: index of the class that they are taken for.
        count: how many.
        mistakes: some of them, the most confident first, no two of a group.
    """

    label: int
    predicted: int
    count: int
    mistakes: tuple[Mistake, ...]


def worst_confusions(predictions: Predictions, groups: np.ndarray, count: int) -> tuple[Confusion, ...]:
    """The most frequent confusions with the most confident mistakes of each.

    Images are dealt to the confusions in turn, the most frequent one first, so that no confusion hides the others: as
    many confusions as get three images each, fewer images where a confusion has no more.

    Args:
        predictions: of N images.
        groups: text ``[N]``; of the mistakes of a group only the most confident is taken.
        count: images in all, at most; 1 or more.
    """
    labels, predicted = predictions.labels, predicted_labels(predictions)
    confidence = predictions.probabilities.max(axis=1)  # [N]
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.lexsort((predictions.ids[wrong], -confidence[wrong]))]  # the most confident first, then by id
    counts: dict[tuple[int, int], int] = {}
    found: dict[tuple[int, int], list[Mistake]] = {}
    taken = set()
    for row in wrong:
        pair = int(labels[row]), int(predicted[row])
        counts[pair] = counts.get(pair, 0) + 1
        if groups[row] not in taken:
            taken.add(groups[row])
            found.setdefault(pair, []).append(Mistake(str(predictions.ids[row]), float(confidence[row])))
    pairs = sorted(found, key=lambda pair: (-counts[pair], pair))[: -(-count // _EACH)]
    shown = dict.fromkeys(pairs, 0)
    left = count
    while left and any(shown[pair] < len(found[pair]) for pair in pairs):
        for pair in pairs:
            if left and shown[pair] < len(found[pair]):
                shown[pair] += 1
                left -= 1
    return tuple(Confusion(*pair, counts[pair], tuple(found[pair][: shown[pair]])) for pair in pairs)
