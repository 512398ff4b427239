"""A classifier: raw pixels in, logits out, as one flat functional Keras model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_tl.config import Experiment
from fer_tl.models.backbones import resolve_model
from fer_tl.models.weights import load_weights


@dataclass(frozen=True)
class Classifier:
    """A model and the layers of its backbone, in order, that stages freeze and unfreeze."""

    model: Any
    backbone_layers: list[Any]


def build_classifier(
    experiment: Experiment, image_shape: tuple[int, int, int], classes: int, weights_file: Path | None
) -> Classifier:
    """Build the model of an experiment.

    Everything that the backbone wants done to its input is a layer: the model takes raw pixels, so a saved one needs
    no knowledge beside it. All layers are Keras's own: it loads without fer-tl.

    Args:
        experiment: names backbone, side, head, precision.
        image_shape: height, width and channels (1 or 3) of the stored images.
        classes: K.
        weights_file: from ``find_weights``; None starts from random numbers.

    Returns:
        A model from pixels 0..255 ``[B, H, W, C]``, uint8 or float32, to float32 logits ``[B, K]``.
    """
    import keras

    backbone, size, head = resolve_model(experiment)
    height, width, channels = image_shape
    inputs = keras.Input(image_shape, dtype="float32", name="image")  # [B, H, W, C]
    x, before = inputs, []
    if (height, width) != (size, size):
        # training=False: the layer's own default is True, and in a call of the model that does not say (as people call
        # a saved one) Keras 3.15 hands that on to all layers behind it: dropout at work, BatchNorm on batch statistics.
        resize = keras.layers.Resizing(size, size, interpolation="bilinear", dtype="float32", name="resize")
        x = resize(x, training=False)  # [B, S, S, C]
        before.append(resize)
    if channels == 1 and backbone.rgb:
        grey_to_rgb = keras.layers.Concatenate(dtype="float32", name="grey_to_rgb")
        x = grey_to_rgb([x, x, x])  # [B, S, S, 3]
        before.append(grey_to_rgb)
    # A file under its official name holds the published weights, wherever it lies; any other was trained on this model.
    official = backbone.imagenet(experiment.alpha, size).name if backbone.imagenet else None
    base = backbone.build(x, experiment.alpha, weights_file is not None and weights_file.name == official)
    if weights_file is not None:
        load_weights(base, weights_file, backbone)
    backbone_layers = [
        layer for layer in base.layers if layer not in before and not isinstance(layer, keras.layers.InputLayer)
    ]

    y = base.output  # [B, h, w, F]
    if head.pooling == "flatten":
        y = keras.layers.Flatten(name="head_flatten")(y)
    else:
        pool = keras.layers.GlobalAveragePooling2D if head.pooling == "avg" else keras.layers.GlobalMaxPooling2D
        y = pool(name="head_pool")(y)  # [B, F]
    assert head.dense is not None
    assert head.dropout is not None
    for index, width in enumerate(head.dense):
        if head.dropout[index]:
            y = keras.layers.Dropout(head.dropout[index], name=f"head_dropout{index}")(y)
        y = keras.layers.Dense(width, activation=head.activation, name=f"head_dense{index}")(y)
    if head.dropout[-1]:
        y = keras.layers.Dropout(head.dropout[-1], name="head_dropout")(y)
    # float32 also under mixed precision: a softmax of half-precision logits loses digits.
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(y)  # [B, K]
    return Classifier(keras.Model(inputs, logits, name=experiment.backbone), backbone_layers)
