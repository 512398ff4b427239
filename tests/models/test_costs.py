"""Parameters and multiplications of a model and of its file; no figure where unsure. Those of backbones are counted in
``test_backbones.py``, which has built them."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path

import keras
import pytest
from test_backbones import counted

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.classifier import build_classifier
from fer_tl.models.costs import Costs, Uncounted, count_costs, read_costs
from fer_tl.runs.saved_model import save_model


def test_a_saved_model_carries_its_costs(tmp_path: Path):
    head = {"pooling": "flatten", "dense": [8], "dropout": [0, 0.5], "batch_norm": True, "activation": "relu"}
    experiment = load_experiment(
        backbone="liu_3conv", weights="none", image_size=16, channels=3, pixels="standardized", head=head
    )
    model = build_classifier(experiment, (20, 20, 1), 7, None).model
    save_model(model, tuple("abcdefg"), tmp_path / "model.keras")
    assert read_costs(tmp_path / "model.keras") == counted(model)


def test_convolutions_of_every_kind():
    layers = keras.layers
    inputs = keras.Input((15, 18, 4))
    x = layers.Normalization()(inputs)
    x = layers.Conv2D(6, 3, strides=2, padding="valid", groups=2)(x)
    x = layers.Conv2D(5, (2, 3), dilation_rate=(1, 2), padding="valid", use_bias=False)(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.BatchNormalization(scale=False)(x)
    model = keras.Model(inputs, x)
    assert count_costs(model) == counted(model)


def test_a_dense_layer_multiplies_at_every_place():
    inputs = keras.Input((4, 4, 3))
    dense = keras.layers.Dense(5)
    model = keras.Model(inputs, dense(inputs))
    assert count_costs(model) == Costs(20, 16 * prod(dense.kernel.shape))


def unknown_model(kind: str) -> keras.Model:
    layers, inputs = keras.layers, keras.Input((8, 8, 3))
    if kind == "SeparableConv2D":
        return keras.Model(inputs, layers.SeparableConv2D(4, 3, name="odd")(inputs))
    shared = layers.Conv2D(3, 3, padding="same", name="odd")
    return keras.Model(inputs, shared(shared(inputs)))


@pytest.mark.parametrize("kind", ["SeparableConv2D", "shared"])
def test_what_is_not_known_is_not_guessed(kind: str):
    with pytest.raises(Uncounted, match="'odd'"):
        count_costs(unknown_model(kind))


def test_a_file_that_was_saved_without_its_costs_is_named(tmp_path: Path):
    path = tmp_path / "model.keras"
    save_model(unknown_model("shared"), ("a", "b", "c"), path)
    with pytest.raises(Uncounted, match=r"model\.keras does not say its costs"):
        read_costs(path)


def test_a_file_that_is_no_model_is_named(tmp_path: Path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK no")
    with pytest.raises(UserError, match=r"model\.keras is not a whole model"):
        read_costs(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fer_tl.json", '{"costs": [1, 2]}')
    with pytest.raises(UserError, match=r"model\.keras is not a whole model"):
        read_costs(path)
