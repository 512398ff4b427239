"""What a weights file of the user's own says of the pixels that it was trained on, and of its licence.

The scaling belongs to the weights. A model that fer-tl saved has it in its layers; an official file under another name
is known by its md5; of any other file nobody knows but the user.
"""

from __future__ import annotations

import functools
import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_member
from fer_tl.models import shipped
from fer_tl.models.pixels import GREY
from fer_tl.models.record import Backbone, Pretrained, Scaling

_CONFIG, _ABOUT = "config.json", "fer_tl.json"
_KEPT = {"centre": "centred", "standardize": "standardized"}


@dataclass(frozen=True)
class Start:
    """A model file of fer-tl as a start.

    Attributes:
        scaling: of the pixels, before the backbone.
        pixels: "backbone", "centred" or "standardized", see ``fer_tl.models.pixels.scale_pixels``.
        channels: that its backbone sees, 1 or 3.
        consent: the licence that whoever goes on with it must accept, None for none.
    """

    scaling: Scaling
    pixels: str
    channels: int
    consent: str | None


def read_start(path: Path, backbone: Backbone) -> Start | None:
    """What a ``.keras`` file says, read without Keras; None for a model that is not of fer-tl.

    Raises:
        UserError: it is not a Keras model, or one of another backbone.
    """
    try:
        model = load_member(path, _CONFIG)
        with zipfile.ZipFile(path) as archive:
            is_ours = _ABOUT in archive.namelist()
        about = load_member(path, _ABOUT) if is_ours else None
        name, layers = model["config"]["name"], model["config"]["layers"]
        found = {layer["config"]["name"]: layer for layer in layers}
        stored = int(layers[0]["config"]["batch_shape"][-1])
        channels = 3 if "grey_to_rgb" in found else 1 if GREY in found else stored
    except (OSError, ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a whole Keras model ({' '.join(str(error).split())[:200]})") from None
    if about is None:
        return None
    if name == "expressions":
        raise UserError(f"{path} is an exported model: give the model.keras of the run that it was exported from")
    if name != backbone.name:
        raise UserError(
            f"{path} is a model of {str(name)[:40]}, not of {backbone.name}: give --backbone {str(name)[:40]}"
        )
    pixels = next((kind for layer, kind in reversed(_KEPT.items()) if layer in found), "backbone")
    consent = about.get("consent") if isinstance(about, dict) else None
    return Start(_scaling(found, path), pixels, channels, consent if isinstance(consent, str) else None)


def recognize_published(path: Path, backbone: Backbone) -> Pretrained | None:
    """The published weights that a ``.h5`` file holds, under whatever name: known by its md5, or by layers that no
    other weights have; None if it is none of them."""
    known = {weights.md5: weights for weights in backbone.pretrained.values() if weights.md5}
    if not backbone.pretrained or not path.is_file():
        return None
    found = path.stat()
    by_hash = known.get(_md5(path, found.st_size, found.st_mtime_ns))
    return by_hash or next((w for w in backbone.pretrained.values() if w.layers and _layers(path) == w.layers), None)


def _layers(path: Path) -> tuple[str, ...]:
    from fer_tl.models.legacy_weights import read_layer_names

    try:
        return read_layer_names(path)
    except Exception:  # h5py raises half a dozen types for damaged files, which loading tells of
        return ()


@functools.lru_cache(maxsize=8)
def _md5(path: Path, size: int, modified: int) -> str:
    """Of a file of this size and time; some 600 MB/s."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _scaling(layers: dict[str, Any], path: Path) -> Scaling:
    """What the layers in front of the backbone do, see ``fer_tl.models.pixels``."""
    order = "bgr" if "rgb_to_bgr" in layers else "rgb"
    if "scale" not in layers:
        return Scaling(order=order)  # type: ignore[arg-type]
    config = layers["scale"]["config"]
    factor, offset = (tuple(v) if isinstance(v, list) else v for v in (config.get("scale"), config.get("offset")))
    for value in (factor, offset):
        numbers = value if isinstance(value, tuple) else (value,)
        if len(numbers) not in (1, 3) or not all(isinstance(n, int | float) and abs(n) < 1e6 for n in numbers):
            raise UserError(f"{path} scales its pixels in a way that fer-tl does not: it is not a model of fer-tl")
    return Scaling(factor, offset, order)  # type: ignore[arg-type]


def given_file(weights: str) -> Path:
    """The path that ``--weights`` is where it names no published ones; of the network that ships, that of its file.

    Raises:
        UserError: no network ships with this installation, or it is damaged.
    """
    if weights == shipped.NAME:
        return shipped.find_shipped().weights
    return Path(os.path.expanduser(weights))  # Path.expanduser raises for an unknown user
