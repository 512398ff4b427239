"""The face detectors that have a name: the one place that lists them. Each is a module of this folder."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT = "mtcnn"
"""The best of those that work without the network and with every OpenCV once fer-tl[vision] is installed; figures are
in benchmarks/results/face-detection.md."""


@dataclass(frozen=True)
class KnownDetector:
    """A detector by its name.

    Attributes:
        name: as options, datasets and models say it.
        opener: "module:function" that opens it, given OpenCV, the file of its model or None, and whether to be fast.
        eyes: whether it says where the eyes are, which alignment needs.
        model: whether ``--detector-model`` may give its file.
    """

    name: str
    opener: str
    eyes: bool
    model: bool = False


KNOWN = {
    known.name: known
    for known in (
        KnownDetector("mtcnn", "fer_tl.faces.mtcnn:open_mtcnn", eyes=True),
        KnownDetector("yunet", "fer_tl.faces.yunet:open_yunet", eyes=True, model=True),
        KnownDetector("haar", "fer_tl.faces.haar:open_haar", eyes=False),
    )
}

WITH_EYES = tuple(name for name, known in KNOWN.items() if known.eyes)

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_<][\w.<>]*")


def is_function(name: str) -> bool:
    """Whether a name is that of somebody's function, "package.module:function"."""
    return _FUNCTION.fullmatch(name) is not None


def is_detector(name: str) -> bool:
    """Whether a dataset or model may say that its faces were found by this."""
    return name in KNOWN or is_function(name)
