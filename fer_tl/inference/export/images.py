"""Which images of a run's dataset an export is compared on, and which set the ranges of its int8 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.merging import parse_classes
from fer_tl.evaluation.run_dataset import RunDataset
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_joined

COMPARED = 512  # images
CALIBRATED = 512  # images; MobileNetV2's ranges change little after some 200


@dataclass(frozen=True, eq=False)
class HeldOutImages:
    """The images that parts of a run held out.

    Attributes:
        predictions: what the originals said of them, part after part.
        dataset: the split that they are in.
        rows: int64 ``[N]``, of each in the dataset.
    """

    predictions: Predictions
    dataset: Dataset
    rows: np.ndarray

    @property
    def groups(self) -> np.ndarray:
        """Text ``[N]``."""
        return np.asarray(self.dataset.groups[self.rows])

    def draw(self, seed: int) -> np.ndarray:
        """Rows of up to ``COMPARED`` of them: int64 ``[n]``."""
        return np.asarray(self.rows[draw_images(self.predictions.ids, seed)])


def draw_images(ids: np.ndarray, seed: int) -> np.ndarray:
    """Positions of up to ``COMPARED`` examples, int64 ``[n]``, drawn by their ids, text ``[N]``, and the seed."""
    order = np.argsort(uniform(example_keys(ids), "export compared", seed), kind="stable")
    return np.asarray(order[:COMPARED])


def held_out_images(run: RunFolder, parts: Sequence[str], source: RunDataset) -> HeldOutImages:
    """The images that parts held out, found in the dataset.

    Raises:
        UserError: an image that the dataset does not have.
    """
    found = load_joined(run, parts)
    row_of = {identity: row for row, identity in enumerate(source.dataset.ids.tolist())}
    missing = [identity for identity in found.ids.tolist() if identity not in row_of]
    if missing:
        raise UserError(f"{source.directory} lacks {len(missing)} images of {run.path}, such as '{missing[0]}'")
    rows = np.array([row_of[identity] for identity in found.ids.tolist()], dtype=np.int64)
    return HeldOutImages(found, source.dataset, rows)


def calibration_images(run: RunFolder, part: str, held_out: HeldOutImages, data_dir: Path | str | None) -> np.ndarray:
    """Images that a part was trained on, as many of each class as there are, up to ``CALIBRATED`` in all.

    Args:
        run: with that part.
        part: of it.
        held_out: of that part alone: none of them is taken.
        data_dir: where the dataset is; None for where the run found it.

    Returns:
        uint8 ``[n, H, W, C]``, the same for the same run and seed.
    """
    about, experiment = run.read_run(), run.read_experiment()
    dataset = held_out.dataset
    if about["kind"] != "cv" and (dataset.splits == "validation").all():
        dataset = load_dataset(about["dataset"], data_dir or experiment.data_dir, "train", "stream")
    labels = dataset.labels
    if experiment.classes:
        labels = parse_classes(experiment.classes, dataset.class_names).labels_of(dataset.class_names)[labels]
    is_trained = (labels >= 0) & ~np.isin(dataset.ids, held_out.predictions.ids)
    if about["kind"] == "cv":
        known = np.flatnonzero(labels >= 0)
        folds = run.read_fold_table(dataset.ids[known])  # [R, N]
        is_trained[known] &= (folds != run.parts.index(part)).all(axis=0)
    rows = np.flatnonzero(is_trained)
    chosen = rows[draw_stratified(dataset.ids[rows], labels[rows], CALIBRATED, experiment.seed)]
    return np.asarray(dataset.images[np.sort(chosen)])


def draw_stratified(ids: np.ndarray, labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Positions of examples, of each class alike: all classes have given one before any gives its second.

    Args:
        ids: text ``[N]``; the draw depends on the ids and the seed alone.
        labels: int ``[N]``, 0 or more.
        count: at most.
        seed: any.

    Returns:
        int64 ``[min(N, count)]``.
    """
    drawn = uniform(example_keys(ids), "export calibration", seed)  # [N]
    order = np.lexsort((drawn, labels))  # by class, and by the draw within it
    first = np.searchsorted(labels[order], labels[order])  # where the class of each begins
    turn = np.arange(len(order)) - first
    return np.asarray(order[np.lexsort((drawn[order], turn))][:count])


def made_images(image_shape: tuple[int, int, int]) -> np.ndarray:
    """Images of coarse patches, uint8 ``[64, H, W, C]``, to compare models on where there is no dataset: of fine noise
    a network says the same of all."""
    height, width, channels = image_shape
    coarse = np.random.default_rng(0).integers(0, 256, (64, 6, 6, channels)).astype(np.uint8)
    larger = coarse.repeat(-(-height // 6), axis=1).repeat(-(-width // 6), axis=2)
    return larger[:, :height, :width]
