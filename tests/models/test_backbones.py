"""Every backbone is what the registry says of it: size, work, features, heads, variants."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fer_tl.core.config import Experiment, Head
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.classifier import Classifier, build_classifier
from fer_tl.models.costs import Costs, count_costs
from fer_tl.models.record import Variant
from fer_tl.models.resolve import resolve_model

CLASSES = 7

# name: parameters, multiply-accumulates at the default size, that size, the smallest size, width of the features
PINS = {
    "mobilenetv2": (2_257_984, 55_009_152, 96, 32, 1280),
    "efficientnetb0": (4_049_571, 71_140_832, 96, 32, 1280),
    "vgg16": (14_714_688, 704_692_224, 48, 32, 512),
    "resnet18": (11_186_112, 97_955_840, 48, 32, 512),  # as many parameters as keras-hub's resnet_18_imagenet
    "resnet50": (23_587_712, 203_206_656, 48, 32, 2048),
    "du_resnet50": (23_587_712, 203_206_656, 48, 32, 2048),
    "inceptionv3": (21_802_784, 201_477_728, 75, 75, 2048),
    "liu_3conv": (92_672, 21_897_216, 48, 8, 128),
    "liu_4conv": (387_840, 32_514_048, 48, 16, 256),
    "liu_4conv_bn": (389_280, 32_514_048, 48, 16, 256),
    "liu_residual": (1_959_840, 74_981_376, 48, 16, 256),
    "pham": (236_096, 40_993_792, 48, 25, 128),
    "shallow_cnn": (241_312, 27_205_632, 48, 16, 128),
    "facevgg": (1_174_560, 117_448_704, 48, 16, 256),
}
PLAIN = Variant()
GAP = {"pooling": "avg", "dense": []}
RESNETS = ("resnet50", "du_resnet50")  # one network, two heads
each_backbone = pytest.mark.parametrize("name", [name for name in BACKBONES if name != "du_resnet50"])


@cache
def base(name: str, size: int, channels: int, variant: Variant = PLAIN) -> Any:
    """The bare network on scaled pixels."""
    return BACKBONES[name].build(keras.Input((size, size, channels)), variant)


@cache
def smallest(name: str) -> Classifier:
    """With global average pooling on grey images of the smallest size."""
    experiment = load_experiment(backbone=name, weights="none", image_size=BACKBONES[name].min_size, head=GAP)
    return build_classifier(experiment, (BACKBONES[name].min_size, BACKBONES[name].min_size, 1), CLASSES, None)


def multiplications(model: keras.Model) -> int:
    """Kernel volume times output positions, over all convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            total += prod(layer.kernel.shape) * prod(layer.output.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            total += prod(layer.kernel.shape)
        else:
            assert not any("kernel" in weight.name for weight in layer.weights), layer
    return total


def counted(model: keras.Model) -> Costs:
    """By the shapes of what was built."""
    return Costs(model.count_params(), multiplications(model))


def test_every_backbone_is_pinned_and_every_pin_has_a_backbone():
    recorded = {
        name: (record.parameters, record.macs, record.default_size, record.min_size, record.features)
        for name, record in BACKBONES.items()
    }
    assert recorded == PINS


def test_the_two_resnets_of_du_differ_by_the_head_alone():
    plain, improved = (BACKBONES[name] for name in RESNETS)
    assert plain.build is improved.build
    assert plain.head != improved.head


@each_backbone
def test_parameters_work_and_feature_width_are_those_of_the_record(name: str):
    record = BACKBONES[name]
    model = base(name, record.default_size, 3 if record.rgb else 1)
    assert model.count_params() == record.parameters
    assert multiplications(model) == record.macs
    assert model.output.shape[-1] == record.features


@each_backbone
def test_a_network_costs_what_the_registry_says_and_with_its_head_what_keras_counts(name: str):
    record = BACKBONES[name]
    bare = base(name, record.default_size, 3 if record.rgb else 1)
    assert count_costs(bare) == Costs(record.parameters, record.macs)
    assert count_costs(smallest(name).model) == counted(smallest(name).model)


@each_backbone
def test_smallest_side_gives_finite_logits_from_uint8(name: str):
    side = BACKBONES[name].min_size
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 1)).astype(np.uint8)
    logits = np.asarray(smallest(name).model(images))
    assert logits.shape == (2, CLASSES)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@each_backbone
def test_every_weight_learns(name: str):
    """In a step on two images of the smallest side, every weight has a finite gradient."""
    side, model = BACKBONES[name].min_size, smallest(name).model
    images = np.random.default_rng(1).integers(0, 256, (2, side, side, 1)).astype(np.float32)
    tf.config.run_functions_eagerly(True)
    try:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(np.array([1, 4]), model(images, training=True), True)
        gradients = tape.gradient(losses, model.trainable_variables)
    finally:
        tf.config.run_functions_eagerly(False)
    assert len(gradients) == len(model.trainable_variables) > 0
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path


@each_backbone
def test_the_layers_that_stages_freeze_are_all_of_the_backbone_and_no_others(name: str):
    """In the order of the bare network, in which files hold them."""
    record, layers = BACKBONES[name], smallest(name).backbone_layers
    bare = base(name, record.default_size, 3 if record.rgb else 1).layers[1:]
    assert [type(layer) for layer in layers] == [type(layer) for layer in bare]
    assert sum(layer.count_params() for layer in layers) == record.parameters


@each_backbone
def test_a_model_is_of_keras_own_layers(name: str):
    layers = smallest(name).model.get_config()["layers"]
    assert {layer["module"] for layer in layers} == {"keras.layers"}
    assert {layer["registered_name"] for layer in layers} == {None}


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnetb0", "vgg16", "resnet50", "inceptionv3"])
def test_networks_of_keras_take_one_channel_without_weights(name: str):
    record = BACKBONES[name]
    grey = base(name, record.min_size, 1)
    assert grey.output.shape[-1] == record.features
    assert grey.count_params() < record.parameters


def test_three_channels_are_grey_repeated_where_asked_for():
    def parameters(channels: int | None) -> int:
        experiment = load_experiment(backbone="liu_3conv", weights="none", channels=channels, head=GAP)
        return int(build_classifier(experiment, (48, 48, 1), CLASSES, None).model.count_params())

    assert parameters(3) - parameters(None) == 2 * 3 * 3 * 32
    assert parameters(1) == parameters(None)


@pytest.mark.parametrize(("stem", "side", "parameters"), [("7x7", 2, 11_186_112), ("3x3", 6, 11_178_432)])
def test_the_stem_of_resnet18_decides_what_is_left_of_a_small_image(stem: str, side: int, parameters: int):
    model = base("resnet18", 48, 3, Variant(stem=stem))
    assert model.output.shape[1:] == (side, side, 512)
    assert model.count_params() == parameters  # 64 x (7 x 7 - 3 x 3) x 3 fewer


def test_resnet18_pads_as_the_original():
    """Three zeros on every side in front of the stem; "same" would put two of five on the left of an even side."""
    model = base("resnet18", 48, 3)
    stem = model.get_layer("stem_conv")
    image = np.random.default_rng(0).normal(size=(1, 48, 48, 3)).astype(np.float32)
    corner = np.einsum("ijc,ijcf->f", image[0, :4, :4], np.asarray(stem.kernel)[3:, 3:])
    seen = np.asarray(keras.Model(model.inputs, stem.output)([image]))[0, 0, 0]
    np.testing.assert_allclose(seen, corner, atol=1e-4)


def test_pham_has_the_feature_maps_of_gudi_and_one_pooling_more():
    sides = [
        layer.output.shape[1] for layer in base("pham", 48, 1).layers if "conv" in layer.name or "pool" in layer.name
    ]
    assert sides == [44, 22, 18, 9, 6]


@pytest.mark.parametrize("activation", ["relu", "elu", "tanh"])
def test_the_activation_of_liu_is_in_every_block_and_in_the_head(activation: str):
    experiment = load_experiment(backbone="liu_residual", weights="none", image_size=16, activation=activation)
    layers = build_classifier(experiment, (16, 16, 1), CLASSES, None).model.layers
    used = [layer.activation.__name__ for layer in layers if isinstance(layer, keras.layers.Activation)]
    assert used == [activation] * 12
    assert [layer.activation.__name__ for layer in layers if layer.name == "head_dense0"] == [activation]


def test_the_head_of_liu_may_have_an_activation_of_its_own():
    experiment = load_experiment(backbone="liu_3conv", weights="none", activation="tanh", head={"activation": "relu"})
    assert resolve_model(experiment).head.activation == "relu"


def test_alpha_is_the_width_of_the_shallow_cnn():
    widths = [base("shallow_cnn", 16, 1, Variant(alpha=alpha)).output.shape[-1] for alpha in (0.5, 1.0, 2.0)]
    assert widths == [64, 128, 256]


@pytest.mark.parametrize(("alpha", "parameters"), [(1.0, 1_174_560), (1.5, 2_639_664), (2.0, 4_689_984)])
def test_facevgg_has_three_sizes(alpha: float, parameters: int):
    assert base("facevgg", 48, 1, Variant(alpha=alpha)).count_params() == parameters


@pytest.mark.parametrize("name", ["resnet18", "liu_residual"])
def test_stochastic_depth_leaves_whole_blocks_out_of_some_images_in_training_only(name: str):
    """Outputs of one block are all there, times 1 / (1 - p), or not at all; the rest is p of the images."""
    plain, dropped = Variant(stem="3x3"), Variant(stem="3x3", stochastic_depth=0.5)
    model = BACKBONES[name].build(keras.Input((32, 32, 1)), dropped)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    rates = [layer.rate for layer in layers]
    assert rates == pytest.approx([0.5 * (place + 1) / len(rates) for place in range(len(rates))])
    assert len(rates) == sum(isinstance(layer, keras.layers.Add) for layer in model.layers)
    ones = np.asarray(layers[-1](np.ones((2000, 2, 2, 3), np.float32), training=True))
    assert (ones == ones[:, :1, :1, :1]).all()
    assert set(np.unique(ones)) == {0.0, 2.0}
    assert ones.mean() == pytest.approx(1, abs=0.1)
    twin = BACKBONES[name].build(keras.Input((32, 32, 1)), plain)
    for layer in twin.layers[1:]:  # those of dropout change the order of the others
        layer.set_weights(model.get_layer(layer.name).get_weights())
    image = [np.ones((1, 32, 32, 1), np.float32)]
    assert np.array_equal(model(image), twin(image))


def test_stochastic_depth_needs_residual_blocks():
    experiment = load_experiment(backbone="facevgg", weights="none", stochastic_depth=0.1)
    with pytest.raises(UserError, match=r"0\.1 does not go with facevgg, only with resnet18, liu_res"):
        resolve_model(experiment)


@cache
def total_parameters(backbone: str, size: int, head: Head) -> int:
    experiment = load_experiment(backbone=backbone, weights="none", image_size=size, head=vars(head))
    return int(build_classifier(experiment, (48, 48, 1), CLASSES, None).model.count_params())


# What the papers count: Sikic et al. in tables 3 and 4 (the basic models from their backbones, GAP and softmax over
# 1280 features), Li et al. for InceptionV3 with the head of their deep nets.
PAPERS = {
    "sikic_mobilenetv2_basic": 2_257_984 + 1280 * 7 + 7,
    "sikic_mobilenetv2_augmented": 2_257_984 + 1280 * 7 + 7,
    "sikic_mobilenetv2_optimized": 2_299_207,
    "sikic_efficientnetb0_basic": 4_049_564 + 1280 * 7 + 7 + 7,
    "sikic_efficientnetb0_augmented": 4_049_564 + 1280 * 7 + 7 + 7,
    "sikic_efficientnetb0_optimized": 4_133_859 + 7,  # and the 7 of Keras's Normalization layer
    "li_inceptionv3": 34_397_991,
}


@pytest.mark.parametrize("config", sorted(PAPERS))
def test_configs_have_the_parameters_of_their_papers(config: str):
    experiment: Experiment = load_experiment(config)
    spec = resolve_model(experiment)
    assert total_parameters(spec.backbone.name, spec.size, spec.head) == PAPERS[config]


def test_the_head_of_du_is_dropout_dense_batchnorm_relu_twice_on_the_flat_features():
    experiment = load_experiment(backbone="du_resnet50", weights="none", image_size=32)
    model = build_classifier(experiment, (32, 32, 1), CLASSES, None).model
    kinds = [type(layer).__name__ for layer in model.layers if layer.name.startswith("head")]
    assert kinds == ["Flatten", *["Dropout", "Dense", "BatchNormalization", "Activation"] * 2]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5, 0.5]
    assert np.isfinite(np.asarray(model(np.zeros((1, 32, 32, 1), np.uint8)))).all()
