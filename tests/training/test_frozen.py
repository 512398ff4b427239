"""Heads that learn from features end where they would by way of the backbone, and features are computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fer_tl.augment.geometry import draw_transforms
from fer_tl.augment.mixing import draw_erased, prepare
from fer_tl.augment.photometry import draw_photometry
from fer_tl.augment.resampling import resample
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.core.progress import Clock, Progress
from fer_tl.core.randomness import example_keys
from fer_tl.data.dataset import Dataset
from fer_tl.runs.saved_model import load_model
from fer_tl.training import features
from fer_tl.training.checkpoint import read_values
from fer_tl.training.frozen import FrozenSession, uses_features
from fer_tl.training.loop import Fitted, FoldRows, Loop
from fer_tl.training.session import Session

pytestmark = pytest.mark.usefixtures("thin_backbone")

STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "flip": False}
TRAIN, HELD_OUT = np.arange(64), np.arange(64, 88)


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return make_faces(88, side=16)


def experiment(**options: Any) -> Experiment:
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 24}
    head = {"dense": [8], "dropout": [0.0, 0.0]}
    return load_experiment(**{**small, "unfreeze": "none", "head": head, "epochs": 3, "views": 2, **options})


def prepared(settings: Experiment, dataset: Dataset, cache: Path | None) -> Session:
    session = (FrozenSession if uses_features(settings) else Session)(settings, dataset, None)
    session.prepare(cache)
    return session


def train(session: Session, folder: Path) -> Fitted:
    nobody = np.empty(0, int)
    loop = Loop(session, 0, FoldRows(TRAIN, HELD_OUT, nobody), folder, Progress(1), "fold-0", Clock())
    fitted = loop.run()
    loop.forget()
    return fitted


def test_without_augmentation_the_same_head_comes_out_as_by_way_of_the_backbone(faces: Dataset, tmp_path: Path):
    settings = experiment(augment=STILL, optimizer={"name": "sgd", "rate": 0.01}, loss={"smoothing": 0.1})
    sessions = [prepared(replace(settings, views=views), faces, None) for views in (2, 0)]
    assert [type(session) for session in sessions] == [FrozenSession, Session]
    for layer in sessions[1].model.layers:
        if isinstance(layer, keras.layers.Dropout):  # the backbone's own: it is not used on features
            layer.rate = 0.0
    histories = [train(session, tmp_path).history for session in sessions]
    for one, other in zip(*histories, strict=True):
        assert one.pop("stage") == other.pop("stage")
        assert one == pytest.approx(other, rel=1e-4)
    for one, other in zip(*(read_values(s.model.trainable_variables) for s in sessions), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    assert histories[0][-1]["loss"] < histories[0][0]["loss"]


def test_the_whole_model_is_saved_and_its_backbone_has_not_moved(faces: Dataset, tmp_path: Path):
    session = prepared(experiment(), faces, None)
    variables = [variable for layer in session.classifier.backbone_layers for variable in layer.variables]
    before = read_values(variables)
    train(session, tmp_path)
    for one, other in zip(before, read_values(variables), strict=True):
        np.testing.assert_array_equal(one, other)
    session.save_model(tmp_path / "model.keras")
    model, _ = load_model(tmp_path / "model.keras")
    _, _, logits = session.evaluate(HELD_OUT)
    np.testing.assert_allclose(model(faces.images[HELD_OUT].astype(np.float32)), logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_features_in_half_precision_answer_as_the_whole_model_does(precision: str, faces: Dataset, tmp_path: Path):
    session = prepared(experiment(precision=precision), faces, None)
    train(session, tmp_path)
    logits = session.evaluate(HELD_OUT)[2]
    assert logits.dtype == np.float32
    session.save_model(tmp_path / "model.keras")
    whole = load_model(tmp_path / "model.keras")[0](faces.images[HELD_OUT].astype(np.float32), training=False)
    np.testing.assert_allclose(logits, whole, rtol=0, atol=1e-5)


def test_epochs_take_the_views_in_turn_and_each_is_that_of_its_image(faces: Dataset):
    settings = experiment(augment={"rotation": 20.0, "erase": 0.5, "gamma": 0.5, "blur": 1.0}, seed=5)
    session = prepared(settings, faces, None)
    count, model = len(faces), Session(settings, faces, None).model
    keys = example_keys(faces.ids)
    seen = []
    for epoch in (1, 2, 3):
        plan = session.plan(TRAIN, keys[TRAIN], np.ones(64), np.full(3, 0.1), 5, 0, epoch, offsets=None)
        rows = plan.rows[plan.weights > 0]
        assert sorted(rows % count) == TRAIN.tolist()
        (view,) = set((rows // count).tolist())
        seen.append(view)
        stream = ("view", 5, view)
        boxes = draw_erased(0.5, keys, (16, 16), *stream)
        light = draw_photometry(settings.augment, keys, (16, 16), (16, 16), *stream).arrays()
        transforms = draw_transforms(settings.augment, keys, (16, 16), *stream)
        pixels = prepare(faces.images, transforms, erased=boxes, photometry=light)
        expected = np.asarray(model(pixels))[rows % count]
        np.testing.assert_allclose(session.engine.predict(rows), expected, rtol=0, atol=1e-4)
    assert seen == [1, 2, 1]
    assert not np.allclose(pixels, resample(faces.images, np.tile(np.float32([1, 0, 0, 0, 1, 0]), (count, 1))))


def test_features_are_computed_once(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(features, "ROWS_A_FILE", 40)

    def computed(settings: Experiment, dataset: Dataset = faces, cache: Path | None = tmp_path) -> int:
        prepared(settings, dataset, cache)
        return int(capsys.readouterr().out.split(" computed now")[0].split()[-1])

    settings = experiment()
    assert computed(settings, cache=None) == computed(settings) == 3 * 88
    first = min(tmp_path.glob("features-*/*.npz"))
    assert computed(settings) == 0
    assert computed(replace(settings, head=replace(settings.head, dense=(4,)), epochs=9, folds=7)) == 0
    assert computed(replace(settings, views=3)) == 88  # the one that is new
    assert computed(replace(settings, augment=replace(settings.augment, rotation=5.0))) == 2 * 88
    relit = replace(settings.augment, rotation=0.0, zoom=0.0, shift=0.0, flip=False, contrast=0.2)
    assert computed(replace(settings, augment=relit)) == 2 * 88
    assert computed(replace(settings, image_size=24)) == 3 * 88
    assert computed(replace(settings, seed=1)) == 3 * 88  # other random weights
    assert computed(settings, replace(faces, fingerprint="f" * 64)) == 3 * 88
    first.unlink()  # as if a kill had come before it
    assert computed(settings) == 40


def test_features_of_other_versions_are_not_used_and_the_oldest_are_dropped(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def computed(settings: Experiment) -> int:
        prepared(settings, faces, tmp_path)
        return int(capsys.readouterr().out.split(" computed now")[0].split()[-1])

    settings = experiment()
    assert (computed(settings), computed(settings)) == (3 * 88, 0)
    first = set(tmp_path.glob("features-*"))
    monkeypatch.setattr(features, "version_of", lambda package: f"{package} of tomorrow")
    size = sum(path.stat().st_size for path in tmp_path.glob("features-*/*"))
    assert computed(replace(settings, cache_limit=1.1e-9 * size)) == 3 * 88
    assert len(set(tmp_path.glob("features-*"))) == 3 and not first & set(tmp_path.glob("features-*"))
    monkeypatch.setattr(features, "__version__", "9.9.9")
    assert computed(settings) == 3 * 88
    assert len(set(tmp_path.glob("features-*"))) == 6


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_no_more_features_are_kept_than_may_be(
    faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
):
    before = prepared(experiment(), faces, tmp_path).engine.predict(HELD_OUT)
    size = sum(path.stat().st_size for path in tmp_path.glob("features-*/*"))
    few = experiment(cache_limit=1e-9 * share * size, optimizer={"rate": 0.5})
    capsys.readouterr()
    np.testing.assert_array_equal(prepared(few, faces, tmp_path).engine.predict(HELD_OUT), before)
    assert "so none of them is (--cache-limit)" in " ".join(capsys.readouterr().out.split())
    left = [path.stat().st_size for path in tmp_path.glob("features-*/*")]
    assert len(left) == (1 if share else 0) and sum(left) <= share * size


def test_a_damaged_file_of_features_is_computed_again(
    faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    one = prepared(experiment(), faces, tmp_path).engine.predict(HELD_OUT)
    path = min(tmp_path.glob("features-*/*.npz"))
    path.write_bytes(path.read_bytes()[:-7])
    capsys.readouterr()
    again = prepared(experiment(), faces, tmp_path).engine.predict(HELD_OUT)
    assert f"warning: {path} is damaged" in capsys.readouterr().out
    np.testing.assert_array_equal(one, again)


@pytest.mark.parametrize(
    "options",
    [
        {"unfreeze": "all"},
        {"unfreeze": 2},
        {"views": 0},
        {"pixels": "standardized"},
        {"augment": {"mixup": 0.2}},
        {"augment": {"cutmix": 0.2}},
    ],
    ids=str,
)
def test_features_are_not_used_where_they_would_not_do(options: dict[str, Any]):
    assert uses_features(experiment())
    assert not uses_features(experiment(**options))


def test_features_that_do_not_fit_are_refused_with_advice(faces: Dataset, monkeypatch: pytest.MonkeyPatch):
    free = type("Free", (), {"available": 100_000})
    monkeypatch.setattr(features.psutil, "virtual_memory", free)
    with pytest.raises(UserError, match=r"would take .* use fewer --views, --head.pooling avg, or --views 0"):
        prepared(experiment(), faces, None)
