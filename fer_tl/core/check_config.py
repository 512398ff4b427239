"""What no run could use, refused before TensorFlow is imported."""

from __future__ import annotations

import dataclasses
from typing import get_args

from fer_tl.core.config import TRACKERS, Augment, Experiment
from fer_tl.core.config_keys import flatten, walk
from fer_tl.core.errors import UserError, suggest


def check(experiment: Experiment) -> None:
    """Refuse what no run could use; everything here answers before TensorFlow is imported.

    Raises:
        UserError: naming the option, its value and what it may be.
    """
    flat = flatten(dataclasses.asdict(experiment))
    for name, kind, _, _, limits in walk():
        value = flat[name]
        if value is None and type(None) not in get_args(kind):
            raise UserError(f"'{name}' needs a value, but is null")
        if limits and not isinstance(value, int | float | None):
            raise UserError(f"'{name}' should be a number, but is '{value}'")
        if limits and value is not None and not limits[0] <= value <= limits[1]:  # also refuses NaN
            raise UserError(f"'{name}' should be between {limits[0]} and {limits[1]}, but is {value}")
    if isinstance(experiment.unfreeze, int) and experiment.unfreeze < 1:
        raise UserError(f"'unfreeze' should be all, none or a positive number of layers, but is {experiment.unfreeze}")
    if experiment.loss.gamma is not None and experiment.loss.name != "focal":
        raise UserError("'loss.gamma' belongs to the focal loss: use --loss.name focal, or omit it")
    if experiment.distill.teachers is not None and not experiment.distill.teachers:
        raise UserError("'distill.teachers' is an empty list: name a finished cross validation, or omit it")
    _check_track(experiment)
    _check_training(experiment)
    _check_augment(experiment.augment)
    _check_layer_decay(experiment)
    balancing = {
        "'class_weights: balanced'": experiment.class_weights == "balanced",
        "'sampling: balanced'": experiment.sampling == "balanced",
        "'loss.logit_adjustment'": experiment.loss.logit_adjustment > 0,
    }
    used = [name for name, on in balancing.items() if on]
    if len(used) > 1:
        raise UserError(f"{' and '.join(used)} even out the classes twice: use one of them")
    _check_folds(experiment)
    if experiment.precision == "auto" and (experiment.strategy == "multiworker" or experiment.workers):
        raise UserError("'precision: auto' is tried on one machine: name float32 or mixed_bfloat16 for several")
    unfit = {"plateau": "whose rate follows the loss", "one_cycle": "which rises by itself"}
    if (why := unfit.get(experiment.schedule.kind)) and experiment.schedule.warmup:
        raise UserError(f"'schedule.warmup' does not go with 'schedule.kind: {experiment.schedule.kind}', {why}")


def _check_folds(experiment: Experiment) -> None:
    if experiment.fold_seed is not None and experiment.fold_table:
        raise UserError("'fold_seed' draws folds and 'fold_table' gives them: use one of them")
    there = experiment.folds * experiment.repeats
    if experiment.fold is not None and experiment.fold >= there:
        repeated = f" of {experiment.repeats} repetitions together" if experiment.repeats > 1 else ""
        raise UserError(f"'fold' {experiment.fold} is not one of the {there} folds{repeated}: they count from 0")


def _check_track(experiment: Experiment) -> None:
    for tracker in experiment.trackers:
        if tracker not in TRACKERS:
            raise UserError(
                f"'track' should be {', '.join(TRACKERS)}, several of them with commas, or none, but names "
                f"'{tracker}'{suggest(tracker, TRACKERS)}"
            )


def _check_training(experiment: Experiment) -> None:
    if experiment.keep_start and experiment.weights in ("none", "imagenet", "vggface"):
        raise UserError(
            f"'keep_start' keeps a share of a model of fer-tl, and the weights '{experiment.weights}' are none: use "
            "--weights fer2013, or the model.keras of a run, or omit it"
        )
    if experiment.stop_after is not None and experiment.stop_after > experiment.epochs:
        raise UserError(f"'stop_after' {experiment.stop_after} is more than the {experiment.epochs} epochs there are")
    if experiment.batch_size % experiment.accumulate:
        raise UserError(
            f"'batch_size' {experiment.batch_size} does not divide into {experiment.accumulate} parts (--accumulate): "
            f"use a multiple of {experiment.accumulate}"
        )


def _check_augment(augment: Augment) -> None:
    for name in ("mix_share", "mix_epochs"):
        if getattr(augment, name) != 1.0 and not augment.mixes:
            raise UserError(
                f"'augment.{name}' belongs to MixUp and CutMix: use --augment.mixup or --augment.cutmix, or omit it"
            )
    if augment.strength is not None and augment.policy != "rand":
        raise UserError("'augment.strength' belongs to RandAugment: use --augment.policy rand, or omit it")


def _check_layer_decay(experiment: Experiment) -> None:
    if experiment.optimizer.layer_decay != 1.0 and experiment.unfreeze == "none":
        raise UserError(
            "'optimizer.layer_decay' is for the layers of the backbone, and with 'unfreeze: none' none of them learns: "
            "unfreeze some, or omit it"
        )
