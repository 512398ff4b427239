"""Files appear whole or not at all: after a kill, a power cut, on a full disk."""

from __future__ import annotations

import errno
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from fer_tl.core.files import FULL, remove_temporaries, temporary_of, write_atomically, write_json, write_text
from fer_tl.core.machine import process_number
from fer_tl.inference.export.folder import workplace

GONE = 2**22 + 5  # more than a process number can be on Linux
BIG = np.arange(100_000)


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["big"] = BIG


def fail_in_words(path: Path) -> None:
    raise RuntimeError("Can't close file (file write failed: errno = 27, error message = 'File too large', buf = 0x1)")


def fail_at_last(path: Path) -> None:
    try:
        path.write_text("x" * 200_000)
    finally:
        raise ValueError("Can't close it")


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: like a disk that is full, for any user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("text.json", lambda path: path.write_text("x" * 200_000)),
        ("arrays.npz", lambda path: np.savez(path, a=BIG, b=BIG)),
        ("weights.h5", write_hdf5),
    ],
)
def test_a_full_disk_is_told_whatever_the_library_and_leaves_the_old_file(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    write_text(tmp_path / name, "old")
    with at_most(100_000), pytest.raises(OSError, match="File too large") as caught:
        write_atomically(tmp_path / name, write)
    assert caught.value.errno in FULL
    assert caught.value.filename == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"
    write_atomically(tmp_path / name, write)
    assert (tmp_path / name).stat().st_size > 100_000


@pytest.mark.parametrize("write", [fail_in_words, fail_at_last])
def test_a_library_that_hides_the_number_says_full_all_the_same(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    with at_most(100_000), pytest.raises(OSError, match="File too large") as caught:
        write_atomically(tmp_path / "model.keras", write)
    assert caught.value.errno == errno.EFBIG
    assert not list(tmp_path.iterdir())


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "file", lambda path: 1 / 0)
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "text")


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, rename = os.fsync, os.replace

    def recorded_sync(descriptor: int) -> None:
        done.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def recorded_rename(source: Path, target: Path) -> None:
        done.append(f"rename to {target.name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_rename)
    write_json(tmp_path / "a.json", {})
    assert done == [f"sync {temporary_of(tmp_path / 'a.json').name}", "rename to a.json", f"sync {tmp_path.name}"]


def test_a_folder_that_cannot_be_synced_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_text(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_only_what_was_half_written_is_removed(tmp_path: Path) -> None:
    for name in (".4711.model.keras", ".1.a", ".lock", ".hidden", ".12", "4711.model.keras"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".12", ".hidden", ".lock", "4711.model.keras"]


def test_what_a_killed_process_left_is_removed_by_the_next_of_its_kind(tmp_path: Path) -> None:
    path, here = tmp_path / "model.keras", process_number()[len(str(os.getpid())) :]
    dead, alive = tmp_path / f".{GONE}{here}.model.keras", tmp_path / f".{os.getppid()}{here}.model.keras"
    elsewhere, old = tmp_path / f".77{'9' * 10}.model.keras", tmp_path / f".78{'9' * 10}.model.keras"
    other = tmp_path / f".{GONE}{here}.other.keras"
    for left in (dead, alive, elsewhere, old, other):
        left.write_text("half")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    write_text(path, "whole")
    assert {each for each in tmp_path.iterdir()} == {path, alive, elsewhere, other}


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path: Path) -> None:
    here = process_number()[len(str(os.getpid())) :]
    left = tmp_path / f".{GONE}{here}.keras"
    (left / "new").mkdir(parents=True)
    (left / "new" / "model.keras").write_text("half")
    with workplace(tmp_path / "keras"):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []
