"""Builders of the papers' own small networks, which are trained from random weights on the channels that the data has.

They start at the source inputs of their images: Keras would add a second call of every layer to a model that starts
at an inner tensor.
"""

from __future__ import annotations

from typing import Any

from fer_tl.models.record import Variant
from fer_tl.models.residual import leave_out


def build_shallow_cnn(images: Any, variant: Variant) -> Any:
    """The shallow CNN of Li et al.; widths ours: ``[B, S, S, C]`` to ``[B, S / 16, S / 16, 128 alpha]``."""
    import keras

    x = images
    for block, filters in enumerate((32, 64, 128, 128), start=1):
        width = round(variant.alpha * filters)
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{block}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"bn{block}")(x)
        x = keras.layers.ReLU(name=f"relu{block}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)  # [B, S / 2**block, S / 2**block, width]
        x = keras.layers.Dropout(0.25, name=f"dropout{block}")(x)
    return keras.Model(keras.utils.get_source_inputs(images), x, name="shallow_cnn")


def build_pham(images: Any, variant: Variant) -> Any:
    """The net of Pham: that of Gudi with max pooling after the second convolution and BatchNorm everywhere.

    Gudi (arXiv 1512.00743, section 4.1.1): 5x5 convolution, 3x3 pooling with stride 2, 5x5 and 4x4 convolution, none
    of them padded, 48 to 44, 22, 18 and 15 pixels. Pham's pooling makes that 44, 22, 18, 9 and 6.

    Returns:
        keras.Model from ``[B, 48, 48, C]`` to ``[B, 6, 6, 128]``.
    """
    import keras

    x = images
    for block, (filters, side) in enumerate(((64, 5), (64, 5), (128, 4)), start=1):
        x = keras.layers.Conv2D(filters, side, use_bias=False, name=f"conv{block}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"bn{block}")(x)
        x = keras.layers.ReLU(name=f"relu{block}")(x)
        if block < 3:
            x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{block}")(x)
    return keras.Model(keras.utils.get_source_inputs(images), x, name="pham")


# Of the four blocks; ours, the paper's are not known to us.
LIU_WIDTHS = (32, 64, 128, 256)


def build_liu(
    images: Any, variant: Variant, name: str, blocks: int = 4, batch_norm: bool = False, residual: bool = False
) -> Any:
    """A CNN of Liu: convolutions, each with 2x2 max pooling, ``[B, S, S, C]`` to ``[B, S / 2**blocks, ..., F]``.

    Args:
        images: scaled pixels ``[B, S, S, C]``.
        variant: its activation and stochastic depth.
        name: of the model.
        blocks: convolutions, 4 at most.
        batch_norm: between each convolution and its activation.
        residual: a residual block of two 3x3 convolutions behind each pooling.
    """
    import keras

    def conv(x: Any, filters: int, label: str) -> Any:
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=not batch_norm, name=f"conv{label}")(x)
        return keras.layers.BatchNormalization(momentum=0.9, name=f"bn{label}")(x) if batch_norm else x

    def activate(x: Any, label: str) -> Any:
        return keras.layers.Activation(variant.activation, name=f"{variant.activation}{label}")(x)

    x = images
    for block, filters in enumerate(LIU_WIDTHS[:blocks], start=1):
        x = activate(conv(x, filters, f"{block}"), f"{block}")
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)  # [B, S / 2**block, S / 2**block, filters]
        if residual:
            # Behind the pooling: in front of it, the same block took four times the work (202 instead of 75 million
            # multiplications in all, 2.5 times slower to train).
            y = activate(conv(x, filters, f"{block}a"), f"{block}a")
            y = conv(y, filters, f"{block}b")
            y = leave_out(y, variant.stochastic_depth * block / blocks, f"block{block}")
            y = keras.layers.Add(name=f"add{block}")([x, y])
            x = activate(y, f"{block}b")
    return keras.Model(keras.utils.get_source_inputs(images), x, name=name)
