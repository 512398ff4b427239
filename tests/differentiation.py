"""Gradients as the framework itself computes them, to compare the engines with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def value_and_gradients(variables: list[Any], objective: Callable[[], Any]) -> tuple[float, list[np.ndarray]]:
    """A function of variables, and its gradient with respect to each."""
    if keras.backend.backend() == "jax":
        import jax

        def function(values: list[Any]) -> Any:
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                return objective()

        value, gradients = jax.value_and_grad(function)([v.value for v in variables])
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = objective()
        gradients = tape.gradient(value, [v.value for v in variables])
    return float(value), [np.asarray(gradient) for gradient in gradients]
