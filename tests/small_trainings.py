"""Trainings of a thin network on faces of 16 pixels, a second or two each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.runs.folder import RunFolder
from fer_tl.training.cross_validation import train_one

TRAIN, HELD_OUT = 64, 24


def small_experiment(**options: Any) -> Experiment:
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 24}
    return load_experiment(**{**small, **options})


def held_out_faces(make_faces: Callable[..., Dataset]) -> Dataset:
    """``TRAIN`` images and ``HELD_OUT`` ones of the validation split."""
    dataset = make_faces(TRAIN + HELD_OUT, side=16)
    return replace(dataset, splits=np.repeat(["train", "validation"], [TRAIN, HELD_OUT]))


def train(settings: Experiment, dataset: Dataset, path: Path) -> None:
    train_one(settings, dataset, RunFolder(path), lambda line: None)
