"""A classifier takes raw pixels of any kind and is a plain Keras model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_tl.augment.adapt import adapt_images
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.classifier import build_classifier
from fer_tl.models.pixels import fit_standardization
from fer_tl.models.record import Variant
from fer_tl.models.starts import read_start
from fer_tl.runs.saved_model import save_model

CLASSES = 7


@cache
def smallest(name: str, channels: int, stored: int) -> keras.Model:
    """The backbone at its smallest side with global average pooling, on images of ``stored`` pixels."""
    side = BACKBONES[name].min_size
    experiment = load_experiment(backbone=name, weights="none", image_size=side, head={"pooling": "avg", "dense": []})
    keras.utils.set_random_seed(3)
    return build_classifier(experiment, (stored, stored, channels), CLASSES, None).model


def pixels(count: int, side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels)).astype(np.uint8)


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnetb0", "shallow_cnn"])
@pytest.mark.parametrize("channels", [1, 3])
def test_uint8_and_float_pixels_give_the_same_logits(name: str, channels: int):
    side = BACKBONES[name].min_size
    model, images = smallest(name, channels, side), pixels(1, side, channels)
    np.testing.assert_array_equal(model(images), model(images.astype(np.float32)))


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnetb0"])
def test_grey_gives_the_logits_of_the_same_image_in_three_equal_channels(name: str):
    side = BACKBONES[name].min_size
    grey, colour = smallest(name, 1, side), smallest(name, 3, side)
    colour.set_weights(grey.get_weights())
    images = pixels(2, side, 1)
    np.testing.assert_array_equal(grey(images), colour(np.repeat(images, 3, axis=3)))


def test_other_stored_sides_are_resized_bilinearly():
    resized, plain = smallest("shallow_cnn", 1, 40), smallest("shallow_cnn", 1, 16)
    resized.set_weights(plain.get_weights())
    images = pixels(2, 40, 1)
    by_hand = keras.ops.image.resize(images.astype(np.float32), (16, 16), interpolation="bilinear")
    np.testing.assert_allclose(resized(images), plain(by_hand), atol=1e-5)


def test_a_call_that_does_not_say_what_it_is_for_is_a_prediction():
    """Keras's own ``Resizing`` would switch every layer behind it to training."""
    model, images = smallest("shallow_cnn", 1, 40), pixels(2, 40, 1)
    predicted = np.asarray(model(images, training=False))
    np.testing.assert_array_equal(model(images), predicted)
    assert not np.allclose(model(images, training=True), predicted)


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnetb0", "liu_residual", "pham", "shallow_cnn"])
def test_a_saved_model_gives_the_same_logits(name: str, tmp_path: Path):
    side = BACKBONES[name].min_size
    model, images = smallest(name, 1, side), pixels(1, side, 1)
    save_model(model, tuple("abcdefg"), tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(images), model(images))


@pytest.mark.parametrize("pixels_option", ["backbone", "centred", "standardized"])
def test_a_model_that_sees_grey_answers_for_colours_as_for_a_build_in_grey(pixels_option: str, tmp_path: Path):
    """Also one that starts from the other's weights without being told how many channels it sees."""
    options = {"backbone": "liu_3conv", "pixels": pixels_option, "head": {"pooling": "avg", "dense": []}}
    seen, rows = pixels(6, 20, 3), np.arange(6)
    built = adapt_images(seen, (20, 20, 1))
    keras.utils.set_random_seed(1)
    grey = build_classifier(load_experiment(weights="none", **options), (20, 20, 1), CLASSES, None).model
    if pixels_option == "standardized":
        fit_standardization(grey, built, rows)
    save_model(grey, tuple("abcdefg"), tmp_path / "model.keras")
    start = load_experiment(weights=str(tmp_path / "model.keras"), **options)
    asked = load_experiment(weights="none", channels=1, **options)
    for experiment, file in ((start, tmp_path / "model.keras"), (asked, None)):
        model = build_classifier(experiment, (20, 20, 3), CLASSES, file).model
        for layer in grey.layers[1:]:
            model.get_layer(layer.name).set_weights(layer.get_weights())
        if pixels_option == "standardized":
            fit_standardization(model, seen, rows)
        # The build rounds to whole numbers of 255.
        np.testing.assert_allclose(model(seen), grey(built), atol=0.01)
    save_model(model, tuple("abcdefg"), tmp_path / "colour.keras")
    assert read_start(tmp_path / "colour.keras", BACKBONES["liu_3conv"]).channels == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Channels of the first convolution for a pixel of red 200, green 100, blue 50; means as published.
        ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", (50 - 103.939, 100 - 116.779, 200 - 123.68)),
        ("rcmalli_vggface_tf_notop_vgg16.h5", (50 - 93.5940, 100 - 104.7624, 200 - 129.1863)),
        ("of-our-own.weights.h5", (200 / 127.5 - 1, 100 / 127.5 - 1, 50 / 127.5 - 1)),
    ],
)
def test_the_name_of_a_file_decides_how_pixels_are_scaled(
    name: str, expected: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fer_tl.models.classifier.load_weights", lambda *given: None)
    experiment = load_experiment(backbone="vgg16", weights=f"/some/where/{name}", accept_licence="vggface")
    model = build_classifier(experiment, (32, 32, 3), CLASSES, Path(experiment.weights)).model
    into_network = keras.Model(model.input, model.get_layer("block1_conv1").input)
    image = np.full((1, 32, 32, 3), (200, 100, 50), np.uint8)
    np.testing.assert_allclose(np.asarray(into_network(image))[0, 5, 7], expected, atol=1e-4)


@pytest.mark.parametrize("pixels_option", ["backbone", "standardized"])
def test_a_file_of_our_own_starts_a_model_with_any_pixels(pixels_option: str, tmp_path: Path):
    """What stands in front of the backbone is not in the file."""
    options = {"backbone": "shallow_cnn", "image_size": 16}
    keras.utils.set_random_seed(1)
    source = BACKBONES["shallow_cnn"].build(keras.Input((16, 16, 1)), Variant())
    source.save_weights(tmp_path / "own.weights.h5")
    experiment = load_experiment(weights=str(tmp_path / "own.weights.h5"), pixels=pixels_option, **options)
    layers = build_classifier(experiment, (24, 24, 1), CLASSES, tmp_path / "own.weights.h5").backbone_layers
    loaded = [weight for layer in layers for weight in layer.get_weights()]
    for ours, theirs in zip(loaded, [w for layer in source.layers for w in layer.get_weights()], strict=True):
        np.testing.assert_array_equal(ours, theirs)
