"""What a stage freezes stays bit-equal, what it unfreezes learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.training.session import CompiledStage, Session
from fer_tl.training.stages import set_trainable

Snapshot = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def dataset(make_faces: Callable[..., Dataset]) -> Dataset:
    return make_faces(32)


def make_session(dataset: Dataset, **options: Any) -> Session:
    # 16 pixels from 24: the model's own resizing is in front of everything that is frozen.
    small = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5, "image_size": 16, "batch_size": 16}
    return Session(load_experiment(**small, **options), dataset, None)


def snapshot(session: Session) -> Snapshot:
    return {weight.path: np.array(np.asarray(weight)) for weight in session.model.weights}


def train(session: Session, compiled: CompiledStage) -> None:
    images = len(session.dataset)
    rates = np.full(-(-images // session.experiment.batch_size), 1e-2)
    compiled.train(session.plan(np.arange(images), session.keys, np.ones(images), rates, 0, 0, 1, offsets=None))


def changed_layers(before: Snapshot, after: Snapshot) -> set[str]:
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


HEAD = {"head_dense0", "head_dense1", "logits"}
CONVOLUTIONS = {"conv1", "conv2", "conv3", "conv4"}
NORMS = {"bn1", "bn2", "bn3", "bn4"}


def test_head_stage_moves_the_head_alone_and_frozen_batch_norm_never_moves(dataset: Dataset):
    session = make_session(dataset, head_epochs=1, epochs=1, batch_norm="frozen")
    start = snapshot(session)
    head, main = session.stages
    train(session, session.start(head))
    after_head = snapshot(session)
    assert changed_layers(start, after_head) == HEAD
    train(session, session.start(main))
    # Moving statistics, gamma and beta are all among the weights that are compared.
    assert changed_layers(after_head, snapshot(session)) == HEAD | CONVOLUTIONS


def test_the_last_layers_alone_learn_and_their_batch_norm_follows(dataset: Dataset):
    session = make_session(dataset, unfreeze=5)  # conv4, bn4, relu4, pool4, dropout4
    before = snapshot(session)
    train(session, session.start(session.stages[0]))
    after = snapshot(session)
    assert changed_layers(before, after) == HEAD | {"conv4", "bn4"}
    for name in ("moving_mean", "moving_variance"):
        assert not np.array_equal(before[f"bn4/{name}"], after[f"bn4/{name}"])


def test_batch_norm_that_trains_moves_everywhere(dataset: Dataset):
    session = make_session(dataset)
    before = snapshot(session)
    train(session, session.start(session.stages[0]))
    after = snapshot(session)
    assert changed_layers(before, after) == HEAD | CONVOLUTIONS | NORMS
    assert not np.array_equal(before["bn1/moving_mean"], after["bn1/moving_mean"])


def test_unfreezing_n_is_the_last_n_layers_whatever_was_frozen_before(dataset: Dataset):
    session = make_session(dataset)
    layers = session.classifier.backbone_layers
    for count in (3, len(layers), 1, 7):
        set_trainable(session.classifier, count, session.experiment)
        learning = {variable.path.split("/")[0] for variable in session.model.trainable_variables}
        assert learning == HEAD | {layer.name for layer in layers[-count:] if layer.weights}
    set_trainable(session.classifier, "none", session.experiment)
    assert {variable.path.split("/")[0] for variable in session.model.trainable_variables} == HEAD


def test_more_layers_than_there_are_is_one_clear_line(dataset: Dataset):
    with pytest.raises(UserError, match=r"'unfreeze' 1000 is more than the \d+ layers of shallow_cnn: use all"):
        make_session(dataset, unfreeze=1000)  # before the run that it would be trained in is begun


def test_batch_norm_momentum_is_a_ceiling(dataset: Dataset):
    session = make_session(dataset, batch_norm_momentum=0.5)
    session.start(session.stages[0])
    assert session.model.get_layer("bn1").momentum == 0.5
    session = make_session(dataset, batch_norm_momentum=0.95)
    session.start(session.stages[0])
    assert session.model.get_layer("bn1").momentum == 0.9  # its own
