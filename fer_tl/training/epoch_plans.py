"""The plans of a fold's epochs: what the settings of an experiment mean for each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fer_tl.engines.averaging import decays
from fer_tl.engines.plan import EpochPlan, adjustment, balanced_weights, sample_evenly, steps_per_epoch
from fer_tl.training.schedules import rate_factors
from fer_tl.training.session import CompiledStage, Session


class EpochPlans:
    """Makes the plan of any epoch of a fold.

    Args:
        session: the model and its dataset.
        fold: number, part of the key of all randomness.
        rows: of the session's dataset, those that are trained on, int64 ``[N]``.
    """

    def __init__(self, session: Session, fold: int, rows: np.ndarray):
        self._session, self._fold, self._rows = session, fold, rows
        experiment = session.experiment
        labels, classes = session.dataset.labels[rows], len(session.dataset.class_names)
        balanced, tau = experiment.class_weights == "balanced", experiment.loss.logit_adjustment
        self._weights = balanced_weights(labels, classes) if balanced else np.ones(len(labels))
        self._offsets = adjustment(labels, classes, tau) if tau else None

    def plan(self, compiled: CompiledStage, epoch: int, number: int) -> EpochPlan:
        """The plan of an epoch.

        Args:
            compiled: the stage.
            epoch: of the stage, from 0: the schedule's.
            number: through all stages, from 1: the key of its randomness.
        """
        session, stage, rows = self._session, compiled.stage, self._rows
        experiment = session.experiment
        steps = steps_per_epoch(len(rows), experiment.batch_size)
        # The plateau callback moves the optimizer's own rate; the other schedules are functions of the step.
        is_plateau = stage.schedule.kind == "plateau"
        peak = float(compiled.optimizer.learning_rate) if is_plateau else experiment.optimizer.rate
        rates = peak * rate_factors(stage.schedule, epoch * steps, steps, steps, stage.epochs)  # [S]
        stream = (experiment.seed, self._fold, number)
        keys, weights = session.keys[rows], self._weights
        if experiment.sampling == "balanced":
            chosen, keys = sample_evenly(session.dataset.labels[rows], keys, *stream)
            rows, weights = rows[chosen], weights[chosen]
        rates = np.maximum(rates, min(stage.schedule.floor, peak))
        # At last on images as they are met later: He et al., "Data augmentation revisited: rethinking the distribution
        # gap between clean and augmented data", 2019. The arrays of mixing stay: an engine compiles a step once.
        mixes = stage.name != "main" or epoch < round(experiment.augment.mix_epochs * stage.epochs)
        plan = session.plan(rows, keys, weights, rates, *stream, offsets=self._offsets, mixes=mixes)
        return replace(plan, decays=decays(experiment.ema, epoch * steps, steps)) if experiment.ema else plan
