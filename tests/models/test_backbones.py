"""Every backbone is what the registry says, and a classifier takes raw pixels of any kind."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_tl.config import Head
from fer_tl.errors import UserError
from fer_tl.models.backbones import BACKBONES, resolve_model
from fer_tl.models.classifier import Classifier, build_classifier
from fer_tl.options import load_experiment
from fer_tl.training.saved_model import save_model

CONFIGS = Path(__file__).parents[2] / "configs"
CLASSES = 7

# name: parameters of the backbone, width of its features, smallest side
PINS = {
    "mobilenetv2": (2_257_984, 1280, 32),
    "efficientnetb0": (4_049_571, 1280, 32),
    "shallow_cnn": (241_312, 128, 16),
}
each_backbone = pytest.mark.parametrize("name", sorted(BACKBONES))


@cache
def smallest(name: str, channels: int, stored: int) -> Classifier:
    """The backbone at its smallest side with global average pooling, on images of ``stored`` pixels."""
    side = BACKBONES[name].min_size
    experiment = load_experiment(backbone=name, weights="none", image_size=side, head={"pooling": "avg", "dense": []})
    keras.utils.set_random_seed(3)
    return build_classifier(experiment, (stored, stored, channels), CLASSES, None)


def native(name: str) -> Classifier:
    return smallest(name, 3 if BACKBONES[name].rgb else 1, BACKBONES[name].min_size)


def pixels(count: int, side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels)).astype(np.uint8)


def test_every_backbone_is_pinned_and_every_pin_has_a_backbone():
    recorded = {name: (record.parameters, record.features, record.min_size) for name, record in BACKBONES.items()}
    assert recorded == PINS


@each_backbone
def test_parameters_and_feature_width_are_those_of_the_record(name: str):
    model, layers = native(name).model, native(name).backbone_layers
    logits = model.get_layer("logits")
    assert model.count_params() - logits.count_params() == BACKBONES[name].parameters
    assert sum(layer.count_params() for layer in layers) == BACKBONES[name].parameters
    assert logits.input.shape[-1] == BACKBONES[name].features


@each_backbone
@pytest.mark.parametrize("channels", [1, 3])
def test_smallest_side_gives_finite_logits_from_uint8(name: str, channels: int):
    side = BACKBONES[name].min_size
    logits = np.asarray(smallest(name, channels, side).model(pixels(2, side, channels)))
    assert logits.shape == (2, CLASSES)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@each_backbone
def test_uint8_and_float_pixels_give_the_same_logits(name: str):
    model = native(name).model
    images = pixels(1, *model.input_shape[2:])
    np.testing.assert_array_equal(model(images), model(images.astype(np.float32)))


@each_backbone
def test_grey_gives_the_logits_of_the_same_image_in_three_equal_channels(name: str):
    if not BACKBONES[name].rgb:
        pytest.skip("takes the channels it is given")
    side = BACKBONES[name].min_size
    grey, colour = smallest(name, 1, side).model, smallest(name, 3, side).model
    colour.set_weights(grey.get_weights())
    images = pixels(2, side, 1)
    np.testing.assert_array_equal(grey(images), colour(np.repeat(images, 3, axis=3)))


def test_other_stored_sides_are_resized_bilinearly():
    resized, plain = smallest("shallow_cnn", 1, 40).model, native("shallow_cnn").model
    resized.set_weights(plain.get_weights())
    images = pixels(2, 40, 1)
    by_hand = keras.ops.image.resize(images.astype(np.float32), (16, 16), interpolation="bilinear")
    np.testing.assert_allclose(resized(images), plain(by_hand), atol=1e-5)


def test_a_call_that_does_not_say_what_it_is_for_is_a_prediction():
    """Keras's own ``Resizing`` would switch every layer behind it to training."""
    model, images = smallest("shallow_cnn", 1, 40).model, pixels(2, 40, 1)
    predicted = np.asarray(model(images, training=False))
    np.testing.assert_array_equal(model(images), predicted)
    assert not np.allclose(model(images, training=True), predicted)


@each_backbone
def test_a_saved_model_is_plain_keras_and_gives_the_same_logits(name: str, tmp_path: Path):
    model = native(name).model
    path = tmp_path / "model.keras"
    save_model(model, tuple("abcdefg"), path)
    images = pixels(1, *model.input_shape[2:])
    np.testing.assert_array_equal(keras.models.load_model(path)(images), model(images))
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"}
    assert {layer["registered_name"] for layer in config["config"]["layers"]} == {None}


# Table 3 and 4 of the paper: its two optimised models and, from its backbones, GAP and softmax over 1280 features.
SIKIC = {
    "mobilenetv2_basic": 2_257_984 + 1280 * 7 + 7,
    "mobilenetv2_augmented": 2_257_984 + 1280 * 7 + 7,
    "mobilenetv2_optimized": 2_299_207,
    "efficientnetb0_basic": 4_049_564 + 1280 * 7 + 7 + 7,
    "efficientnetb0_augmented": 4_049_564 + 1280 * 7 + 7 + 7,
    "efficientnetb0_optimized": 4_133_859 + 7,  # and the 7 of Keras's Normalization layer
}


@cache
def parameters_of(backbone: str, size: int, head: Head) -> int:
    experiment = load_experiment(backbone=backbone, weights="none", image_size=size, head=vars(head))
    return int(build_classifier(experiment, (48, 48, 1), CLASSES, None).model.count_params())


@pytest.mark.parametrize("name", sorted(SIKIC))
def test_sikic_configs_have_the_parameters_of_the_paper(name: str):
    backbone, size, head = resolve_model(load_experiment(CONFIGS / f"sikic_{name}.yaml"))
    assert name.startswith(backbone.name)
    assert parameters_of(backbone.name, size, head) == SIKIC[name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "mobilenetv3"}, "unknown backbone 'mobilenetv3'; did you mean 'mobilenetv2'?"),
        ({"backbone": "mobilenetv2", "image_size": 31}, "32 pixels or more"),
        ({"backbone": "shallow_cnn", "weights": "none", "image_size": 15}, "16 pixels or more"),
        ({"backbone": "mobilenetv2", "alpha": 0.6}, "0.35, 0.5, 0.75, 1, 1.3, 1.4"),
        ({"backbone": "efficientnetb0", "weights": "none", "alpha": 0.5}, "use one of 1"),
        ({"backbone": "shallow_cnn", "weights": "imagenet"}, "--weights none"),
        ({"head": {"dense": [32], "dropout": [0.1]}}, "needs 2 numbers"),
        ({"head": {"dropout": [0.1, 0.2]}}, "needs 1 numbers"),
        ({"head": {"dropout": [1.0]}}, "'head.dropout'"),
        ({"head": {"dense": [0]}}, "'head.dense'"),
    ],
)
def test_a_model_that_cannot_be_is_one_clear_line(options: dict, words: str):
    with pytest.raises(UserError) as error:
        resolve_model(load_experiment(**options))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
