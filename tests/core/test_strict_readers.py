"""What other people's files hold is bounded before it is read: bombs, lies about sizes, values of other kinds."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.core.json_files import UnreadableMember, load_json, load_member
from fer_tl.core.options import load_experiment
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 10**6, "objects and lists in one another"),
        ('{"a":' * 40 + "1" + "}" * 40, "objects and lists in one another"),
        ('{"a": 1, "a": 2}', "'a' occurs twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "not a number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a": 99999999999999999999}', "too large"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": "b\\u0000c"}', "NUL"),
        ('"' + "x" * (1 << 24) + '"', "bytes, more than"),
    ],
)
def test_json_that_nobody_means_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=why) as refused:
        load_json(path)
    assert len(str(refused.value)) < 300
    with pytest.raises(UserError, match=r"run\.json") as told:
        fer_tl.report(tmp_path, say=lambda line: None)
    assert "\n" not in str(told.value)


def test_json_of_all_kinds_is_read(tmp_path: Path) -> None:
    value = {"a": [1, -2.5, 1e300, None, True, "Zürich 😀"], "b": {"c": {}}, "d": 2**63 - 1}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert load_json(tmp_path / "a.json") == value


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(OSError, match="not a regular file"):
        load_json(tmp_path / "run.json")


def test_a_member_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("fer_tl.json", "w") as member:
            for _ in range(32):
                member.write(b" " * (1 << 20))
        archive.writestr("config.json", "[" * 10**6)
    for name in ("fer_tl.json", "config.json", "none.json"):
        with pytest.raises(UnreadableMember):
            load_member(path, name)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "aliases stand for more than"),
        (BOMB.replace("x,x", "{k: 1},x") + "z: {<<: *i}\n", "aliases stand for more than"),
        ("data: &a [*a]", "stands for what it is in"),
        ("data: " + "[" * 200_000, "in one another"),
        ("epochs: " + "9" * 5000, "not valid YAML"),
        ("epochs: 999999999999999999999", "integer is too large"),
        ("epochs: 3\nepochs: 4", "'epochs' occurs twice"),
        ("data: " + "x" * 300_000, "bytes, more than"),
        ("? [a]\n: 1", "a key that is not text"),
    ],
)
def test_yaml_that_nobody_means_is_refused_at_once(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=why) as refused:
        load_experiment(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_an_honest_alias_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("epochs: &number 3\nfolds: *number\n")
    assert load_experiment(tmp_path / "config.yaml").folds == 3


def npz(path: Path, **changes: Any) -> Path:
    arrays = {"ids": np.array(["a", "b"]), "labels": np.array([0, 1]), "class_names": np.array(["x", "y"])}
    np.savez(path, **(arrays | {"logits": np.zeros((2, 2), np.float32)} | changes))
    return path


def header(path: Path, name: str, text: str, body: bytes = b"") -> Path:
    """An archive whose member ``name`` has this header."""
    whole = npz(path.with_name("whole.npz"))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as archive:
        for member in source.namelist():
            data = source.read(member)
            if member == f"{name}.npy":
                data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body
            archive.writestr(member, data)
    return path


def plain(descr: str, shape: str) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"


ARRAYS: dict[str, Callable[[Path], Path]] = {
    "objects": lambda path: npz(path, labels=np.array([0, None], dtype=object)),
    "text for numbers": lambda path: npz(path, logits=np.array([["a", "b"]] * 2)),
    "complex": lambda path: npz(path, logits=np.zeros((2, 2), np.complex64)),
    "label too high": lambda path: npz(path, labels=np.array([0, 2])),
    "label below zero": lambda path: npz(path, labels=np.array([0, -1])),
    "an id twice": lambda path: npz(path, ids=np.array(["a", "a"])),
    "a class twice": lambda path: npz(path, class_names=np.array(["x", "x"])),
    "another array": lambda path: npz(path, more=np.zeros(3)),
    "no text": lambda path: npz(path, ids=np.frombuffer(b"\xff\xff\xff\x7f" * 2, "<U1")),
    "a shape that lies": lambda path: header(path, "labels", plain("<i8", "(1000000000000,)"), b"\0" * 16),
    "a shape beyond 64 bits": lambda path: header(path, "labels", plain("<i8", f"({'9' * 17},)"), b"\0" * 16),
    "a giant header": lambda path: header(path, "labels", plain("<i8", "(2,)") + " " * 60000, b"\0" * 16),
    "a deep header": lambda path: header(path, "labels", "(" * 9000),
    "a header that computes": lambda path: header(path, "labels", "{'descr': 9**9**9}"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_no_training_writes_are_refused(tmp_path: Path, case: str) -> None:
    path = ARRAYS[case](tmp_path / "predictions.npz")
    with pytest.raises(UserError, match="is not a predictions file") as refused:
        load_predictions(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_a_bomb_of_arrays_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path, block = tmp_path / "predictions.npz", b"\0" * (1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("ids", "labels", "class_names"):
            archive.writestr(f"{name}.npy", "")
        with archive.open("logits.npy", "w") as member:
            for _ in range(16):
                member.write(block)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the entry of the last member, whose size now says 3 GB
    data[at + 24 : at + 28] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="3,221,225,472 bytes, more than"):
        load_predictions(path)


def test_predictions_come_back(tmp_path: Path) -> None:
    logits = np.asfortranarray(np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32))
    written = Predictions(np.array(["ä", "b" * 300]), np.array([2, 0]), logits, ("x", "y", "表"))
    save_predictions(tmp_path / "p.npz", written)
    found = load_predictions(tmp_path / "p.npz")
    assert found.ids.tolist() == written.ids.tolist() and found.class_names == written.class_names
    assert np.array_equal(found.logits, logits) and found.labels.tolist() == [2, 0]
