"""From an experiment to the model that it asks for, checked before Keras is imported."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from fer_tl.core.config import Experiment, Head
from fer_tl.core.counting import counted, fitting
from fer_tl.core.errors import UserError
from fer_tl.models import shipped
from fer_tl.models.backbones import BACKBONES, all_backbones, find_backbone
from fer_tl.models.record import Backbone, Pretrained, Scaling, Variant
from fer_tl.models.starts import Start, given_file, read_start, recognize_published


@dataclass(frozen=True)
class ModelSpec:
    """What an experiment asks for, defaults filled in.

    Attributes:
        backbone: its record.
        variant: which member of the family.
        size: side in pixels to which images are resized.
        channels: that the backbone sees, 1 or 3: as asked for, else as the weights to start from; None for those of the
            data.
        pretrained: the published weights to start from; None for random ones or a file of the user's own.
        head: with no field left at None.
        scaling: of the pixels: that of the weights, else the backbone's own.
        pixels: "backbone", "centred" or "standardized": what is done to them, see ``fer_tl.models.pixels``.
        start: what a model of fer-tl says that is the start; None for other weights.
    """

    backbone: Backbone
    variant: Variant
    size: int
    channels: int | None
    pretrained: Pretrained | None
    head: Head
    scaling: Scaling
    pixels: str
    start: Start | None

    @property
    def consent(self) -> tuple[str, str] | None:
        """The licence that must be accepted, and what it says; None for none."""
        if self.start and self.start.consent:
            return (
                self.start.consent,
                f"in this model: it was trained from weights under the {self.start.consent} licence",
            )
        if self.pretrained and self.pretrained.consent:
            return self.pretrained.consent, self.pretrained.terms
        return None

    def describe_pixels(self) -> str:
        """How pixels are scaled, in words."""
        kept = {"centred": "centred, ", "standardized": "standardized"}.get(self.pixels, "")
        return kept if self.pixels == "standardized" else f"{kept}{self.scaling.describe()}"

    def channels_for(self, stored: int) -> int:
        """Channels that the backbone sees of images that are stored with 1 or 3: colours become grey, and grey is
        repeated, where it sees another number."""
        return self.channels or stored


def resolve_model(experiment: Experiment) -> ModelSpec:
    """The model of an experiment, defaults filled in and checked; no Keras import.

    Weights decide the scaling of the pixels. Published ones, by name, or as a file under its official name or with its
    md5, come with the scaling that they were trained on; a model that fer-tl saved has it in its layers. Of any other
    file ``pixels`` has to say it where the backbone has published weights, since it may stem from them. With ``none``,
    pixels are scaled to -1..1; efficientnetb0 scales inside itself.

    Raises:
        UserError: unknown backbone, side below its minimum, a variant, channels, pixels or weights that it does not
            have, a file whose scaling nobody says, or a dropout list that does not fit the dense layers.
    """
    backbone = find_backbone(experiment.backbone)
    if experiment.weights == shipped.NAME:
        shipped.find_shipped().refuse_others(backbone.name, experiment.alpha)
    size = experiment.image_size or backbone.default_size
    if size < backbone.min_size:
        raise UserError(
            f"'image_size' {size} is too small for {backbone.name}: it takes {backbone.min_size} pixels or more"
        )
    pretrained = _pretrained(experiment, backbone, size)
    variant = _variant(experiment, backbone)
    path = None if pretrained or experiment.weights == "none" else given_file(experiment.weights)
    start = read_start(path, backbone) if path and path.suffix == ".keras" and path.is_file() else None
    _check_input(experiment, backbone, pretrained, start)
    scaling, pixels = _choose_pixels(experiment, backbone, pretrained, start, path)
    return ModelSpec(
        backbone=backbone,
        variant=variant,
        size=size,
        channels=experiment.channels or (start.channels if start else 3 if backbone.rgb else None),
        pretrained=pretrained,
        head=_head(experiment.head, backbone, variant),
        scaling=scaling,
        pixels=pixels,
        start=start,
    )


def default_weights(backbone: str) -> tuple[str, str]:
    """Where the training of a backbone starts whose user names no weights.

    Args:
        backbone: by name; of an unknown one, ``resolve_model`` tells.

    Returns:
        The value of ``weights``; and a line that says so where it is not that of all backbones, "" where it is.
    """
    usual, record = Experiment().weights, BACKBONES.get(backbone) or all_backbones().get(backbone)
    if record is None or record.pretrained:
        return usual, ""
    ours = shipped.ships() and shipped.find_shipped().card["backbone"] == backbone
    other = f"; --weights {shipped.NAME} takes those of the network that ships with fer-tl" if ours else ""
    return "none", f"weights: none (random), as none are published for {backbone}{other}"


def _choose_pixels(
    experiment: Experiment, backbone: Backbone, pretrained: Pretrained | None, start: Start | None, path: Path | None
) -> tuple[Scaling, str]:
    """Scaling and handling of the pixels."""
    if start:
        return start.scaling, start.pixels
    if pretrained:
        return pretrained.scaling, "backbone"
    asked = experiment.pixels
    if asked in backbone.pretrained:
        return backbone.pretrained[asked].scaling, "backbone"
    if asked == "backbone" and path and path.is_file() and backbone.pretrained:
        ways = [f"{name} ({weights.scaling.describe()})" for name, weights in backbone.pretrained.items()]
        ways.append(f"scratch ({backbone.scaling.describe()}, as --weights none)")
        raise UserError(
            f"{path} does not say how the pixels were scaled that it was trained on, and with another scaling its "
            f"weights are worth nothing: say it with --pixels {' or '.join(ways)}, or give the model.keras of a run"
        )
    return backbone.scaling, "backbone" if asked == "scratch" else asked


def _check_input(
    experiment: Experiment, backbone: Backbone, pretrained: Pretrained | None, start: Start | None
) -> None:
    """Refuse channels and scalings of pixels that weights or backbone cannot take."""
    asked = experiment.pixels
    if start and experiment.channels not in (None, start.channels):
        raise UserError(
            f"'channels' {experiment.channels} does not go with the weights to start from, whose backbone sees "
            f"{start.channels}: omit --channels"
        )
    if asked in ("imagenet", "vggface") and asked not in backbone.pretrained:
        raise UserError(f"'pixels' {asked} does not go with {backbone.name}, which has no {asked} weights")
    if asked in ("scratch", *backbone.pretrained) and experiment.weights == "none" and asked != "scratch":
        raise UserError(f"'pixels' {asked} is for a weights file that does not say it: omit --pixels")
    if start and asked != "backbone" and asked != start.pixels:
        raise UserError(
            f"'pixels' {asked} does not go with {experiment.weights}, whose layers say how its pixels are scaled: "
            "omit --pixels"
        )
    if pretrained and experiment.channels == 1:
        raise UserError(
            f"the weights '{experiment.weights}' of {backbone.name} take 3 channels: "
            "omit --channels (grey images are repeated), or use --weights none"
        )
    if asked != "backbone" and pretrained and backbone.pretrained.get(asked) is not pretrained:
        raise UserError(
            f"'pixels' {experiment.pixels} does not go with the weights '{experiment.weights}', which come with their "
            "own scaling: use --pixels backbone or --weights none"
        )
    if asked in ("centred", "standardized") and backbone.scaling == Scaling():
        raise UserError(
            f"'pixels' {experiment.pixels} does not go with {backbone.name}, which scales inside: use --pixels backbone"
        )


def _pretrained(experiment: Experiment, backbone: Backbone, size: int) -> Pretrained | None:
    if experiment.weights in backbone.pretrained:
        return backbone.pretrained[experiment.weights]
    if experiment.weights == "none":
        return None
    # Only now: this looks for installed packages, 10 ms.
    owners = [record.name for record in all_backbones().values() if experiment.weights in record.pretrained]
    if not owners:
        named = backbone.published(os.path.basename(experiment.weights), experiment.alpha, size)
        path = given_file(experiment.weights)
        found = recognize_published(path, backbone) if path.suffix == ".h5" else None
        # The name alone is believed where the publisher states no md5.
        return found or (None if named and named.md5 and path.is_file() else named)
    raise UserError(
        f"there are no {experiment.weights} weights for {backbone.name}, only for {', '.join(owners)}: "
        f"use --weights {' or '.join([*backbone.pretrained, 'none'])}"
    )


def _variant(experiment: Experiment, backbone: Backbone) -> Variant:
    alpha, activation, stem = experiment.alpha, experiment.activation, experiment.stem
    if alpha not in backbone.alphas:
        _check_takes("alpha", f"{alpha:g}", backbone, lambda record: len(record.alphas) > 1)
        if experiment.weights in backbone.pretrained:
            raise UserError(
                f"'alpha' {alpha:g} does not go with {backbone.name} and weights '{experiment.weights}': "
                f"use one of {', '.join(f'{known:g}' for known in backbone.alphas)}"
            )
    variant = Variant(alpha=alpha)
    if activation:
        _check_takes("activation", activation, backbone, lambda record: activation in record.activations)
        variant = replace(variant, activation=activation)
    if stem:
        _check_takes("stem", stem, backbone, lambda record: stem in record.stems)
        variant = replace(variant, stem=stem)
    if experiment.stochastic_depth:
        given = f"{experiment.stochastic_depth:g}"
        _check_takes("stochastic_depth", given, backbone, lambda record: record.residual)
        variant = replace(variant, stochastic_depth=experiment.stochastic_depth)
    return variant


def _check_takes(option: str, value: str, backbone: Backbone, takes: Callable[[Backbone], bool]) -> None:
    if not takes(backbone):
        takers = ", ".join(record.name for record in all_backbones().values() if takes(record))
        raise UserError(f"'{option}' {value} does not go with {backbone.name}, only with {takers}: omit it")


def _head(given: Head, backbone: Backbone, variant: Variant) -> Head:
    default = backbone.head
    dense = default.dense if given.dense is None else given.dense
    assert dense is not None
    dropout = given.dropout
    if dropout is None:
        dropout = default.dropout if given.dense is None else (0.0,) * (len(dense) + 1)
    assert dropout is not None
    if len(dropout) != len(dense) + 1:
        places = "that before the classes, as there is no dense layer"
        if dense:
            each = fitting(len(dense), "the dense layer", f"each of the {len(dense)} dense layers")
            places = f"one before {each} and one before the classes"
        raise UserError(f"'head.dropout' needs {counted(len(dense) + 1, 'number')}, {places}, but has {len(dropout)}")
    if any(not 0 <= rate < 1 for rate in dropout) or any(width < 1 for width in dense):
        raise UserError("'head.dropout' should be from 0 up to but not 1, and 'head.dense' 1 or more")
    if given.batch_norm and not dense:
        raise UserError("'head.batch_norm' stands behind dense layers, but 'head.dense' has none: add some, or omit it")
    own = variant.activation if backbone.activations else default.activation
    return Head(
        pooling=given.pooling or default.pooling,
        dense=dense,
        activation=given.activation or own,
        dropout=dropout,
        batch_norm=default.batch_norm if given.batch_norm is None else given.batch_norm,
    )
