"""Builders of the backbones that come with Keras, without their heads and with random weights.

``input_tensor`` keeps the graph flat: the layers of the application become layers of the classifier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fer_tl.models.record import Variant


def build_mobilenetv2(images: Any, variant: Variant) -> Any:
    """MobileNetV2 (Sandler et al., CVPR 2018): ``[B, S, S, C]`` to ``[B, S / 32, S / 32, 1280]``."""
    import keras

    return keras.applications.MobileNetV2(input_tensor=images, include_top=False, weights=None, alpha=variant.alpha)


def build_efficientnetb0(images: Any, variant: Variant) -> Any:
    """EfficientNetB0 (Tan and Le, ICML 2019): ``[B, S, S, C]``, 0..255, to ``[B, S / 32, S / 32, 1280]``."""
    import keras

    model = keras.applications.EfficientNetB0(input_tensor=images, include_top=False, weights=None)
    for layer in model.layers:
        # Pixels 0..255 do not fit the 8 bits of a bfloat16 number; the scaling stays float32 in any precision.
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            layer.dtype_policy = "float32"
    return model


def application(name: str) -> Callable[[Any, Variant], Any]:
    """Builder of a network of ``keras.applications`` that has one form only."""

    def build(images: Any, variant: Variant) -> Any:
        import keras

        return getattr(keras.applications, name)(input_tensor=images, include_top=False, weights=None)

    return build
