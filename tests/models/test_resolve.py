"""A model that cannot be is refused in one clear line, without Keras."""

from __future__ import annotations

import pytest

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.models.backbones import BACKBONES
from fer_tl.models.published import CAFFE, VGGFACE
from fer_tl.models.record import SYMMETRIC, Scaling
from fer_tl.models.resolve import default_weights, resolve_model

NONE = {"weights": "none"}
VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "mobilenetv3"}, "unknown backbone 'mobilenetv3'; did you mean 'mobilenetv2'?"),
        ({"backbone": "mobilenetv2", "image_size": 31}, "32 pixels or more"),
        ({"backbone": "inceptionv3", "image_size": 74}, "75 pixels or more"),
        ({"backbone": "shallow_cnn", "image_size": 15, **NONE}, "16 pixels or more"),
        ({"backbone": "mobilenetv2", "alpha": 0.6}, "0.35, 0.5, 0.75, 1, 1.3, 1.4"),
        ({"backbone": "efficientnetb0", "alpha": 0.5, **NONE}, "only with mobilenetv2, resnet18, shallow_cnn, facevgg"),
        (
            {"backbone": "resnet50", "activation": "elu", **NONE},
            "only with liu_3conv, liu_4conv, liu_4conv_bn, liu_residual",
        ),
        ({"backbone": "resnet50", "stem": "3x3", **NONE}, "'stem' 3x3 does not go with resnet50, only with resnet18"),
        ({"backbone": "shallow_cnn"}, "no imagenet weights for shallow_cnn"),
        ({"backbone": "resnet50", "weights": "vggface"}, "only for vgg16: use --weights imagenet or none"),
        ({"backbone": "pham", "weights": "vggface"}, "use --weights none"),
        ({"backbone": "vgg16", "channels": 1}, "'imagenet' of vgg16 take 3 channels"),
        ({"backbone": "vgg16", "weights": "vggface", "channels": 1}, "'vggface' of vgg16 take 3 channels"),
        ({"backbone": "vgg16", "weights": f"w/{VGG16_FILE}", "channels": 1}, "take 3 channels"),
        ({"backbone": "mobilenetv2", "pixels": "centred"}, "--pixels backbone or --weights none"),
        ({"backbone": "vgg16", "weights": VGG16_FILE, "pixels": "standardized"}, "--pixels backbone or --weights none"),
        ({"backbone": "efficientnetb0", "pixels": "standardized", **NONE}, "scales inside"),
        ({"head": {"dense": [32], "dropout": [0.1]}}, "needs 2 numbers"),
        ({"head": {"dropout": [0.1, 0.2]}}, "needs 1 number, that before the classes"),
        ({"head": {"dropout": [1.0]}}, "'head.dropout'"),
        ({"head": {"dense": [0]}}, "'head.dense'"),
        ({"head": {"dense": [], "batch_norm": True}}, "'head.batch_norm' stands behind dense layers"),
    ],
)
def test_a_model_that_cannot_be_is_one_clear_line(options: dict, words: str):
    with pytest.raises(UserError) as error:
        resolve_model(load_experiment(**options))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("backbone", "weights", "scaling"),
    [
        ("vgg16", "imagenet", CAFFE),
        ("vgg16", "vggface", VGGFACE),
        ("vgg16", "none", SYMMETRIC),
        ("vgg16", f"~/downloads/{VGG16_FILE}", CAFFE),
        ("vgg16", "my.weights.h5", SYMMETRIC),
        ("resnet50", "imagenet", CAFFE),
        ("resnet50", VGG16_FILE, SYMMETRIC),
        ("inceptionv3", "imagenet", SYMMETRIC),
        ("mobilenetv2", "imagenet", SYMMETRIC),
        ("efficientnetb0", "none", Scaling()),
    ],
)
def test_weights_decide_the_scaling(backbone: str, weights: str, scaling: Scaling):
    assert resolve_model(load_experiment(backbone=backbone, weights=weights)).scaling == scaling


def test_published_weights_are_for_three_channels():
    for record in BACKBONES.values():
        assert record.rgb or not record.pretrained


@pytest.mark.parametrize(
    ("options", "batch_norm", "dropout"),
    [
        ({"backbone": "pham"}, True, (0.0, 0.2)),
        ({"backbone": "pham", "head": {"batch_norm": False}}, False, (0.0, 0.2)),
        ({"backbone": "pham", "head": {"dense": [64, 32]}}, True, (0.0, 0.0, 0.0)),
        ({"backbone": "vgg16"}, False, (0.2,)),
        ({"backbone": "vgg16", "head": {"dense": [64], "batch_norm": True}}, True, (0.0, 0.0)),
    ],
)
def test_a_head_takes_from_the_record_what_is_not_given(options: dict, batch_norm: bool, dropout: tuple[float, ...]):
    head = resolve_model(load_experiment(**options, **NONE)).head
    assert (head.batch_norm, head.dropout) == (batch_norm, dropout)
    assert None not in vars(head).values()


def test_colour_is_kept_or_made_as_the_backbone_wants():
    def channels(stored: int, **options: object) -> int:
        return resolve_model(load_experiment(**NONE, **options)).channels_for(stored)

    assert [channels(stored, backbone="vgg16") for stored in (1, 3)] == [3, 3]
    assert [channels(stored, backbone="pham") for stored in (1, 3)] == [1, 3]
    assert channels(1, backbone="vgg16", channels=1) == 1
    assert channels(3, backbone="pham", channels=1) == 1


def test_only_a_backbone_without_published_weights_starts_from_none_unasked(monkeypatch: pytest.MonkeyPatch):
    assert default_weights("mobilenetv2") == ("imagenet", "")
    assert default_weights("nothing of this name") == ("imagenet", "")  # which resolve_model refuses
    assert default_weights("pham") == ("none", "weights: none (random), as none are published for pham")
    weights, line = default_weights("facevgg")
    assert weights == "none" and "; --weights fer2013 takes those of the network that ships" in line
    monkeypatch.setattr("fer_tl.models.shipped.ships", lambda: False)
    assert default_weights("facevgg")[1].endswith("published for facevgg")
