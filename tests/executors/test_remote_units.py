"""Units on Ray and on Slurm, real ones of this machine, and on machines that are not like the one that sends them."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from units_of_work import unit

from fer_tl.core.environment import count_cores
from fer_tl.core.errors import UserError
from fer_tl.executors.ray_cluster import run_ray
from fer_tl.executors.remote import origin_here, parse_options, perform_from
from fer_tl.executors.slurm import run_slurm
from fer_tl.executors.unit import Unit

PATH = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *sys.path]))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, from which processes find the work."""
    monkeypatch.setenv("PYTHONPATH", PATH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_all_ends() -> list[Unit]:
    return [unit("leave_note", "well", text="well"), unit("refuse", "refused"), unit("die", "dead")]


def check_ends(faults: dict[str, str], said: list[str], folder: Path) -> None:
    assert set(faults) == {"refused", "dead"} and all("\n" not in fault for fault in faults.values())
    assert faults["refused"] == "no such weights: give others"
    assert f"dead failed: {faults['dead']}" in said and any(line.startswith("well: done") for line in said)
    assert (folder / "well").read_text().startswith(f"{count_cores()}\n")


@pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="submitit is not installed")
def test_jobs_of_slurm_end_each_by_itself(here: Path) -> None:
    said: list[str] = []
    scratch = here / "scratch"
    faults = run_slurm(of_all_ends(), 2, {"cluster": "local"}, scratch, lambda unit, line: said.append(line))
    check_ends(faults, said, here)
    assert "ended without a result" in faults["dead"] and scratch.exists()
    with pytest.raises(UserError, match=r"nothing was submitted: .*gpus"):
        run_slurm(of_all_ends(), 2, {"cluster": "local", "gpus": 1}, here / "never", lambda unit, line: None)
    assert not (here / "never").exists()


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own, of files and processes that it leaves to the system
def test_tasks_of_ray_end_each_by_itself_and_are_given_again_when_lost(here: Path) -> None:
    said: list[str] = []
    lost_once = unit("die", "lost once", note=str(here / "note"))
    options = {"max_retries": 1, "runtime_env": {"env_vars": {"PYTHONPATH": PATH}}}
    faults = run_ray([*of_all_ends(), lost_once], 2, options, lambda unit, line: said.append(line))
    check_ends(faults, said, here)
    assert "Ray lost it" in faults["dead"] and "lost once: done" in said


def test_a_machine_that_is_not_alike_does_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin, work = origin_here(), unit("leave_note", "a", text="a")
    older = replace(origin, versions={**origin.versions, "keras": "3.0"})
    assert " has keras " in perform_from(older, work) and "3.0: install the same" in perform_from(older, work)
    assert "has no folder /nowhere" in perform_from(replace(origin, folder="/nowhere"), work)
    assert list(here.iterdir()) == []
    monkeypatch.setattr(os, "environ", {**os.environ})
    assert perform_from(origin, work) == "" and (here / "a").exists()


def test_options_are_numbers_where_they_look_like_it() -> None:
    expected = {"num_gpus": 0.5, "num_cpus": 4, "address": "h:1"}
    assert parse_options("num_gpus=0.5, num_cpus=4,address=h:1") == expected
    assert parse_options(["num_gpus=0.5", "num_cpus=4", "address=h:1"]) == expected
    assert parse_options(None) == {}
