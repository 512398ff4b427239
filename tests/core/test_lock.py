"""One process works on a folder; whoever comes second is told who the first one is, and a dead one holds nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_tl.core import lock
from fer_tl.core.errors import UserError
from fer_tl.core.lock import hold

HOLD = """
import sys, time
from pathlib import Path
from fer_tl.core.lock import hold
with hold(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(60)
"""
APPEND = """
import json, sys
from pathlib import Path
from fer_tl.core.lock import hold, take_turns
folder = Path(sys.argv[1])
for number in range(15):
    with hold(folder, shared=True), take_turns(folder):
        path = folder / "list.json"
        path.write_text(json.dumps([*(json.loads(path.read_text()) if path.exists() else []), number]))
"""

Holder = Callable[..., subprocess.Popen]


@pytest.fixture
def start_holder(tmp_path: Path) -> Iterator[Holder]:
    """``start_holder(folder, shared=False)``: a process that holds a folder until it is killed."""
    started = []

    def start(folder: Path, shared: bool = False) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, str(folder), "shared" if shared else "alone"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.05)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_second_is_told_who_the_first_is_until_that_one_is_killed(start_holder: Holder, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    first = start_holder(folder)
    wanted = rf"run is worked on by process {first.pid} on {platform.node()} since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    for shared in (False, True):
        with pytest.raises(UserError, match=wanted) as caught, hold(folder, shared):
            pass
        assert "\n" not in str(caught.value)
    first.kill()
    first.wait()
    assert names(folder) == [".lock"]
    with hold(folder):
        assert json.loads((folder / ".lock").read_text())["process"] != first.pid
    assert names(folder) == []


def test_those_who_share_keep_out_those_who_do_not(start_holder: Holder, tmp_path: Path) -> None:
    other, last = (start_holder(tmp_path, shared=True) for _ in range(2))
    with hold(tmp_path, shared=True):
        pass
    with pytest.raises(UserError, match=f"process {other.pid} on"), hold(tmp_path):
        pass
    other.kill()
    other.wait()
    with pytest.raises(UserError, match=f"process {last.pid} on"), hold(tmp_path):
        pass
    last.kill()
    last.wait()
    with hold(tmp_path), pytest.raises(UserError, match="is worked on by process"), hold(tmp_path, shared=True):
        pass
    assert names(tmp_path) == []


def test_a_folder_made_for_the_lock_stays_if_something_is_in_it(tmp_path: Path) -> None:
    with hold(tmp_path / "empty" / "run"):
        pass
    with hold(tmp_path / "kept" / "run"):
        (tmp_path / "kept" / "run" / "file").touch()
    assert names(tmp_path) == ["kept"]
    assert names(tmp_path / "kept" / "run") == ["file"]


def test_many_take_turns_and_none_is_turned_away(tmp_path: Path) -> None:
    """Each makes and removes the files of the locks under the others' hands."""
    command = [sys.executable, "-c", APPEND, str(tmp_path / "run")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
    assert len(json.loads((tmp_path / "run" / "list.json").read_text())) == 3 * 15
    assert names(tmp_path / "run") == ["list.json"]


def test_a_file_that_its_last_holder_deletes_meanwhile_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, open_file = [], os.open

    def open_too_late(path: Path, *given: int) -> int:
        descriptor = open_file(path, *given)
        if not found:
            found.append(path)
            os.unlink(path)
        return descriptor

    monkeypatch.setattr(os, "open", open_too_late)
    with hold(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on"), hold(tmp_path):
        pass
    assert found == [tmp_path / ".lock"]


def test_where_there_are_no_locks_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    lines: list[str] = []
    with hold(tmp_path / "run", say=lines.append):
        (tmp_path / "run" / "file").touch()
    assert len(lines) == 1 and "has no locks" in lines[0]
    assert names(tmp_path / "run") == ["file"]


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is worked on by another process"), hold(tmp_path):
            pass
    assert lock._PATIENCE < sum(slept) < 4 * lock._PATIENCE


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_file_in_the_way_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written") as caught, hold(tmp_path / place):
        pass
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("process", [10**30, -1, "one", None, 1.5])
def test_a_lock_signed_by_no_process_is_another_process(start_holder: Holder, tmp_path: Path, process: object) -> None:
    start_holder(tmp_path / "run")
    entry = {"process": process, "host": platform.node(), "since": "then"}
    (tmp_path / "run" / ".lock").write_text(json.dumps(entry) + "\n")
    with pytest.raises(UserError, match="is worked on by another process"), hold(tmp_path / "run"):
        pass


def test_the_number_of_a_process_on_another_machine_is_not_looked_for_here(
    start_holder: Holder, tmp_path: Path
) -> None:
    start_holder(tmp_path / "run")
    entry = {"process": 2**22 + 1, "host": "another", "since": "then"}
    (tmp_path / "run" / ".lock").write_text(json.dumps(entry) + "\n")
    with pytest.raises(UserError, match=f"process {2**22 + 1} on another since then"), hold(tmp_path / "run"):
        pass
