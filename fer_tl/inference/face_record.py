"""A face and what a model says of it as JSON: the same names in files, on stdout and from the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_tl.faces.boxes import Box, Face


def face_record(
    face: Face | None, label: str, probabilities: np.ndarray | Sequence[float] | None, class_names: Sequence[str]
) -> dict[str, Any]:
    """What is known of a face, null for the rest.

    Args:
        face: None where a picture has none.
        label: the class, "" where none is sure enough.
        probabilities: ``[K]``, 0..1; None without a face.
        class_names: the K classes.

    Returns:
        ``top``, ``left``, ``bottom``, ``right`` in pixels of the picture, to hundredths; ``score`` of the detector, to
        four digits; ``label``; and ``probabilities`` by class, to four digits.
    """
    box = dict.fromkeys(Box._fields) if face is None else {n: round(float(v), 2) for n, v in face.box._asdict().items()}
    shares = None
    if probabilities is not None:
        shares = {name: round(float(value), 4) for name, value in zip(class_names, probabilities, strict=True)}
    score = None if face is None else round(float(face.score), 4)
    return {**box, "score": score, "label": label or None, "probabilities": shares}
