"""Image files in folders: which they are and what their paths say; and images as records hold them."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from fer_tl.core.archive_members import PassedOver, shared_depth
from fer_tl.core.archives import Files
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import is_archive, refuse_names_that_are_no_text
from fer_tl.sources.split_names import canonical_split

# Pillow may lack the plugin for the last three: better refused by name than passed over.
IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".pgm",
        ".ppm",
        ".pbm",
        ".avif",
        ".heic",
        ".heif",
    )
)
NO_IMAGES = "files that are not images"
# Not looked into: annotations may be as many as images.
_TEXT_SUFFIXES = frozenset(
    (".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".html", ".lst", ".pts", ".py", ".npy", ".mat")
)
_PACKED_SUFFIXES = frozenset((".rar", ".7z"))
# PNG, JPEG, GIF, TIFF (little and big endian), PBM, PGM and PPM, JPEG 2000.
_MAGIC = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"P4\n", b"P5\n", b"P6\n", b"P5 ",
    b"P6 ", b"\0\0\0\x0cjP  \r\n\x87\n",
)  # fmt: skip
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes that the second header has in its versions
_ISO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1")


@dataclass(frozen=True)
class ImagePath:
    """What the path of an image says.

    Attributes:
        name: the path in its folder or archive.
        id: the file's stem, or the path below the folders that all images share where stems repeat.
        folder: the folder it lies in, "" if none: its class.
        split: the split that a folder above the class names, or None.
    """

    name: str
    id: str
    folder: str
    split: str | None


def find_images(files: Files) -> tuple[list[str], PassedOver]:
    """The image files of a folder or archive, by their ending or else by their first bytes, and what is passed over.

    A file that a link in an archive leads to, and that has no image's ending, is read under the name of the link only.
    """
    found = []
    passed = {why: list(names) for why, names in files.passed_over.items()}
    for name in files.names:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            found.append(name)
        elif name not in files.linked:
            try:
                head = b"" if suffix in _TEXT_SUFFIXES else files.head(name)
            except UserError:
                passed.setdefault("files that cannot be opened", []).append(name)
                continue
            if is_image(head):
                found.append(name)
            else:
                packed = is_archive(head) or suffix in _PACKED_SUFFIXES
                passed.setdefault("archives inside, to be unpacked" if packed else NO_IMAGES, []).append(name)
    return found, passed


def is_image(head: bytes) -> bool:
    """Whether the first 32 bytes of a file are those of an image of a kind that is told by them."""
    if head[:2] == b"BM":
        return int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    if head[4:8] == b"ftyp":  # of ISO media files, films among them
        return head[8:12] in _ISO_BRANDS
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def image_paths(names: Iterable[str]) -> list[ImagePath]:
    """Read what the paths of image files say, in the order given.

    The split is named by the folder above the class folder that is nearest to it: ``train/train/angry/1.png``,
    ``images/images/train/angry/1.png`` and ``angry/1.png`` (no split) are all understood. If every image lies in a
    folder that is called like a split, and those lie in folders of several classes, these are read:
    ``angry/train/1.png``.

    Raises:
        UserError: the name of an image is not text.
    """
    paths = [PurePosixPath(name) for name in names]
    refuse_names_that_are_no_text(map(str, paths))
    stems = Counter(path.stem for path in paths)
    shared = shared_depth([str(path) for path in paths])
    turned = split_is_below(path.parts[:-1] for path in paths)
    found = []
    for path in paths:
        if turned:
            path_class, split = path.parts[-3], canonical_split(path.parts[-2])
            found.append(ImagePath(str(path), "/".join(path.parts[shared:]), path_class, split))
            continue
        splits = (canonical_split(folder) for folder in reversed(path.parts[:-2]))
        identity = path.stem if stems[path.stem] == 1 else "/".join(path.parts[shared:])
        found.append(ImagePath(str(path), identity, path.parent.name, next(filter(None, splits), None)))
    return found


def split_is_below(folders: Iterable[tuple[str, ...]]) -> bool:
    """Whether images lie in ``class/split/``, not in ``split/class/``, from the folders that each lies in."""
    places = set(folders)
    if not all(len(parts) > 1 and canonical_split(parts[-1]) for parts in places):
        return False
    above = {parts[-2] for parts in places}
    return len(above) > 1 and not any(map(canonical_split, above))


def splits_of(paths: list[ImagePath], label: str) -> tuple[list[str], str | None]:
    """Decide the split of each image by its folders.

    Returns:
        One split for each image, and a line to tell if no folder names one, or none names training images; or None.

    Raises:
        UserError: some images lie in a split's folder and some do not.
    """
    named = [path.split for path in paths]
    if not any(named):
        return ["train"] * len(paths), f"{label} names no splits (train, validation, test): all images go to train."
    outside = [path for path in paths if path.split is None]
    if outside:
        raise UserError(
            f"{outside[0].name} in {label} lies in no split's folder but others do ({len(outside):,} of {len(paths):,} "
            "do not): move such images into train, validation or test, or remove them"
        )
    if set(named) == {"test"}:
        return ["test"] * len(paths), (
            f"A folder above all images in {label} is called like a test split: they can be evaluated on, and nothing "
            "can be trained. Rename the folder if that is only its name."
        )
    return [str(split) for split in named], None


def encode_image(image: np.ndarray, encoding: str) -> bytes:
    """The bytes of a uint8 image [H, W, 1] or [H, W, 3] as a file; the same pixels always give the same bytes.

    Args:
        image: 0..255.
        encoding: "png", or "jpeg" at quality 95 without chroma subsampling: about a third of the bytes for photographs,
            pixels off by 1 to 2 of 255.
    """
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if encoding == "jpeg" else {}
    stream = io.BytesIO()
    Image.fromarray(image.squeeze(axis=2) if image.shape[2] == 1 else image).save(stream, format=encoding, **options)
    return stream.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG as the address of an image, which needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def is_constant(image: np.ndarray) -> bool:
    """Whether all pixels of an image are equal: no face, as about a dozen images of FER-2013 are."""
    return bool(image.min() == image.max())
