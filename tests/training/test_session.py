"""What a session trains towards, and what it sets anew for each fold: weights, and the scale of the pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.config import Augment
from fer_tl.core.options import load_experiment
from fer_tl.data.folds import make_folds
from fer_tl.engines.plan import plan_epoch
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import load_model
from fer_tl.training.cross_validation import train_folds
from fer_tl.training.session import Session
from tests.conftest import MakeFaces


def test_each_fold_is_divided_by_the_deviation_of_its_own_training_images(make_faces: MakeFaces, tmp_path: Path):
    faces = make_faces(56)
    folds = make_folds(faces.ids, faces.labels, faces.groups, faces.class_names, 2, seed=0)
    images = faces.images.copy()
    loud = np.random.default_rng(0).integers(0, 2, images[folds == 0].shape) * 255
    images[folds == 0] = loud
    settings = load_experiment(
        backbone="liu_3conv",
        weights="none",
        pixels="standardized",
        image_size=16,
        folds=2,
        epochs=1,
        batch_size=8,
        strategy="cpu",
    )
    run = RunFolder(tmp_path / "run")
    train_folds(settings, replace(faces, images=images), run, lambda line: None)
    variances = []
    for fold in (0, 1):
        model, _ = load_model(run.part(f"fold-{fold}") / "model.keras")
        pixels = images[folds != fold].astype(np.float64)
        expected = np.square(pixels - pixels.mean(axis=(1, 2), keepdims=True)).mean()
        layer = model.get_layer("standardize")
        np.testing.assert_allclose(layer.moving_variance, [expected], rtol=1e-6)
        np.testing.assert_array_equal(layer.moving_mean, [0])
        variances.append(expected)
        saved = load_predictions(run.part(f"fold-{fold}") / "predictions.npz")
        np.testing.assert_array_equal(saved.ids, faces.ids[folds == fold])
        np.testing.assert_allclose(model(images[folds == fold]), saved.logits, atol=1e-4)
    assert variances[0] < variances[1] / 2  # the loud images are not in their own fold's statistic


def test_training_aims_at_the_votes_and_evaluation_at_the_labels(make_faces: MakeFaces):
    faces = make_faces(24)
    targets = np.random.default_rng(0).dirichlet(np.ones(7), 24).astype(np.float32)
    settings = load_experiment(
        backbone="liu_3conv", weights="none", image_size=16, batch_size=8, batch_norm="frozen", strategy="cpu"
    )
    session = Session(settings, replace(faces, targets=targets), None)
    for layer in session.model.layers:
        if "dropout" in layer.name:
            layer.rate = 0.0
    still = Augment(rotation=0, shear=0, zoom=0, shift=0, flip=False)
    rows, rates = np.arange(24), np.zeros(3)
    plan = plan_epoch(rows, session.keys, np.ones(24), 8, still, (24, 24), rates, 0, 0, 1, side=session.engine.side)
    sums = session.start(session.stages[0]).train(plan).sum(axis=0)
    loss, accuracy, logits = session.evaluate(rows)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))  # [24, 7]
    np.testing.assert_allclose(sums, [-(targets * log_p).sum(), accuracy * 24, 24], rtol=1e-5)
    assert loss == pytest.approx(-log_p[rows, faces.labels].mean(), rel=1e-5)
    assert accuracy == np.mean(logits.argmax(axis=1) == faces.labels) != np.mean(logits.argmax(1) == targets.argmax(1))
