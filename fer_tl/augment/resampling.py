"""Images under affine maps, by bilinear interpolation: gathered where a processor gathers well, multiplied on a TPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np


def resample(images: Any, transforms: Any, side: tuple[int, int] | None = None) -> Any:
    """Apply one affine map an image with bilinear interpolation; pixels outside take the nearest edge's value.

    Compiles under XLA (``ImageProjectiveTransformV3`` does not) and runs on any Keras backend. JAX takes
    ``by_products`` for a TPU, where a gather moves a hundred times as many bytes (benchmarks/results/tpu.md).

    Args:
        images: uint8 or float ``[B, H, W, C]``, 0..255.
        transforms: float32 ``[B, 6]`` from ``draw_transforms``, for another ``side`` composed with ``scaling``.
        side: height and width of the result; None for those of the images.

    Returns:
        float32 ``[B, *side, C]``, 0..255.
    """
    import keras

    side = side or tuple(images.shape[1:3])
    if keras.backend.backend() != "jax":
        return by_gathers(images, transforms, side)
    import jax

    ways = {"tpu": partial(by_products, side=side), "default": partial(by_gathers, side=side)}
    return jax.lax.platform_dependent(images, transforms, **ways)


def by_gathers(images: Any, transforms: Any, side: tuple[int, int]) -> Any:
    """``resample`` by taking the four pixels around each place."""
    from keras import ops

    batch = ops.shape(images)[0]
    height, width, channels = images.shape[1:]
    x, y = _places(ops, transforms, (height, width), side)  # [B, P] each
    left, top = ops.floor(x), ops.floor(y)
    along_x, along_y = (x - left)[..., None], (y - top)[..., None]  # [B, P, 1]

    left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
    right, bottom = ops.minimum(left + 1, width - 1), ops.minimum(top + 1, height - 1)
    first = ops.arange(batch, dtype="int32")[:, None] * (height * width)  # [B, 1]: where each image begins
    pixels = ops.reshape(images, (-1, channels))  # [B * H * W, C]

    def at(row: Any, column: Any) -> Any:
        # Gathering uint8 and casting afterwards moves a quarter of the bytes.
        return ops.cast(ops.take(pixels, first + row * width + column, axis=0), "float32")  # [B, P, C]

    upper = at(top, left) * (1 - along_x) + at(top, right) * along_x
    lower = at(bottom, left) * (1 - along_x) + at(bottom, right) * along_x
    return ops.reshape(upper * (1 - along_y) + lower * along_y, (-1, *side, channels))


def by_products(images: Any, transforms: Any, side: tuple[int, int]) -> Any:
    """``resample`` by a matrix product along the rows and a weighted sum down the columns, in JAX.

    The weight of a pixel is ``max(0, 1 - distance)`` in each direction, which is bilinear interpolation. That are H W
    multiplications a pixel of the result for four, but XLA makes the weights inside of the product, so that next to
    nothing but images goes through the memory. ``high`` is three passes of bfloat16 on a TPU: within 0.01 of a grey
    level of the gather.
    """
    import jax.numpy as jnp

    height, width, channels = images.shape[1:]
    x, y = _places(jnp, transforms, (height, width), side)  # [B, P] each
    pixels = images.astype(jnp.float32)
    rows = jnp.einsum("bpw,bhwc->bphc", _weights(x, width), pixels, precision="high")  # [B, P, H, C]
    result = jnp.sum(_weights(y, height)[..., None] * rows, axis=2)  # [B, P, C]
    return result.reshape(-1, *side, channels)


def _places(ops: Any, transforms: Any, size: tuple[int, int], side: tuple[int, int]) -> tuple[Any, Any]:
    """Where in the image each pixel of the result lies, x and y: float32 ``[B, P]`` each, P pixels row by row."""
    ys, xs = np.meshgrid(*(np.arange(length, dtype=np.float32) for length in side), indexing="ij")
    xs, ys = xs.reshape(1, -1), ys.reshape(1, -1)  # [1, P]
    x = transforms[:, 0:1] * xs + transforms[:, 1:2] * ys + transforms[:, 2:3]  # [B, P]
    y = transforms[:, 3:4] * xs + transforms[:, 4:5] * ys + transforms[:, 5:6]
    return ops.clip(x, 0.0, size[1] - 1.0), ops.clip(y, 0.0, size[0] - 1.0)


def _weights(places: Any, length: int) -> Any:
    """The share of each of ``length`` pixels at each place: float32 ``[B, P, length]``, which sum to 1."""
    import jax.numpy as jnp

    return jnp.maximum(0.0, 1.0 - jnp.abs(places[..., None] - jnp.arange(length, dtype=jnp.float32)))
