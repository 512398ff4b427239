"""A run compiles each kind of step once: on a TPU a compilation takes a minute or more."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import keras
import pytest
from small_trainings import small_experiment

from fer_tl.data.dataset import Dataset
from fer_tl.runs.folder import RunFolder
from fer_tl.training.cross_validation import train_folds

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="counts the compilations of JAX"),
]


def test_folds_epochs_and_last_batches_share_one_compiled_step(
    make_faces: Callable[..., Dataset], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import jax

    experiment = small_experiment(folds=3, epochs=2)
    with jax.log_compiles(True), caplog.at_level(logging.WARNING):
        # Neither the folds nor what is scored are whole batches of 24, and the folds differ in size.
        train_folds(experiment, make_faces(100, side=16), RunFolder(tmp_path / "run"), lambda line: None)
    compiled = [record.getMessage() for record in caplog.records]
    compiled = [line for line in compiled if re.match(r"Compiling (jit\()?(body|loop)\b", line)]
    assert len(compiled) == 2, compiled  # one that trains, one that scores
