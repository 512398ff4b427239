"""Each engine does the arithmetic of plain Keras, whatever devices and calls the steps are cut into."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import pytest
from differentiation import value_and_gradients

from fer_tl.augment.geometry import IDENTITY
from fer_tl.augment.mixing import prepare
from fer_tl.augment.resampling import resample
from fer_tl.core.config import Augment, Loss, Optimizer
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.core.randomness import example_keys
from fer_tl.data.dataset import Dataset
from fer_tl.devices.choose import choose_devices
from fer_tl.engines import feed
from fer_tl.engines.base import Engine
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.optimizers import apply_gradients, make_optimizer
from fer_tl.engines.plan import EpochPlan, adjustment, plan_epoch, steps_per_epoch
from fer_tl.training.checkpoint import assign_values, read_values
from fer_tl.training.session import Session

COUNT, SIDE, CLASSES, BATCH = 60, 12, 7, 8  # 60 images: the last of the 8 steps is filled up with 4
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (COUNT, SIDE, SIDE, 1)).astype(np.uint8)
LABELS = RNG.integers(0, CLASSES, COUNT)
KEYS = example_keys(np.array([f"image-{row}" for row in range(COUNT)]))
EXAMPLE_WEIGHTS = RNG.uniform(0.5, 1.5, COUNT)
TARGETS = RNG.dirichlet(np.ones(CLASSES), COUNT).astype(np.float32)  # the largest is seldom the label's
PLAIN, FULL = Loss(), Loss("focal", gamma=1.5, smoothing=0.1, logit_adjustment=1.0, l2=0.01)
# As tests/conftest.py divides the CPU.
DEVICES = 4 if keras.backend.backend() == "jax" else 2
LIGHT = {"brightness": 0.2, "contrast": 0.5, "gamma": 0.5, "blur": 1.0, "noise": 0.1}
MIXED = Augment(vertical_flip=True, mixup=0.4, cutmix=1.0, erase=0.5, crop=0.6, policy="trivial", **LIGHT)


MIRRORED = np.array([-1, 0, SIDE - 1, 0, 1, 0], np.float32)


def small_cnn(dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="tanh")(x)
    x = keras.layers.Flatten()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


@dataclass
class Trainer:
    """An engine on a small model, with a way back to where it started."""

    engine: Engine
    train: Callable[..., np.ndarray]
    variables: list
    initial: list[np.ndarray]

    def restart(self) -> None:
        assign_values(self.variables, self.initial)

    def weights(self) -> list[np.ndarray]:
        return read_values(self.engine.model.trainable_variables)


def make_trainer(
    settings: Optimizer,
    strategy: str = "cpu",
    dropout: float = 0.0,
    loss: Loss = PLAIN,
    targets: np.ndarray | None = None,
    images: Any = None,
    precision: str = "float32",
    parts: int = 1,
) -> Trainer:
    chosen = choose_devices(strategy)
    with chosen.scope():
        model = small_cnn(dropout)
        optimizer = make_optimizer(settings, precision)
        optimizer.build(model.trainable_variables)
    engine = choose_engine()(chosen, model, IMAGES if images is None else images, LABELS, BATCH, targets, parts)
    variables = model.variables + optimizer.variables
    run = engine.compile_training(optimizer, settings.clip, loss)

    def train(*given: Any) -> np.ndarray:
        return run(*given).sum(axis=0, dtype=np.float64)  # over the steps

    return Trainer(engine, train, variables, read_values(variables))


def make_plan(rate: float, augment: Augment | None = None, epoch: int = 1) -> EpochPlan:
    rates = np.linspace(rate, rate / 2, steps_per_epoch(COUNT, BATCH))
    augment = augment or Augment()
    offsets = adjustment(LABELS, CLASSES, 1.0) if augment is MIXED else None
    rows, size = np.arange(COUNT), (SIDE, SIDE)
    return plan_epoch(rows, KEYS, EXAMPLE_WEIGHTS, BATCH, augment, size, rates, 0, 0, epoch, offsets=offsets)


@pytest.fixture(scope="module")
def sgd() -> Trainer:
    return make_trainer(Optimizer("sgd", momentum=0.0))


@pytest.fixture(scope="module")
def forgetful() -> Trainer:
    return make_trainer(Optimizer("adam"), dropout=0.5)


def assert_equal(left: list[np.ndarray], right: list[np.ndarray]) -> None:
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_close(left: list[np.ndarray], right: list[np.ndarray], atol: float) -> None:
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("settings", "loss", "augment"),
    [
        (Optimizer("adam", 1e-3), PLAIN, Augment()),
        (Optimizer("sgd", 0.05, decay=0.01), PLAIN, Augment()),
        (Optimizer("sgd", 0.05, clip=0.1), PLAIN, Augment()),
        (Optimizer("adam", 1e-3, clip=1.0), FULL, MIXED),
    ],
    ids=["adam", "sgd", "sgd with clipping", "everything"],
)
def test_two_devices_train_and_predict_as_one(settings: Optimizer, loss: Loss, augment: Augment):
    plan = make_plan(settings.rate, augment)
    losses, logits, weights = [], [], []
    for strategy, replicas in (("cpu", 1), ("mirrored", DEVICES)):
        trainer = make_trainer(settings, strategy, loss=loss, targets=TARGETS if augment is MIXED else None)
        assert trainer.engine.devices.replicas == replicas
        steps = np.stack([trainer.train(plan.part(step, step + 1)) for step in range(len(plan))])  # [S, 3]
        np.testing.assert_array_equal(steps[:, 2], plan.counts)
        losses.append(steps[:, 0] / steps[:, 2])
        transform = MIRRORED if augment is MIXED else None
        logits.append(trainer.engine.predict(np.arange(COUNT)[::-1], transform))
        weights.append(trainer.weights())
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(*logits, rtol=0, atol=2e-5)
    assert_close(*weights, atol=1e-5)


@pytest.mark.engines
@pytest.mark.parametrize(("strategy", "parts"), [("cpu", 4), ("mirrored", 2)])
@pytest.mark.parametrize("feeding", ["resident", "streamed"])
def test_a_step_in_parts_is_the_whole_step(strategy: str, parts: int, feeding: str):
    """Also the last one, some parts of which are nothing but filling; without BatchNorm."""
    plan, settings = make_plan(0.1, MIXED), Optimizer("sgd", 0.1, clip=0.3, decay=0.01)
    assert not plan.weights[-1, 4:].any() and plan.weights[-1, :4].all()
    results = []
    for number in (1, parts):
        images = Streamed(IMAGES) if feeding == "streamed" else IMAGES
        trainer = make_trainer(settings, strategy, loss=FULL, targets=TARGETS, images=images, parts=number)
        steps = np.stack([trainer.train(plan, step, step + 1) for step in range(len(plan))])  # [S, 3]
        np.testing.assert_array_equal(steps[:, 2], plan.counts)
        results.append((steps, trainer.weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=0, atol=1e-4)
    assert_close(results[0][1], results[1][1], atol=1e-5)
    assert np.abs(trainer.weights()[0] - trainer.initial[0]).max() > 1e-2


@pytest.mark.engines
def test_each_part_of_a_step_draws_its_own_dropout_and_repeats_it():
    plan, results = make_plan(0.01), []
    for key in (5, 5, 6):
        trainer = make_trainer(Optimizer("adam"), dropout=0.5, parts=2)
        trainer.engine.reseed(key)
        cuts = [0, 3, 8] if results else [0, 8]
        results.append([sum(trainer.train(plan, *cut) for cut in pairwise(cuts)), *read_values(trainer.variables)])
    assert_equal(results[0], results[1])
    assert not np.array_equal(results[0][1], results[2][1])


@pytest.mark.engines
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_clipping_bounds_the_joint_norm_of_the_gradient_of_the_whole_batch(precision: str):
    """Also where the loss is scaled, which must not be clipped for it."""
    plan = make_plan(1.0).part(0, 1)
    for strategy in ("cpu", "mirrored"):
        trainer = make_trainer(Optimizer("sgd", momentum=0.0, clip=0.1), strategy, precision=precision)
        trainer.train(plan)
        steps = [(after - before).ravel() for after, before in zip(trainer.weights(), trainer.initial, strict=False)]
        assert np.linalg.norm(np.concatenate(steps)) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.usefixtures("thin_backbone")
def test_shallow_cnn_trains_alike_on_one_and_on_two_devices(make_faces: Callable[..., Dataset]):
    # Frozen BatchNorm and no dropout: those see a replica's own images and numbers.
    experiment = load_experiment(
        backbone="shallow_cnn", weights="none", alpha=0.5, image_size=16, batch_size=8, batch_norm="frozen"
    )
    dataset = make_faces(60)
    measured = []
    for strategy in ("cpu", "mirrored"):
        session = Session(replace(experiment, strategy=strategy), dataset, None)
        for layer in session.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        train = session.start(session.stages[0]).train
        rows, rates = np.arange(len(dataset)), np.full(8, 1e-3)
        plan = session.plan(rows, session.keys, np.ones(60), rates, 0, 0, 1, offsets=None)
        measured.append([train(plan)[:, 0].sum() / 60, *session.evaluate(rows)[:2]])
    np.testing.assert_allclose(*measured, rtol=0, atol=1e-5)


def _loss_of(loss: Any, labels: np.ndarray, model: keras.Model, images: Any, weights: np.ndarray) -> Any:
    return loss(labels, model(images, training=True), sample_weight=weights)


@pytest.mark.engines
def test_steps_are_those_of_plain_keras_on_the_same_augmented_images(sgd: Trainer):
    """Also the last one, half of which is filling."""
    plan = make_plan(0.1, Augment(rotation=20, shear=5, zoom=0.2, shift=0.1))
    sgd.restart()
    model = small_cnn()
    assign_values(model.trainable_variables, sgd.weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for step in range(len(plan)):
        real = plan.weights[step] > 0
        rows = plan.rows[step][real]
        images = resample(IMAGES[rows], plan.transforms[step][real])
        variables, weights = model.trainable_variables, plan.weights[step][real]
        value, gradients = value_and_gradients(
            variables, functools.partial(_loss_of, loss, LABELS[rows], model, images, weights)
        )
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(plan.rates[step] * gradient)
        sums = sgd.train(plan.part(step, step + 1))
        assert sums[0] / plan.counts[step] == pytest.approx(float(value), abs=1e-5)
        assert_close(sgd.weights(), read_values(variables), atol=1e-5)
    assert real.sum() == 4


@pytest.mark.engines
def test_a_mixed_step_is_that_of_plain_keras_on_the_same_mixed_images():
    """With soft targets and every part of the objective, as Keras's own losses and regularizers compute them."""
    loss = replace(FULL, name="cross_entropy")
    trainer = make_trainer(Optimizer("sgd", momentum=0.0), loss=loss, targets=TARGETS)
    regularizer = keras.regularizers.L2(loss.l2)
    criterion = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=loss.smoothing)
    model = small_cnn()
    variables = model.trainable_variables
    plan = make_plan(0.1, MIXED).part(7, 8)  # the one that is filled up
    real = plan.weights[0] > 0
    rows, mixing = plan.rows[0][real], plan.mixing[0][real]
    images = prepare(
        IMAGES[rows],
        plan.transforms[0][real],
        IMAGES[mixing.partners],
        mixing.arrays(),
        plan.erased[0][real],
        plan.photometry[0][real].arrays(),
    )
    share = mixing.shares[:, None]
    targets, answers = (
        share * truth[rows] + (1 - share) * truth[mixing.partners] for truth in (TARGETS, np.eye(CLASSES)[LABELS])
    )
    logits = np.asarray(model(images, training=True))
    value = criterion(targets, logits + plan.offsets[0], sample_weight=plan.weights[0][real])

    def whole() -> Any:
        moved = model(images, training=True) + plan.offsets[0]
        penalty = sum(regularizer(variable) for variable in variables if len(variable.shape) > 1)
        return criterion(targets, moved, sample_weight=plan.weights[0][real]) + penalty

    for variable, gradient in zip(variables, value_and_gradients(variables, whole)[1], strict=True):
        variable.assign_sub(plan.rates[0] * gradient)
    right = answers[np.arange(len(rows)), np.argmax(logits, axis=1)].sum()
    sums = trainer.train(plan)
    np.testing.assert_allclose(sums, [float(value) * 4, right, 4], rtol=0, atol=1e-4)
    assert_close(trainer.weights(), read_values(variables), atol=1e-5)
    assert 0 < share.min() < share.max()


@pytest.mark.engines
def test_the_penalty_is_added_once_a_step_and_never_to_the_loss():
    plan = make_plan(0.1)
    plan = replace(plan, weights=np.zeros_like(plan.weights))
    shrunk = np.prod(1 - plan.rates.astype(np.float64) * 2 * 0.05)
    for strategy in ("cpu", "mirrored"):
        trainer = make_trainer(Optimizer("sgd", momentum=0.0), strategy, loss=Loss(l2=0.05))
        assert trainer.train(plan)[0] == 0
        expected = [before * (shrunk if before.ndim > 1 else 1) for before in trainer.initial[:4]]
        assert_close(trainer.weights(), expected, atol=1e-6)


@pytest.mark.engines
def test_accuracy_and_count_leave_the_filling_out(sgd: Trainer):
    plan = make_plan(1e-9, Augment(rotation=0, zoom=0, shift=0, flip=False))
    sgd.restart()
    right = sgd.engine.predict(np.arange(COUNT)).argmax(axis=1) == LABELS
    np.testing.assert_array_equal(sgd.train(plan)[1:], [right.sum(), COUNT])


@pytest.mark.engines
def test_images_that_fill_the_last_step_up_change_nothing(sgd: Trainer):
    plan = make_plan(0.1)
    assert (plan.weights == 0).sum() == 4
    other = replace(plan, rows=np.where(plan.weights > 0, plan.rows, 0), transforms=plan.transforms.copy())
    other.transforms[plan.weights == 0] = [0, 0, 3, 0, 0, 3]
    assert (other.rows != plan.rows).sum() >= 3
    results = []
    for each in (plan, other):
        sgd.restart()
        results.append([sgd.train(each), *sgd.weights()])
    assert_equal(*results)


@pytest.mark.engines
def test_cutting_the_steps_into_calls_changes_no_bit(forgetful: Trainer):
    plan = make_plan(0.01)
    results = []
    for cuts in ([0, 8], [0, 1, 4, 8], list(range(9))):
        forgetful.restart()
        forgetful.engine.reseed(5)
        sums = sum(forgetful.train(plan, start, stop) for start, stop in pairwise(cuts))
        results.append([sums, *read_values(forgetful.variables)])
    assert_equal(results[0], results[1])
    assert_equal(results[0], results[2])


class Streamed:
    """Images by row that are no array, as those of records are."""

    def __init__(self, images: np.ndarray):
        self._images, self.shape = images, images.shape
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.read.append(len(rows))
        return self._images[rows]


@pytest.mark.engines
@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
def test_streamed_images_give_the_same_bits_as_resident_ones(strategy: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "BYTES_AT_ONCE", 3 * BATCH * SIDE * SIDE)
    plan, streamed = make_plan(0.01, MIXED), Streamed(IMAGES)
    results = []
    for images in (IMAGES, streamed):
        trainer = make_trainer(Optimizer("adam"), strategy, dropout=0.5, loss=FULL, images=images)
        trainer.engine.reseed(3)
        cuts = [0, 3, 6, 7, 8]  # the last read ahead is longer than what is asked for
        sums = [trainer.train(plan, start, stop) for start, stop in pairwise(cuts)]
        rows = np.arange(COUNT)[::-1]
        predicted = [trainer.engine.predict(rows), trainer.engine.predict(rows, MIRRORED)]
        results.append([*sums, *trainer.weights(), *predicted])
        steps = trainer.engine.steps_at_once
    assert_equal(*results)
    assert steps == 3
    assert max(streamed.read) <= 3 * BATCH  # never all of them


def resizing_cnn() -> keras.Model:
    """Takes images of 12 and brings them to 20 pixels."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Resizing(20, 20)(inputs, training=False)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="tanh")(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x))
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x)))


@pytest.mark.engines
def test_images_that_are_resampled_go_straight_to_the_side_of_the_backbone():
    model = resizing_cnn()
    engine = choose_engine()(choose_devices("cpu"), model, IMAGES, LABELS, BATCH)
    assert (engine.image_size, engine.side) == ((SIDE, SIDE), (20, 20))
    rows = np.arange(COUNT)
    plain = engine.predict(rows)
    np.testing.assert_allclose(plain, model(IMAGES.astype(np.float32)), rtol=0, atol=1e-5)
    # Not moved, it is what the model's own layer makes of them.
    np.testing.assert_allclose(engine.predict(rows, np.array(IDENTITY)), plain, rtol=0, atol=1e-4)
    mirrored = model(IMAGES[:, :, ::-1].astype(np.float32))
    np.testing.assert_allclose(engine.predict(rows, MIRRORED), mirrored, rtol=0, atol=1e-4)


@pytest.mark.engines
def test_a_step_without_augmentation_trains_on_what_the_model_itself_makes_of_the_images():
    settings, still = Optimizer("sgd", momentum=0.0), Augment(rotation=0, zoom=0, shift=0, flip=False)
    model, reference = resizing_cnn(), resizing_cnn()
    optimizer = make_optimizer(settings, "float32")
    optimizer.build(model.trainable_variables)
    engine = choose_engine()(choose_devices("cpu"), model, IMAGES, LABELS, BATCH)
    sides, rates = (SIDE, SIDE), np.full(8, 0.1)
    plan = plan_epoch(np.arange(COUNT), KEYS, np.ones(COUNT), BATCH, still, sides, rates, 0, 0, 1, side=engine.side)
    sums = engine.compile_training(optimizer, 0.0, PLAIN)(plan, 0, 1)
    criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rows, variables = plan.rows[0], reference.trainable_variables
    loss, gradients = value_and_gradients(
        variables, lambda: criterion(LABELS[rows], reference(IMAGES[rows].astype(np.float32)))
    )
    assert sums[0, 0] / BATCH == pytest.approx(loss, abs=1e-5)
    for mine, variable, gradient in zip(read_values(model.trainable_variables), variables, gradients, strict=True):
        np.testing.assert_allclose(mine, variable.value - 0.1 * gradient, rtol=0, atol=1e-5)


@pytest.mark.engines
def test_dropout_repeats_from_its_key_and_differs_for_another(forgetful: Trainer):
    plan = make_plan(0.01)
    results = []
    for key in (7, 7, 8, 7 << 32):
        forgetful.restart()
        forgetful.engine.reseed(key)
        forgetful.train(plan)
        results.append(forgetful.weights())
    assert_equal(results[0], results[1])
    assert not np.array_equal(results[0][0], results[2][0])
    assert not np.array_equal(results[0][0], results[3][0])


@pytest.mark.engines
def test_each_step_draws_dropout_anew(forgetful: Trainer):
    plan = make_plan(0.0).part(0, 1)
    forgetful.restart()
    forgetful.engine.reseed(7)
    assert forgetful.train(plan)[0] != forgetful.train(plan)[0]


@pytest.mark.engines
@pytest.mark.parametrize("count", [1, 8, 13, 60])
def test_predictions_come_once_a_row_in_the_order_asked_for(sgd: Trainer, count: int):
    rows = np.random.default_rng(count).permutation(COUNT)[:count]
    logits = sgd.engine.predict(rows)
    np.testing.assert_allclose(logits, sgd.engine.model(IMAGES[rows].astype(np.float32)), rtol=0, atol=1e-5)


@pytest.mark.engines
def test_predictions_of_moved_images_share_one_trace_and_plain_ones_are_not_resampled(
    sgd: Trainer, monkeypatch: pytest.MonkeyPatch
):
    engine, rows = sgd.engine, np.arange(COUNT)[::-1]
    plain = engine.predict(rows)
    calls: list[object] = []
    model, call = engine.model, type(engine.model).call

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return call(*given, **named)

    for transform in (MIRRORED, np.array([1.1, 0.1, -1, 0, 0.9, 2]), np.array(IDENTITY)):
        moved = model(resample(IMAGES[rows], np.tile(np.float32(transform), (COUNT, 1))))
        with monkeypatch.context() as patch:
            patch.setattr(type(model), "call", counted)
            np.testing.assert_allclose(engine.predict(rows, transform), moved, rtol=0, atol=1e-5)
    assert len(calls) == 1
    np.testing.assert_array_equal(engine.predict(rows), plain)
    np.testing.assert_array_equal(engine.predict(rows[:5]), plain[:5])


@pytest.mark.engines
@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_weight_decay_shrinks_kernels_and_nothing_else(name: str):
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            keras.layers.DepthwiseConv2D(3),
            keras.layers.SeparableConv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.PReLU(shared_axes=(1, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )
    variables = model.trainable_variables
    assign_values(variables, [np.ones(variable.shape, np.float32) for variable in variables])
    optimizer = make_optimizer(Optimizer(name, 0.1, decay=0.5), "float32")
    for _ in range(3):
        optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    kernels = {"kernel", "depthwise_kernel", "pointwise_kernel"}
    assert {variable.name for variable in variables} == {"gamma", "beta", "bias", "alpha"} | kernels
    for variable, values in zip(variables, read_values(variables), strict=True):
        expected = 0.95**3 if variable.name in kernels else 1.0  # 1 - rate x decay, three times
        np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=variable.name)


@pytest.mark.engines
@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_a_part_of_each_step_is_a_part_of_the_rate(name: str):
    """Also of the decay, and of what momentum carries on."""
    rng = np.random.default_rng(0)
    gradients = [keras.ops.convert_to_tensor(rng.normal(size=shape).astype(np.float32)) for shape in ((3, 4), (4,))]
    whole, parts, slow = [
        [keras.Variable(np.ones(g.shape, np.float32), name="kernel") for g in gradients] for _ in "123"
    ]
    for variables, rate, scales in ((whole, 0.1, ()), (parts, 0.1, (0.25, 1.0)), (slow, 0.025, ())):
        optimizer = make_optimizer(Optimizer(name, rate, decay=0.1), "float32")
        optimizer.build(variables)
        for sign in (1, -0.5, 1):
            apply_gradients(optimizer, [sign * g for g in gradients], variables, scales)
    np.testing.assert_allclose(parts[0], slow[0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(parts[1], whole[1])
    assert np.abs(np.asarray(parts[0]) - np.asarray(whole[0])).min() > 1e-3


@pytest.mark.engines
@pytest.mark.parametrize(("strategy", "precision"), [("cpu", "float32"), ("mirrored", "mixed_float16")])
def test_variables_take_their_part_of_the_steps_that_an_engine_makes(strategy: str, precision: str):
    devices, moved = choose_devices(strategy), []
    scales = (0.0, 0.5, 0.25, 1.0)
    for given in ((), scales):
        with devices.scope():
            model = small_cnn()
            optimizer = make_optimizer(Optimizer("adam"), precision)
            optimizer.build(model.trainable_variables)
        engine = choose_engine()(devices, model, IMAGES, LABELS, BATCH)
        before = read_values(model.trainable_variables)
        engine.compile_training(optimizer, 0.0, PLAIN, (), given)(make_plan(0.01), 0, 1)
        after = read_values(model.trainable_variables)
        moved.append([new - old for old, new in zip(before, after, strict=True)])
    for whole, part, scale in zip(*moved, scales, strict=True):
        np.testing.assert_allclose(part, scale * whole, rtol=0, atol=1e-6)
        assert np.abs(whole).max() > 5e-3


@pytest.mark.engines
def test_weight_decay_shrinks_what_no_gradient_moves():
    plan = make_plan(0.1)
    plan = replace(plan, weights=np.zeros_like(plan.weights))
    for decay in (0.0, 0.5):
        trainer = make_trainer(Optimizer("adam", decay=decay))
        before = [np.full_like(values, 0.5) for values in trainer.weights()]
        assign_values(trainer.engine.model.trainable_variables, before)
        trainer.train(plan)
        shrunk = np.prod(1 - plan.rates.astype(np.float64) * decay)
        factors = [shrunk if values.ndim > 1 else 1.0 for values in before]  # biases are vectors
        assert_close(trainer.weights(), [f * values for f, values in zip(factors, before, strict=True)], atol=1e-6)


@pytest.mark.engines
def test_a_batch_that_does_not_divide_over_the_devices_is_one_clear_line():
    devices = choose_devices("mirrored")
    with devices.scope():
        model = small_cnn()
    with pytest.raises(UserError, match=r"'batch_size' 7 does not divide over .* use a multiple of [24]"):
        choose_engine()(devices, model, IMAGES, LABELS, 7)
    with pytest.raises(UserError, match=r"'batch_size' 8 does not divide into 3 parts .* use a multiple of (6|12)"):
        choose_engine()(devices, model, IMAGES, LABELS, 8, None, 3)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_with_finite_loss_and_float32_logits(precision: str, make_faces: Callable[..., Dataset]):
    dataset = make_faces(40, side=16)
    experiment = load_experiment(
        backbone="shallow_cnn", weights="none", alpha=0.5, image_size=16, precision=precision, optimizer={"clip": 1.0}
    )
    session = Session(experiment, dataset, None)
    assert keras.config.dtype_policy().name == "float32"
    assert session.model.get_layer("conv1").compute_dtype == precision.removeprefix("mixed_")
    before = read_values(session.model.trainable_variables)
    train = session.start(session.stages[0]).train
    plan = plan_epoch(
        np.arange(40), session.keys, np.ones(40), 64, experiment.augment, (16, 16), np.full(1, 1e-3), 0, 0, 1
    )
    losses = [train(plan)[0, 0] / 40 for _ in range(4)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    after = read_values(session.model.trainable_variables)
    assert {values.dtype.name for values in after} == {"float32"}
    assert any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    loss, _, logits = session.evaluate(np.arange(40))
    assert logits.dtype == np.float32
    assert np.isfinite(loss)
