"""From raw pixels to what a network is trained on, as float32 layers of Keras's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.models.record import SYMMETRIC, Scaling

STANDARDIZE = "standardize"
GREY = "rgb_to_grey"

# Of red, green and blue in the luma of ITU-R BT.601, by which Pillow makes the grey images of a build.
_LUMA = (0.299, 0.587, 0.114)


def rgb_to_grey(images: Any) -> Any:
    """Colours to grey, ``[B, S, S, 3]`` to ``[B, S, S, 1]``, 0..255: as a build in grey would store them, but for its
    rounding to whole numbers.

    Keras has no layer for that which is there when a model predicts, and kernels of a convolution could be learnt: it
    is the mean of three columns, made of the channels, that were multiplied by three times the luma's weights.
    """
    import keras

    height, width, _ = images.shape[1:]
    x = keras.layers.Rescaling([3 * weight for weight in _LUMA], dtype="float32", name="luma")(images)
    x = keras.layers.Reshape((height, width * 3, 1), dtype="float32", name="channels_to_columns")(x)
    return keras.layers.AveragePooling2D((1, 3), dtype="float32", name=GREY)(x)  # [B, S, S, 1]


def scale_pixels(images: Any, scaling: Scaling, pixels: str) -> Any:
    """Scale the pixels as ``--pixels`` says.

    Args:
        images: float32 Keras tensor ``[B, S, S, C]``, 0..255, channels in the order red, green, blue.
        scaling: of the backbone or its published weights, for ``pixels="backbone"``.
        pixels: "backbone"; "centred", each image's mean of each channel subtracted, then 1/127.5; or "standardized",
            the same mean subtracted, then divided by the standard deviation that ``fit_standardization`` sets.

    Returns:
        float32 ``[B, S, S, C]``, channels in the order of ``scaling``.
    """
    import keras

    if pixels == "backbone":
        return _apply(scaling, images)
    means = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype="float32", name="image_mean")(images)
    centred = keras.layers.Subtract(dtype="float32", name="centre")([images, means])  # [B, S, S, C] - [B, 1, 1, C]
    if pixels == "centred":
        return keras.layers.Rescaling(SYMMETRIC.factor, dtype="float32", name="scale")(centred)
    # A division by numbers that are stored in the model and never learned: it counts two parameters a channel, the
    # variance and a mean that stays 0. Not trainable, it uses them in training too, and no stage unfreezes it.
    standardize = keras.layers.BatchNormalization(center=False, scale=False, dtype="float32", name=STANDARDIZE)
    standardize.trainable = False
    return standardize(centred)


def _apply(scaling: Scaling, images: Any) -> Any:
    import keras

    x = images
    if scaling.order == "bgr":
        # Keras has no layer that swaps channels. One that crops columns does it, told that the channels are columns.
        picked = [
            keras.layers.Cropping2D(
                ((0, 0), (channel, 2 - channel)), data_format="channels_first", dtype="float32", name=name
            )(x)
            for channel, name in ((2, "blue"), (1, "green"), (0, "red"))
        ]
        x = keras.layers.Concatenate(dtype="float32", name="rgb_to_bgr")(picked)  # [B, S, S, 3]
    if scaling.factor == 1.0 and scaling.offset == 0.0:
        return x
    factor, offset = (list(value) if isinstance(value, tuple) else value for value in (scaling.factor, scaling.offset))
    return keras.layers.Rescaling(factor, offset=offset, dtype="float32", name="scale")(x)


def fit_standardization(model: Any, images: np.ndarray, rows: np.ndarray) -> None:
    """Set what a model with standardized pixels divides by, from the training images of a fold alone.

    Args:
        model: from ``build_classifier`` with ``pixels="standardized"``.
        images: uint8 ``[N, H, W, C]``, as stored: not resized and not augmented.
        rows: int ``[M]``, the images to use.
    """
    layer = model.get_layer(STANDARDIZE)
    if images.shape[-1] > layer.moving_variance.shape[0]:  # which the model makes grey
        images = np.stack([np.rint(images[row] @ np.array(_LUMA)).astype(np.uint8)[..., None] for row in rows])
        rows = np.arange(len(rows))
    # Grey images that the model repeats to three channels have one variance for all of them.
    layer.moving_variance.assign(np.broadcast_to(centred_variance(images, rows), layer.moving_variance.shape))


def copy_standardization(model: Any, path: Path) -> None:
    """Divide by what a saved model with standardized pixels divides by, to which its kernels are used.

    Args:
        model: with a layer ``STANDARDIZE``.
        path: of the saved ``.keras`` file.
    """
    import keras

    saved = keras.models.load_model(path, compile=False).get_layer(STANDARDIZE)
    layer = model.get_layer(STANDARDIZE)
    layer.moving_variance.assign(np.broadcast_to(np.asarray(saved.moving_variance), layer.moving_variance.shape))


def centred_variance(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean square of the pixels of some images after each has lost its mean, for each channel.

    The sums are exact: with ``s`` the sum and ``q`` the sum of squares of the P pixels of an image, its centred squares
    add up to ``q - s^2 / P``.

    Args:
        images: uint8 ``[N, H, W, C]``.
        rows: int ``[M]``, M at least 1.

    Returns:
        float64 ``[C]``, 0..16256.25.
    """
    height, width, channels = images.shape[1:]
    count = height * width
    total = [0] * channels
    # About 4 million numbers at a time, 16 MB as uint32.
    chunk = max(1, (1 << 22) // (count * channels))
    for start in range(0, len(rows), chunk):
        part = images[rows[start : start + chunk]].astype(np.uint32)  # [n, H, W, C]
        sums = part.sum(axis=(1, 2), dtype=np.int64)  # [n, C]
        squares = np.square(part).sum(axis=(1, 2), dtype=np.int64)
        for channel in range(channels):
            # Python's integers: those of all images would overflow 64 bits for a million of 224 pixels.
            total[channel] += int((count * squares[:, channel] - sums[:, channel] ** 2).sum())
    return np.array([value / (len(rows) * count**2) for value in total])
