"""Faces that were cut out, answered in batches over several pictures, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from fer_tl.inference.predict.find_faces import Seen, batches
from fer_tl.inference.predict.outputs import Row
from fer_tl.inference.predict.smoothing import Smoother
from fer_tl.inference.predictor import ExpressionModel


def answer(
    seen: Iterable[Seen], model: ExpressionModel, most: int, smoother: Smoother, min_confidence: float
) -> Iterator[tuple[Seen, list[Row]]]:
    """Each picture with its rows, in order: one a face, or one without a face; none where it was not analysed.

    Args:
        seen: pictures or frames.
        model: answers.
        most: pictures, or faces, of one call of the network.
        smoother: of a video; one without smoothing for pictures.
        min_confidence: 0..1, below which a row has no label.
    """
    for batch in batches(seen, most):
        probabilities = model.answer(np.concatenate([each.crops for each in batch])).probabilities  # [F, K]
        done = 0
        for each in batch:
            mine = probabilities[done : done + len(each.crops)]
            done += len(each.crops)
            yield each, _rows(each, mine, model.class_names, smoother, min_confidence)


def _rows(
    seen: Seen, probabilities: np.ndarray, names: tuple[str, ...], smoother: Smoother, min_confidence: float
) -> list[Row]:
    if seen.faces is None:
        return []
    if seen.time is not None:
        probabilities = smoother.update(seen.time, [face.box for face in seen.faces], probabilities)
    if not seen.faces:
        return [Row(seen.id, seen.frame, seen.time, None, "", None)]
    rows = []
    for face, p in zip(seen.faces, probabilities, strict=True):
        best = int(p.argmax())
        label = names[best] if p[best] >= min_confidence else ""
        rows.append(Row(seen.id, seen.frame, seen.time, face, label, p))
    return rows
