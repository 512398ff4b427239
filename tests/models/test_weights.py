"""Pretrained weights: the right file, found before Keras is imported, behind the scaling they were trained with."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import keras
import numpy as np
import pytest
from weights_files import find, randomize, write_legacy

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import find_backbone
from fer_tl.models.classifier import build_classifier
from fer_tl.models.published import IMAGENET_MEAN, IMAGENET_STDDEV
from fer_tl.models.weights import kernel_checksum


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Keras cache, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def answer(monkeypatch: pytest.MonkeyPatch, content: bytes, sent: dict[str, str]) -> None:
    """Every download gives this content."""

    class Response(io.BytesIO):
        headers = sent

    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **named: Response(content))


def test_the_checksum_tells_kernels_apart_and_nothing_else():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(inputs)
    x = keras.layers.Conv2D(3, 1, name="first")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1, name="second")(x))
    randomize(model)
    before = kernel_checksum(model.layers)
    kernels = [np.asarray(model.get_layer(name).kernel) for name in ("depthwise", "first", "second")]
    assert before == hashlib.sha256(b"".join(kernel.tobytes() for kernel in kernels)).hexdigest()[:16]
    model.get_layer("first").bias.assign([1.0, 2.0, 3.0])
    model.get_layer("bn").set_weights([np.ones(3)] * 4)
    assert kernel_checksum(model.layers) == before
    model.get_layer("first").kernel.assign(kernels[2])
    model.get_layer("second").kernel.assign(kernels[1])
    assert kernel_checksum(model.layers) != before
    model.get_layer("first").kernel.assign(kernels[1])
    model.get_layer("second").kernel.assign(kernels[2])
    assert kernel_checksum(model.layers) == before
    model.get_layer("depthwise").kernel.assign(kernels[0] + np.float32(1e-6))
    assert kernel_checksum(model.layers) != before


def test_efficientnet_scales_as_its_published_weights_were_trained(tmp_path: Path):
    experiment = load_experiment(backbone="efficientnetb0", weights="imagenet", image_size=32)
    file = tmp_path / "efficientnetb0_notop.h5"
    source = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    normalization = next(layer for layer in source.layers if isinstance(layer, keras.layers.Normalization))
    # The published file holds the standard deviation where the layer expects the variance.
    normalization.load_own_variables({"0": np.array(IMAGENET_MEAN), "1": np.array(IMAGENET_STDDEV), "2": np.array(0)})
    write_legacy(source, file)
    model = build_classifier(experiment, (32, 32, 3), 7, file).model
    normalization = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    into_stem = keras.Model(model.input, normalization.output)(images)
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
    imagenet = find_backbone("mobilenetv2").pretrained["imagenet"]
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_{trained}_no_top.h5"
    assert imagenet.file_name(0.35, size) == name
    assert imagenet.url(0.35, size).endswith(f"/mobilenet_v2/{name}")


def test_weights_in_the_keras_cache_are_found_without_a_network(keras_home: Path):
    place = keras_home / "models" / "efficientnetb0_notop.h5"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"cached")
    assert find("efficientnetb0", "imagenet") == place


@pytest.mark.parametrize(("backbone", "weights"), [("efficientnetb0", "imagenet"), ("vgg16", "vggface")])
def test_no_network_and_no_cache_names_file_place_address_and_the_way_without(
    backbone: str, weights: str, keras_home: Path
):
    with pytest.raises(UserError) as error:
        find(backbone, weights, "vggface")
    published = find_backbone(backbone).pretrained[weights]
    name = published.file_name(1.0, 96)
    text = str(error.value)
    assert len(text.splitlines()) == 1
    for word in (str(keras_home / "models" / name), published.url(1.0, 96), weights, "--weights none"):
        assert word in text
    assert not list(keras_home.rglob("*.h5"))


def test_weights_none_is_no_file():
    assert find("shallow_cnn", "none") is None


@pytest.mark.parametrize("name", ["missing.h5", "~nobody-of-that-name/w.h5", "imagent"])
def test_a_weights_file_that_is_missing_is_one_clear_line(name: str):
    with pytest.raises(UserError, match="no such file") as error:
        find("shallow_cnn", name)
    assert "\n" not in str(error.value)


def test_a_weights_file_of_another_kind_is_refused(tmp_path: Path):
    (tmp_path / "w.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"\.h5"):
        find("shallow_cnn", tmp_path / "w.pt")


@pytest.mark.parametrize("length", [400, 1000])
def test_a_download_that_breaks_off_is_not_kept(length: int, keras_home: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, b"x" * length, {"Content-Length": "1000"})
    if length == 1000:
        file = find("mobilenetv2", "imagenet")
        assert file is not None and file.read_bytes() == b"x" * 1000
        return
    with pytest.raises(UserError, match="broke off after 400 of 1,000 bytes"):
        find("mobilenetv2", "imagenet")
    assert [path for path in keras_home.rglob("*") if path.is_file()] == []


def test_a_download_of_another_content_is_not_kept(keras_home: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, b"x", {})
    with pytest.raises(UserError, match=r"its md5 is .*, not 50bc09e76180e00e4465e1a485ddc09d"):
        find("efficientnetb0", "imagenet")
    assert [path for path in keras_home.rglob("*") if path.is_file()] == []
