"""Stages of fine-tuning: which layers learn, for how long, on which schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fer_tl.core.config import Experiment, Schedule
from fer_tl.core.errors import UserError

if TYPE_CHECKING:
    from fer_tl.models.classifier import Classifier


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: of it.
        epochs: that its schedule is for.
        unfreeze: what learns besides the head: all, none, or the last N layers of the backbone.
        schedule: of the learning rate.
        trained: how many of these epochs are trained, from the first.
    """

    name: str
    epochs: int
    unfreeze: int | Literal["all", "none"]
    schedule: Schedule
    trained: int


def stages_of(experiment: Experiment) -> list[Stage]:
    """The stages of an experiment: the head alone if asked for, then the main stage."""
    epochs, stop, heads = experiment.epochs, experiment.stop_after, experiment.head_epochs
    main = Stage("main", epochs, experiment.unfreeze, experiment.schedule, epochs if stop is None else stop)
    if not heads:
        return [main]
    return [Stage("head", heads, "none", Schedule(kind="constant"), heads), main]


def check_unfreeze(classifier: Classifier, unfreeze: int | Literal["all", "none"], experiment: Experiment) -> None:
    """Raise ``UserError`` where more layers are to learn than there are."""
    count = len(classifier.backbone_layers)
    if isinstance(unfreeze, int) and unfreeze > count:
        raise UserError(f"'unfreeze' {unfreeze} is more than the {count} layers of {experiment.backbone}: use all")


def set_trainable(classifier: Classifier, unfreeze: int | Literal["all", "none"], experiment: Experiment) -> None:
    """Freeze and unfreeze the backbone's layers; the head always learns.

    BatchNorm is frozen by its own ``trainable`` flag. Calling the backbone with ``training=False`` would not do: in a
    Keras 3 functional model the outer call's ``training=True`` overrides it (keras issue 20285).
    Where BatchNorm learns, its moving statistics follow with ``batch_norm_momentum``: MobileNetV2's own 0.999 lags
    about a thousand steps behind, several epochs of FER-2013.
    """
    import keras

    layers = classifier.backbone_layers
    learning = unfreeze if isinstance(unfreeze, int) else len(layers) if unfreeze == "all" else 0
    for index, layer in enumerate(layers):
        layer.trainable = index >= len(layers) - learning
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = layer.trainable and experiment.batch_norm == "train"
            layer.momentum = min(layer.momentum, experiment.batch_norm_momentum)
