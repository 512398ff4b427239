"""Units beside each other on one machine: each in a process of its own, none suffering from another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from units_of_work import unit

from fer_tl.core.environment import count_cores
from fer_tl.executors import shares
from fer_tl.executors.local import run_local
from fer_tl.executors.shares import divide, visible_gpus
from fer_tl.executors.unit import Unit

TESTS = Path(__file__).parents[1]


def run(units: list[Unit], jobs: int = 2) -> tuple[dict[str, str], list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []
    return run_local(units, jobs, lambda unit, line: said.append((unit.name, line))), said


def test_what_units_say_and_print_comes_from_them_and_no_chatter(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    faults, said = run([unit("leave_note", name, text=name, folder=str(tmp_path)) for name in names])
    assert faults == {}
    for name in names:
        assert [line for who, line in said if who == name] == [f"{name}, said", "printed"]
        threads, cores = (tmp_path / name).read_text().split("\n")
        # A share of the cores, and as many threads as one process has on all: their number decides the last bits.
        assert int(threads) == count_cores() and int(cores) == max(1, count_cores() // 2)


def test_a_unit_that_fails_or_dies_leaves_the_others_done(tmp_path: Path) -> None:
    ways = {"refuse": "no such weights: give others", "die": "its process was ended by SIGKILL", "break_down": "Zero"}
    first = [unit(way, way) for way in ways]
    faults, said = run([*first, unit("leave_note", "last", text="last", folder=str(tmp_path))])
    assert set(faults) == set(ways)
    for way, start in ways.items():
        assert faults[way].startswith(start) and "\n" not in faults[way]
        assert (way, f"{way} failed: {faults[way]}") in said
    assert (tmp_path / "last").exists()


STOPPED = """
import sys
from units_of_work import unit
from fer_tl.core.errors import Terminated
from fer_tl.core.interrupts import handled
from fer_tl.executors.local import run_local
def leave(number, frame):
    raise Terminated
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in its background without
with handled([signal.SIGTERM], leave):
    units = [unit("wait_for_end", name, put_down=sys.argv[1] + name) for name in "ab"]
    units += [unit("leave_note", "c", text="c", folder=sys.argv[1])]
    run_local(units, 2, lambda unit, line: print(line, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_units_put_their_work_down_when_the_one_who_started_them_stops(tmp_path: Path, number: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    command = [sys.executable, "-c", STOPPED, f"{tmp_path}/"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert [process.stdout.readline(), process.stdout.readline()] == [b"waiting\n"] * 2
        process.send_signal(number)
        process.wait(timeout=20)
    until = time.monotonic() + 20
    while not ((tmp_path / "a").exists() and (tmp_path / "b").exists()) and time.monotonic() < until:
        assert number == signal.SIGKILL  # else it has waited for them
        time.sleep(0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_machine_is_divided_without_rest_and_without_overlap() -> None:
    found = divide(3, range(8), ["0", "1", "2", "3"])
    assert sorted(core for share in found for core in share.cores) == list(range(8))
    assert [share.environment["CUDA_VISIBLE_DEVICES"] for share in found] == ["0", "1", "2,3"]
    few = divide(3, [5], ["GPU-7"])
    assert {share.cores for share in few} == {(5,)}
    assert {share.environment["CUDA_VISIBLE_DEVICES"] for share in few} == {"GPU-7"}
    # None of them takes all of its memory.
    assert all(share.environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true" for share in few)
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in found[0].environment
    assert "CUDA_VISIBLE_DEVICES" not in divide(1, [0], [])[0].environment


def test_gpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch, fake_tool: Callable) -> None:
    for given, found in {"": [], "-1": [], "1, 3": ["1", "3"], "GPU-a": ["GPU-a"]}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        assert visible_gpus() == found
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(shares.shutil, "which", lambda name: None)
    assert visible_gpus() == []
    monkeypatch.undo()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    fake_tool("nvidia-smi", "echo 'GPU 0: A (UUID: GPU-1)'; echo '  MIG 1g'; echo 'GPU 1: A (UUID: GPU-2)'")
    assert visible_gpus() == ["0", "1"]


@pytest.fixture
def fake_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a program of this name that does what a shell is told."""

    def make(name: str, script: str) -> None:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return make
