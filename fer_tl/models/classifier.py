"""A classifier: raw pixels in, logits out, as one flat functional Keras model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.config import Experiment, Head
from fer_tl.core.errors import UserError, one_line, raised_where
from fer_tl.core.saved_models import NO_LAYERS
from fer_tl.models.pixels import copy_standardization, rgb_to_grey, scale_pixels
from fer_tl.models.resolve import ModelSpec, resolve_model
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

    Raises:
        UserError: see ``resolve_model``.
    """
    import keras

    spec = resolve_model(experiment)
    inputs = keras.Input(image_shape, dtype="float32", name="image")  # [B, H, W, C]
    scaling = spec.scaling if weights_file is not None else spec.backbone.scaling
    scaled = scale_pixels(_fit_shape(inputs, spec), scaling, spec.pixels)  # [B, S, S, C']
    base, alone = _build_backbone(spec, scaled)
    if weights_file is not None:
        load_weights(alone, weights_file, spec.backbone)
        if spec.start and spec.pixels == "standardized":
            copy_standardization(base, weights_file)
    inside = {id(layer) for layer in alone.layers if not isinstance(layer, keras.layers.InputLayer)}
    backbone_layers = [layer for layer in base.layers if id(layer) in inside]
    logits = _add_head(base.output, spec.head, classes)
    return Classifier(keras.Model(inputs, logits, name=experiment.backbone), backbone_layers)


def _build_backbone(spec: ModelSpec, scaled: Any) -> tuple[Any, Any]:
    """The backbone on scaled pixels ``[B, S, S, C']``, with the layers in front of it, of which one has numbers that no
    file of weights holds, and alone; what is no backbone is a ``UserError``, for packages give them too."""
    import keras

    name = spec.backbone.name
    try:
        base = spec.backbone.build(scaled, spec.variant)
        alone = keras.Model(scaled, base.output) if isinstance(base, keras.Model) else None
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"the backbone {name} cannot be built at {spec.size} pixels: {one_line(error)}") from error
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # whatever else the code of a package raises
        raise UserError(f"the backbone {name} cannot be built at {spec.size} pixels: {raised_where(error)}") from error
    if not isinstance(base, keras.Model) or len(base.output.shape) != 4:
        found = f"a model with the output {base.output.shape}" if isinstance(base, keras.Model) else type(base).__name__
        raise UserError(
            f"the backbone {name} was built as {found}, not as a keras.Model with a feature map [B, h, w, F]"
        )
    if spec.variant.alpha == 1 and base.output.shape[-1] != spec.backbone.features:
        raise UserError(
            f"the backbone {name} has features={spec.backbone.features} in its record, and its feature map "
            f"{base.output.shape[-1]}: correct the record"
        )
    for layer in base.layers:
        kind = type(layer)
        if kind.__module__.partition(".")[0] != "keras" or kind.__name__ in NO_LAYERS:
            raise UserError(
                f"the backbone {name} has a layer of the class {kind.__name__}, which no saved model may have: to "
                "load it would run code; build it of Keras's own layers"
            )
    return base, alone


def _fit_shape(images: Any, spec: ModelSpec) -> Any:
    """Resize and repeat: ``[B, H, W, C]`` to ``[B, S, S, C']``, C' as the backbone takes it."""
    import keras

    x = images
    height, width, channels = x.shape[1:]
    if (height, width) != (spec.size, spec.size):
        # training=False: the layer's own default is True, and in a call of the model that does not say (as people call
        # a saved one) Keras 3.15 hands that on to all layers behind it: dropout at work, BatchNorm on batch statistics.
        resize = keras.layers.Resizing(spec.size, spec.size, interpolation="bilinear", dtype="float32", name="resize")
        x = resize(x, training=False)  # [B, S, S, C]
    seen = spec.channels_for(channels)
    if seen > channels:
        x = keras.layers.Concatenate(dtype="float32", name="grey_to_rgb")([x, x, x])  # [B, S, S, 3]
    return rgb_to_grey(x) if seen < channels else x


def _add_head(features: Any, head: Head, classes: int) -> Any:
    """Feature map ``[B, h, w, F]`` to float32 logits ``[B, K]``."""
    import keras

    assert head.dense is not None
    assert head.dropout is not None
    if head.pooling == "flatten":
        y = keras.layers.Flatten(name="head_flatten")(features)
    else:
        pool = keras.layers.GlobalAveragePooling2D if head.pooling == "avg" else keras.layers.GlobalMaxPooling2D
        y = pool(name="head_pool")(features)  # [B, F]
    for index, width in enumerate(head.dense):
        if head.dropout[index]:
            y = keras.layers.Dropout(head.dropout[index], name=f"head_dropout{index}")(y)
        if head.batch_norm:
            y = keras.layers.Dense(width, name=f"head_dense{index}")(y)
            y = keras.layers.BatchNormalization(name=f"head_bn{index}")(y)
            y = keras.layers.Activation(head.activation, name=f"head_{head.activation}{index}")(y)
        else:
            y = keras.layers.Dense(width, activation=head.activation, name=f"head_dense{index}")(y)
    if head.dropout[-1]:
        y = keras.layers.Dropout(head.dropout[-1], name="head_dropout")(y)
    # float32 also under mixed precision: a softmax of half-precision logits loses digits.
    return keras.layers.Dense(classes, dtype="float32", name="logits")(y)  # [B, K]
