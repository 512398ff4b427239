"""What the tests of builds share."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.data.building.pairs import Compared


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs each exact comparison from here on looks at."""
    counts: list[int] = []
    look = Compared.are_copies

    def counted(self: Compared, left: np.ndarray, right: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        counts.append(len(left))
        return look(self, left, right, mirrored)

    monkeypatch.setattr(Compared, "are_copies", counted)
    return counts
