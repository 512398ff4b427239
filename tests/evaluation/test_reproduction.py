"""Two trainings of one run: equal bits, near enough, too far, other folds, other versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hand_made_runs import COUNT, FOLDS, GROUPS, IDS, LABELS, logits_of, make_run

from fer_tl.core.files import write_json
from fer_tl.evaluation.reproduction import Reproduction, compare_trainings
from fer_tl.reports.reproduction_report import verdict
from fer_tl.runs.folder import RunFolder

BY_ID = dict(zip(IDS.tolist(), GROUPS.tolist(), strict=True))
LOGITS = logits_of(0)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("before"), LOGITS)


def compared(within: float = 1.0) -> Reproduction:
    return compare_trainings(*(RunFolder(Path(name)) for name in ("before", "again")), BY_ID, within, lambda line: None)


def test_equal_bits_agree_whatever_the_order_of_examples():
    make_run(Path("again"), LOGITS, order=3)
    found = compared(within=0)
    assert found.is_equal and found.agrees
    assert (found.together.largest, found.together.same_answer, found.moved) == (0, 1, 0)
    assert [part.name for part in found.parts] == [f"fold-{k}" for k in range(4)]
    assert verdict(found).startswith("It agrees: all answers are the same to the last bit")


def test_a_last_bit_is_seen_and_agrees_by_its_accuracy_alone():
    other = LOGITS.copy()
    other[7, 0] = np.nextafter(other[7, 0], np.float32(9))
    make_run(Path("again"), other)
    found = compared()
    assert not found.is_equal and found.agrees and found.together.largest < 1e-6
    assert [part.is_equal for part in found.parts] == [k != FOLDS[7] for k in range(4)]
    assert not compared(within=0).agrees


def test_how_far_they_are_apart_is_what_the_answers_say():
    other = LOGITS.copy()
    right = np.flatnonzero(LOGITS.argmax(axis=1) == LABELS)[:9]
    other[right] = np.roll(9 * np.eye(3, dtype=np.float32)[LABELS[right]], 1, axis=1)  # now wrong, and sure of it
    make_run(Path("again"), other)
    found = compared()
    assert found.together.before - found.together.again == pytest.approx(9 / COUNT)
    assert found.together.same_answer == pytest.approx(1 - 9 / COUNT)
    softmax = [np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (LOGITS, other)]
    assert found.together.largest == pytest.approx(np.abs(softmax[0] - softmax[1]).max(), abs=1e-6)
    assert found.interval is not None and found.interval[0] < -9 / COUNT < found.interval[1] < 0
    assert not found.agrees and compared(within=100 * 9 / COUNT + 0.01).agrees
    assert "It does not agree: accuracy" in verdict(found) and "−7.50 points" in verdict(found)
    json.dumps(found.to_dict())


def test_other_folds_never_agree():
    make_run(Path("again"), LOGITS, folds=np.roll(FOLDS, 6))
    found = compared(within=100)
    assert found.moved == COUNT and not found.parts and not found.agrees
    verdict(found)


def test_versions_that_differ_are_named_and_those_that_nobody_recorded_are_not():
    make_run(Path("again"), LOGITS)
    for name, keras, more in (("before", "3.15.0", {"commit": "a"}), ("again", "3.15.1", {"onednn": "0"})):
        entry = {"date": name, "versions": {"keras": keras, "numpy": "2.4"}, "cores": 2, "executable": name}
        write_json(Path(name, "environment.json"), [{"date": "x", "cores": 9}, entry | more])
    assert compared().differing == {"keras": ("3.15.0", "3.15.1")}
