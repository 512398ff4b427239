"""A layer's rate falls with its distance from the head, whatever else learns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import keras
import numpy as np
import pytest

from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.training.checkpoint import read_values
from fer_tl.training.layer_rates import rate_scales
from fer_tl.training.session import Session


def make_session(dataset: Dataset, **options: object) -> Session:
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 16}
    return Session(load_experiment(**small, **options), dataset, None)


def test_the_head_has_the_whole_rate_and_each_convolution_a_part_of_the_next_one(make_faces: Callable[..., Dataset]):
    session = make_session(make_faces(16), optimizer={"layer_decay": 0.5}, head={"dense": [4], "dropout": [0, 0]})
    session.start(session.stages[0])
    scales = dict(zip((v.path for v in session.model.trainable_variables), session.rate_scales(), strict=True))
    of_layers: dict[str, set[float]] = {}
    for path, scale in scales.items():
        of_layers.setdefault(path.split("/")[0], set()).add(scale)
    for number in (1, 2, 3, 4):
        assert of_layers[f"conv{number}"] == of_layers[f"bn{number}"] == {0.5 ** (5 - number)}
    assert of_layers["logits"] == of_layers["head_dense0"] == {1.0}


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_no_rate_is_scaled_where_none_is_asked_for_or_the_head_learns_alone(
    decay: float, make_faces: Callable[..., Dataset]
):
    session = make_session(make_faces(16), optimizer={"layer_decay": decay}, head_epochs=1)
    head, main = session.stages
    session.start(head)
    assert session.rate_scales() == []
    session.start(main)
    assert bool(session.rate_scales()) == (decay < 1)


def test_many_layers_make_twelve_groups_of_neighbours():
    layers = [keras.layers.Dense(2) for _ in range(30)]
    for layer in layers:
        layer.build((None, 2))
    variables = [layer.kernel for layer in layers]
    scales = rate_scales(layers, variables, 0.5)
    assert sorted(set(scales)) == [0.5**depth for depth in range(12, 0, -1)]
    assert all(one <= other for one, other in pairwise(scales))
    sizes = [scales.count(scale) for scale in set(scales)]
    assert set(sizes) == {2, 3}
    # What is frozen counts all the same: a layer's depth is its own.
    assert rate_scales(layers, variables[20:], 0.5) == scales[20:]


@pytest.mark.usefixtures("thin_backbone")
def test_a_session_trains_with_these_rates(make_faces: Callable[..., Dataset]):
    moved = []
    for decay in (1.0, 0.25):
        session = make_session(make_faces(16), optimizer={"name": "sgd", "momentum": 0.0, "layer_decay": decay})
        compiled = session.start(session.stages[0])
        before = read_values(session.model.trainable_variables)
        plan = session.plan(np.arange(16), session.keys, np.ones(16), np.full(1, 0.1), 0, 0, 1, offsets=None)
        session.engine.reseed(0)
        compiled.train(plan)
        after = read_values(session.model.trainable_variables)
        moved.append(
            {v.path: new - old for v, old, new in zip(session.model.trainable_variables, before, after, strict=True)}
        )
    for path, whole in moved[0].items():
        scale = 0.25 if path.startswith(("conv1", "bn1")) else 1.0
        np.testing.assert_allclose(moved[1][path], scale * whole, rtol=0, atol=1e-6, err_msg=path)
    assert np.abs(moved[0]["conv1/kernel"]).max() > 1e-4
