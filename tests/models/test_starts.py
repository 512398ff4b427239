"""A second stage sees the pixels as the first did: their scaling belongs to the weights, and nobody guesses it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from weights_files import find, randomize, write_legacy

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.classifier import build_classifier
from fer_tl.models.published import CAFFE
from fer_tl.models.record import SYMMETRIC, Variant
from fer_tl.models.resolve import resolve_model
from fer_tl.runs.saved_model import save_model

SHAPE = (32, 32, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.float32)


def settings(backbone: str, weights: str | Path = "none", **more: object) -> Experiment:
    return load_experiment(
        backbone=backbone, weights=str(weights), image_size=32, head={"pooling": "avg", "dense": []}, **more
    )


def thin(images: Any, variant: Variant) -> keras.Model:
    """In place of a deep network: pixels are scaled in front of it, whatever it is."""
    x = keras.layers.Conv2D(8, 5, strides=4, activation="relu", name="conv")(images)
    x = keras.layers.BatchNormalization(name="bn")(x)
    return keras.Model(keras.utils.get_source_inputs(images), x)


def trained(backbone: str, path: Path, *, as_published: bool, pixels: str = "backbone") -> keras.Model:
    """A model that a first stage saved: of random weights, behind the pixels of published ones or of none."""
    experiment = settings(backbone, pixels=pixels)
    if as_published:
        source = path.with_name("official.h5")
        spec = resolve_model(experiment)
        base = spec.backbone.build(keras.Input((32, 32, 3)), spec.variant)
        randomize(base)
        write_legacy(base, source)
        experiment = replace(experiment, weights=str(source), pixels="imagenet")
        model = build_classifier(experiment, SHAPE, 3, source).model
    else:
        model = build_classifier(experiment, SHAPE, 3, None).model
        if pixels == "standardized":
            model.get_layer("standardize").moving_variance.assign([123.0] * 3)
    save_model(model, ("a", "b", "c"), path)
    return model


def features(model: keras.Model) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer("head_pool").output)(IMAGES, training=False))


@pytest.mark.parametrize(
    ("backbone", "as_published", "pixels"),
    [
        ("vgg16", True, "backbone"),
        ("vgg16", False, "backbone"),
        ("efficientnetb0", True, "backbone"),
        ("mobilenetv2", False, "standardized"),
        ("shallow_cnn", False, "centred"),
    ],
)
def test_features_before_the_first_step_are_those_of_the_first_stage(
    tmp_path: Path, backbone: str, as_published: bool, pixels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backbone != "efficientnetb0":  # whose scaling is among its own layers
        monkeypatch.setitem(BACKBONES, backbone, replace(BACKBONES[backbone], build=thin, features=8))
    first = trained(backbone, tmp_path / "model.keras", as_published=as_published, pixels=pixels)
    second = settings(backbone, tmp_path / "model.keras")
    built = build_classifier(second, SHAPE, 5, tmp_path / "model.keras").model
    expected = features(first)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(features(built), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    described = resolve_model(second).describe_pixels()
    assert {"centred": "centred", "standardized": "standardized"}.get(pixels, "") in described


@pytest.mark.parametrize("name", ["mine.h5", "mine.weights.h5"])
def test_a_file_that_does_not_say_it_is_refused_until_somebody_does(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        UserError, match=r"does not say how the pixels were scaled.*--pixels imagenet \(BGR minus"
    ) as no:
        resolve_model(settings("vgg16", tmp_path / name))
    assert (
        "vggface (BGR minus 93.6" in str(no.value) and "scratch (-1..1" in str(no.value) and "\n" not in str(no.value)
    )
    assert resolve_model(settings("vgg16", tmp_path / name, pixels="imagenet")).scaling == CAFFE
    assert resolve_model(settings("vgg16", tmp_path / name, pixels="scratch")).scaling == SYMMETRIC
    # A backbone without published weights is only ever trained from random numbers.
    assert resolve_model(settings("shallow_cnn", tmp_path / name)).scaling == SYMMETRIC


def test_an_official_file_is_known_by_its_hash_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"the official bytes"
    (tmp_path / "renamed.h5").write_bytes(data)
    vgg16 = BACKBONES["vgg16"]
    official = replace(vgg16.pretrained["imagenet"], md5=hashlib.md5(data).hexdigest())
    monkeypatch.setitem(BACKBONES, "vgg16", replace(vgg16, pretrained={"imagenet": official}))
    spec = resolve_model(settings("vgg16", tmp_path / "renamed.h5"))
    assert spec.pretrained is official and spec.scaling == CAFFE
    other = tmp_path / official.file_name(1.0, 48)
    other.write_bytes(b"other bytes under the official name")
    with pytest.raises(UserError, match=r"does not say how the pixels were scaled.*--pixels imagenet"):
        resolve_model(settings("vgg16", other))


def test_an_exported_model_is_no_start(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()], name="expressions").save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fer_tl.json", "{}")
    with pytest.raises(UserError, match=r"is an exported model: give the model\.keras of the run"):
        resolve_model(settings("vgg16", path))


def edit(path: Path, **changes: object) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, value in changes.items():
        member = name.replace("_json", ".json")
        members[member] = json.dumps(json.loads(members[member]) | value).encode()  # type: ignore[operator]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "model.keras"
    trained("shallow_cnn", path, as_published=False)
    return path


def test_a_model_of_another_backbone_or_width_is_refused(small: Path) -> None:
    with pytest.raises(UserError, match=r"model\.keras is a model of shallow_cnn, not of liu_3conv: give --backbone"):
        resolve_model(settings("liu_3conv", small))
    with pytest.raises(UserError, match=r"does not hold the weights of shallow_cnn: its layer 'conv1' has arrays of"):
        build_classifier(settings("shallow_cnn", small, alpha=0.5), SHAPE, 3, small)
    with pytest.raises(UserError, match=r"'pixels' centred does not go with .*whose layers say how"):
        resolve_model(settings("shallow_cnn", small, pixels="centred"))


def test_a_model_of_other_activations_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    save_model(build_classifier(settings("liu_3conv", activation="elu"), SHAPE, 3, None).model, ("a", "b", "c"), path)
    with pytest.raises(UserError, match=r"not hold the weights of liu_3conv: its activations are elu, not relu"):
        build_classifier(settings("liu_3conv", path), SHAPE, 3, path)
    build_classifier(settings("liu_3conv", path, activation="elu"), SHAPE, 3, path)


def test_the_consent_to_a_licence_is_asked_for_in_every_stage(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(small.read_bytes())
    edit(path, fer_tl_json={"consent": "vggface"})
    with pytest.raises(
        UserError, match=r"it was trained from weights under the vggface licence.*--accept-licence vggface"
    ):
        find("shallow_cnn", path)
    assert find("shallow_cnn", path, "vggface") == path
    model = build_classifier(settings("shallow_cnn", path), SHAPE, 3, path).model
    save_model(model, ("a", "b", "c"), tmp_path / "next.keras", consent="vggface")
    with pytest.raises(UserError, match=r"--accept-licence vggface"):
        find("shallow_cnn", tmp_path / "next.keras")


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all"])
def test_what_is_no_model_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(UserError, match=r"model\.keras is not a whole Keras model") as refused:
        resolve_model(settings("vgg16", tmp_path / "model.keras"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("alpha", "size", "rows"), [(1.0, 90, 96), (1.3, 96, 224), (1.4, 48, 224), (0.35, 200, 192)])
def test_mobilenet_asks_for_files_that_were_published(alpha: float, size: int, rows: int) -> None:
    published = BACKBONES["mobilenetv2"].pretrained["imagenet"]
    assert published.file_name(alpha, size).endswith(f"kernels_{alpha}_{rows}_no_top.h5")
