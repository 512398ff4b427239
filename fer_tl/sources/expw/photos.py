"""Photos decoded by several threads, in order: each once, whatever the number of faces in it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from fer_tl.core.ahead import map_ahead
from fer_tl.core.archives import Files
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import readable
from fer_tl.faces.boxes import Face
from fer_tl.faces.convert import is_turned, to_mode
from fer_tl.faces.cutting import Cut, cut_face, in_small
from fer_tl.faces.opening import open_header
from fer_tl.faces.recipe import FaceRecipe

_MOST_WORKERS = 16


class UnusablePhoto(Exception):
    """A photo that cannot be used: one line that names it and says why."""


class Header(NamedTuple):
    """Of an image file: height and width in pixels as stored, and whether its EXIF tag asks for a turn."""

    height: int
    width: int
    turned: bool


class Picture(NamedTuple):
    """A part of a photo.

    Attributes:
        cut: the face, in colour.
        photo: uint8 [96, 96, 3], the whole photo in small, its shape not kept: to know it again under another name.
    """

    cut: Cut
    photo: np.ndarray


# Where the faces of a photo in mode "RGB" are; None: the photo is the face.
Places = Callable[[Image.Image], Sequence[Face | None]]


def default_workers() -> int:
    """One for each core, 16 at most: of the 1.2 ms that a photo of ExpW takes, 0.07 ms hold Python's lock."""
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def read_header(files: Files, name: str) -> Header:
    """Read what the first bytes of an image file say.

    Raises:
        UnusablePhoto: it is not an image, cannot be read, or has too many pixels.
    """
    try:
        with readable(name), files.open(name) as stream, _open(stream, name) as image:
            return Header(image.height, image.width, is_turned(image))
    except UserError as error:
        raise UnusablePhoto(str(error)) from error


def cut_photos(
    files: Files, photos: Iterable[tuple[str, Places]], side: int, recipe: FaceRecipe, workers: int
) -> Generator[list[Picture] | UnusablePhoto]:
    """Decode photos and cut faces out of them, as they are stored: an EXIF tag turns nothing.

    Threads, not processes: Pillow decodes and resizes without Python's lock, so two are 1.9 times as fast as one, as
    two processes are, which would need 0.2 s to start, import the caller's main module again and copy every face. At
    most ``2 * workers`` photos are read ahead, one at a time, and ``workers`` of them are decoded.

    Args:
        files: the folder or archive that holds the photos.
        photos: name of each, and what tells the places of its faces, boxes not outside of it; several threads call it.
        side: height and width of the pictures to hand out, pixels.
        recipe: how faces are cut.
        workers: threads.

    Yields:
        For each photo in the order given: one picture for each place, or why there are none.
    """
    loaded = ((_load(files, name), name, places) for name, places in photos)
    return map_ahead(lambda item: _cut(*item, side, recipe), loaded, max(1, workers), 2 * max(1, workers))


def _load(files: Files, name: str) -> Image.Image | UnusablePhoto:
    """An image whose pixels are not decoded yet."""
    try:
        return _open(io.BytesIO(files.read(name)), name)
    except UserError as error:
        return UnusablePhoto(str(error))
    except UnusablePhoto as error:
        return error


def _open(stream: BinaryIO, name: str) -> Image.Image:
    """Raise ``UnusablePhoto`` for what cannot be used."""
    try:
        return open_header(stream, name)
    except UserError as error:
        raise UnusablePhoto(str(error).rstrip(".")) from None


def _cut(
    image: Image.Image | UnusablePhoto, name: str, places: Places, side: int, recipe: FaceRecipe
) -> list[Picture] | UnusablePhoto:
    if isinstance(image, UnusablePhoto):
        return image
    with image:
        try:
            # No `draft`: at 96 pixels it could save time in 2 % of ExpW's photos only, and gives other pixels.
            image.load()
            photo = to_mode(image, 3, name)
            seen = in_small(photo)
        except UserError as error:
            return UnusablePhoto(str(error))
        except Exception as error:  # Pillow's plugins raise nearly anything on damaged data
            return UnusablePhoto(f"{name} cannot be decoded ({error})")
    cuts = [cut_face(photo, place, side, recipe, channels=3) for place in places(photo)]
    return [Picture(cut, seen) for cut in cuts if cut is not None]
