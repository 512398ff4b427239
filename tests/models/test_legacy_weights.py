"""Weights files load whole or not at all, into the layers that they were saved from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from weights_files import randomize, write_layers, write_legacy

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import find_backbone
from fer_tl.models.classifier import Classifier, build_classifier
from fer_tl.models.record import Variant
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights, load_weights

SHALLOW = find_backbone("shallow_cnn")


def shallow(alpha: float = 0.5) -> keras.Model:
    return SHALLOW.build(keras.Input((16, 16, 1)), Variant(alpha=alpha))


def write_new(model: keras.Model, path: Path) -> None:
    model.save_weights(path)


formats = pytest.mark.parametrize(("write", "suffix"), [(write_legacy, ".h5"), (write_new, ".weights.h5")])


@formats
def test_a_file_of_the_same_architecture_loads_every_weight(write: Callable, suffix: str, tmp_path: Path):
    keras.utils.set_random_seed(1)
    source, target = shallow(), shallow()
    randomize(source)
    write(source, tmp_path / f"w{suffix}")
    load_weights(target, tmp_path / f"w{suffix}", SHALLOW)
    for loaded, written in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, written)


def refusal(path: Path, model: keras.Model | None = None) -> str:
    """The one line with which a file is refused for a shallow CNN of half width, which keeps its weights."""
    model = model or shallow()
    before = model.get_weights()
    with pytest.raises(UserError) as error:
        load_weights(model, path, SHALLOW)
    assert f"{path} does not hold the weights of shallow_cnn: " in str(error.value)
    assert "\n" not in str(error.value)
    if not path.name.endswith((".weights.h5", ".keras")):
        for now, then in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(now, then)
    return str(error.value)


@formats
def test_a_file_of_another_width_is_refused(write: Callable, suffix: str, tmp_path: Path):
    write(shallow(alpha=1.0), tmp_path / f"w{suffix}")
    refusal(tmp_path / f"w{suffix}")


@formats
@pytest.mark.parametrize("change", ["one layer short", "one layer more"])
def test_a_file_of_another_depth_is_refused(write: Callable, suffix: str, change: str, tmp_path: Path):
    model = shallow()
    if change == "one layer short":
        cut = keras.Model(model.input, model.get_layer("conv4").output)
    else:
        cut = keras.Model(model.input, keras.layers.BatchNormalization()(model.output))
    write(cut, tmp_path / f"w{suffix}")
    refusal(tmp_path / f"w{suffix}")


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\n and then nothing"])
def test_a_file_that_is_no_weights_file_is_refused(suffix: str, content: bytes, tmp_path: Path):
    (tmp_path / f"w{suffix}").write_bytes(content)
    refusal(tmp_path / f"w{suffix}")


def stored(model: keras.Model) -> list[tuple[str, list[np.ndarray]]]:
    return [(layer.name, layer.get_weights()) for layer in model.layers if layer.weights]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda layers: layers[:-1], "Model expected 8 layers, found 7 saved layers"),
        (lambda layers: [*layers, ("dense", [np.zeros((2, 3)), np.zeros(())])], "found 9 saved layers"),
        (lambda layers: [layers[0], ("other", layers[1][1][:3]), *layers[2:]], "layer #1 (named bn1 in the current"),
        (lambda layers: [*layers[:2], ("other", layers[4][1]), *layers[3:]], "expects shape (3, 3, 16, 32)"),
        (lambda layers: [], "found 0 saved layers"),
    ],
)
def test_what_differs_is_named(change: Callable, words: str, tmp_path: Path):
    model = shallow()
    assert words in refusal(write_layers(tmp_path / "w.h5", change(stored(model))), model)


def test_layer_names_beyond_the_limit_of_an_attribute_are_read_in_order(tmp_path: Path):
    """Keras spreads a list of more than 64 KiB over numbered attributes."""
    source, target = shallow(), shallow()
    randomize(source)
    write_legacy(source, tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    load_weights(target, tmp_path / "w.h5", SHALLOW)
    np.testing.assert_array_equal(target.get_weights()[-1], source.get_weights()[-1])


def test_weights_inside_a_whole_model_of_keras_2_are_found(tmp_path: Path):
    source, target = shallow(), shallow()
    randomize(source)
    write_legacy(source, tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as weights, h5py.File(tmp_path / "model.h5", "w") as file:
        weights.copy("/", file, name="model_weights")
    load_weights(target, tmp_path / "model.h5", SHALLOW)
    np.testing.assert_array_equal(target.get_weights()[0], source.get_weights()[0])


def caffe(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., ::-1] - np.array([103.939, 116.779, 123.68])


# Keras's network, its smallest side, and the scaling of its ImageNet weights.
OFFICIAL = {
    "vgg16": (keras.applications.VGG16, 32, caffe),
    "resnet50": (keras.applications.ResNet50, 32, caffe),
    "inceptionv3": (keras.applications.InceptionV3, 75, lambda rgb: rgb / 127.5 - 1),
}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[keras.Model, Path]]:
    """Keras's own networks with random weights, and a file of each under its official name."""
    made = {}
    for name, (network, side, _) in OFFICIAL.items():
        model = network(weights=None, include_top=False, input_shape=(side, side, 3))
        randomize(model)
        path = tmp_path_factory.mktemp(name) / find_backbone(name).pretrained["imagenet"].file_name(1.0, side)
        write_legacy(model, path)
        made[name] = model, path
    return made


@pytest.fixture(scope="module")
def loaded(official: dict[str, tuple[keras.Model, Path]]) -> dict[str, Classifier]:
    """A classifier of each that starts from its file."""
    made = {}
    for name, (_, side, _) in OFFICIAL.items():
        # Random numbers are not the official ones: their scaling has to be said.
        experiment = load_experiment(backbone=name, weights=str(official[name][1]), image_size=side, pixels="imagenet")
        file = find_weights(resolve_model(experiment), experiment.weights)
        made[name] = build_classifier(experiment, (side, side, 3), 7, file)
    return made


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_file_of_keras_gives_the_features_of_keras(name: str, official: dict, loaded: dict):
    """Layers of one shape are many: a swap of two would load as well, but compute something else."""
    _, side, scaling = OFFICIAL[name]
    images = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.float32)
    model = loaded[name].model
    features = keras.Model(model.input, model.get_layer("head_pool").input)(images)
    theirs = np.asarray(official[name][0](scaling(images).astype(np.float32)))
    assert theirs.std() > 0.01
    np.testing.assert_allclose(features, theirs, rtol=1e-3, atol=1e-3 * theirs.std())


@pytest.mark.parametrize("name", OFFICIAL)
@pytest.mark.parametrize("other", OFFICIAL)
def test_a_file_of_another_architecture_is_one_clear_line(name: str, other: str, official: dict):
    if name == other:
        return
    with pytest.raises(UserError, match=f"does not hold the weights of {name}: .*ayer") as error:
        load_weights(official[name][0], official[other][1], find_backbone(name))
    assert "\n" not in str(error.value)
