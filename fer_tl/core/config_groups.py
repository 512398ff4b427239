"""The options of an experiment that belong together, one group a class, and how an option is declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


def option(default: Any, text: str, limits: tuple[float, float] | None = None) -> Any:
    """A field with a default, the text that ``--help`` shows for it, and its smallest and largest value."""
    return field(default=default, metadata={"help": text, "limits": limits})


@dataclass(frozen=True)
class Head:
    """What stands on the backbone; a field left at null takes the backbone's own default."""

    pooling: Literal["avg", "max", "flatten"] | None = option(None, "how the feature map becomes a vector")
    dense: tuple[int, ...] | None = option(None, "widths of the dense layers before the classes, e.g. [64,32]")
    activation: Literal["relu", "elu", "tanh", "sigmoid", "gelu", "swish"] | None = option(
        None, "activation of those dense layers"
    )
    dropout: tuple[float, ...] | None = option(
        None, "dropout before each dense layer and before the classes: one number more than in dense"
    )
    batch_norm: bool | None = option(None, "BatchNorm between each of those dense layers and its activation")


@dataclass(frozen=True)
class Optimizer:
    """How gradients become steps."""

    name: Literal["adam", "sgd", "rmsprop"] = option("adam", "optimizer")
    rate: float = option(
        1e-3, "learning rate at which the schedule starts (its peak, with warm-up or one_cycle)", limits=(1e-9, 100.0)
    )
    momentum: float = option(0.9, "momentum of sgd", limits=(0.0, 0.9999))
    nesterov: bool = option(True, "Nesterov momentum for sgd")
    decay: float = option(
        0.0, "decoupled weight decay of kernels (not of biases and BatchNorm), 0 for none", limits=(0.0, 1.0)
    )
    layer_decay: float = option(
        1.0,
        "learning rate of each group of the backbone's layers (at most 12), as a multiple of that of the next group "
        "towards the classes; the head has the full rate",
        limits=(0.01, 1.0),
    )
    clip: float = option(0.0, "largest global norm of the gradient, 0 for no clipping", limits=(0.0, 1e9))


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves over the epochs of the main stage."""

    kind: Literal["constant", "step", "exponential", "cosine", "one_cycle", "plateau"] = option("cosine", "shape")
    warmup: float = option(
        0.0, "epochs of linear warm-up from zero (not with plateau and one_cycle)", limits=(0.0, 100_000.0)
    )
    factor: float = option(0.1, "step, exponential, plateau: multiply the rate by this", limits=(1e-6, 1.0))
    every: float = option(10.0, "step, exponential: epochs per factor", limits=(0.01, 100_000.0))
    patience: int = option(3, "plateau: epochs without improvement before the factor", limits=(1, 100_000))
    floor: float = option(0.0, "lowest learning rate", limits=(0.0, 100.0))


@dataclass(frozen=True)
class Augment:
    """Random change of the training images, one resampling for all that moves pixels; zero, false and none is off."""

    rotation: float = option(10.0, "largest rotation, degrees", limits=(0.0, 180.0))
    shear: float = option(0.0, "largest shear, degrees", limits=(0.0, 80.0))
    zoom: float = option(0.1, "largest zoom, each axis by itself: 0.1 is by 1/1.1 to 1.1", limits=(0.0, 4.0))
    shift: float = option(0.1, "largest shift, fraction of the image's side", limits=(0.0, 1.0))
    flip: bool = option(True, "mirror half of the images left to right")
    vertical_flip: bool = option(False, "turn half of the images upside down")
    crop: float = option(
        0.0,
        "random resized crop: smallest share of the image's area that is kept, of an aspect from 3/4 to 4/3; 0 or 1 "
        "for none",
        limits=(0.0, 1.0),
    )
    brightness: float = option(0.0, "largest shift of all pixels, as a fraction of 255", limits=(0.0, 1.0))
    contrast: float = option(
        0.0, "largest change of contrast about the image's mean: 0.5 is by 1/1.5 to 1.5", limits=(0.0, 9.0)
    )
    gamma: float = option(0.0, "largest change of gamma: 0.5 is an exponent of 1/1.5 to 1.5", limits=(0.0, 9.0))
    blur: float = option(0.0, "largest deviation of a Gaussian blur, in stored pixels", limits=(0.0, 4.0))
    noise: float = option(0.0, "largest deviation of Gaussian noise, as a fraction of 255", limits=(0.0, 1.0))
    policy: Literal["none", "trivial", "rand"] = option(
        "none",
        "on top of the rest, geometric and lighting changes: trivial: one of random strength (TrivialAugment); rand: "
        "two of a fixed strength (RandAugment)",
    )
    strength: float | None = option(
        None, "rand: strength of the two, as a share of the largest; default: 0.3", limits=(0.0, 1.0)
    )
    mixup: float = option(
        0.0, "MixUp: blend with another image by a share from Beta(x, x); 0 for none", limits=(0.0, 100.0)
    )
    cutmix: float = option(
        0.0, "CutMix: paste a box of another image, its share from Beta(x, x); 0 for none", limits=(0.0, 100.0)
    )
    mix_share: float = option(1.0, "MixUp, CutMix: probability that an image is mixed at all", limits=(0.0, 1.0))
    mix_epochs: float = option(
        1.0, "MixUp, CutMix: share of the main stage's epochs, from its first, in which images are mixed", (0.0, 1.0)
    )
    erase: float = option(0.0, "random erasing: probability that a box of the image is blanked", limits=(0.0, 1.0))

    @property
    def moves(self) -> bool:
        """Whether any image is resampled."""
        moves = (self.rotation, self.shear, self.zoom, self.shift, self.flip, self.vertical_flip, self.crops)
        return self.policy != "none" or any(moves)

    @property
    def crops(self) -> bool:
        """Whether a part of the image takes the place of the whole."""
        return 0 < self.crop < 1

    @property
    def relights(self) -> bool:
        """Whether any image changes in light, sharpness or noise."""
        return self.policy != "none" or any((self.brightness, self.contrast, self.gamma, self.blur, self.noise))

    @property
    def changes(self) -> bool:
        """Whether any image changes by itself."""
        return bool(self.moves or self.relights or self.erase)

    @property
    def mixes(self) -> bool:
        """Whether images are combined with others."""
        return bool(self.mixup or self.cutmix)


@dataclass(frozen=True)
class Loss:
    """What training minimizes; held-out images are always measured by plain cross-entropy."""

    name: Literal["cross_entropy", "focal"] = option("cross_entropy", "loss of an image")
    gamma: float | None = option(
        None, "focal: the higher, the less an image counts that is already right; default: 2", limits=(0.0, 10.0)
    )
    smoothing: float = option(
        0.0, "label smoothing: share of the target spread evenly over the classes", limits=(0.0, 0.9)
    )
    logit_adjustment: float = option(
        0.0,
        "add this times the log of each class's share to the logits while training; 0 for none, 1 is usual",
        limits=(0.0, 10.0),
    )
    l2: float = option(
        0.0, "add this times the sum of squared weights of kernels, for coupled weight decay", limits=(0.0, 1.0)
    )


@dataclass(frozen=True)
class Distill:
    """What a student learns from finished cross validations besides the labels."""

    teachers: tuple[str, ...] | None = option(
        None,
        "folders of finished cross validations of the same images, as a list: the mean of their out-of-fold "
        "answers for an image becomes part of its target; fer-tl distill RUN sets it",
    )
    # Hinton et al. ("Distilling the Knowledge in a Neural Network", 2015, section 2) found a considerably lower weight
    # on the labels best. A rest stays: a teacher that never names a rare class would teach to never name it.
    share: float = option(0.7, "share of the teachers' answer in the target; the rest is the label", limits=(0.0, 1.0))
    temperature: float = option(
        1.0,
        "divide the teachers' logits by this before their softmax: more than 1 softens their answers",
        limits=(0.05, 100.0),
    )
