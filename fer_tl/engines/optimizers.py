"""Optimizers from their settings, and what is done to gradients before they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fer_tl.core.config import Optimizer

# Names of variables that decay leaves alone: all but kernels, those of depthwise convolutions too ("depthwise_kernel";
# TensorFlow writes "conv/kernel:0"). To shrink BatchNorm's gamma, or a bias, changes the function at no gain: He et
# al., "Bag of tricks for image classification with convolutional neural networks", CVPR 2019, section 3.1.
_NO_KERNEL = r"^(?!.*kernel(:\d+)?$)"


def make_optimizer(settings: Optimizer, precision: str) -> Any:
    """A Keras optimizer with Keras's own defaults for what the settings do not name; decay shrinks kernels only.

    Gradient clipping is not left to it: under several replicas Keras would clip each replica's part, see
    ``clip_by_global_norm``. With ``mixed_float16`` it is wrapped so that the loss is scaled.
    """
    import keras

    decay = settings.decay or None
    optimizer: Any
    if settings.name == "adam":
        optimizer = keras.optimizers.Adam(settings.rate, weight_decay=decay)
    elif settings.name == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        optimizer = keras.optimizers.SGD(settings.rate, settings.momentum, nesterov=nesterov, weight_decay=decay)
    else:
        optimizer = keras.optimizers.RMSprop(settings.rate, weight_decay=decay)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=[_NO_KERNEL])
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def loss_scale(optimizer: Any) -> Any:
    """What an optimizer multiplies the loss by now: more than 1 with ``mixed_float16`` only."""
    scale = getattr(optimizer, "dynamic_scale", None)
    return 1.0 if scale is None else scale.value


def apply_gradients(optimizer: Any, gradients: list[Any], variables: list[Any], scales: Sequence[float] = ()) -> None:
    """Let an optimizer make a step, of which each variable takes its own part.

    To scale the step is to scale the rate, also that of the decoupled decay: the steps of all optimizers here are
    proportional to their rate. To scale the gradient would change nothing with Adam.

    Args:
        optimizer: built on these variables.
        gradients: of each of them.
        variables: Keras variables.
        scales: of each variable, as from ``fer_tl.training.layer_rates``; none where all take the whole step.
    """
    from keras import ops

    before = [ops.copy(v) for v in variables] if scales else []
    optimizer.apply(gradients, variables)
    if scales:
        for variable, value in zip(variables, scaled_steps(before, variables, scales), strict=True):
            if value is not variable:
                variable.assign(value)


def scaled_steps(before: Sequence[Any], after: Sequence[Any], scales: Sequence[float]) -> list[Any]:
    """Where variables come to with these parts of their steps; with the whole steps, to the last bit, for none."""
    if not scales:
        return list(after)
    steps = zip(before, after, scales, strict=True)
    return [new if scale == 1.0 else old + scale * (new - old) for old, new, scale in steps]


def clip_by_global_norm(gradients: list[Any], limit: float) -> list[Any]:
    """Scale all gradients by one factor so that their joint Euclidean norm is at most ``limit``.

    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1.
    """
    from keras import ops

    norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32"))) for gradient in gradients))
    factor = limit / ops.maximum(norm, limit)
    return [gradient * ops.cast(factor, gradient.dtype) for gradient in gradients]
