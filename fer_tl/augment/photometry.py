"""Augmentation of light, sharpness and noise: drawn on the host, a few numbers an example, done inside the step.

All of it is elementwise work and small products of matrices, of shapes that are known when it is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.augment.policies import draw_operations
from fer_tl.core.randomness import uniform

if TYPE_CHECKING:
    from fer_tl.core.config import Augment

# Pixels: a blur of less changes nothing, and no division by zero is met.
LEAST_BLUR = 1e-3

# Finalizer of MurmurHash3 (A. Appleby, public domain), and the golden ratio of 2^32, which spreads what is counted.
_FIRST, _SECOND, _GOLDEN = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35), np.uint32(0x9E3779B9)


@dataclass(frozen=True)
class Photometry:
    """How the pixels of images change where they stand; all arrays lead with the same axes, ``[N]`` or ``[S, B]``.
    What an experiment has no use for is None.

    Attributes:
        shifts: float32 ``[...]``, added to every pixel, in grey levels.
        contrasts: float32 ``[...]``, factor of what a pixel differs from the mean of its image by.
        gammas: float32 ``[...]``, exponent of a pixel as a share of 255.
        noises: float32 ``[...]``, standard deviation of Gaussian noise, in grey levels.
        seeds: int32 ``[...]``, 0..2^31 - 1, of that noise.
        blurs: float32 ``[..., 2]``, deviations of a Gaussian filter down and across, in pixels of the result.
    """

    shifts: np.ndarray | None = None
    contrasts: np.ndarray | None = None
    gammas: np.ndarray | None = None
    noises: np.ndarray | None = None
    seeds: np.ndarray | None = None
    blurs: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays in use by name."""
        return {name: array for name, array in vars(self).items() if array is not None}

    def __getitem__(self, index: Any) -> Photometry:
        """The entries that ``index`` picks of the leading axes."""
        return Photometry(**{name: array[index] for name, array in self.arrays().items()})


def draw_photometry(
    augment: Augment, keys: np.ndarray, size: tuple[int, int], side: tuple[int, int], *stream: object
) -> Photometry | None:
    """Draw how every example's pixels change.

    Args:
        augment: ranges, and a policy, which adds to them.
        keys: uint64 ``[N]``.
        size: height and width of the stored images in pixels, in which the blur is measured.
        side: height and width at which the images are blurred.
        stream: (seed, fold, epoch).

    Returns:
        ``[N]`` each; None where nothing changes.
    """
    if not augment.relights:
        return None
    operations = draw_operations(augment, keys, *stream)

    def used(name: str) -> bool:
        return bool(operations or getattr(augment, name))

    def symmetric(name: str, limit: float) -> np.ndarray:
        return sum((slot[name] for slot in operations), (2 * uniform(keys, name, *stream) - 1) * limit)  # [N]

    def deviation(name: str, limit: float) -> np.ndarray:
        # Two blurs one after the other, or two noises, are one whose variance is the sum of theirs.
        return np.sqrt(sum((slot[name] ** 2 for slot in operations), (limit * uniform(keys, name, *stream)) ** 2))

    def single(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)

    noisy = used("noise")
    return Photometry(
        shifts=single(255 * symmetric("brightness", augment.brightness)) if used("brightness") else None,
        # The logarithms are drawn evenly, so that a factor of z is as likely as one of 1 / z.
        contrasts=single(np.exp(symmetric("contrast", np.log1p(augment.contrast)))) if used("contrast") else None,
        gammas=single(np.exp(symmetric("gamma", np.log1p(augment.gamma)))) if used("gamma") else None,
        noises=single(255 * deviation("noise", augment.noise)) if noisy else None,
        seeds=(uniform(keys, "noise-seed", *stream) * 2**31).astype(np.int32) if noisy else None,
        blurs=single(deviation("blur", augment.blur)[:, None] * np.divide(side, size)) if used("blur") else None,
    )


def change_photometry(pixels: Any, photometry: dict[str, Any]) -> Any:
    """Blur, then gamma, contrast and brightness, then noise: what lens, exposure and sensor do, in their order.

    Written with ``keras.ops``; compiles under XLA.

    Args:
        pixels: float32 ``[B, H, W, C]``, 0..255.
        photometry: the fields of ``Photometry`` in use by name, ``[B]``.

    Returns:
        float32 ``[B, H, W, C]``, 0..255.
    """
    from keras import ops

    def each(name: str) -> Any:
        return photometry[name][:, None, None, None]  # [B, 1, 1, 1]

    if "blurs" in photometry:
        pixels = _blur(pixels, photometry["blurs"])
    if "gammas" in photometry:
        pixels = 255.0 * ops.power(pixels / 255.0, each("gammas"))
    if "contrasts" in photometry:
        mean = ops.mean(pixels, axis=(1, 2, 3), keepdims=True)  # [B, 1, 1, 1]
        pixels = mean + each("contrasts") * (pixels - mean)
    if "shifts" in photometry:
        pixels = pixels + each("shifts")
    if "noises" in photometry:
        pixels = pixels + each("noises") * _gaussian_noise(photometry["seeds"], pixels.shape[1:3])
    return ops.clip(pixels, 0.0, 255.0)


def _blur(pixels: Any, deviations: Any) -> Any:
    """Gaussian filters of each image's deviations ``[B, 2]``: float32 ``[B, H, W, C]`` to the same.

    Products of matrices, because sums of shifted images make XLA on a CPU resample each pixel once for each place of
    the filter: three to five times slower (measured). A TPU and a GPU may round their factors to 8 or 11 bits, half a
    grey level at most.
    """
    from keras import ops

    height, width = pixels.shape[1:3]
    planes = ops.transpose(pixels, (0, 3, 1, 2))  # [B, C, H, W]
    planes = ops.matmul(_gaussian(deviations[:, 0], height)[:, None], planes)
    across = ops.transpose(_gaussian(deviations[:, 1], width), (0, 2, 1))
    planes = ops.matmul(planes, across[:, None])
    return ops.transpose(planes, (0, 2, 3, 1))


def _gaussian(deviations: Any, length: int) -> Any:
    """Filters as matrices, where what lies outside the image has no weight: float32 ``[B]`` to ``[B, L, L]``."""
    from keras import ops

    places = np.arange(length, dtype=np.float32)
    squares = (places[:, None] - places) ** 2  # [L, L]
    scales = 2.0 * ops.maximum(deviations, LEAST_BLUR)[:, None, None] ** 2
    weights = ops.exp(-squares / scales)  # [B, L, L]
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _gaussian_noise(seeds: Any, size: tuple[int, int]) -> Any:
    """Normal numbers, the same for all channels of a pixel: int32 seeds ``[B]`` to float32 ``[B, H, W, 1]``.

    Each is a hash of the seed and of the pixel's place, in whole numbers, by the inverse distribution function. So it
    depends on nothing else, and the engines differ in the last bits of that function alone.
    """
    from keras import ops

    def mixed(bits: Any, shift: int) -> Any:
        return ops.bitwise_xor(bits, ops.right_shift(bits, np.uint32(shift)))

    places = np.arange(size[0] * size[1], dtype=np.uint32) * _GOLDEN  # [P], P pixels; arithmetic wraps around
    bits = ops.bitwise_xor(ops.cast(seeds, "uint32")[:, None], places)  # [B, P]
    bits = mixed(mixed(mixed(bits, 16) * _FIRST, 13) * _SECOND, 16)
    # 23 bits, so that a half more is exact and the ends, whose numbers would be infinite, are never met.
    odd = 2.0 * ops.cast(ops.cast(ops.right_shift(bits, np.uint32(9)), "int32"), "float32") + 1.0
    normal = np.float32(2**0.5) * ops.erfinv(odd * np.float32(2**-23) - 1.0)
    return ops.reshape(normal, (-1, *size, 1))
