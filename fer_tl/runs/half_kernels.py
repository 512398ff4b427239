"""A saved model with kernels of 16 bits: half the size, and still a file that plain Keras loads, as float32."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_atomically
from fer_tl.core.saved_models import WEIGHTS, check_saved_model


def store_half_kernels(model: Path, target: Path) -> None:
    """Write a model again with its kernels rounded to float16, the same bytes each time.

    Biases and what BatchNorm holds stay float32: they are a hundredth of the numbers, and a small variance would lose
    most of its digits.

    Args:
        model: from ``fer_tl.runs.saved_model.save_model``.
        target: the new ``.keras`` file.

    Raises:
        UserError: it is not a model of Keras's own layers, or a kernel does not fit into float16.
        OSError, KeyError, zipfile.BadZipFile: it is not a whole Keras model.
    """
    check_saved_model(model)

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(model) as source, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as copy:
            for name in source.namelist():
                data = source.read(name)
                member = zipfile.ZipInfo(name)  # without a date
                member.compress_type = zipfile.ZIP_DEFLATED
                copy.writestr(member, _halved(data, model) if name == WEIGHTS else data)

    write_atomically(target, write)


def _halved(data: bytes, model: Path) -> bytes:
    """The bytes of an HDF5 file, whose arrays of several axes become float16."""
    halved = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as source, h5py.File(halved, "w") as copy:
        copy.attrs.update(source.attrs)

        def take(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                taken = copy.require_group(name)
            else:
                taken = copy.create_dataset(name, data=_rounded(item[()], f"{model}, {name}"))
            taken.attrs.update(item.attrs)

        source.visititems(take)
    return halved.getvalue()


def _rounded(values: np.ndarray, where: str) -> np.ndarray:
    """Kernels as float16, all else as it is."""
    if values.ndim < 2 or not np.issubdtype(values.dtype, np.floating):
        return values
    if not np.abs(values).max(initial=0) <= np.finfo(np.float16).max:  # also what is not finite
        raise UserError(f"{where} has numbers that float16 cannot hold")
    return values.astype(np.float16)
