"""A trained model in memory: what an estimator holds, pickles and answers with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.core.randomness import kept_states

if TYPE_CHECKING:
    from fer_tl.inference.compiled import Network

_BATCH = 64  # images of one call of the network, as of fer_tl.inference.predictor


class SavedNetwork:
    """The content of a ``.keras`` file, which is loaded and compiled at its first question. Pickles hold the content
    alone, so they open in another process, and with the other framework.

    Args:
        content: of the file.
    """

    def __init__(self, content: bytes):
        self.content = content
        self._network: Network | None = None

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits float32 ``[N, K]`` of images uint8 ``[N, S, S, C]``, 0..255."""
        network = self._open()
        return np.concatenate([network.logits(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)])

    def _open(self) -> Network:
        if self._network is None:
            from fer_tl.inference.compiled import open_network

            with kept_states(), tempfile.TemporaryDirectory(prefix="fer-tl-") as folder:
                path = Path(folder) / "model.keras"
                path.write_bytes(self.content)
                # Without folding BatchNorm: the same numbers as in training, and cross validations ask only once.
                self._network = open_network(path, brief=True)
        return self._network

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self.content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["content"])  # type: ignore[misc]
