"""ResNet18, which Keras does not have: basic blocks of the first version (He et al., CVPR 2016, table 1)."""

from __future__ import annotations

from typing import Any

from fer_tl.models.record import Variant
from fer_tl.models.residual import leave_out


def build_resnet18(images: Any, variant: Variant) -> Any:
    """ResNet18 with one of two stems.

    Args:
        images: scaled pixels ``[B, S, S, C]``.
        variant: ``stem`` "7x7" shrinks by 4 before the first block, as for ImageNet; "3x3" by nothing, as He et al.
            do for the 32-pixel images of CIFAR-10. ``alpha`` times 64, 128, 256 and 512 channels.

    Returns:
        keras.Model to ``[B, S / 32, S / 32, 512 alpha]``, or ``[B, S / 8, S / 8, 512 alpha]`` behind the 3x3 stem.
    """
    import keras

    widths = [round(variant.alpha * filters) for filters in (64, 128, 256, 512)]
    if variant.stem == "7x7":
        x = keras.layers.ReLU(name="stem_relu")(_conv_bn(images, widths[0], 7, 2, "stem"))
        # Zeros are no larger than anything behind a ReLU.
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)  # [B, S / 4, S / 4, 64 alpha]
    else:
        x = keras.layers.ReLU(name="stem_relu")(_conv_bn(images, widths[0], 3, 1, "stem"))  # [B, S, S, 64 alpha]
    blocks = 2 * len(widths)
    for index in range(blocks):
        stage, place = index // 2, index % 2 + 1
        dropped = variant.stochastic_depth * (index + 1) / blocks
        stride = 2 if place == 1 and stage else 1
        x = _basic_block(x, widths[stage], stride, dropped, f"stage{stage + 1}_block{place}")
    return keras.Model(keras.utils.get_source_inputs(images), x, name="resnet18")


def _basic_block(x: Any, filters: int, stride: int, dropped: float, name: str) -> Any:
    """Two 3x3 convolutions around a shortcut, which is projected where the shape changes (option B of the paper)."""
    import keras

    y = keras.layers.ReLU(name=f"{name}_relu1")(_conv_bn(x, filters, 3, stride, f"{name}_1"))
    y = leave_out(_conv_bn(y, filters, 3, 1, f"{name}_2"), dropped, name)
    if stride != 1 or x.shape[-1] != filters:
        x = _conv_bn(x, filters, 1, stride, f"{name}_shortcut")
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu2")(x)  # [B, h / stride, w / stride, filters]


def _conv_bn(x: Any, filters: int, side: int, stride: int, name: str) -> Any:
    import keras

    padding = "same"
    if stride > 1 and side > 1:
        # "same" would pad an even side on the right and below only, and so see another grid than other frameworks.
        x = keras.layers.ZeroPadding2D(side // 2, name=f"{name}_pad")(x)
        padding = "valid"
    # He's initialization; no bias, since BatchNorm has its own.
    x = keras.layers.Conv2D(
        filters,
        side,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
