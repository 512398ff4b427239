"""Arrays of images, labels and groups as a dataset in memory, and what is refused of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, check_non_negative

from fer_tl.core.errors import BadValue
from fer_tl.data.building.grouping import hash_pixels
from fer_tl.data.dataset import Dataset
from fer_tl.data.digests import digest_images
from fer_tl.data.fingerprints import Stamp, split_fingerprints
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.runs.run_file import ARRAYS

_SHAPES = "[N, H, W], [N, H, W, 1] or [N, H, W, 3] (red, green, blue)"
WHITE = 255.0


@dataclass(frozen=True)
class Layout:
    """How images are stored in an array.

    Attributes:
        shape: height, width and channels (1 or 3).
        white: what white is in an array of floats, 1 or 255; None where it was integers, which have 255.
    """

    shape: tuple[int, int, int]
    white: float | None

    @property
    def numbers(self) -> int:
        """Of an image."""
        return int(np.prod(self.shape))

    def __str__(self) -> str:
        height, width, channels = self.shape
        return f"{height} x {width} {'grey' if channels == 1 else 'colour'} pixels"


def check_images(images: Any, whom: Any, layout: Layout | None = None) -> tuple[np.ndarray, Layout]:
    """Images as they are trained on and predicted.

    Args:
        images: ``[N, H, W]`` or ``[N, H, W, C]``, C is 1 or 3; integers 0..255, or floats 0..1 or 0..255, which become
            8-bit integers.
        whom: the estimator, for messages.
        layout: of the images that it was fitted on; None for these.

    Returns:
        uint8 ``[N, S, S, C]``, 0..255: what is not square is padded with black to squares, as builds do it. And how
        they were stored.

    Raises:
        ValueError: another shape or range, or values that are not finite.
        TypeError: no numbers.
    """
    found = check_array(_stacked(images), allow_nd=True, ensure_2d=False, estimator=whom, input_name="X")
    found = _with_channels(found)
    shape = (int(found.shape[1]), int(found.shape[2]), int(found.shape[3]))
    if layout and shape != layout.shape:
        raise BadValue(
            f"X has {int(np.prod(shape))} features, but {type(whom).__name__} is expecting {layout.numbers} features "
            f"as input: images have {Layout(shape, None)}, those of fit had {layout}"
        )
    white = _white(found, whom, layout.white if layout else None)
    pixels = found if found.dtype == np.uint8 else _eight_bits(found, white)
    return _squares(pixels), Layout(shape, white)


def _stacked(images: Any) -> Any:
    """An array of a list of images; of images that differ in shape none can be made."""
    if isinstance(images, list | tuple):
        shapes = list(dict.fromkeys(np.shape(each) for each in images[:1000]))
        if len(shapes) > 1 and all(len(shape) > 1 for shape in shapes):
            raise BadValue(f"images differ in shape, such as {shapes[0]} and {shapes[1]}: bring them to one size")
    return images


def _with_channels(images: np.ndarray) -> np.ndarray:
    """``[N, H, W, C]`` of what has the shape of images."""
    shape = images.shape
    if images.ndim == 2:
        remedy = "flat pixels become images with X.reshape(N, H, W)"
    elif images.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        remedy = "channels come last, np.moveaxis(X, 1, -1)"
    elif images.ndim == 4 and shape[3] == 4:
        remedy = "leave opacity out, X[..., :3]"
    else:
        remedy = "one image is X[None]"
    if images.ndim not in (3, 4) or (images.ndim == 4 and shape[3] not in (1, 3)):
        raise BadValue(f"images should be an array {_SHAPES}, but this is {list(shape)}. Reshape your data: {remedy}")
    if 0 in shape:
        flat = (shape[0], 0)  # in the words of scikit-learn, which counts the numbers of an image
        raise BadValue(f"images have no pixels: 0 feature(s) (shape={flat}) while a minimum of 1 is required.")
    return images[..., None] if images.ndim == 3 else images


def _white(images: np.ndarray, whom: Any, fitted: float | None) -> float | None:
    """What white is in an array of floats; None for integers."""
    if images.dtype == bool:
        raise BadValue("images are true or false: give pixels, integers 0 to 255 or floats 0 to 1")
    if images.dtype == np.uint8:
        return None
    check_non_negative(images, type(whom).__name__)
    highest = float(images.max())
    if highest > WHITE:
        raise BadValue(f"pixels go up to {highest:g}: give integers 0 to 255, or floats 0 to 1 or 0 to 255")
    if not np.issubdtype(images.dtype, np.floating):
        return None
    if fitted == 1 and highest > 1:
        raise BadValue(f"pixels go up to {highest:g}, and those of fit from 0 to 1: divide by 255 here as well")
    return fitted or (1.0 if highest <= 1 else WHITE)


def _eight_bits(images: np.ndarray, white: float | None) -> np.ndarray:
    """uint8 of integers 0..255, or of floats whose white is known; rounded image by image: no copy of all in floats."""
    pixels = np.empty(images.shape, np.uint8)
    for row, image in enumerate(images):
        pixels[row] = image if white is None else np.rint(image * (WHITE / white))
    return pixels


def _squares(pixels: np.ndarray) -> np.ndarray:
    """Images padded with black to squares, what is added evenly on both sides."""
    height, width = pixels.shape[1:3]
    side = max(height, width)
    if height == width:
        return pixels
    margins = [(side - each) // 2 for each in (height, width)]
    squares = np.zeros((len(pixels), side, side, pixels.shape[3]), np.uint8)
    squares[:, margins[0] : margins[0] + height, margins[1] : margins[1] + width] = pixels
    return squares


def class_names_of(classes: np.ndarray) -> tuple[str, ...]:
    """Names of the classes, whose labels may be text or integers ``[K]``.

    Raises:
        ValueError: fewer than two, or names that are blank or not unique.
    """
    names = tuple(str(label) for label in classes.tolist())
    if len(names) < 2:
        raise BadValue(f"all labels are of one class, '{names[0]}': a classifier needs two classes or more")
    blank = [name for name in names if not name.strip()]
    if blank or len(set(names)) < len(names):
        raise BadValue(f"labels should be names or integers that differ as text, but are {', '.join(map(repr, names))}")
    return names


def check_groups(groups: Any, images: np.ndarray) -> np.ndarray:
    """Groups as text ``[N]``; without any, each image is a group of its own.

    Raises:
        ValueError: of another length or shape, or with blanks among them.
    """
    if groups is None:
        return np.arange(len(images)).astype(str)
    found = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
    if found.ndim != 1:
        raise BadValue(f"groups should be [N], one for each image, but are {list(found.shape)}")
    check_consistent_length(images, found)
    return np.array([str(each) for each in found.tolist()])


def as_dataset(images: np.ndarray, labels: np.ndarray, groups: np.ndarray, class_names: tuple[str, ...]) -> Dataset:
    """A dataset in memory, all of it the training split. The id of an image, which keys its randomness, is its number.

    Args:
        images: uint8 ``[N, S, S, C]``, 0..255.
        labels: int ``[N]``, indices into ``class_names``.
        groups: text ``[N]``.
        class_names: the K names.
    """
    ids = np.arange(len(images)).astype(str)
    about = zip(ids.tolist(), groups.tolist(), labels.tolist(), images, strict=True)
    stamps = [Stamp("train", name, group, label, hash_pixels(image)) for name, group, label, image in about]
    shape = images.shape[1:]
    return Dataset(
        name=ARRAYS,
        splits=np.full(len(images), "train"),
        images=images,
        labels=labels.astype(np.int64),
        ids=ids,
        groups=groups,
        class_names=class_names,
        fingerprint=split_fingerprints(stamps, class_names, (shape[0], shape[1], shape[2]))["train"],
        recipe=FaceRecipe(),
        loaded_digests=digest_images(images),
    )
