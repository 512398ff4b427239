"""Pretrained weights: the right file, loaded whole or not at all, behind the scaling they were trained with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from fer_tl.errors import UserError
from fer_tl.models.backbones import IMAGENET_MEAN, IMAGENET_STDDEV, find_backbone
from fer_tl.models.weights import find_weights, load_weights

SHALLOW = find_backbone("shallow_cnn")


def shallow(alpha: float = 0.5) -> keras.Model:
    return SHALLOW.build(keras.Input((16, 16, 1)), alpha, False)


def write_legacy(model: keras.Model, path: Path, layers: slice = slice(None)) -> None:
    """The layout of the published ``.h5`` files: layers in order, each with its trainable, then its other weights."""
    with h5py.File(path, "w") as file:
        named = [layer for layer in model.layers if layer.weights][layers]
        file.attrs["layer_names"] = [layer.name.encode() for layer in named]
        for layer in named:
            group = file.create_group(layer.name)
            weights = layer.trainable_weights + layer.non_trainable_weights
            names = [f"{layer.name}/{weight.name}:0".encode() for weight in weights]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, weights, strict=True):
                group[name] = np.asarray(weight)


def write_new(model: keras.Model, path: Path) -> None:
    model.save_weights(path)


formats = pytest.mark.parametrize(("write", "suffix"), [(write_legacy, ".h5"), (write_new, ".weights.h5")])


@formats
def test_a_file_of_the_same_architecture_loads_every_weight(write: Callable, suffix: str, tmp_path: Path):
    keras.utils.set_random_seed(1)
    source, target = shallow(), shallow()
    source.set_weights([np.random.default_rng(0).random(weight.shape) for weight in source.weights])
    write(source, tmp_path / f"w{suffix}")
    load_weights(target, tmp_path / f"w{suffix}", SHALLOW)
    for loaded, written in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, written)


def refuse(path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_weights(shallow(), path, SHALLOW)
    assert str(path) in str(error.value)
    assert "does not hold the weights of shallow_cnn" in str(error.value)
    assert "\n" not in str(error.value)


@formats
def test_a_file_of_another_width_is_refused(write: Callable, suffix: str, tmp_path: Path):
    write(shallow(alpha=1.0), tmp_path / f"w{suffix}")
    refuse(tmp_path / f"w{suffix}")


@formats
@pytest.mark.parametrize("change", ["one layer short", "one layer more"])
def test_a_file_of_another_depth_is_refused(write: Callable, suffix: str, change: str, tmp_path: Path):
    model = shallow()
    if change == "one layer short":
        cut = keras.Model(model.input, model.get_layer("conv4").output)
    else:
        cut = keras.Model(model.input, keras.layers.BatchNormalization()(model.output))
    write(cut, tmp_path / f"w{suffix}")
    refuse(tmp_path / f"w{suffix}")


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\n and then nothing"])
def test_a_file_that_is_no_weights_file_is_refused(suffix: str, content: bytes, tmp_path: Path):
    (tmp_path / f"w{suffix}").write_bytes(content)
    refuse(tmp_path / f"w{suffix}")


def test_efficientnet_scales_as_its_published_weights_were_trained():
    base = find_backbone("efficientnetb0").build(keras.Input((32, 32, 3)), 1.0, True)
    normalization = next(layer for layer in base.layers if isinstance(layer, keras.layers.Normalization))
    # The published file holds the standard deviation where the layer expects the variance.
    normalization.load_own_variables({"0": np.array(IMAGENET_MEAN), "1": np.array(IMAGENET_STDDEV), "2": np.array(0)})
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    into_stem = keras.Model(base.inputs[0], normalization.output)(images)
    np.testing.assert_allclose(into_stem, (images / 255 - IMAGENET_MEAN) / IMAGENET_STDDEV, atol=1e-4)


def test_efficientnet_of_keras_still_begins_as_the_scaling_expects():
    """With weights="imagenet" Keras divides once more by sqrt(stddev); without, by nothing after Normalization."""
    layers = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3)).layers
    kinds = [type(layer).__name__ for layer in layers[:4]]
    assert kinds == ["InputLayer", "Rescaling", "Normalization", "ZeroPadding2D"]
    assert layers[1].scale == pytest.approx(1 / 255)
    images = np.random.default_rng(0).random((1, 4, 4, 3)).astype(np.float32) * 255
    theirs = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.Normalization(mean=IMAGENET_MEAN, variance=IMAGENET_STDDEV),
            keras.layers.Rescaling([1 / stddev**0.5 for stddev in IMAGENET_STDDEV]),
        ]
    )
    np.testing.assert_allclose(theirs(images), (images / 255 - IMAGENET_MEAN) / IMAGENET_STDDEV, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "trained"), [(32, 96), (48, 96), (100, 96), (112, 96), (113, 128), (150, 160), (224, 224), (300, 224)]
)
def test_mobilenet_takes_the_weights_trained_nearest_to_its_size(size: int, trained: int):
    imagenet = find_backbone("mobilenetv2").imagenet
    assert imagenet is not None
    file = imagenet(0.35, size)
    assert file.name == f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_{trained}_no_top.h5"
    assert file.url.endswith(f"/mobilenet_v2/{file.name}")


def test_weights_in_the_keras_cache_are_found_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    place = tmp_path / "models" / "efficientnetb0_notop.h5"
    place.parent.mkdir()
    place.write_bytes(b"cached")
    assert find_weights(find_backbone("efficientnetb0"), "imagenet", 1.0, 96) == place


def test_no_network_and_no_cache_names_file_place_address_and_the_way_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(UserError) as error:
        find_weights(find_backbone("efficientnetb0"), "imagenet", 1.0, 96)
    text = str(error.value)
    assert len(text.splitlines()) == 2
    for word in (
        str(tmp_path / "models" / "efficientnetb0_notop.h5"),
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "--weights none",
    ):
        assert word in text
    assert not list(tmp_path.rglob("*.h5"))


def test_weights_none_is_no_file():
    assert find_weights(SHALLOW, "none", 1.0, 48) is None


@pytest.mark.parametrize("name", ["missing.h5", "~nobody-of-that-name/w.h5", "imagent"])
def test_a_weights_file_that_is_missing_is_one_clear_line(name: str):
    with pytest.raises(UserError, match="no such file") as error:
        find_weights(SHALLOW, name, 1.0, 48)
    assert "\n" not in str(error.value)


def test_a_weights_file_of_another_kind_is_refused(tmp_path: Path):
    (tmp_path / "w.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"\.h5"):
        find_weights(SHALLOW, str(tmp_path / "w.pt"), 1.0, 48)
