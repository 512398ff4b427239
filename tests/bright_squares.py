"""A face detector for other processes to import, which a file in the folder at hand lets die or wait."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

MARKED = 77  # level of the first pixel of a picture that it dies or waits at
DIES, WAITS = Path("dies"), Path("waits")
_LONGEST_WAIT = 5.0  # seconds


def find(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Where it is bright, as one face; none where it is nowhere."""
    if image[0, 0, 0] == MARKED:
        if DIES.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        until = time.monotonic() + _LONGEST_WAIT
        while WAITS.exists() and time.monotonic() < until:
            time.sleep(0.05)
    rows, columns = np.nonzero(image[..., 0] > 100)
    return [(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)] if len(rows) else []
