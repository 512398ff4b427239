"""A session for a backbone that never learns: only the heads are trained, on features that are computed once."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from fer_tl.core.config import Augment, Experiment
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.plan import EpochPlan
from fer_tl.models.folding import fold_batch_norm
from fer_tl.training.features import FeatureStore
from fer_tl.training.session import CompiledStage, Session

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
        with self.devices.scope():
            backbone = keras.Model(self.model.input, pooled)
            if experiment.precision == "float32":
                backbone = fold_batch_norm(backbone)  # rounded to half precision, it would be another network
        batch_size = 64 * self.devices.replicas
        engine = choose_engine()(self.devices, backbone, dataset.images, dataset.labels, batch_size)
        self._views = experiment.views if augment.changes else 0
        store = FeatureStore(
            backbone, dataset, self.keys, engine, cache, 1e9 * experiment.cache_limit, self.devices.describe()
        )
        features = store.compute(augment, self._views, experiment.seed)  # [(1 + V) N, F]
        copies = 1 + self._views
        self.augment = STILL  # the views are augmented already
        self.engine = choose_engine()(
            self.devices,
            keras.Model(pooled, self.model.output),
            features,
            np.tile(dataset.labels, copies),
            experiment.batch_size,
            None if dataset.targets is None else np.tile(dataset.targets, (copies, 1)),
            experiment.accumulate,
        )

    def _say_what_fits(self, compiled: CompiledStage, plan: EpochPlan) -> str:
        """A head takes so little memory that no other batch is looked for."""
        return (
            f"{len(self.dataset):,} images' features and a batch of {self.experiment.batch_size} do not fit into "
            f"the memory of the devices ({self.devices.describe()}): use fewer --views, or a smaller --batch-size"
        )

    def rows_in_engine(self, rows: np.ndarray, *stream: object) -> np.ndarray:
        """The images' rows in the view of this epoch, which is the last of ``stream``."""
        epoch = int(str(stream[-1]))
        view = 1 + (epoch - 1) % self._views if self._views else 0
        return view * len(self.dataset) + rows
