"""A checkpoint is read back as it was written, or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from fer_tl.training import checkpoint
from fer_tl.training.checkpoint import Checkpoints

OWNER = 7
VALUES = {
    "model": [np.arange(700, dtype=np.float32).reshape(100, 7), np.zeros((0, 3), np.float32), np.array(5, np.int64)],
    "optimizer": [np.linspace(0, 1, 12, dtype=np.float16)],
}


def write(folder: Path, count: int) -> list[Path]:
    checkpoints = Checkpoints(folder, OWNER, print)
    for step in range(1, count + 1):
        checkpoints.save(VALUES, {"step": step, "loss": 0.1 + 0.2})
    return sorted(folder.iterdir())


def test_values_types_and_state_come_back(tmp_path: Path):
    write(tmp_path, 1)
    values, state = Checkpoints(tmp_path, OWNER, print).load()
    assert state == {"step": 1, "loss": 0.1 + 0.2}
    assert values.keys() == VALUES.keys()
    for kind, listed in VALUES.items():
        for read, written in zip(values[kind], listed, strict=True):
            assert read.dtype == written.dtype
            np.testing.assert_array_equal(read, written)


def test_the_last_two_are_kept(tmp_path: Path):
    assert [path.name for path in write(tmp_path, 5)] == ["checkpoint-000004.npz", "checkpoint-000005.npz"]
    checkpoints = Checkpoints(tmp_path, OWNER, print)
    checkpoints.forget()
    assert not list(tmp_path.iterdir())
    assert checkpoints.load() is None


def test_any_damage_is_noticed_and_the_one_before_is_taken(tmp_path: Path):
    rng = random.Random(0)
    before, path = write(tmp_path, 2)
    whole = path.read_bytes()
    for trial in range(300):
        damaged, place = bytearray(whole), rng.randrange(len(whole))
        if trial % 3:
            damaged[place] ^= 1 << rng.randrange(8)
        else:
            del damaged[place:]
        path.write_bytes(damaged)
        told: list[str] = []
        _, state = Checkpoints(tmp_path, OWNER, told.append).load()
        assert state["step"] == 1
        assert told == [f"warning: checkpoint {path} is damaged (it is not what was written): {before.name} is taken"]
        assert not path.exists()


def test_one_of_another_owner_is_not_taken(tmp_path: Path):
    (path,) = write(tmp_path, 1)
    told: list[str] = []
    assert Checkpoints(tmp_path, OWNER + 1, told.append).load() is None
    assert told == [f"warning: checkpoint {path} is of another fold or run: training begins anew"]


def test_a_folder_under_such_a_name_is_none(tmp_path: Path):
    write(tmp_path, 1)
    (tmp_path / "checkpoint-000009.npz").mkdir()
    assert Checkpoints(tmp_path, OWNER, print).load()[1]["step"] == 1


def test_a_full_disk_leaves_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = write(tmp_path, 2)

    def full(path: Path, arrays: dict) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checkpoint, "write_sealed", full)
    with pytest.raises(OSError, match="No space left"):
        Checkpoints(tmp_path, OWNER, print).save(VALUES, {"step": 3})
    assert sorted(tmp_path.iterdir()) == paths
    assert Checkpoints(tmp_path, OWNER, print).load()[1]["step"] == 2
