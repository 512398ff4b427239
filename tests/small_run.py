"""A cross validation of three tiny models of random weights, which load, predict and agree with what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from stored_dataset import Stored, store_dataset

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.files import write_json
from fer_tl.data.directory import dataset_directory
from fer_tl.data.folds import write_folds
from fer_tl.data.manifest import read_manifest
from fer_tl.data.merging import parse_classes
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import PART_FILES, describe_files
from fer_tl.runs.predictions import Predictions, save_predictions
from fer_tl.runs.saved_model import save_model

CLASSES = ("angry", "happy", "sad")
COUNT, SIDE = 60, 12
IDS = np.array([f"face/{row:03d} <b>" for row in range(COUNT)])
LABELS = np.arange(COUNT) % 3
# Patches of four pixels: of finer noise, the models would say the same of all images.
PATCHES = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 3, 1)).astype(np.uint8)
IMAGES = PATCHES.repeat(4, axis=1).repeat(4, axis=2)
# Of the test split: finer, for of so coarse pictures many have the same digest.
UNSEEN = np.random.default_rng(9).integers(0, 256, (COUNT, 6, 6, 1)).astype(np.uint8).repeat(2, 1).repeat(2, 2)
FOLDS = np.arange(COUNT) // 3 % 3
# Of a second repetition, which divides the images otherwise.
AGAIN = np.arange(COUNT) // 9 % 3


def store() -> str:
    """The dataset under ``data``, in an order of its own; returns its training split's fingerprint."""
    order = np.random.default_rng(3).permutation(COUNT)
    rows = {"train": order, "test": order[:6]}
    splits = {
        name: Stored(
            {"train": IMAGES, "test": UNSEEN}[name][part],
            LABELS[part],
            np.char.add(IDS[part], "" if name == "train" else name),
            IDS[part],
        )
        for name, part in rows.items()
    }
    store_dataset(Path("data"), "folder/own", CLASSES, splits)
    return read_manifest(dataset_directory("data", "folder/own")).fingerprints["train"]


def make_model(seed: int, classes: int) -> keras.Model:
    """Pixels ``[B, SIDE, SIDE, 1]`` to logits ``[B, classes]``."""
    inputs = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, keras.layers.Dense(classes)(x))
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return model


def make_run(
    name: str,
    kind: str = "cv",
    folds: int = 3,
    classes: tuple[str, ...] | None = None,
    repeats: int = 1,
    **settings: Any,
) -> RunFolder:
    """A run that is done, with models of random weights and what they say of the images that they held out; a cross
    validation once or twice. Settings are those of its experiment."""
    fingerprint, known, labels, rows = store(), CLASSES, LABELS, np.arange(COUNT)
    if classes:
        class_map = parse_classes(classes, CLASSES)
        fingerprint, known, labels = (
            class_map.fingerprint(fingerprint),
            class_map.names,
            class_map.labels_of(CLASSES)[LABELS],
        )
        rows = np.flatnonzero(labels >= 0)
    parts = [f"fold-{fold}" for fold in range(folds * repeats)] if kind == "cv" else ["model"]
    table = np.stack([FOLDS, folds + AGAIN][:repeats])
    run = RunFolder(Path(name))
    given = {"backbone": "shallow_cnn", "weights": "none", "folds": folds, "repeats": repeats, "classes": classes}
    experiment = Experiment(data="folder/own", data_dir="data", **{**given, **settings})
    about = {"kind": kind, "parts": parts, "dataset": "folder/own", "fingerprint": fingerprint}
    about |= {"settings": identity(experiment), **({"repeats": repeats} if repeats > 1 else {})}
    run.start(experiment, about | {"class_names": list(known), "held_out": "split train", "split_over_folds": 0})
    if kind == "cv":
        write_folds(run.path / "folds.csv", IDS[rows], table[:, rows])
    for number, part in enumerate(parts):
        held = rows[(table[:, rows] == number).any(axis=0)]
        model = make_model(number, len(known))
        save_model(model, known, run.part(part) / "model.keras")
        logits = np.asarray(model(IMAGES[held].astype(np.float32)))
        save_predictions(run.part(part) / "predictions.npz", Predictions(IDS[held], labels[held], logits, known))
        for file in set(PART_FILES) - {"model.keras", "predictions.npz"}:
            write_json(run.part(part) / file, {"epochs": 1, "kept_epoch": 1})
        seal(run, part)
    return run


def seal(run: RunFolder, part: str) -> None:
    """Record the files of a part as they are now."""
    write_json(run.part(part) / "result.json", {"epochs": 1, "kept_epoch": 1, "files": describe_files(run.part(part))})
