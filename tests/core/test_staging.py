"""Staging: builds of several machines share a disk, and no kill loses a dataset that was there."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from pathlib import Path

import pytest

from fer_tl.core import lock, staging
from fer_tl.core.files import temporary_of
from fer_tl.core.machine import machine
from fer_tl.core.staging import put_in_place, recover_all, workplace

NOBODY = 2**22 + 1  # Linux gives no such process number


def building(root: Path, name: str, age: float, owner: object = None) -> Path:
    """The folder of a build that gave its last sign of life so many seconds ago."""
    place = root / f".building-{name}-{NOBODY}"
    place.mkdir(parents=True)
    (place / "spool").write_text("images")
    then = time.time() - age
    if owner is not None:
        (place / "owner.json").write_text(json.dumps(owner))
        os.utime(place / "owner.json", (then, then))
    os.utime(place, (then, then))
    return place


@pytest.mark.parametrize("owner", [{"machine": "another one", "process": NOBODY, "started": 1.5}, None, "torn"])
def test_a_build_of_another_machine_is_left_alone_while_it_may_be_alive(tmp_path: Path, owner: object) -> None:
    alive = building(tmp_path, "live", 600, owner)
    dead = building(tmp_path, "dead", 100_000, owner)
    with workplace(tmp_path, "mine") as place:
        assert alive.exists() and (alive / "spool").exists() and not dead.exists()
        assert place.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [alive.name]


def test_of_this_machine_who_is_alive_is_known(tmp_path: Path) -> None:
    with workplace(tmp_path, "mine") as place:
        owner = json.loads((place / "owner.json").read_text())
        others = {
            "gone": {**owner, "process": NOBODY},
            "another process of the number": {**owner, "started": owner["started"] - 1000},
            "no number": {**owner, "process": None},
            "alive": owner,
        }
        places = {name: building(tmp_path, name, 0, entry) for name, entry in others.items()}
        os.utime(places["alive"] / "owner.json", (1, 1))  # it may have been asleep
        with workplace(tmp_path, "second"):
            assert [name for name, path in places.items() if path.exists()] == ["alive"]
            assert place.exists()


def test_a_build_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_BEAT", 0.01)
    with workplace(tmp_path, "mine") as place:
        os.utime(place / "owner.json", (1, 1))
        end = time.monotonic() + 10
        while (place / "owner.json").stat().st_mtime < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert (place / "owner.json").stat().st_mtime > 2
    assert not list(tmp_path.iterdir())


def test_machines_with_the_same_process_numbers_fill_different_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = temporary_of(tmp_path / "a.json")
    monkeypatch.setattr("fer_tl.core.machine.machine", lambda: "another one")
    assert temporary_of(tmp_path / "a.json") != mine


def dataset(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "records").write_text(content)
    return folder


@pytest.mark.parametrize("again", ["load", "build"])
def test_a_kill_between_the_two_renames_loses_no_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    target = dataset(tmp_path / "faces" / "1.0.0", "old")
    rename, done = Path.rename, []

    def killed(path: Path, to: Path) -> Path:
        if done:
            raise KeyboardInterrupt  # as a kill, nothing is put back
        done.append(path)
        return rename(path, to)

    def build() -> None:
        with workplace(tmp_path, "mine") as place, monkeypatch.context() as patch:
            patch.setattr(Path, "rename", killed)
            put_in_place(dataset(place / "new", "new"), target, place)

    with pytest.raises(KeyboardInterrupt):
        build()
    assert not target.exists() and done == [target]
    if again == "load":
        recover_all(target.parent)
        assert (target / "records").read_text() == "old"
    else:
        with workplace(tmp_path, "mine") as place:
            put_in_place(dataset(place / "new", "newer"), target, place)
        assert (target / "records").read_text() == "newer"
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_a_kill_after_both_renames_leaves_the_new_dataset(tmp_path: Path) -> None:
    target = dataset(tmp_path / "faces" / "1.0.0", "new")
    old = dataset(tmp_path / "faces" / ".replaced-1.0.0", "old")
    recover_all(target.parent)
    assert (target / "records").read_text() == "new" and (old / "records").exists()  # who only reads deletes nothing
    with workplace(tmp_path, "mine") as place:
        put_in_place(dataset(place / "new", "newer"), target, place)
    assert (target / "records").read_text() == "newer"
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_a_reader_who_puts_the_old_one_back_does_not_stop_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = dataset(tmp_path / "faces" / "1.0.0", "old")
    rename, calls = Path.rename, []

    def slow(path: Path, to: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:  # between the two
            rename(to.with_name(".replaced-1.0.0"), to)
        return rename(path, to)

    with workplace(tmp_path, "mine") as place, monkeypatch.context() as patch:
        new = dataset(place / "new", "new")
        patch.setattr(Path, "rename", slow)
        put_in_place(new, target, place)
    assert (target / "records").read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_a_dataset_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, synced, rename = tmp_path / "faces" / "1.0.0", [], Path.rename

    def note(path: Path, to: Path) -> Path:
        synced.append("renamed")
        return rename(path, to)

    with workplace(tmp_path, "mine") as place, monkeypatch.context() as patch:
        new = dataset(place / "new", "new")
        patch.setattr(staging, "sync", lambda path: synced.append(path.name))
        patch.setattr(Path, "rename", note)
        put_in_place(new, target, place)
    assert synced[:4] == ["records", "new", "renamed", "faces"]


def test_who_replaces_a_dataset_waits_for_who_is_replacing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = dataset(tmp_path / "faces" / "1.0.0", "old")
    rename, calls = Path.rename, []

    def second() -> None:
        put_in_place(dataset(tmp_path / "second" / "new", "second"), target, tmp_path / "second")

    other = threading.Thread(target=second)

    def slow(path: Path, to: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:  # between the two
            other.start()
            other.join(0.3)
            assert other.is_alive() and not target.exists() and len(calls) == 2
        return rename(path, to)

    (tmp_path / "first").mkdir()
    with monkeypatch.context() as patch:
        new = dataset(tmp_path / "first" / "new", "first")
        patch.setattr(Path, "rename", slow)
        put_in_place(new, target, tmp_path / "first")
        other.join()
    assert [(each / "records").read_text() for each in (target, tmp_path / "second/replaced")] == ["second", "first"]
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_without_locks_what_another_has_moved_aside_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = dataset(tmp_path / "faces" / "1.0.0", "old")
    rename, calls = Path.rename, []

    def late(path: Path, to: Path) -> Path:
        calls.append(path)
        if len(calls) == 1:  # another build has just replaced what was there
            dataset(to, "older")
        return rename(path, to)

    with workplace(tmp_path, "mine") as place, monkeypatch.context() as patch:
        new = dataset(place / "new", "new")
        patch.setattr(Path, "rename", late)
        patch.setattr(lock, "fcntl", None)
        put_in_place(new, target, place)
    assert (target / "records").read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_what_another_has_put_in_place_meanwhile_may_be_refused(tmp_path: Path) -> None:
    target = tmp_path / "faces" / "1.0.0"
    dataset(target.with_name(".replaced-1.0.0"), "of a build that was killed")

    def refuse() -> None:
        raise ValueError((target / "records").read_text())

    with workplace(tmp_path, "mine") as place, pytest.raises(ValueError, match="of a build that was killed"):
        put_in_place(dataset(place / "new", "new"), target, place, refuse)
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_two_builds_of_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    with workplace(tmp_path, "mine") as place:
        dataset(place / "new", "new")
        with workplace(tmp_path, "mine") as second:
            assert second != place
        assert (place / "new" / "records").exists()
    assert not list(tmp_path.iterdir())


def test_a_machine_without_a_network_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for address in (0x65D5E6E8C9D0, 0xACF4D1D2A3B4 | 1 << 40, 0x02FBF0000001, 0x02FBF0000002):
        monkeypatch.setattr(uuid, "getnode", lambda address=address: address)
        found.append(machine.__wrapped__())
    assert found[0] == found[1]  # each process draws another address
    assert len(set(found)) == 3
