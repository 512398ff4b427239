"""What is written for TensorBoard is what TensorFlow reads, whatever a killed process left."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from fer_tl.training.event_log import EventLog

HISTORY = [
    {"stage": "head", "epoch": 1, "loss": 1.5, "accuracy": 0.25, "learning_rate": 0.001, "val_loss": 1.25},
    {"stage": "main", "epoch": 2, "loss": 1.0, "accuracy": 0.5, "learning_rate": 0.0001, "val_loss": 0.75},
    {"stage": "main", "epoch": 300, "loss": 0.5, "accuracy": 0.75, "watched_accuracy": 0.125},
]


def read(path: Path) -> tuple[list[dict[str, float]], list[float]]:
    """The scalars of each event by tag, with its step, and when each is said to have been."""
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset([str(path)])]
    assert events[0].file_version == "brain.Event:2"
    scalars = [{"step": e.step} | {value.tag: value.simple_value for value in e.summary.value} for e in events[1:]]
    return scalars, [event.wall_time for event in events[1:]]


EXPECTED = [
    {"step": 1, "loss/training": 1.5, "accuracy/training": 0.25, "learning_rate": 0.001, "loss/held out": 1.25},
    {"step": 2, "loss/training": 1.0, "accuracy/training": 0.5, "learning_rate": 0.0001, "loss/held out": 0.75},
    {"step": 300, "loss/training": 0.5, "accuracy/training": 0.75, "accuracy/watched": 0.125},
]


def test_tensorflow_reads_every_number(tmp_path: Path):
    log = EventLog(tmp_path / "fold-0" / "events")
    log.begin([], [])
    for record in HISTORY:
        log.add(record)
    scalars, times = read(tmp_path / "fold-0" / "events")
    for found, expected in zip(scalars, EXPECTED, strict=True):
        assert found == pytest.approx(expected)
    assert times == sorted(times)


def test_a_resumed_fold_has_each_epoch_once(tmp_path: Path):
    path = tmp_path / "events"
    log = EventLog(path)
    log.begin([], [])
    for record in HISTORY:
        log.add(record)
    path.write_bytes(path.read_bytes()[:-20])  # killed while the last was written, after the checkpoint of the first
    resumed = EventLog(path)
    resumed.begin(HISTORY[:1], [30.0, 12.0])
    for record in HISTORY[1:]:
        resumed.add(record)
    scalars, times = read(path)
    assert [event["step"] for event in scalars] == [1, 2, 300]
    assert times[1] - times[0] == pytest.approx(12.0, abs=2.0)
