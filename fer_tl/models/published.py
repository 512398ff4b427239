"""Published weights: where each file is, its scaling, its licence."""

from __future__ import annotations

from fer_tl.models.record import SYMMETRIC, Pretrained, Scaling

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
