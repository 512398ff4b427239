"""What happens to faces outside a laboratory, in five severities each: blur, noise, light, JPEG, cover, rotation, small
faces.

Five severities of each corruption as D. Hendrycks and T. Dietterich, Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations (ICLR 2019), have them; the amounts are ours, for faces of 48 pixels. Lengths grow with
the side, so that a severity hides as much of a face at every size.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from fer_tl.core.errors import UserError, suggest
from fer_tl.core.randomness import key_of

SEVERITIES = (1, 2, 3, 4, 5)
_SIDE = 48.0  # pixels, to which lengths belong
# Of the height of a face's box, from its top: where brows and eyes, and where nose tip, mouth and chin are.
_EYES, _MOUTH = (0.22, 0.5), (0.6, 0.95)

# uint8 [H, W, C], an amount, and a generator of the image's own, to uint8 [H, W, C].
Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One kind of it.

    Attributes:
        name: as ``--corruptions`` spells it.
        unit: what the amounts are.
        amounts: of the five severities, the mildest first.
        change: does it.
    """

    name: str
    unit: str
    amounts: tuple[float, float, float, float, float]
    change: Change

    def apply(self, image: np.ndarray, severity: int, identity: str) -> np.ndarray:
        """Change an image.

        Args:
            image: uint8 ``[H, W, C]``, 0..255, C is 1 or 3.
            severity: 1..5.
            identity: the image's id, on which all that is drawn depends: the same for every model and run.

        Returns:
            uint8 ``[H, W, C]``, 0..255. Grey that is stored as colours stays grey.
        """
        rng = np.random.default_rng(key_of("stress", self.name, identity))
        return self.change(image, self.amounts[severity - 1], rng)


def find_corruptions(names: str | None) -> tuple[Corruption, ...]:
    """The corruptions that are named, with commas between them; all for None.

    Raises:
        UserError: no such corruption, one twice, or none.
    """
    if names is None:
        return tuple(CORRUPTIONS.values())
    asked = [name.strip() for name in names.split(",")]
    for name in asked:
        if name not in CORRUPTIONS:
            raise UserError(f"--corruptions {names}: there is no corruption '{name}'{suggest(name, CORRUPTIONS)}")
    if len(set(asked)) < len(asked):
        raise UserError(f"--corruptions {names}: one of them is named twice")
    return tuple(CORRUPTIONS[name] for name in asked)


def _blur(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    sigma *= _scale(image)
    return _rounded(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest"))


def _noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return _rounded(image + rng.normal(0, deviation, (*image.shape[:2], 1)))


def _brightness(image: np.ndarray, offset: float, rng: np.random.Generator) -> np.ndarray:
    return _rounded(image.astype(np.float32) + offset * _sign(rng))


def _contrast(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    mean = image.mean()
    return _rounded(mean + factor * (image - mean))


def _jpeg(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    written = io.BytesIO()
    _picture(image).save(written, "JPEG", quality=round(quality))
    with Image.open(written) as opened:
        return np.asarray(opened).reshape(image.shape)


def _eyes(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return _covered(image, _EYES, share)


def _mouth(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return _covered(image, _MOUTH, share)


def _covered(image: np.ndarray, rows: tuple[float, float], share: float) -> np.ndarray:
    """A bar of the image's mean in the middle of some rows, as wide as a share of the image."""
    height, width, _ = image.shape
    top, bottom = (round(each * height) for each in rows)
    left = round(width * (1 - share) / 2)
    changed = image.copy()
    changed[top:bottom, left : width - left] = round(float(image.mean()))
    return changed


def _rotation(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    turned = ndimage.rotate(
        image.astype(np.float32), degrees * _sign(rng), axes=(1, 0), reshape=False, order=1, mode="nearest"
    )
    return _rounded(turned)


def _small(image: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    height, width, _ = image.shape
    share = side / max(_SIDE, *image.shape[:2])
    reduced = max(1, round(width * share)), max(1, round(height * share))
    picture = _picture(image).resize(reduced, Image.Resampling.BOX).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(image.shape)


def _scale(image: np.ndarray) -> float:
    return min(image.shape[:2]) / _SIDE


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


CORRUPTIONS = {
    each.name: each
    for each in (
        Corruption("blur", "standard deviation of a Gaussian, pixels of 48", (0.5, 0.8, 1.2, 1.7, 2.4), _blur),
        Corruption("noise", "standard deviation, grey levels of 255", (8, 16, 26, 38, 52), _noise),
        Corruption("brightness", "brighter or darker by, grey levels of 255", (20, 40, 60, 80, 100), _brightness),
        Corruption("contrast", "share of the contrast that is left", (0.8, 0.6, 0.45, 0.3, 0.2), _contrast),
        Corruption("jpeg", "quality of libjpeg", (40, 25, 15, 10, 5), _jpeg),
        Corruption("eyes", "width of a bar over the eyes, share of the image", (0.2, 0.4, 0.6, 0.8, 1.0), _eyes),
        Corruption("mouth", "width of a bar over the mouth, share of the image", (0.15, 0.3, 0.45, 0.6, 0.8), _mouth),
        Corruption("rotation", "to either side, degrees", (5, 10, 20, 30, 45), _rotation),
        Corruption("small", "longer side before it is enlarged again, pixels", (29, 22, 16, 12, 9), _small),
    )
}
