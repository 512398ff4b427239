"""What fer-tl knows of a backbone: the types of the registry. Keras is imported only when a model is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fer_tl.core.config import Head
from fer_tl.core.errors import UserError


@dataclass(frozen=True)
class Scaling:
    """From pixels 0..255 to what a network was trained on: ``factor * pixel + offset``.

    Attributes:
        factor: one number, or one a channel.
        offset: one number, or one a channel.
        order: in which the network expects the channels, and in which factors and offsets are listed. Images are
            stored as red, green, blue.
    """

    factor: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0
    order: Literal["rgb", "bgr"] = "rgb"

    def describe(self) -> str:
        """In words: "-1..1", "BGR minus 103.9, 116.8, 123.7"."""
        if self == SYMMETRIC:
            return "-1..1"
        factors, offsets = (v if isinstance(v, tuple) else (v,) for v in (self.factor, self.offset))
        if set(factors) == {1.0}:
            moved = f" minus {', '.join(f'{-offset:.1f}' for offset in offsets)}" if any(offsets) else " 0..255"
            return f"{self.order.upper()}{moved}"
        return (
            f"{self.order.upper()} times {', '.join(f'{factor:.3g}' for factor in factors)} plus "
            f"{', '.join(f'{offset:.3g}' for offset in offsets)}"
        )


@dataclass(frozen=True)
class Pretrained:
    """Published weights of a backbone, one file for each width and size that they were trained at.

    Attributes:
        file_name: ``(alpha, size) -> name`` of the file, in the Keras cache and where it is published. A file of this
            name holds these weights, wherever it lies.
        address: of the folder that it is published in, with the slash at its end.
        scaling: of the pixels that they were trained on.
        licence: of the weights.
        md5: of the file, where the publisher states it.
        consent: what a user must have accepted with ``--accept-licence`` before the file is read or fetched; None for
            nothing.
        terms: what the user consents to.
        cache_folders: where a file may lie in the Keras cache, the place of a new download first.
        layers: names of the layers with weights in the file, in order, where they are known not to be the builder's;
            a file with others is refused, and a file with these under another name.
    """

    file_name: Callable[[float, int], str]
    address: str
    scaling: Scaling
    licence: str
    md5: str | None = None
    consent: str | None = None
    terms: str = ""
    cache_folders: tuple[str, ...] = ("models",)
    layers: tuple[str, ...] = ()

    def url(self, alpha: float, size: int) -> str:
        """The address of the file."""
        return f"{self.address}{self.file_name(alpha, size)}"


@dataclass(frozen=True)
class Variant:
    """Which member of its family a backbone is; what a family does not know, it ignores.

    Attributes:
        alpha: width multiplier.
        activation: after each convolution of the liu CNNs.
        stem: first layers of resnet18.
        stochastic_depth: probability that training leaves out the last residual block, see ``leave_out``.
    """

    alpha: float = 1.0
    activation: Literal["relu", "elu", "tanh"] = "relu"
    stem: Literal["7x7", "3x3"] = "7x7"
    stochastic_depth: float = 0.0


# Scaling of weights that were trained from random numbers: -1..1.
SYMMETRIC = Scaling(1 / 127.5, -1.0)


@dataclass(frozen=True)
class Backbone:
    """One entry of the registry.

    Attributes:
        name: as in ``--backbone``.
        build: ``(images, variant) -> keras.Model`` on a float32 Keras tensor ``[B, S, S, C]`` of scaled pixels; its
            output is the feature map ``[B, h, w, F]``. The weights are random. The tensor has layers in front of it:
            ``keras.Model(keras.utils.get_source_inputs(images), features)``. Its layers are Keras's own, none of them
            ``Lambda``: a saved model must load without running code.
        paper: which of the papers trains it, by the names of ``fer-tl recipes``; "ours" if none does.
        features: F for alpha 1.
        parameters: of the backbone alone for alpha 1, with the channels that it expects.
        macs: multiplications of its convolutions and dense layers for one image of ``default_size``, alpha 1.
        default_size: side in pixels when none is asked for.
        min_size: smallest side that the architecture takes.
        rgb: whether grey images are repeated to three channels; else it takes those that the data has.
        head: the default head.
        scaling: of the pixels where its weights are not published ones; the identity where it scales inside.
        pretrained: published weights by the name for ``--weights``.
        alphas: widths that it is known with; just 1 where it has no width multiplier.
        activations: those that it can be built with; empty where there is no choice.
        stems: likewise.
        residual: whether it has residual blocks that stochastic depth can leave out.

    Raises:
        UserError: the function, the head, the scaling or the weights are none.
    """

    name: str
    build: Callable[[Any, Variant], Any]
    paper: str
    features: int
    parameters: int
    macs: int
    default_size: int
    min_size: int
    rgb: bool
    head: Head
    scaling: Scaling = SYMMETRIC
    pretrained: Mapping[str, Pretrained] = field(default_factory=dict)
    alphas: tuple[float, ...] = (1.0,)
    activations: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    residual: bool = False

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = {"build": Callable, "head": Head, "scaling": Scaling, "pretrained": Mapping}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                wanted = "a function" if name == "build" else f"a {kind.__name__}"
                raise UserError(f"the backbone '{self.name}' has {name}={value!r:.60}, not {wanted}")

    def published(self, file_name: str, alpha: float, size: int) -> Pretrained | None:
        """The published weights that a file of this name holds; None for any other file."""
        for weights in self.pretrained.values():
            if file_name == weights.file_name(alpha, size):
                return weights
        return None
