"""The backbones: one record each. Keras is imported only when a model is built."""

from __future__ import annotations

from dataclasses import replace

from fer_tl.core.config import Head
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.plugins import installed
from fer_tl.models.applications import (
    build_efficientnetb0,
    build_inceptionv3,
    build_mobilenetv2,
    build_resnet50,
    build_vgg16,
)
from fer_tl.models.record import SYMMETRIC, Backbone, Pretrained, Scaling
from fer_tl.models.resnet18 import build_resnet18
from fer_tl.models.small_cnns import (
    build_liu_3conv,
    build_liu_4conv,
    build_liu_4conv_bn,
    build_liu_residual,
    build_pham,
    build_shallow_cnn,
)

KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications/"

# Mean and variance of ImageNet's channels as in the EfficientNet weight files (red, green, blue, 0..1).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STDDEV = (0.229, 0.224, 0.225)


def _mobilenetv2_file(alpha: float, size: int) -> str:
    # Keras trained one file a size; it silently takes the 224 one for any other, we take the nearest.
    # Of the two widest it has published the largest only (keras mobilenet_v2.py).
    sizes = (96, 128, 160, 192, 224) if alpha <= 1 else (224,)
    trained = min(sizes, key=lambda rows: (abs(rows - size), rows))
    return f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{trained}_no_top.h5"


def _efficientnet_scaling() -> Scaling:
    """What the published EfficientNet weights lack in front of the network.

    They were trained on (x/255 - mean) / stddev, but the network's Normalization layer divides by sqrt(stddev) only;
    keras.applications adds the missing 1/sqrt(stddev) only for weights="imagenet" (keras efficientnet.py; tensorflow
    issue 49930). That factor r is applied in front: scaling x/255 to mean + r (x/255 - mean) gives the same output,
    and any file with these weights then loads the same way.
    """
    factors = tuple(stddev**-0.5 for stddev in IMAGENET_STDDEV)
    offsets = tuple(255 * mean * (1 - factor) for mean, factor in zip(IMAGENET_MEAN, factors, strict=True))
    return Scaling(factors, offsets)


# Means of blue, green and red over ImageNet: keras/src/applications/imagenet_utils.py, mode "caffe".
CAFFE = Scaling(1.0, (-103.939, -116.779, -123.68), "bgr")
# The average image of http://www.robots.ox.ac.uk/~vgg/software/vgg_face/, as keras-vggface subtracts it (version 1).
VGGFACE = Scaling(1.0, (-93.5940, -104.7624, -129.1863), "bgr")

# md5 sums and scalings of Keras's files as in keras/src/applications/<network>.py.
MOBILENETV2_IMAGENET = Pretrained(
    file_name=_mobilenetv2_file, address=f"{KERAS_FILES}mobilenet_v2/", scaling=SYMMETRIC, licence="Apache-2.0"
)
EFFICIENTNETB0_IMAGENET = Pretrained(
    file_name=lambda alpha, size: "efficientnetb0_notop.h5",
    address="https://storage.googleapis.com/keras-applications/",
    scaling=_efficientnet_scaling(),
    licence="Apache-2.0",
    md5="50bc09e76180e00e4465e1a485ddc09d",
)
VGG16_IMAGENET = Pretrained(
    file_name=lambda alpha, size: "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    address=f"{KERAS_FILES}vgg16/",
    scaling=CAFFE,
    licence="CC-BY",  # https://www.robots.ox.ac.uk/~vgg/research/very_deep/
    md5="6d6bbae143d832006294945121d1f1fc",
)
VGG16_VGGFACE = Pretrained(
    file_name=lambda alpha, size: "rcmalli_vggface_tf_notop_vgg16.h5",
    address="https://github.com/rcmalli/keras-vggface/releases/download/v2.0/",
    scaling=VGGFACE,
    licence="non-commercial",
    consent="vggface",
    terms="of the Visual Geometry Group, Oxford, for non-commercial research only",
    cache_folders=("models", "models/vggface"),  # the second is keras-vggface's own
    layers=tuple(f"conv{block}_{conv}" for block in range(1, 6) for conv in range(1, 3 if block < 3 else 4)),
)
RESNET50_IMAGENET = Pretrained(
    file_name=lambda alpha, size: "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    address=f"{KERAS_FILES}resnet/",
    scaling=CAFFE,
    licence="MIT",  # https://github.com/KaimingHe/deep-residual-networks
    md5="4d473c1dd8becc155b73f8504c6f6626",
)
INCEPTIONV3_IMAGENET = Pretrained(
    file_name=lambda alpha, size: "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    address=f"{KERAS_FILES}inception_v3/",
    scaling=SYMMETRIC,
    licence="Apache-2.0",
    md5="bcbd6486424b2319ff4ef7d526e38f63",
)

_GAP = Head(pooling="avg", dense=(), activation="relu", dropout=(0.2,), batch_norm=False)
_LIU = Head(pooling="flatten", dense=(256,), activation="relu", dropout=(0.0, 0.5), batch_norm=False)  # ours

_RESNET50 = Backbone(
    name="resnet50",
    build=build_resnet50,
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
    build=build_liu_4conv,
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
            build=build_vgg16,
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
            build=build_inceptionv3,
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
            build=build_liu_3conv,
            features=128,
            parameters=92_672,
            macs=21_897_216,
            min_size=8,
        ),
        _LIU_4CONV,
        replace(_LIU_4CONV, name="liu_4conv_bn", build=build_liu_4conv_bn, parameters=389_280),
        replace(_LIU_4CONV, name="liu_residual", build=build_liu_residual, parameters=1_959_840, macs=74_981_376),
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
    )
}


def all_backbones() -> dict[str, Backbone]:
    """Every backbone that can be used, by name: those of fer-tl, and those of the entry points ``fer_tl.backbones``."""
    return BACKBONES | {name: record for name, record in _installed().items() if isinstance(record, Backbone)}


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
