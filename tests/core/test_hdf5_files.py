"""A weights file that came from somebody else reads no other file of this machine."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.core.saved_models import check_hdf5, check_saved_model


def external_data(file: h5py.File, secret: Path) -> None:
    file.create_group("a").create_dataset("kernel", shape=(4,), dtype="u1", external=[(str(secret), 0, 4)])


def external_link(file: h5py.File, secret: Path) -> None:
    file.create_group("a")["kernel"] = h5py.ExternalLink(str(secret), "/x")


def soft_link(file: h5py.File, secret: Path) -> None:
    file["a/kernel"] = np.ones(3)
    file["b"] = h5py.SoftLink("/a")


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape=(4,))
    file.create_virtual_dataset("a/kernel", layout)


def endless(file: h5py.File, secret: Path) -> None:
    file.create_dataset("a/kernel", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(1024, 1024))


@pytest.mark.parametrize("make", [external_data, external_link, soft_link, virtual, endless])
@pytest.mark.parametrize("packed", [False, True])
def test_what_lies_elsewhere_or_has_no_end_is_refused(tmp_path: Path, make, packed: bool) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.ones(4, np.float32)
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        make(file, secret)
    message = "more numbers than a network has" if make is endless else "link to elsewhere|reads another file"
    if packed:
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.write(path, "model.weights.h5")
            archive.writestr("config.json", "{}")
    with pytest.raises(UserError, match=message) as refused:
        check_saved_model(tmp_path / "m.keras") if packed else check_hdf5(path, str(path))
    assert "\n" not in str(refused.value)


def test_plain_arrays_in_groups_are_fine() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/conv/vars/0"] = np.ones((3, 3, 4, 8), np.float32)
        file.create_dataset("compressed", data=np.zeros(1000), compression="gzip")
    assert check_hdf5(stream, "x") == 3 * 3 * 4 * 8 + 1000
