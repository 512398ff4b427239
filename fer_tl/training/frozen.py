"""A session for a backbone that never learns: only the heads are trained, on features that are computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from fer_tl.config import Augment, Experiment
from fer_tl.training.features import FeatureStore
from fer_tl.training.plan import EpochPlan, plan_epoch
from fer_tl.training.session import Session
from fer_tl.training.tensorflow_engine import TensorFlowEngine

STILL = Augment(rotation=0.0, zoom=0.0, shift=0.0, flip=False)


def uses_features(experiment: Experiment) -> bool:
    """Whether the heads of an experiment can learn from features: nothing of the backbone learns, and what it sees
    depends neither on the fold (standardized pixels) nor on other images (mixing)."""
    return (
        experiment.unfreeze == "none"
        and experiment.views > 0
        and experiment.pixels != "standardized"
        and not experiment.augment.mixes
    )


class FrozenSession(Session):
    """Like ``Session``; epoch e learns from augmented view (e - 1) mod V of each image.

    The backbone is always in inference mode here, its own dropout included.
    """

    def prepare(self, cache: Path | None) -> None:
        """Compute the features, or read those that were computed before.

        Args:
            cache: folder in which they are kept; None for no keeping.

        Raises:
            UserError: they do not fit into memory.
        """
        experiment, dataset, augment = self.experiment, self.dataset, self.experiment.augment
        pooled = next(layer for layer in self.model.layers if layer.name in ("head_pool", "head_flatten")).output
        backbone = keras.Model(self.model.input, pooled)
        engine = TensorFlowEngine(
            self.strategy, backbone, dataset.images, dataset.labels, self._batch_of_prediction(), None
        )
        changes = augment.moves or augment.erase
        self._views = experiment.views if changes else 0
        store = FeatureStore(backbone, dataset, engine, cache)
        features = store.compute(augment, self._views, experiment.seed)  # [(1 + V) N, F]
        copies = 1 + self._views
        self.engine = TensorFlowEngine(
            self.strategy,
            keras.Model(pooled, self.model.output),
            features,
            np.tile(dataset.labels, copies),
            experiment.batch_size,
            None if dataset.targets is None else np.tile(dataset.targets, (copies, 1)),
        )

    def _batch_of_prediction(self) -> int:
        return 64 * self.strategy.num_replicas_in_sync

    def plan(
        self,
        rows: np.ndarray,
        keys: np.ndarray,
        weights: np.ndarray,
        rates: np.ndarray,
        *stream: object,
        offsets: np.ndarray | None,
    ) -> EpochPlan:
        """As ``Session.plan``; the rows are those of the view of this epoch, which is the last of ``stream``."""
        epoch = int(str(stream[-1]))
        view = 1 + (epoch - 1) % self._views if self._views else 0
        rows = view * len(self.dataset) + rows
        plan = plan_epoch(
            rows, keys, weights, self.experiment.batch_size, STILL, (1, 1), rates, *stream, offsets=offsets
        )
        return replace(plan, transforms=plan.transforms[:, :, :0])  # nothing is resampled: nothing is sent
