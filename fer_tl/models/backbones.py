"""The registry of backbones: one record each, no import magic. Keras is imported only when a model is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fer_tl.config import Experiment, Head
from fer_tl.errors import UserError, suggest

KERAS_FILES = "https://storage.googleapis.com/"


@dataclass(frozen=True)
class WeightsFile:
    """A file of pretrained weights: its name in the Keras cache, where it comes from, and its md5 if known."""

    name: str
    url: str
    md5: str | None = None


@dataclass(frozen=True)
class Backbone:
    """What fer-tl knows of one backbone.

    Attributes:
        build: ``(images, alpha, published) -> keras.Model`` on a float32 Keras tensor ``[B, S, S, C]``, 0..255;
            it contains the scaling that the weights expect.
        features: width of the feature map for alpha 1.
        parameters: of the backbone alone for alpha 1, with the channels it expects.
        default_size: side in pixels when none is asked for.
        min_size: smallest side that the architecture takes.
        rgb: whether grey images are repeated to three channels.
        head: the default head.
        imagenet: ``(alpha, size) -> WeightsFile``, or None where there are no ImageNet weights.
        licence: of the weights.
    """

    name: str
    build: Callable[[Any, float, bool], Any]
    features: int
    parameters: int
    default_size: int
    min_size: int
    rgb: bool
    head: Head
    imagenet: Callable[[float, int], WeightsFile] | None = None
    alphas: tuple[float, ...] = (1.0,)
    licence: str = "-"


def _mobilenetv2(images: Any, alpha: float, published: bool) -> Any:
    import keras

    # Inputs -1..1: keras/src/applications/mobilenet_v2.py, preprocess_input mode "tf".
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="scale")(images)
    return keras.applications.MobileNetV2(input_tensor=scaled, include_top=False, weights=None, alpha=alpha)


def _mobilenetv2_file(alpha: float, size: int) -> WeightsFile:
    # Keras trained one file a size; it silently takes the 224 one for any other, we take the nearest.
    trained = min((96, 128, 160, 192, 224), key=lambda rows: (abs(rows - size), rows))
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{trained}_no_top.h5"
    return WeightsFile(name, f"{KERAS_FILES}tensorflow/keras-applications/mobilenet_v2/{name}")


# Mean and variance of ImageNet's channels as in the EfficientNet weight files (red, green, blue, 0..1).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STDDEV = (0.229, 0.224, 0.225)


def _efficientnetb0(images: Any, alpha: float, published: bool) -> Any:
    import keras

    if published:
        # The published weights were trained on (x/255 - mean) / stddev, but the network's Normalization layer divides
        # by sqrt(stddev) only; keras.applications adds the missing 1/sqrt(stddev) only for weights="imagenet" (keras
        # efficientnet.py; tensorflow issue 49930). That factor r is applied here, in front: scaling x/255 to
        # mean + r (x/255 - mean) gives the same output, and any file with these weights then loads the same way.
        factors = [stddev**-0.5 for stddev in IMAGENET_STDDEV]
        offsets = [255 * mean * (1 - factor) for mean, factor in zip(IMAGENET_MEAN, factors, strict=True)]
        images = keras.layers.Rescaling(factors, offset=offsets, dtype="float32", name="scale")(images)
    model = keras.applications.EfficientNetB0(input_tensor=images, include_top=False, weights=None)
    for layer in model.layers:
        # Pixels 0..255 do not fit the 8 bits of a bfloat16 number; the scaling stays float32 in any precision.
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            layer.dtype_policy = "float32"
    return model


def _efficientnetb0_file(alpha: float, size: int) -> WeightsFile:
    # md5 as in keras/src/applications/efficientnet.py, WEIGHTS_HASHES["b0"].
    name = "efficientnetb0_notop.h5"
    return WeightsFile(name, f"{KERAS_FILES}keras-applications/{name}", md5="50bc09e76180e00e4465e1a485ddc09d")


def _shallow_cnn(images: Any, alpha: float, published: bool) -> Any:
    import keras

    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="scale")(images)
    for block, filters in enumerate((32, 64, 128, 128), start=1):
        x = keras.layers.Conv2D(round(alpha * filters), 3, padding="same", use_bias=False, name=f"conv{block}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"bn{block}")(x)
        x = keras.layers.ReLU(name=f"relu{block}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)  # [B, S / 2**block, S / 2**block, filters]
        x = keras.layers.Dropout(0.25, name=f"dropout{block}")(x)
    # From the very input: Keras would copy the layers of a model that starts at an inner tensor.
    return keras.Model(keras.utils.get_source_inputs(images), x, name="shallow_cnn")


_GAP = Head(pooling="avg", dense=(), activation="relu", dropout=(0.2,))

BACKBONES: dict[str, Backbone] = {
    record.name: record
    for record in (
        Backbone(
            name="mobilenetv2",
            build=_mobilenetv2,
            features=1280,
            parameters=2_257_984,
            default_size=96,
            min_size=32,
            rgb=True,
            head=_GAP,
            imagenet=_mobilenetv2_file,
            alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
            licence="Apache-2.0",
        ),
        Backbone(
            name="efficientnetb0",
            build=_efficientnetb0,
            features=1280,
            parameters=4_049_571,  # the 4,049,564 of the papers and 7 in Keras's Normalization layer
            default_size=96,
            min_size=32,
            rgb=True,
            head=_GAP,
            imagenet=_efficientnetb0_file,
            licence="Apache-2.0",
        ),
        Backbone(
            name="shallow_cnn",
            build=_shallow_cnn,
            features=128,
            parameters=241_312,
            default_size=48,
            min_size=16,
            rgb=False,
            alphas=(0.5, 1.0, 2.0),
            head=Head(pooling="flatten", dense=(256, 512), activation="relu", dropout=(0.0, 0.0, 0.0)),
        ),
    )
}


def find_backbone(name: str) -> Backbone:
    """The record of a backbone by name; an unknown one is a ``UserError`` with the nearest valid name."""
    if name not in BACKBONES:
        raise UserError(f"unknown backbone '{name}'{suggest(name, BACKBONES)}")
    return BACKBONES[name]


def resolve_model(experiment: Experiment) -> tuple[Backbone, int, Head]:
    """The backbone, input side and head of an experiment, defaults filled in and checked; no Keras import.

    Raises:
        UserError: unknown backbone, side below its minimum, alpha or weights that it does not have, or a dropout list
            that does not fit the dense layers.
    """
    backbone = find_backbone(experiment.backbone)
    size = experiment.image_size or backbone.default_size
    if size < backbone.min_size:
        raise UserError(
            f"'image_size' {size} is too small for {backbone.name}: it takes {backbone.min_size} pixels or more"
        )
    if experiment.alpha not in backbone.alphas and (experiment.weights == "imagenet" or len(backbone.alphas) == 1):
        raise UserError(
            f"'alpha' {experiment.alpha:g} does not go with {backbone.name} and weights '{experiment.weights}': "
            f"use one of {', '.join(f'{alpha:g}' for alpha in backbone.alphas)}"
        )
    if experiment.weights == "imagenet" and backbone.imagenet is None:
        raise UserError(f"there are no ImageNet weights for {backbone.name}: use --weights none")
    given, default = experiment.head, backbone.head
    dense = default.dense if given.dense is None else given.dense
    assert dense is not None
    dropout = given.dropout
    if dropout is None:
        dropout = default.dropout if given.dense is None else (0.0,) * (len(dense) + 1)
    assert dropout is not None
    if len(dropout) != len(dense) + 1:
        raise UserError(
            f"'head.dropout' needs {len(dense) + 1} numbers, one before each of the {len(dense)} dense layers and one "
            f"before the classes, but has {len(dropout)}"
        )
    if any(not 0 <= rate < 1 for rate in dropout) or any(width < 1 for width in dense):
        raise UserError("'head.dropout' should be from 0 up to but not 1, and 'head.dense' 1 or more")
    return (
        backbone,
        size,
        Head(given.pooling or default.pooling, dense, given.activation or default.activation, dropout),
    )
