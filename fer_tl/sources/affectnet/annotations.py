"""AffectNet's newer layout: folders of faces that are cut already, and a NumPy file for each thing said of one."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from fer_tl.core.archives import Files
from fer_tl.core.errors import UserError
from fer_tl.core.files import BROKEN_ARRAYS
from fer_tl.sources.affectnet.faces import NO_EXPRESSION, ORDER, Face, Listing, read_expression, read_measures
from fer_tl.sources.findings import Skipped
from fer_tl.sources.images import IMAGE_SUFFIXES
from fer_tl.sources.split_names import canonical_split

_EXPRESSION = re.compile(r"(?:(.*)/)?annotations/([^/]+)_exp\.npy", re.IGNORECASE)
_ENDINGS = {"valence": "val", "arousal": "aro"}
_LARGEST = 4096  # bytes of an annotation: a header and one value


def find_annotations(files: Files) -> list[str]:
    """The files that say the expression of an image."""
    return [name for name in files.names if _EXPRESSION.fullmatch(name)]


def read_annotations(files: Files, names: list[str]) -> Listing:
    """Read the annotations ``names`` and find their images, in ``images`` beside ``annotations``.

    Raises:
        UserError: a folder of annotations names no split, or no image is there.
    """
    listing = Listing()
    there = {*files.names}
    images = {}
    for name in files.names:
        path = PurePosixPath(name)
        if path.suffix.lower() in IMAGE_SUFFIXES and path.parent.name.lower() == "images":
            images[str(path.parent.parent), path.stem] = name
    for name in names:
        match = _EXPRESSION.fullmatch(name)
        assert match is not None  # `find_annotations` chose it
        folder, stem = match[1] or ".", match[2]
        base = PurePosixPath(folder).name or files.label  # who gives one set has no folder around it
        split = canonical_split(base)
        if split is None:
            raise UserError(
                f"{files.where(name)}: {base!r}, the folder of images and annotations, names no split: call it "
                "train_set or val_set, as AffectNet does"
            )
        texts = {key: f"{name[: -len('exp.npy')]}{ending}.npy" for key, ending in _ENDINGS.items()}
        texts = {key: other for key, other in texts.items() if other in there}
        listing.lists += [name, *texts.values()]
        try:
            number, measures = _annotation(files, name, texts)
            image = images.get((folder, stem))
            if image is None:
                raise ValueError("there is no image of it in the folder images beside")
        except ValueError as error:
            listing.problems.append(Skipped(name, name, str(error)))
            continue
        if number in NO_EXPRESSION:
            listing.leave_out(number, image)
        else:
            listing.faces.append(Face(image, f"{base}/{stem}", split, ORDER.names[number], measures, None, name))
    if not listing.faces and not images:
        raise UserError(f"{files.label} has annotations but no images: they lie in train_set/images and val_set/images")
    return listing


def _annotation(files: Files, name: str, texts: Mapping[str, str]) -> tuple[int, dict[str, float]]:
    """The number of an expression, and valence and arousal; raises ``ValueError`` for what cannot be used."""
    number = read_expression(_read_value(files, name))
    return number, read_measures({key: _read_value(files, other) for key, other in texts.items()})


def _read_value(files: Files, name: str) -> str:
    """The one value of a NumPy file as text; raises ``ValueError`` if it holds anything else."""
    try:
        data = files.read(name)
    except UserError as error:
        raise ValueError(str(error)) from None
    what = f"{PurePosixPath(name).name} is not one number or text of NumPy"
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(stream, max_header_size=_LARGEST)
        # Checked before anything is allocated; objects would run what somebody wrote, see `allow_pickle`.
        if len(data) > _LARGEST or math.prod(shape) != 1 or dtype.kind not in "iufSU":
            raise ValueError
        stream.seek(0)
        value = np.lib.format.read_array(stream, allow_pickle=False).reshape(-1)[0]
    except BROKEN_ARRAYS:
        raise ValueError(what) from None
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
