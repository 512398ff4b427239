"""VGGFace weights: only with consent, only the right layers, behind their own means."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, ClassVar

import h5py
import keras
import numpy as np
import pytest
from weights_files import find, write_layers

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import find_backbone
from fer_tl.models.classifier import build_classifier
from fer_tl.models.published import VGG16_VGGFACE
from fer_tl.models.record import Variant
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights, kernel_checksum, load_weights

VGG16 = find_backbone("vgg16")
VGGFACE_FILE = "rcmalli_vggface_tf_notop_vgg16.h5"
CONVS = (2, 64), (2, 128), (3, 256), (3, 512), (3, 512)
VGGFACE_LAYERS = [f"conv{block}_{conv}" for block, (n, _) in enumerate(CONVS, start=1) for conv in range(1, n + 1)]


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Keras cache, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture(scope="module")
def vggface(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, list[np.ndarray]]]]:
    """A Keras home with a file of the topology of the real one, but small random numbers; and what is in it."""
    rng, layers, channels = np.random.default_rng(2), [], 3
    for name, width in zip(VGGFACE_LAYERS, (width for n, width in CONVS for _ in range(n)), strict=True):
        kernel = (rng.random((3, 3, channels, width), dtype=np.float32) - 0.5) / 10
        layers.append((name, [kernel, rng.random(width, dtype=np.float32)]))
        channels = width
    home = tmp_path_factory.mktemp("vggface")
    (home / "models").mkdir()
    # The real one lists its layers without weights as well.
    write_layers(home / "models" / VGGFACE_FILE, [("input_1", []), *layers[:2], ("pool1", []), *layers[2:]])
    return home, layers


def linked(vggface: tuple[Path, Any], path: Path, names: dict[str, str]) -> Path:
    """A file whose layers are those of the real one, by new name; it takes no space."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names]
        for name, source in names.items():
            file[name] = h5py.ExternalLink(vggface[0] / "models" / VGGFACE_FILE, source)
    return path


def own_names(*more: str) -> dict[str, str]:
    return dict(zip([*VGGFACE_LAYERS, *more], [*VGGFACE_LAYERS, *("conv5_3" for _ in more)], strict=True))


@pytest.mark.parametrize("by", ["name", "path"])
def test_vggface_loads_whole_behind_its_own_means(
    by: str, vggface: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    home, layers = vggface
    monkeypatch.setenv("KERAS_HOME", str(home if by == "name" else tmp_path))
    weights = "vggface" if by == "name" else str(home / "models" / VGGFACE_FILE)
    experiment = load_experiment(backbone="vgg16", weights=weights, image_size=32)
    file = find_weights(resolve_model(experiment), weights, "vggface")
    assert file == home / "models" / VGGFACE_FILE
    classifier = build_classifier(experiment, (32, 32, 3), 7, file)
    ours = [layer for layer in classifier.backbone_layers if layer.weights]
    for layer, (_, arrays) in zip(ours, layers, strict=True):
        for weight, array in zip(layer.get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(weight, array)
    digest = hashlib.sha256(b"".join(kernel.tobytes() for _, (kernel, _) in layers))
    assert kernel_checksum(classifier.backbone_layers) == digest.hexdigest()[:16]
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    into = keras.Model(classifier.model.input, ours[0].input)(images)
    np.testing.assert_allclose(into, images[..., ::-1] - np.array([93.5940, 104.7624, 129.1863]), atol=1e-4)


@pytest.mark.parametrize("weights", ["vggface", "path"])
def test_without_consent_the_licence_and_the_flag_are_told_and_nothing_is_read(
    weights: str, keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **named: pytest.fail("fetched without consent"))
    file = tmp_path / VGGFACE_FILE
    file.write_bytes(b"never opened")
    with pytest.raises(UserError) as error:
        find("vgg16", file if weights == "path" else weights)
    text = str(error.value)
    assert "\n" not in text
    for words in ("vggface", "Visual Geometry Group, Oxford", "non-commercial research", "--accept-licence vggface"):
        assert words in text


@pytest.mark.parametrize("folder", ["models", "models/vggface"])
def test_vggface_is_found_in_both_caches(folder: str, vggface: tuple[Path, Any], keras_home: Path):
    path = linked(vggface, keras_home / folder / VGGFACE_FILE, own_names())
    assert find("vgg16", "vggface", "vggface") == path


def test_with_consent_vggface_is_fetched_into_the_cache(
    keras_home: Path, vggface: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Response(io.BytesIO):
        headers: ClassVar = {}

    asked_for = []

    def urlopen(url: str, timeout: float) -> Response:
        asked_for.append(url)
        return Response(linked(vggface, tmp_path / "published.h5", own_names()).read_bytes())

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert find("vgg16", "vggface", "vggface") == keras_home / "models" / VGGFACE_FILE
    assert find("vgg16", "vggface", "vggface") == keras_home / "models" / VGGFACE_FILE
    assert asked_for == [f"https://github.com/rcmalli/keras-vggface/releases/download/v2.0/{VGGFACE_FILE}"]


SHORT = {name: name for name in VGGFACE_LAYERS[:-1]}
OTHER_NAMES = {name.replace("conv", "block", 1).replace("_", "_conv"): name for name in VGGFACE_LAYERS}
SWAPPED = {name: name for name in [*VGGFACE_LAYERS[:5], VGGFACE_LAYERS[6], VGGFACE_LAYERS[5], *VGGFACE_LAYERS[7:]]}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (SHORT, "its layer 13 should be conv5_3, but is missing (12 layers with weights instead of 13)"),
        (own_names("fc6"), "its layer 14, fc6, is too many (14 layers with weights instead of 13)"),
        (OTHER_NAMES, "its layer 1 is block1_conv1 instead of conv1_1"),
        (SWAPPED, "its layer 6 is conv3_3 instead of conv3_2"),
        ({}, "its layer 1 should be conv1_1, but is missing (0 layers with weights instead of 13)"),
    ],
)
def test_a_vggface_file_with_other_layers_is_refused_with_the_first_difference(
    names: dict[str, str], words: str, vggface: tuple[Path, Any], tmp_path: Path
):
    path = linked(vggface, tmp_path / VGGFACE_FILE, names)
    with pytest.raises(UserError) as error:
        find("vgg16", path, "vggface")
    assert str(error.value) == f"{path} does not hold the weights that its name says: {words}"


def test_a_vggface_file_with_other_shapes_is_refused_when_it_is_loaded(vggface: tuple[Path, Any], tmp_path: Path):
    # conv3_2 and conv3_1 change places, their names do not. A file of its own, without numbers: they are not read.
    path, places = tmp_path / VGGFACE_FILE, {**own_names(), "conv3_1": "conv3_2", "conv3_2": "conv3_1"}
    with h5py.File(vggface[0] / "models" / VGGFACE_FILE) as real, h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in places]
        for name, source in places.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = real[source].attrs["weight_names"]
            for array in real[source].attrs["weight_names"]:
                group.create_dataset(array, shape=real[source][array].shape, dtype="f4")
    assert find("vgg16", path, "vggface") == path
    with pytest.raises(UserError) as error:
        load_weights(VGG16.build(keras.Input((32, 32, 3)), Variant()), path, VGG16)
    assert "layer #4 (named block3_conv1)" in str(error.value)
    assert str(error.value).endswith("(3, 3, 128, 256). Received saved weight with shape (3, 3, 256, 256)")


@pytest.mark.parametrize("name", ["faces.h5", VGG16.pretrained["imagenet"].file_name(1.0, 48)])
def test_vggface_weights_are_known_by_their_layers_under_another_name(
    vggface: tuple[Path, Any], tmp_path: Path, name: str
):
    path = linked(vggface, tmp_path / name, own_names())
    with pytest.raises(UserError, match=r"the vggface weights are .* non-commercial.*--accept-licence vggface"):
        find("vgg16", path)
    assert find("vgg16", path, "vggface") == path
    spec = resolve_model(load_experiment(backbone="vgg16", weights=str(path)))
    assert spec.pretrained is VGG16_VGGFACE and spec.scaling == VGG16_VGGFACE.scaling


def test_vggface_weights_in_the_place_of_others_are_refused(
    vggface: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = VGG16.pretrained["imagenet"].file_name(1.0, 48)
    (tmp_path / "models").mkdir()
    linked(vggface, tmp_path / "models" / name, own_names())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"{name} holds the weights of {VGGFACE_FILE}: give it that name"):
        find("vgg16", "imagenet")


def test_a_damaged_vggface_file_is_one_clear_line(tmp_path: Path):
    (tmp_path / VGGFACE_FILE).write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="cannot be read as a weights file") as error:
        find("vgg16", tmp_path / VGGFACE_FILE, "vggface")
    assert "\n" not in str(error.value)


def test_the_layers_of_vggface_are_those_of_the_paper():
    assert list(VGG16_VGGFACE.layers) == VGGFACE_LAYERS
