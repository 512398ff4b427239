"""Explanations of models whose maps can be computed by hand, of trained ones, and of every registry backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import convolve2d, correlate2d
from scipy.stats import spearmanr

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.inference.explain.explain import BATCH, compute_maps, smooth_gradient
from fer_tl.inference.explain.gradients import GradientModel
from fer_tl.inference.explain.methods import METHODS, choose_methods
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.classifier import build_classifier
from fer_tl.runs.saved_model import save_model

RNG = np.random.default_rng(0)
SIDE = 6
KERNELS = RNG.normal(size=(2, 3, 3)).astype(np.float32)
BIASES = np.array([20.0, -30.0], np.float32)
TOP = np.array([[1.0, -0.5, 0.2], [-0.7, 0.9, 0.4]], np.float32)  # [2, 3]
IMAGES = RNG.integers(0, 256, (5, SIDE, SIDE, 1)).astype(np.uint8)
ANY = np.full(len(IMAGES), -1)


def tiny(head: str = "avg", top: np.ndarray = TOP) -> keras.Model:
    """A convolution with two 3x3 kernels and ReLU, the head's pooling, and a dense layer."""
    inputs = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(inputs)
    pooling = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }[head]
    model = keras.Model(inputs, keras.layers.Dense(top.shape[1], name="logits")(pooling(name="head")(x)))
    kernels = KERNELS.transpose(1, 2, 0)[:, :, None]  # [3, 3, 1, 2]
    model.set_weights([kernels, BIASES, top, np.zeros(top.shape[1])])
    return model


def features_by_hand(image: np.ndarray) -> np.ndarray:
    """[6, 6, 2]"""
    maps = [correlate2d(image[:, :, 0].astype(float), k, mode="same") + b for k, b in zip(KERNELS, BIASES, strict=True)]
    return np.maximum(np.stack(maps, axis=-1), 0)


def ask(model: keras.Model, images: np.ndarray, classes: np.ndarray, *methods: str, **options: Any) -> Any:
    return compute_maps(GradientModel(model), images, classes, methods, **options)


@pytest.mark.engines
@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("head", ["avg", "max", "flatten"])
def test_grad_cam_is_what_hand_and_paper_say(head: str, k: int):
    top = TOP if head != "flatten" else RNG.normal(size=(SIDE * SIDE * 2, 3)).astype(np.float32)
    _, maps = ask(tiny(head, top), IMAGES, np.full(len(IMAGES), k), "gradcam")
    for image, found in zip(IMAGES, maps["gradcam"], strict=True):
        # The gradient of a mean is its weight over the cells, that of a maximum the weight at one cell: both have the
        # mean w / 36. Of a flattened map it is the weights themselves.
        alpha = TOP[:, k] / SIDE**2 if head != "flatten" else top[:, k].reshape(SIDE, SIDE, 2).mean(axis=(0, 1))
        np.testing.assert_allclose(found, np.maximum(features_by_hand(image) @ alpha, 0), rtol=1e-4, atol=1e-4)


def gradient_by_hand(image: np.ndarray, k: int) -> np.ndarray:
    """Of logit k of ``tiny()`` with respect to the pixels: [6, 6]."""
    active = features_by_hand(image) > 0
    return sum(TOP[j, k] / SIDE**2 * convolve2d(active[:, :, j], KERNELS[j], mode="same") for j in range(2))


@pytest.mark.engines
@pytest.mark.parametrize("k", [0, 1, 2])
def test_saliency_is_what_hand_and_paper_say(k: int):
    _, maps = ask(tiny(), IMAGES, np.full(len(IMAGES), k), "saliency")
    for image, found in zip(IMAGES, maps["saliency"], strict=True):
        np.testing.assert_allclose(found, np.abs(gradient_by_hand(image, k)), rtol=1e-4, atol=1e-6)


@pytest.mark.engines
def test_the_predicted_class_is_asked_for_by_default_and_any_other_by_its_number():
    model = GradientModel(tiny())
    logits, predicted = compute_maps(model, IMAGES, ANY, tuple(METHODS))
    np.testing.assert_allclose(logits, tiny().predict(IMAGES, verbose=0), rtol=1e-5)
    answers = logits.argmax(axis=1)
    _, same = compute_maps(model, IMAGES, answers, tuple(METHODS))
    _, other = compute_maps(model, IMAGES, (answers + 1) % 3, tuple(METHODS))
    for method in METHODS:
        np.testing.assert_array_equal(predicted[method], same[method])
        assert (predicted[method] != other[method]).any(axis=(1, 2)).all()


@pytest.mark.engines
def test_maps_do_not_depend_on_the_batch():
    model, many = GradientModel(tiny()), RNG.integers(0, 256, (BATCH + 3, SIDE, SIDE, 1)).astype(np.uint8)
    _, together = compute_maps(model, many, np.full(len(many), 1), tuple(METHODS))
    for row in (0, BATCH - 1, BATCH, BATCH + 2):
        _, alone = compute_maps(model, many[row : row + 1], np.array([1]), tuple(METHODS))
        for method in METHODS:
            np.testing.assert_allclose(alone[method][0], together[method][row], rtol=1e-5, atol=1e-7)


def test_smoothgrad_without_noise_is_the_gradient_and_with_it_becomes_an_expectation():
    model, image = GradientModel(tiny()), IMAGES[0]
    still = smooth_gradient(model, image, 1, seed=0, samples=3, spread=0.0)
    np.testing.assert_allclose(still[:, :, 0], gradient_by_hand(image, 1), rtol=1e-4, atol=1e-6)
    limit = smooth_gradient(model, image, 1, seed=1, samples=4000, spread=0.3)
    far, near = (
        np.mean([np.abs(smooth_gradient(model, image, 1, seed, samples, 0.3) - limit).mean() for seed in range(2, 8)])
        for samples in (8, 128)
    )
    assert near < far / 2.5  # sixteen times the samples, a quarter of the error


@pytest.mark.engines
def test_smoothgrad_of_a_linear_model_is_its_saliency():
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    images = RNG.integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    _, maps = ask(model, images, ANY[:2], "saliency", "smoothgrad")
    np.testing.assert_allclose(maps["smoothgrad"], maps["saliency"], rtol=1e-4, atol=1e-7)


def test_gradients_that_change_their_sign_cancel_as_in_the_paper():
    """The logit is the sum of |x - 128|: at a pixel of 128 its gradient is 1 in half of the copies, and else -1."""
    inputs = keras.Input((2, 2, 1), name="image")
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(
        keras.layers.Conv2D(2, 1, activation="relu")(inputs)
    )))  # fmt: skip
    model.set_weights(
        [np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.array([-128.0, 128.0]), np.ones((8, 1)), np.zeros(1)]
    )
    image = np.array([[128, 0], [255, 128]], np.uint8)[:, :, None]
    found = smooth_gradient(GradientModel(model), image, 0, seed=0, samples=400)[:, :, 0]
    np.testing.assert_array_equal(found[[0, 1], [1, 0]], [-1, 1])  # far from the edge, no copy crosses it
    assert np.abs(found[[0, 1], [0, 1]]).max() < 0.2


def test_noise_belongs_to_seed_and_image_and_fits_its_range():
    model = GradientModel(tiny())
    first, again, other = (smooth_gradient(model, IMAGES[0], 0, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(again, first)
    assert (other != first).any()

    class Spy:
        """Stands in for a model; its gradient is the noise."""

        def __init__(self, image: np.ndarray) -> None:
            self.image, self.noise = image, np.empty(0)

        def at_pixels(self, images: np.ndarray, classes: np.ndarray) -> tuple[None, np.ndarray]:
            self.noise = images - self.image
            return None, self.noise

    image = np.tile(np.array([40, 140], np.uint8), (50, 25))[:, :, None]
    spies = [Spy(image), Spy(255 - image - 75)]  # two images of one range
    for spy in spies:
        smooth_gradient(spy, spy.image, 0, seed=0, samples=4, spread=0.2)
        assert spy.noise.std() == pytest.approx(0.2 * 100, rel=0.05)
    drawn = [copy for spy in spies for copy in spy.noise.reshape(4, -1)]
    assert np.abs(np.corrcoef(drawn) - np.eye(8)).max() < 0.1


def test_a_patch_that_moves_takes_the_maximum_with_it():
    model = GradientModel(tiny(top=np.array([[1.0], [0.0]], np.float32)))
    model._model.layers[1].set_weights([np.ones((3, 3, 1, 2)), np.zeros(2)])
    images = np.zeros((3, SIDE, SIDE, 1), np.uint8)
    places = [(1, 1), (1, 4), (4, 2)]
    for image, (row, column) in zip(images, places, strict=True):
        image[row - 1 : row + 2, column - 1 : column + 2] = 200
    _, maps = compute_maps(model, images, np.zeros(3, np.int64), ["gradcam"])
    assert [np.unravel_index(found.argmax(), found.shape) for found in maps["gradcam"]] == places


def stripes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise with a striped patch of 8x8 somewhere: images ``[N, 24, 24, 1]``, the direction of the stripes ``[N]``, and
    where the patch is, bool ``[N, 24, 24]``."""
    rng = np.random.default_rng(seed)
    images = rng.normal(100, 15, (count, 24, 24, 1))
    labels, where = rng.integers(0, 2, count), np.zeros((count, 24, 24), bool)
    pattern = np.tile([[60.0, -60.0]], (8, 4))
    for row in range(count):
        top, left = rng.integers(0, 16, 2)
        place = (row, slice(top, top + 8), slice(left, left + 8))
        images[place] += (pattern if labels[row] else pattern.T)[..., None]
        where[place] = True
    return images.clip(0, 255).astype(np.uint8), labels, where


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 1), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = keras.layers.Conv2D(8, 3, activation="relu", padding="same", name="conv1")(x)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu", padding="same", name="conv2")(x)
    x = keras.layers.Conv2D(16, 3, activation="relu", padding="same", name="conv3")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))
    images, labels, _ = stripes(400, 1)
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True), from_logits=True)
        optimizer.apply(tape.gradient(losses, model.trainable_variables), model.trainable_variables)

    for start in range(0, 2400, 40):
        rows = np.arange(start, start + 40) % 400
        step(tf.constant(images[rows], tf.float32), tf.constant(labels[rows]))
    return model


def test_maps_of_a_trained_model_lie_on_what_tells_the_classes(trained: keras.Model):
    images, labels, where = stripes(30, 2)
    logits, maps = compute_maps(GradientModel(trained), images, labels, tuple(METHODS))
    assert (logits.argmax(axis=1) == labels).mean() > 0.95
    for method, least in {"gradcam": 0.4, "saliency": 0.14, "smoothgrad": 0.16}.items():
        found = maps[method]
        large = found.repeat(24 // found.shape[1], 1).repeat(24 // found.shape[2], 2)
        inside = (large * where).sum(axis=(1, 2)) / large.sum(axis=(1, 2))
        assert np.median(inside) > least, method  # the patch is a ninth of the image


def test_maps_change_when_the_weights_are_made_random(trained: keras.Model):
    """The sanity check of Adebayo et al., "Sanity checks for saliency maps" (NeurIPS 2018), section 3: a map that does
    not follow what was learned explains nothing."""
    images, labels, _ = stripes(60, 2)
    changed = keras.models.clone_model(trained)
    model = GradientModel(changed)

    def correlate(names: Sequence[str], seed: int) -> list[float]:
        """Rank correlation with the maps of before, once these layers are random; mean over the images, by method."""
        changed.set_weights(trained.get_weights())
        rng = np.random.default_rng(seed)
        for name in names:
            layer = changed.get_layer(name)
            layer.set_weights([rng.normal(0, weights.std() or 0.1, weights.shape) for weights in layer.get_weights()])
        return correlations(before, maps_of(model, images, labels))

    before = maps_of(GradientModel(trained), images, labels)
    assert min(correlate([], 0)) > 0.99
    for seed in range(3):
        assert np.abs(correlate(["conv1", "conv2", "conv3", "logits"], seed)).max() < 0.25
    top = np.mean([correlate(["conv3", "logits"], seed) for seed in range(6)], axis=0)
    # The absolute values of saliency keep some of the lower layers' edges, as the paper found.
    assert abs(top[0]) < 0.25 and top[1] < 0.6


def maps_of(model: GradientModel, images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    _, maps = compute_maps(model, images, labels, ["gradcam", "saliency"])
    return list(maps.values())


def correlations(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> list[float]:
    """Mean rank correlation over the images, of each method; constant maps have none."""
    found = []
    for a, b in zip(one, other, strict=True):
        rows = [row for row in range(len(a)) if a[row].std() and b[row].std()]
        found.append(float(np.mean([spearmanr(a[row].ravel(), b[row].ravel()).statistic for row in rows])))
    return found


@pytest.mark.engines
def test_another_models_weights_are_taken_without_compiling_anew(tmp_path: Path):
    other = tiny(top=TOP[::-1].copy())
    save_model(other, ("a", "b", "c"), tmp_path / "model.keras")
    model = GradientModel(tiny())
    compute_maps(model, IMAGES, ANY, ["gradcam"])
    model.take_weights(tmp_path / "model.keras")
    found, expected = (compute_maps(each, IMAGES, ANY, tuple(METHODS)) for each in (model, GradientModel(other)))
    for method in METHODS:
        np.testing.assert_allclose(found[1][method], expected[1][method], rtol=1e-5)
    (tmp_path / "broken.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:500])
    with pytest.raises(UserError, match=r"broken.keras cannot be loaded"):
        model.take_weights(tmp_path / "broken.keras")


@pytest.mark.engines
def test_a_model_of_mixed_precision_is_explained_in_float32():
    options = {"backbone": "shallow_cnn", "weights": "none", "alpha": 0.5}
    keras.utils.set_random_seed(1)
    plain = build_classifier(load_experiment(**options), (48, 48, 1), 7, None).model
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = build_classifier(load_experiment(**options), (48, 48, 1), 7, None).model
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(plain.get_weights())
    images = RNG.integers(0, 256, (2, 48, 48, 1)).astype(np.uint8)
    found, expected = (ask(model, images, np.array([3, 4]), "gradcam", "saliency") for model in (mixed, plain))
    for method, values in expected[1].items():
        np.testing.assert_allclose(found[1][method], values, rtol=1e-4, atol=1e-9)


@cache
def smallest(name: str) -> keras.Model:
    """A backbone at its smallest side and width with its own head, on images of 24 pixels."""
    record = BACKBONES[name]
    options = {"alpha": min(record.alphas)} if len(record.alphas) > 1 else {}
    experiment = load_experiment(backbone=name, weights="none", image_size=record.min_size, **options)
    return build_classifier(experiment, (24, 24, 1), 7, None).model


@pytest.fixture
def _eager() -> Iterator[None]:
    """Uncompiled: a single pass takes less time than the tracing."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


LAST = {
    "mobilenetv2": "out_relu",
    "efficientnetb0": "top_activation",
    "vgg16": "block5_conv3",
    "resnet18": "stage4_block2_relu2",
    "liu_residual": "relu4b",
    "pham": "relu3",
    "shallow_cnn": "relu4",
}


# One of each kind, but for those that take long to build; all of BACKBONES take 20 s more.
@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize("name", LAST)
def test_every_backbone_is_explained(name: str):
    classifier = smallest(name)
    model = GradientModel(classifier)
    assert model.layer == LAST[name]
    images = RNG.integers(0, 256, (2, 24, 24, 1)).astype(np.uint8)
    logits, maps = compute_maps(model, images, np.array([-1, 2]), ["gradcam", "saliency"])
    assert maps["gradcam"].shape == (2, *classifier.get_layer(LAST[name]).output.shape[1:3])
    assert maps["saliency"].shape == (2, 24, 24)
    assert all(np.isfinite(found).all() and (found >= 0).all() for found in (*maps.values(), logits - logits.min()))
    assert (maps["saliency"] > 0).mean() > 0.9
    assert logits.shape == (2, 7)


def test_layers_are_found_in_the_graph_and_those_that_will_not_do_are_told():
    classifier = smallest("efficientnetb0")
    assert GradientModel(classifier).layer == "top_activation"
    assert GradientModel(classifier).map_size == (1, 1)
    chosen = GradientModel(classifier, "block2a_expand_activation")
    assert chosen.map_size == (16, 16)
    assert chosen.larger == "block6a_expand_activation"  # behind it, maps have one cell or are padded
    for layer, said in {
        "block2a_expand_activatio": "there is none; did you mean 'block2a_expand_activation'? Valid are: ",
        "nothing like it at all": "there is none. Valid are: ",
        "block2a_se_reshape": "its output is no map. Valid are: ",  # one cell
        "logits": "its output is no map. Valid are: ",
        "image": "its output is no map. Valid are: ",
    }.items():
        with pytest.raises(UserError) as error:
            GradientModel(classifier, layer)
        assert f"--layer {layer}: {said}" in str(error.value)
        assert "stem_activation" in str(error.value) and "se_reshape," not in str(error.value)
        assert "\n" not in str(error.value)


def test_a_model_without_a_map_says_so():
    inputs = keras.Input((4, 4, 1))
    with pytest.raises(UserError, match="not convolutional"):
        GradientModel(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs))))


def test_methods_are_chosen_by_name():
    assert choose_methods("smoothgrad, gradcam") == ("gradcam", "smoothgrad")
    assert choose_methods(["saliency"]) == ("saliency",)
    with pytest.raises(UserError, match=r"--method gradcamm: no such method; did you mean 'gradcam'\?"):
        choose_methods("gradcamm")
    with pytest.raises(UserError, match="--method names nothing"):
        choose_methods([])
