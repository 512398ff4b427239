"""Saved networks for inference alone, compiled: what predicting asks of a framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.framework import import_backend, switch_off_graph_rewriting
from fer_tl.core.progress import seconds_by_turns
from fer_tl.runs.predictions import softmax

Logits = Callable[[np.ndarray], np.ndarray]

# Of probabilities: what bfloat16 may change at most where it is tried.
LARGEST_DIFFERENCE = 0.01
LEAST_GAIN = 1.05
# Images and repeats of a trial: on two cores it takes less than a second.
TRIED, ROUNDS = 64, 3


@dataclass(frozen=True, eq=False)
class Network:
    """A saved model that computes.

    Attributes:
        class_names: the K classes, in the order of its logits.
        image_shape: height, width and channels that it takes.
        logits: from uint8 ``[B, H, W, C]``, 0..255, to float32 ``[B, K]``; any B.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    logits: Logits


def open_network(path: Path, brief: bool = False, precision: str = "float32", temperature: float = 1.0) -> Network:
    """Load what ``fer_tl.runs.saved_model.save_model`` wrote, and compile it.

    It computes in float32 whatever it was trained in, unless another ``precision`` is asked for.

    Args:
        path: of the ``.keras`` file.
        brief: leave BatchNorm as it is, see ``fer_tl.inference.predictor.load``.
        precision: as there.
        temperature: what its logits are divided by, for the comparison of "auto".

    Raises:
        UserError: missing, damaged, or not written by fer-tl.
    """
    backend = import_backend()
    from fer_tl.models.folding import fold_batch_norm
    from fer_tl.runs.saved_model import compute_in_bfloat16, compute_in_float32, load_model

    model, class_names = load_model(path)
    compute_in_float32(model)
    network = model if brief else fold_batch_norm(model)
    compile_network = _compile_for_jax if backend == "jax" else _compile_for_tensorflow
    logits = compile_network(network)
    if precision != "float32":
        import keras

        rounded = keras.models.clone_model(network)
        rounded.set_weights(network.get_weights())
        compute_in_bfloat16(rounded)
        half = compile_network(rounded)
        logits = half if precision == "bfloat16" else Trial(logits, half, temperature)
    return Network(class_names, tuple(model.input_shape[1:]), logits)


class Trial:
    """Logits of two networks that should answer alike: the exact one, until the first images have shown whether the
    other one is faster and near enough.

    Attributes:
        outcome: a line on what they have shown; "" before.

    Args:
        exact: that is kept unless the other one wins.
        other: gives the same but for rounding.
        temperature: what logits are divided by before probabilities are compared.
    """

    def __init__(self, exact: Logits, other: Logits, temperature: float):
        self._chosen, self._pair, self._temperature = exact, (exact, other), temperature
        self.outcome = ""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if not self.outcome:
            self._try(np.resize(images, (TRIED, *images.shape[1:])))
        return self._chosen(images)

    def _try(self, images: np.ndarray) -> None:
        answers = [softmax(logits(images) / self._temperature) for logits in self._pair]  # traces as well
        difference = float(np.abs(answers[0] - answers[1]).max())
        seconds = seconds_by_turns([partial(logits, images) for logits in self._pair], ROUNDS)
        is_near, gain = difference <= LARGEST_DIFFERENCE, seconds[0] / seconds[1]
        wins = is_near and gain > LEAST_GAIN
        self._chosen = self._pair[wins]
        self.outcome = (
            f"precision: {'bfloat16' if wins else 'float32'}; bfloat16 takes {1 / gain:.2f} of the time, and moves a "
            f"probability by {difference:.4f} at most"
        )


def _compile_for_tensorflow(network: Any) -> Logits:
    import tensorflow as tf

    switch_off_graph_rewriting()
    call = tf.function(
        lambda images: network(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec(network.input_shape, tf.uint8)],
        autograph=False,
    )
    return lambda images: call(tf.constant(images)).numpy()


def _compile_for_jax(network: Any) -> Logits:
    import jax
    import keras

    variables = network.variables

    @jax.jit
    def call(values: list[Any], images: Any) -> Any:
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return network(images.astype("float32"), training=False)

    return lambda images: np.asarray(call([v.value for v in variables], fill(images)))[: len(images)]


def fill(values: np.ndarray) -> np.ndarray:
    """Values ``[B, ...]``, repeated up to a power of two of them: XLA compiles for a shape."""
    return np.resize(values, (1 << (len(values) - 1).bit_length(), *values.shape[1:]))
