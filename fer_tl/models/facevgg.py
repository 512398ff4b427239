"""FaceVGG, our own networks for faces of 48 pixels: small enough to train from random weights on two cores."""

from __future__ import annotations

from typing import Any

from fer_tl.models.record import Variant

WIDTHS = (32, 64, 128, 256)
"""Channels of the four stages for alpha 1."""


def build_facevgg(images: Any, variant: Variant) -> Any:
    """Four stages of two 3x3 convolutions and 2x2 max pooling, as in the VGG nets (Simonyan & Zisserman, ICLR 2015).

    What differs from them is known to serve small images: BatchNorm behind every convolution, and no dense layers,
    which hold four fifths of the weights of VGG nets trained on FER-2013 from random numbers. The widths are a half,
    at alpha 1, of those that Pramerdorfer & Kampel (arXiv 1612.02903) and others train for 72 to 73 %.

    Args:
        images: scaled pixels ``[B, S, S, C]``.
        variant: ``alpha`` times ``WIDTHS``: 1.17, 2.64 and 4.69 million parameters at 1, 1.5 and 2.

    Returns:
        keras.Model to ``[B, S / 16, S / 16, 256 alpha]``.
    """
    import keras

    x = images
    for stage, filters in enumerate(WIDTHS, start=1):
        width = round(variant.alpha * filters)
        for place in (1, 2):
            name = f"stage{stage}_{place}"
            # He's initialization; no bias, since BatchNorm has its own.
            x = keras.layers.Conv2D(
                width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = keras.layers.MaxPooling2D(name=f"stage{stage}_pool")(x)  # [B, S / 2**stage, S / 2**stage, width]
    return keras.Model(keras.utils.get_source_inputs(images), x, name="facevgg")
