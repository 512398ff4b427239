"""A session: one model, compiled once, that trains every fold of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.counting import counted
from fer_tl.core.errors import OutOfMemory
from fer_tl.core.framework import set_seed
from fer_tl.core.randomness import example_keys
from fer_tl.data.dataset import Dataset
from fer_tl.devices.choose import choose_devices
from fer_tl.engines.base import Engine, Sums, Train
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.optimizers import make_optimizer
from fer_tl.engines.plan import EpochPlan, plan_epoch
from fer_tl.models.classifier import build_classifier
from fer_tl.models.pixels import fit_standardization
from fer_tl.models.resolve import resolve_model
from fer_tl.runs.lineage import Lineage
from fer_tl.runs.predictions import cross_entropies
from fer_tl.runs.saved_model import save_model
from fer_tl.training.averages import Averages
from fer_tl.training.checkpoint import Values, assign_values, read_values
from fer_tl.training.kept_start import KeptStart
from fer_tl.training.layer_rates import rate_scales
from fer_tl.training.stages import Stage, check_unfreeze, set_trainable, stages_of


@dataclass
class CompiledStage:
    """A stage, the optimizer over what learns in it, and its compiled training function.

    Attributes:
        train: see ``fer_tl.engines.base.Train``; where memory is too small, it raises ``OutOfMemory``, and the model is
            not of use afterwards.
        averages: of the weights, where they are averaged.
    """

    stage: Stage
    optimizer: Any
    initial_optimizer: Values
    train: Train
    averages: Averages | None = None


class Session:
    """One model that serves all folds: each starts from the same initial weights.

    A model a fold would trace anew (15 s for MobileNetV2) and leak: ``clear_session`` does not give memory back and
    silently resets dtype policy and seed (see DESIGN).

    Args:
        experiment: what to build.
        dataset: all images of the run; rows are chosen by fold.
        weights_file: from ``fer_tl.models.weights.find_weights``.

    Attributes:
        averages: of the stage that was started last, None where the weights are not averaged.
    """

    averages: Averages | None = None
    _kept_start: KeptStart | None = None

    def __init__(self, experiment: Experiment, dataset: Dataset, weights_file: Path | None):
        self.experiment = experiment
        self.spec = resolve_model(experiment)
        self.dataset = dataset
        self.keys = example_keys(dataset.ids)
        self.devices = choose_devices(experiment.strategy)
        set_seed(experiment.seed)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(experiment.precision)
        try:
            with self.devices.scope():
                self.classifier = build_classifier(
                    experiment, dataset.image_shape, len(dataset.class_names), weights_file
                )
        finally:
            keras.config.set_dtype_policy(policy)
        self.model = self.classifier.model
        check_unfreeze(self.classifier, experiment.unfreeze, experiment)  # before a run's folder is written
        if experiment.keep_start:
            assert weights_file is not None  # see fer_tl.core.check_config
            self._kept_start = KeptStart(self.model, weights_file, dataset.class_names, experiment.keep_start)
        self._initial = read_values(self.model.variables)
        self.engine = choose_engine()(
            self.devices,
            self.model,
            dataset.images,
            dataset.labels,
            experiment.batch_size,
            dataset.targets,
            experiment.accumulate,
        )
        self.augment = experiment.augment
        self.stages = stages_of(experiment)
        self._compiled: dict[str, CompiledStage] = {}

    def prepare(self, cache: Path | None) -> None:
        """What is done once before the first fold: nothing, where the backbone learns."""

    def describe(self) -> str:
        """One line: model, parameters, devices."""
        pixels = self.spec.describe_pixels()
        return (
            f"{self.model.name}, {self.model.count_params():,} parameters, pixels {pixels}, {self.devices.describe()}"
        )

    def reset(self, rows: np.ndarray) -> None:
        """Back to the weights from which every fold starts; ``rows`` are those that it trains on, int ``[M]``."""
        assign_values(self.model.variables, self._initial)
        if self.experiment.pixels == "standardized" and not self.spec.start:
            fit_standardization(self.model, self.dataset.images, rows)

    def start(self, stage: Stage) -> CompiledStage:
        """Make a stage the current one: its layers trainable, its optimizer as new, its averages those of the weights
        as they are. Compiles once a run."""
        set_trainable(self.classifier, stage.unfreeze, self.experiment)
        compiled = self._compiled.get(stage.name)
        if compiled is None:
            with self.devices.scope():
                optimizer = make_optimizer(self.experiment.optimizer, self.experiment.precision)
                optimizer.build(self.model.trainable_variables)
                averages = Averages(self.engine.model) if self.experiment.ema else None
            train = self._compile(self.engine, optimizer, averages)
            compiled = CompiledStage(stage, optimizer, read_values(optimizer.variables), train, averages)
            compiled.train = self._explaining(train, compiled)
            self._compiled[stage.name] = compiled
        assign_values(compiled.optimizer.variables, compiled.initial_optimizer)
        self.averages = compiled.averages
        if self.averages:
            self.averages.restart()
        # Keras callbacks look for the optimizer and for stop_training on the model.
        self.model.optimizer = compiled.optimizer
        self.model.stop_training = False
        return compiled

    def _compile(self, engine: Engine, optimizer: Any, averages: Averages | None) -> Train:
        settings = self.experiment
        pairs = averages.pairs if averages else ()
        return engine.compile_training(optimizer, settings.optimizer.clip, settings.loss, pairs, self.rate_scales())

    def rate_scales(self) -> list[float]:
        """The part of the learning rate that each variable has that learns now; none where all have the whole."""
        layers, variables = self.classifier.backbone_layers, self.model.trainable_variables
        scales = rate_scales(layers, variables, self.experiment.optimizer.layer_decay)
        return scales if any(scale != 1.0 for scale in scales) else []

    def _explaining(self, train: Train, compiled: CompiledStage) -> Train:
        """The same, with ``OutOfMemory`` for a framework's own error."""

        def run(plan: EpochPlan, start: int = 0, stop: int | None = None) -> Sums:
            try:
                return train(plan, start, stop)
            except Exception as error:
                if self.engine.ran_out_of_memory(error):
                    raise OutOfMemory(self._say_what_fits(compiled, plan)) from None
                raise

        return run

    def _say_what_fits(self, compiled: CompiledStage, plan: EpochPlan) -> str:
        """Which batch would fit, and in how many parts this one, where a step is too large for the devices' memory."""
        batch_size = asked = self.experiment.batch_size
        parts = self.experiment.accumulate
        place = f"the memory of the devices ({self.devices.describe()})"
        while batch_size % (2 * self.devices.replicas * self.experiment.accumulate) == 0:
            batch_size, parts = batch_size // 2, 2 * parts
            if self._fits(batch_size, self.experiment.accumulate, compiled, plan):
                remedy = f"--batch-size {batch_size}, which does"
                # As many at a time, and the sum of the gradients besides.
                if self._fits(asked, parts, compiled, plan):
                    remedy = f"--accumulate {parts}, which computes it in parts, or --batch-size {batch_size}"
                return f"a batch of {counted(asked, 'image')} does not fit into {place}: use {remedy}"
        least = counted(batch_size, "image")
        return f"not even a batch of {least} fits into {place}: use a smaller --image-size or backbone"

    def _fits(self, batch_size: int, parts: int, compiled: CompiledStage, plan: EpochPlan) -> bool:
        """Whether a step of so many images can be trained in so many parts."""
        dataset = self.dataset
        # A step that failed may have taken the variables with it.
        assign_values(self.model.variables, self._initial)
        assign_values(compiled.optimizer.variables, compiled.initial_optimizer)
        given = self.devices, self.model, dataset.images, dataset.labels, batch_size, dataset.targets, parts
        engine = choose_engine()(*given)
        try:
            self._compile(engine, compiled.optimizer, compiled.averages)(plan.narrowed(batch_size))
        except Exception as error:
            if engine.ran_out_of_memory(error):
                return False
            raise
        return True

    def plan(
        self,
        rows: np.ndarray,
        keys: np.ndarray,
        weights: np.ndarray,
        rates: np.ndarray,
        *stream: object,
        offsets: np.ndarray | None,
        mixes: bool = True,
    ) -> EpochPlan:
        """The plan of an epoch of these images, see ``fer_tl.engines.plan.plan_epoch``; ``mixes`` is whether MixUp and
        CutMix are done where they are asked for."""
        return plan_epoch(
            self.rows_in_engine(rows, *stream),
            keys,
            weights,
            self.experiment.batch_size,
            self.augment if mixes else replace(self.augment, mix_share=0.0),
            self.engine.image_size,
            rates,
            *stream,
            offsets=offsets,
            side=self.engine.side,
        )

    def rows_in_engine(self, rows: np.ndarray, *stream: object) -> np.ndarray:
        """Where the engine has what these images are trained as in an epoch: int ``[N]``."""
        return rows

    def evaluate(self, rows: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Mean loss, accuracy and logits ``[N, K]`` of images as they are."""
        logits = self.engine.predict(rows)
        labels = self.dataset.labels[rows]
        return float(cross_entropies(logits, labels).mean()), float((logits.argmax(axis=1) == labels).mean()), logits

    def put_scored_in_place(self) -> None:
        """Give the model the weights that are scored and saved, for good: the averages, and a share of the start."""
        if self.averages:
            self.averages.put_in_place()
        if self._kept_start:
            self._kept_start.mix_in()

    @contextmanager
    def scored(self) -> Iterator[None]:
        """The same for the duration of a ``with``; afterwards the model goes on with the weights that it had."""
        if not (self.averages or self._kept_start):
            yield
            return
        learnt = read_values(self.model.weights)
        self.put_scored_in_place()
        try:
            yield
        finally:
            assign_values(self.model.weights, learnt)

    def save_model(self, path: Path, lineage: Lineage | None = None) -> None:
        """Save the model as ``.keras``, with its class names, how faces are cut for it and what it was trained on."""
        consent = self.spec.consent[0] if self.spec.consent else None
        save_model(self.model, self.dataset.class_names, path, self.dataset.recipe, consent, lineage)
