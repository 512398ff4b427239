"""What training minimizes: the loss of each image, and the penalty on the weights. Written with ``keras.ops``."""

from __future__ import annotations

from typing import Any

from fer_tl.core.config import Loss


def image_losses(settings: Loss, logits: Any, targets: Any, offsets: Any = None) -> Any:
    """The loss of each image.

    - ``smoothing`` s replaces the targets t by ``(1 - s) t + s / K`` (Szegedy et al., "Rethinking the Inception
      architecture for computer vision", CVPR 2016, section 7);
    - ``cross_entropy`` is ``-sum_k t_k log p_k``;
    - ``focal`` is ``-sum_k t_k (1 - p_k)^gamma log p_k``: Lin et al., "Focal loss for dense object detection", ICCV
      2017, equation 4, without its class weight alpha. The paper has one true class; the sum over soft targets is ours,
      and the same where they are one-hot.

    Args:
        settings: of the experiment.
        logits: float32 ``[B, K]``.
        targets: float32 ``[B, K]``, rows that sum to 1.
        offsets: float32 ``[K]`` from ``fer_tl.engines.plan.adjustment``, added to the logits; None for none.

    Returns:
        float32 ``[B]``.
    """
    from keras import ops

    if offsets is not None:
        logits = logits + offsets
    if settings.smoothing:
        targets = (1 - settings.smoothing) * targets + settings.smoothing / targets.shape[-1]
    if settings.name == "cross_entropy":
        return ops.categorical_crossentropy(targets, logits, from_logits=True)
    log_p = ops.log_softmax(logits)
    # Not down to 0, where the slope of a power below 1 is infinite.
    miss = ops.maximum(1 - ops.exp(log_p), 1e-7)
    gamma = 2.0 if settings.gamma is None else settings.gamma  # what works best in their table 1b
    return -ops.sum(targets * ops.power(miss, gamma) * log_p, axis=-1)


def weight_penalty(l2: float, variables: list[Any]) -> Any:
    """``l2`` times the sum of the squares of the kernels of convolutions and dense layers, a float32 scalar.

    Without a factor 1/2, as ``keras.regularizers.L2``. Biases and BatchNorm's scales are left out: they are not what
    makes a function rough.

    Args:
        l2: factor.
        variables: Keras variables; those that are no kernels are ignored.
    """
    from keras import ops

    return l2 * sum(ops.sum(ops.square(v.value)) for v in variables if v.name.endswith("kernel"))
