"""The engine of the framework that Keras computes with."""

from __future__ import annotations

import keras

from fer_tl.engines.base import Engine


def choose_engine() -> type[Engine]:
    """The class of engines for Keras's backend."""
    kind: type[Engine]
    if keras.backend.backend() == "jax":
        from fer_tl.engines.jax_engine import JaxEngine as kind
    else:
        from fer_tl.engines.tensorflow_engine import TensorFlowEngine as kind
    return kind
