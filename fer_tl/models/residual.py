"""What networks with residual blocks share."""

from __future__ import annotations

from typing import Any


def leave_out(branch: Any, probability: float, name: str) -> Any:
    """Stochastic depth (Huang et al., ECCV 2016): training leaves the branch of a residual block out of some images.

    Their rule (equation 4) makes the probability grow linearly from the first block to the last. As in Keras's own
    EfficientNet it is a dropout of whole images, which divides what stays by its probability, so that prediction needs
    no factor; a saved model is of Keras's layers alone.

    Args:
        branch: ``[B, h, w, F]``, what would be added to the shortcut.
        probability: that an image does without it, 0..0.9.
        name: of the block.
    """
    import keras

    if not probability:
        return branch
    return keras.layers.Dropout(probability, noise_shape=(None, 1, 1, 1), name=f"{name}_stochastic_depth")(branch)
