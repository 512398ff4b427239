"""The backbones: one record each. Keras is imported only when a model is built."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fer_tl.core.config import Head
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.plugins import installed
from fer_tl.models.applications import application, build_efficientnetb0, build_mobilenetv2
from fer_tl.models.facevgg import build_facevgg
from fer_tl.models.published import (
    EFFICIENTNETB0_IMAGENET,
    INCEPTIONV3_IMAGENET,
    MOBILENETV2_IMAGENET,
    RESNET50_IMAGENET,
    VGG16_IMAGENET,
    VGG16_VGGFACE,
)
from fer_tl.models.record import Backbone, Scaling
from fer_tl.models.resnet18 import build_resnet18
from fer_tl.models.small_cnns import build_liu, build_pham, build_shallow_cnn

_GAP = Head(pooling="avg", dense=(), activation="relu", dropout=(0.2,), batch_norm=False)
_LIU = Head(pooling="flatten", dense=(256,), activation="relu", dropout=(0.0, 0.5), batch_norm=False)  # ours

_RESNET50 = Backbone(
    name="resnet50",
    build=application("ResNet50"),
    paper="du, li",
    features=2048,
    parameters=23_587_712,
    macs=203_206_656,
    default_size=48,
    min_size=32,
    rgb=True,
    head=_GAP,
    pretrained={"imagenet": RESNET50_IMAGENET},
)

_LIU_4CONV = Backbone(
    name="liu_4conv",
    build=partial(build_liu, name="liu_4conv"),
    paper="liu",
    features=256,
    parameters=387_840,
    macs=32_514_048,
    default_size=48,
    min_size=16,
    rgb=False,
    head=_LIU,
    activations=("relu", "elu", "tanh"),
)

BACKBONES: dict[str, Backbone] = {
    record.name: record
    for record in (
        Backbone(
            name="mobilenetv2",
            build=build_mobilenetv2,
            paper="sikic",
            features=1280,
            parameters=2_257_984,
            macs=55_009_152,
            default_size=96,
            min_size=32,
            rgb=True,
            head=_GAP,
            pretrained={"imagenet": MOBILENETV2_IMAGENET},
            alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        ),
        Backbone(
            name="efficientnetb0",
            build=build_efficientnetb0,
            paper="sikic",
            features=1280,
            parameters=4_049_571,  # the 4,049,564 of the papers and 7 in Keras's Normalization layer
            macs=71_140_832,
            default_size=96,
            min_size=32,
            rgb=True,
            head=_GAP,
            scaling=Scaling(),
            pretrained={"imagenet": EFFICIENTNETB0_IMAGENET},
        ),
        Backbone(
            name="vgg16",
            build=application("VGG16"),
            paper="li",
            features=512,
            parameters=14_714_688,
            macs=704_692_224,
            default_size=48,
            min_size=32,
            rgb=True,
            head=_GAP,
            pretrained={"imagenet": VGG16_IMAGENET, "vggface": VGG16_VGGFACE},
        ),
        Backbone(
            name="resnet18",
            build=build_resnet18,
            paper="li",
            features=512,
            parameters=11_186_112,
            macs=97_955_840,
            default_size=48,
            min_size=32,
            rgb=True,
            head=_GAP,
            stems=("7x7", "3x3"),
            alphas=(0.25, 0.375, 0.5, 1.0),
            residual=True,
        ),
        _RESNET50,
        replace(
            _RESNET50,
            name="du_resnet50",
            paper="du",
            # The paper's two fully connected blocks; their widths are ours.
            head=Head("flatten", dense=(512, 256), activation="relu", dropout=(0.5, 0.5, 0.0), batch_norm=True),
        ),
        Backbone(
            name="inceptionv3",
            build=application("InceptionV3"),
            paper="li",
            features=2048,
            parameters=21_802_784,
            macs=201_477_728,
            default_size=75,
            min_size=75,
            rgb=True,
            head=_GAP,
            pretrained={"imagenet": INCEPTIONV3_IMAGENET},
        ),
        replace(
            _LIU_4CONV,
            name="liu_3conv",
            build=partial(build_liu, name="liu_3conv", blocks=3),
            features=128,
            parameters=92_672,
            macs=21_897_216,
            min_size=8,
        ),
        _LIU_4CONV,
        replace(
            _LIU_4CONV,
            name="liu_4conv_bn",
            build=partial(build_liu, name="liu_4conv_bn", batch_norm=True),
            parameters=389_280,
        ),
        replace(
            _LIU_4CONV,
            name="liu_residual",
            build=partial(build_liu, name="liu_residual", batch_norm=True, residual=True),
            parameters=1_959_840,
            macs=74_981_376,
            residual=True,
        ),
        Backbone(
            name="pham",
            build=build_pham,
            paper="pham",
            features=128,
            parameters=236_096,
            macs=40_993_792,
            default_size=48,
            min_size=25,
            rgb=False,
            head=Head("flatten", dense=(3072,), activation="relu", dropout=(0.0, 0.2), batch_norm=True),
        ),
        Backbone(
            name="shallow_cnn",
            build=build_shallow_cnn,
            paper="li",
            features=128,
            parameters=241_312,
            macs=27_205_632,
            default_size=48,
            min_size=16,
            rgb=False,
            alphas=(0.5, 1.0, 2.0),
            head=Head("flatten", dense=(256, 512), activation="relu", dropout=(0.0, 0.0, 0.0), batch_norm=False),
        ),
        Backbone(
            name="facevgg",
            build=build_facevgg,
            paper="ours",
            features=256,
            parameters=1_174_560,
            macs=117_448_704,
            default_size=48,
            min_size=16,
            rgb=False,
            alphas=(0.5, 1.0, 1.5, 2.0),
            head=replace(_GAP, dropout=(0.4,)),
        ),
    )
}


def all_backbones() -> dict[str, Backbone]:
    """Every backbone that can be used, by name: those of fer-tl, and those of the entry points ``fer_tl.backbones``."""
    return BACKBONES | {name: record for name, record in _installed().items() if isinstance(record, Backbone)}


def unusable_backbones() -> dict[str, UserError]:
    """Why backbones of installed packages cannot be used, by name."""
    return {name: record for name, record in _installed().items() if isinstance(record, UserError)}


def find_backbone(name: str) -> Backbone:
    """The record of a backbone by name.

    Raises:
        UserError: an unknown one, with the nearest valid name; or one whose package cannot be imported, or that two
            packages give.
    """
    record = BACKBONES.get(name) or _installed().get(name)
    if record is None:
        raise UserError(f"unknown backbone '{name}'{suggest(name, all_backbones())}")
    if isinstance(record, UserError):
        raise record
    return record


def _installed() -> dict[str, Backbone | UserError]:
    return installed("fer_tl.backbones", Backbone, "backbone", BACKBONES)
