"""A network of one block, in place of a deep one where a test is of what surrounds it."""

from __future__ import annotations

from typing import Any

from fer_tl.models.record import Variant


def build(images: Any, variant: Variant) -> Any:
    """With all that a deeper one has to restore: statistics of BatchNorm, and dropout."""
    import keras

    x = keras.layers.Conv2D(16, 4, strides=4, use_bias=False, name="conv1")(images)
    x = keras.layers.ReLU(name="relu1")(keras.layers.BatchNormalization(momentum=0.9, name="bn1")(x))
    x = keras.layers.Dropout(0.25, name="dropout1")(x)
    return keras.Model(keras.utils.get_source_inputs(images), x, name="shallow_cnn")
