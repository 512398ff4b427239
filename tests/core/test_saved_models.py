"""A model that came from somebody else runs no code of its writer and asks for no endless memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from fer_tl.core.errors import UserError
from fer_tl.core.saved_models import check_saved_model
from fer_tl.runs.saved_model import load_model, save_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    inputs = keras.Input((6, 6, 1), name="image")
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    save_model(keras.Model(inputs, outputs), ("a", "b"), tmp_path / "model.keras")
    return tmp_path / "model.keras"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def dense(config: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a module of somebody": lambda config: dense(config).update(module="os", class_name="system"),
    "a name that begins like Keras": lambda config: dense(config).update(module="keras_evil.layers"),
    "a registered class": lambda config: dense(config).update(registered_name="pack>Layer"),
    "code in a layer": lambda config: dense(config).update(class_name="Lambda"),
    "code in an argument": lambda config: dense(config)["config"].update(
        activation={"class_name": "__lambda__", "config": {"value": "eJw="}}
    ),
    "two thousand million units": lambda config: dense(config)["config"].update(units=2_000_000_000),
    "an endless image": lambda config: config["config"]["layers"][0]["config"].update(
        batch_shape=[None, 99999, 99999, 3]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_not_of_keras_or_too_large_is_refused_before_it_is_built(
    model: Path, change: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(model, change)
    monkeypatch.setattr(keras.models, "load_model", lambda *given, **named: pytest.fail("it was built"))
    with pytest.raises(UserError, match="do not use") as refused:
        load_model(model)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_what_fer_tl_saves_is_fine(model: Path) -> None:
    check_saved_model(model)
    assert load_model(model)[1] == ("a", "b")


def test_every_backbone_that_is_saved_passes(tmp_path: Path) -> None:
    """MobileNetV2 has depthwise convolutions, whose width is that of their input."""
    base = keras.applications.MobileNetV2(input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.35)
    save_model(base, ("a",), tmp_path / "m.keras")
    check_saved_model(tmp_path / "m.keras")
