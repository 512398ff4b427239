"""Find pretrained weights before Keras is imported; load them strictly afterwards."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from fer_tl.errors import UserError
from fer_tl.files import write_atomically
from fer_tl.models.backbones import Backbone, WeightsFile


def keras_home() -> Path:
    """Keras's cache folder: ``$KERAS_HOME``, else ``~/.keras`` (keras/src/backend/config.py)."""
    return Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))


def find_weights(backbone: Backbone, weights: str, alpha: float, size: int) -> Path | None:
    """The file to start from; None for ``weights="none"``.

    ImageNet weights come from the Keras cache and, if they are not there, from the network into it.

    Raises:
        UserError: no such file, or it is neither cached nor to be fetched.
    """
    if weights == "none":
        return None
    if weights != "imagenet":
        path = Path(os.path.expanduser(weights))  # Path.expanduser raises for an unknown user
        if not path.is_file():
            raise UserError(f"weights '{weights}': no such file (use imagenet, none, or a file)")
        if path.suffix not in (".h5", ".keras"):
            raise UserError(f"weights '{weights}' should be a .h5 or .weights.h5 file of {backbone.name}")
        return path
    assert backbone.imagenet is not None  # resolve_model has checked it
    file = backbone.imagenet(alpha, size)
    path = keras_home() / "models" / file.name
    if not path.is_file():
        _fetch(file, path, backbone)
    return path


def _fetch(file: WeightsFile, path: Path, backbone: Backbone) -> None:
    def download(temporary: Path) -> None:
        with urllib.request.urlopen(file.url, timeout=30) as response, temporary.open("wb") as out:
            digest = hashlib.md5(usedforsecurity=False)
            while block := response.read(1 << 20):
                digest.update(block)
                out.write(block)
            size = response.headers.get("Content-Length")
            if size and out.tell() != int(size):
                raise OSError(f"the download broke off after {out.tell():,} of {int(size):,} bytes")
        if file.md5 and digest.hexdigest() != file.md5:
            raise OSError(f"its md5 is {digest.hexdigest()}, not {file.md5}")

    try:
        write_atomically(path, download)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise UserError(
            f"the ImageNet weights of {backbone.name} are not in {path} and could not be fetched "
            f"({getattr(error, 'reason', error)})\n"
            f"put {file.name} from {file.url} there, or start without them: --weights none"
        ) from None


def load_weights(base: Any, path: Path, backbone: Backbone) -> None:
    """Load a file into a freshly built backbone, layer by layer in order, all or nothing.

    Args:
        base: keras.Model of the backbone alone.
        path: legacy ``.h5`` or ``.weights.h5`` file.

    Raises:
        UserError: it is not a weights file of this architecture.
    """
    try:
        base.load_weights(str(path))
        if path.name.endswith(".weights.h5"):
            _check_none_left(base, path)
    except Exception as error:  # Keras and h5py raise half a dozen types for files that do not fit
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not hold the weights of {backbone.name}: {reason}") from None


def _check_none_left(base: Any, path: Path) -> None:
    """Refuse a ``.weights.h5`` file with more arrays than the model: Keras ignores those that it has no layer for."""
    import h5py

    names: list[str] = []
    with h5py.File(path) as file:
        file["layers"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    if len(names) != len(base.weights):
        raise ValueError(f"it holds {len(names)} arrays, the model {len(base.weights)}")
