"""Looks at a ``.keras`` file before Keras does: one that came from somebody else may name classes that run code, or
layers for which no memory is enough."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_member

_CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_OWN = ("keras", "keras.src", "builtins")
# Layers of Keras's own that run code of whoever wrote the file.
NO_LAYERS = ("Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer")
_CODE = (*NO_LAYERS, "__lambda__", "function")
_WIDTHS = ("units", "filters", "output_dim", "input_dim", "num_heads", "key_dim")


def check_saved_model(path: Path) -> None:
    """Make sure that a saved model has layers of Keras alone, whose numbers lie in its own file.

    Raises:
        UserError: it names other classes or code, or layers larger than its weights; or weights that
            ``fer_tl.core.saved_models.check_hdf5`` refuses.
        OSError, KeyError, ValueError, zipfile.BadZipFile: it is not a whole Keras model.
    """
    model = load_member(path, _CONFIG)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(WEIGHTS)
        if info.file_size > MOST_BYTES:
            raise UserError(f"{path} says that it holds more numbers than a network has: do not use this file")
        with archive.open(info) as stream:
            data = stream.read(info.file_size + 1)
    numbers = check_hdf5(io.BytesIO(data), str(path))
    for described in _objects(model):
        _check_class(described, path)
        _check_size(described, numbers, path)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that names a class."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


def _check_class(described: dict[str, Any], path: Path) -> None:
    name, module = str(described["class_name"]), described.get("module")
    known = module is None or any(module == own or str(module).startswith(f"{own}.") for own in _OWN)
    foreign = described.get("registered_name") not in (None, "", name) or ">" in name or not known
    if foreign or name in _CODE:
        raise UserError(
            f"{path} has a layer of the class {name[:60]!r} of {str(module)[:60]!r}, which is none of Keras's own or "
            "runs code of its writer: do not use this file"
        )


def _check_size(described: dict[str, Any], numbers: int, path: Path) -> None:
    """A layer has a number at least for each of its outputs, and for each pair of input and output."""
    config, built = described.get("config"), described.get("build_config")
    if not isinstance(config, dict):
        return
    widths = [value for key in _WIDTHS if isinstance(value := config.get(key), int)]
    shape = built.get("input_shape") if isinstance(built, dict) else None
    inputs = shape[-1] if isinstance(shape, list) and shape and isinstance(shape[-1], int) else 1
    sides = [side for side in config.get("batch_shape") or () if isinstance(side, int)]
    if any(width > numbers or width * inputs > numbers for width in widths) or math.prod(sides) > MOST_BYTES // 16:
        raise UserError(
            f"{path}: its layer {str(config.get('name'))[:60]!r} is larger than all that the file holds: do not use it"
        )


MOST_BYTES = 1 << 32
"""Of all arrays of a file together: VGG16 with its dense layers has 0.55 GB."""
MOST_OBJECTS = 100_000


def check_hdf5(source: Path | io.BytesIO, where: str) -> int:
    """Make sure that all arrays of an HDF5 file lie in it, and are no more than a network has.

    Args:
        source: the file, or its bytes.
        where: how to name it in a message.

    Returns:
        How many numbers its arrays hold.

    Raises:
        UserError: it has links, arrays in other files, or too many numbers.
        OSError: it is no HDF5 file.
    """
    import h5py

    with h5py.File(source, "r") as file:
        waiting, seen, size, numbers = [file["/"]], 0, 0, 0
        while waiting:
            group = waiting.pop()
            for name in group:
                seen += 1
                link = group.get(name, getlink=True)
                place = f"{where}: '{group.name.rstrip('/')}/{name}'"
                if not isinstance(link, h5py.HardLink):
                    raise UserError(
                        f"{place} is a link to elsewhere: weights lie in their own file, do not use this one"
                    )
                found = group.get(name)
                if isinstance(found, h5py.Group):
                    waiting.append(found)
                elif isinstance(found, h5py.Dataset):
                    if found.external or found.is_virtual:
                        raise UserError(
                            f"{place} reads another file: weights lie in their own file, do not use this one"
                        )
                    size += found.nbytes
                    numbers += found.size
                if size > MOST_BYTES or seen > MOST_OBJECTS:
                    raise UserError(f"{where} says that it holds more numbers than a network has: do not use this file")
    return numbers
