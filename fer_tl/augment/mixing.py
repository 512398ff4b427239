"""MixUp, CutMix and random erasing: decided on the host, one example at a time, and done inside the compiled step.

What happens to an image is keyed on the image (see ``randomness``), not on its batch: its partner is another training
image wherever that one is in the epoch, gathered from the resident images and augmented for this use alone. The usual
blend with the batch in reverse order would depend on the order, the batch size and the number of devices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.augment.geometry import draw_transforms
from fer_tl.augment.photometry import change_photometry
from fer_tl.augment.resampling import resample
from fer_tl.core.randomness import uniform

if TYPE_CHECKING:
    from fer_tl.core.config import Augment

# Zhong et al., "Random erasing data augmentation", AAAI 2020, section "Random erasing": area from 0.02, aspect
# from 0.3 to 1 / 0.3. The largest area is 0.4 there, and 0.33 in the transform of torchvision that most people use.
ERASED_AREA = (0.02, 0.33)
ERASED_ASPECT = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class Mixing:
    """How images are combined with others; all arrays lead with the same axes, ``[N]`` or ``[S, B]``.

    Attributes:
        partners: int32 ``[...]``, which image the other one is.
        transforms: float32 ``[..., 6]``, augmentation of the other one.
        blends: float32 ``[...]``, 0..1, share of the image itself in every pixel outside the box: 1 for CutMix.
        boxes: int32 ``[..., 4]``, top, left, bottom, right (the last two exclusive) of what the other one replaces:
            empty for MixUp.
        shares: float32 ``[...]``, 0..1, share of the image itself in the whole, and so in the target.
    """

    partners: np.ndarray
    transforms: np.ndarray
    blends: np.ndarray
    boxes: np.ndarray
    shares: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """All of them by name."""
        return vars(self)

    def __getitem__(self, index: Any) -> Mixing:
        """The entries that ``index`` picks of the leading axes."""
        return Mixing(**{name: array[index] for name, array in vars(self).items()})


def draw_mixing(augment: Augment, keys: np.ndarray, size: tuple[int, int], *stream: object) -> Mixing:
    """Draw a partner and a way to combine with it for every example.

    MixUp: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018; CutMix: Yun et al., "CutMix:
    regularization strategy to train strong classifiers with localizable features", ICCV 2019. With both, each image
    takes one of the two, half of them each. An image that is not mixed has a share of 1 and an empty box, which leaves
    its pixels and its target as they are to the last bit.

    Args:
        augment: ``mixup`` and ``cutmix`` are the alphas of their Beta distributions, ``mix_share`` the probability that
            an image is mixed; the rest augments the partners.
        keys: uint64 ``[N]``, all different, of all examples of the epoch.
        size: height and width of the images in pixels.
        stream: (seed, fold, epoch).

    Returns:
        ``[N]`` each; ``partners`` are positions 0..N-1 in ``keys``. They depend on the set of keys, not on its order.
    """
    cut = np.full(len(keys), bool(augment.cutmix))
    if augment.mixup and augment.cutmix:
        cut = uniform(keys, "mixup or cutmix", *stream) < 0.5
    alphas = np.where(cut, augment.cutmix, augment.mixup)
    mixed = uniform(keys, "mixed", *stream) < augment.mix_share  # [N]
    shares = np.where(mixed, _beta(alphas, uniform(keys, "share", *stream)), 1.0)  # [N]
    boxes = np.where((cut & mixed)[:, None], _cut_boxes(shares, keys, size, *stream), 0)  # [N, 4]
    return Mixing(
        partners=_partners(keys, *stream),
        # A stream of their own: a partner is not seen as it is in its own place of the epoch.
        transforms=draw_transforms(augment, keys, size, "partner", *stream),
        blends=np.where(cut, 1.0, shares).astype(np.float32),
        boxes=boxes,
        shares=np.where(cut, 1 - _area(boxes) / (size[0] * size[1]), shares).astype(np.float32),
    )


def _partners(keys: np.ndarray, *stream: object) -> np.ndarray:
    """Any other example, all of them as likely: int32 ``[N]``; an only example is its own partner."""
    others = len(keys) - 1
    if not others:
        return np.zeros(1, np.int32)
    by_key = np.argsort(keys, kind="stable")  # [N]
    place = np.empty_like(by_key)
    place[by_key] = np.arange(len(keys))
    chosen = (uniform(keys, "partner", *stream) * others).astype(np.int64)  # 0..N-2, over the others in order of key
    return by_key[chosen + (chosen >= place)].astype(np.int32)


def _beta(alphas: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Numbers from Beta(alpha, alpha) by its inverse distribution function: float64 ``[N]``."""
    # A quarter of a second of import that plain runs do without.
    from scipy.special import betaincinv

    return betaincinv(alphas, alphas, probabilities)


def _cut_boxes(shares: np.ndarray, keys: np.ndarray, size: tuple[int, int], *stream: object) -> np.ndarray:
    """Boxes with an evenly drawn centre and sides of sqrt(1 - share) of the image's, clipped to it: int32 ``[N, 4]``
    (Yun et al., equation 2)."""
    sides = np.sqrt(1 - shares)
    edges = []
    for axis, length in zip("yx", size, strict=True):
        centre = uniform(keys, f"cut-{axis}", *stream) * length
        half = sides * length / 2
        edges.append([np.clip(np.rint(edge), 0, length) for edge in (centre - half, centre + half)])
    (top, bottom), (left, right) = edges
    return np.stack([top, left, bottom, right], axis=1).astype(np.int32)


def draw_erased(probability: float, keys: np.ndarray, size: tuple[int, int], *stream: object) -> np.ndarray:
    """Draw the box of each example that random erasing blanks.

    The shape is drawn once, where Zhong et al. draw until it fits into the image: a side that would be too long is cut
    to the image's, and the other grows to keep the area.

    Args:
        probability: that an image loses anything.
        keys: uint64 ``[N]``.
        size: height and width of the images in pixels.
        stream: (seed, fold, epoch).

    Returns:
        int32 ``[N, 4]``: top, left, bottom, right (the last two exclusive), wholly inside; all 0 where nothing is
        erased.
    """
    height, width = size

    def between(name: str, low: float, high: float) -> np.ndarray:
        return low + (high - low) * uniform(keys, name, *stream)  # [N]

    area = between("erased-area", *ERASED_AREA) * height * width
    # The logarithm is drawn evenly, so that upright boxes are as likely as lying ones.
    aspect = np.exp(between("erased-aspect", *np.log(ERASED_ASPECT)))
    down = np.clip(np.sqrt(area * aspect), area / width, height)
    across = area / down
    down, across = (np.maximum(np.rint(side), 1) for side in (down, across))
    top = np.floor(uniform(keys, "erased-y", *stream) * (height - down + 1))
    left = np.floor(uniform(keys, "erased-x", *stream) * (width - across + 1))
    boxes = np.stack([top, left, top + down, left + across], axis=1)  # [N, 4]
    erased = uniform(keys, "erased", *stream) < probability
    return np.where(erased[:, None], boxes, 0).astype(np.int32)


def _area(boxes: np.ndarray) -> np.ndarray:
    top, left, bottom, right = boxes.T
    return (bottom - top) * (right - left)


def prepare(
    images: Any,
    transforms: Any,
    others: Any = None,
    mixing: Any = None,
    erased: Any = None,
    photometry: Any = None,
    side: tuple[int, int] | None = None,
) -> Any:
    """All that is done to the pixels of a step before the model: resampling, mixing, change of light, erasing, in this
    order. So what is mixed is seen in one light, that of the image and not of its partner.

    Written with ``keras.ops``; compiles under XLA.

    Args:
        images: uint8 or float ``[B, H, W, C]``, 0..255.
        transforms: float32 ``[B, 6]``.
        others: the partners' images, like ``images``; None for no mixing.
        mixing: with ``others``: the fields of ``Mixing`` by name, ``[B]``.
        erased: int32 ``[B, 4]`` from ``draw_erased``; None for no erasing. A box takes the mean of its image, so that
            there is nothing to learn from how bright the box is.
        photometry: the fields of ``Photometry`` in use by name, ``[B]``; None for no change of light.
        side: height and width of the result, in whose pixels the boxes are; None for those of the images.

    Returns:
        float32 ``[B, *side, C]``, 0..255.
    """
    from keras import ops

    pixels = resample(images, transforms, side)
    if mixing is not None:
        blends = mixing["blends"][:, None, None, None]  # [B, 1, 1, 1]
        others = resample(others, mixing["transforms"], side)
        blended = blends * pixels + (1 - blends) * others
        pixels = ops.where(_inside(mixing["boxes"], pixels), others, blended)
    if photometry is not None:
        pixels = change_photometry(pixels, photometry)
    if erased is not None:
        mean = ops.mean(pixels, axis=(1, 2), keepdims=True)  # [B, 1, 1, C]
        pixels = ops.where(_inside(erased, pixels), mean, pixels)
    return pixels


def _inside(boxes: Any, pixels: Any) -> Any:
    """Whether a pixel is in its image's box: bool ``[B, H, W, 1]``."""
    height, width = pixels.shape[1:3]
    top, left, bottom, right = (boxes[:, edge, None] for edge in range(4))  # [B, 1] each
    y, x = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
    rows = (top <= y) & (bottom > y)  # [B, H]
    columns = (left <= x) & (right > x)  # [B, W]
    return rows[:, :, None, None] & columns[:, None, :, None]
