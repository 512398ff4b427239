"""Likely label errors: images whose label the networks that have not seen them confidently contradict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset, group_by_id
from fer_tl.data.examples import read_examples
from fer_tl.evaluation.finished_runs import Member, open_member
from fer_tl.evaluation.run_dataset import RunDataset, find_dataset
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True)
class Suspect:
    """An image whose label may be wrong.

    Attributes:
        id: of the image.
        given: its label.
        suggested: the most probable class.
        p_given: probability of its label, 0..1, which is also the quality of the label: "self-confidence".
        p_suggested: probability of the most probable class, 0..1.
        fold: whose network predicted it; 0 for all of a single fit.
        group: as in the dataset, "" if that is not known.
        cluster: id of the first of its duplicates, "" if it has none or they are not known.
        cluster_labels: labels of its duplicates and itself, in class order, if they differ; else empty.
    """

    id: str
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    fold: int
    group: str = ""
    cluster: str = ""
    cluster_labels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What confident learning says of the labels of N images.

    Attributes:
        class_names: the K class names.
        suspects: the images to look at, the least probable label first, then by id.
        joint: int64 ``[K, K]``, the confident joint: estimated images by given label (row) and true label (column);
            rows sum to the images of the class. Away from the diagonal it counts wrong labels together with what the
            networks confidently get wrong themselves.
        agreement: share of the images whose label is the most probable class, 0..1.
    """

    class_names: tuple[str, ...]
    suspects: tuple[Suspect, ...]
    joint: np.ndarray
    agreement: float

    @property
    def images(self) -> int:
        """N."""
        return int(self.joint.sum())

    @property
    def estimated(self) -> int:
        """Images that the confident joint gives to another class than their label."""
        return int(self.joint.sum() - np.trace(self.joint))

    @property
    def listed(self) -> np.ndarray:
        """Suspects by given (row) and suggested label (column): int64 ``[K, K]``."""
        counts = np.zeros_like(self.joint)
        number = {name: k for k, name in enumerate(self.class_names)}
        for suspect in self.suspects:
            counts[number[suspect.given], number[suspect.suggested]] += 1
        return counts


@dataclass(frozen=True, eq=False)
class Audit:
    """The labels that a run held out, looked through.

    Attributes:
        member: the run.
        found: the suspects and the counts.
        dataset: the split that they are from; None if it is not where the run found it.
        missing: why there is no dataset, else "".
        split_over_folds: images of which another fold has a duplicate, or a face of the same photo.
    """

    member: Member
    found: LabelErrors
    dataset: Dataset | None
    missing: str
    split_over_folds: int


def find_label_errors(
    predictions: Predictions,
    folds: np.ndarray,
    groups: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> LabelErrors:
    """Confident learning (Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels",
    JAIR 70, 2021), as the library cleanlab does it.

    An image counts as one of class k if its probability of k is at least the mean of those labelled k. What is sure is
    measured class by class, so calibration matters less than it would for a fixed threshold: in a simulation, logits of
    0.4 and 3 times the size changed the list from 670 images to 420 and 1,130, but not how many planted errors were in
    its first 60.

    Args:
        predictions: of N images by networks that were not trained on them.
        folds: int ``[N]``, whose network predicted each.
        groups: of the images, by id.
        clusters: id of the first duplicate, by id, of the images that have one.

    Raises:
        UserError: logits that are not finite, or labels of one class only.
    """
    if not np.isfinite(predictions.logits).all():
        raise UserError("the predictions are not finite: the training diverged, no label can be judged by them")
    if len(np.unique(predictions.labels)) < 2:
        raise UserError("the held-out images have one class only: there is no other label that they could have")
    labels, names, ids = predictions.labels, predictions.class_names, predictions.ids.tolist()
    probabilities = predictions.probabilities  # [N, K]
    joint = compute_confident_joint(labels, probabilities)  # [K, K]
    # C+NR of the paper, by class and by pair of classes. On planted errors it was the most precise of the library's
    # rules, but for those that list right labels of a rare class as soon as the networks are never sure of it.
    # One process: starting more takes longer than the 0.04 s for 30,000 images.
    is_suspect = find_label_issues(labels, probabilities, filter_by="both", confident_joint=joint, n_jobs=1)
    own = probabilities[np.arange(len(labels)), labels]  # [N]
    best = probabilities.argmax(axis=1)  # [N]
    conflicts = _conflicts(predictions, clusters or {})
    suspects = [
        Suspect(
            id=ids[row],
            given=names[labels[row]],
            suggested=names[best[row]],
            p_given=float(own[row]),
            p_suggested=float(probabilities[row, best[row]]),
            fold=int(folds[row]),
            group=(groups or {}).get(ids[row], ""),
            cluster=(clusters or {}).get(ids[row], ""),
            cluster_labels=conflicts.get(ids[row], ()),
        )
        for row in np.flatnonzero(is_suspect)
    ]
    # Planted errors came first more often by the probability of the label than by its margin to the largest one.
    suspects.sort(key=lambda suspect: (suspect.p_given, suspect.id))
    return LabelErrors(names, tuple(suspects), joint, float(np.mean(best == labels)))


def open_audit(run: RunFolder, data_dir: Path | str | None) -> Audit:
    """Judge the labels of the images that a run held out: of ``cv`` all training images, out of fold; of ``train`` the
    images that it was scored on.

    Args:
        run: a finished run.
        data_dir: where its dataset is; without one, it is taken from where the run found it, if it is still there.

    Raises:
        UserError: no run, an unfinished or diverged one, or another build of the dataset.
    """
    member = open_member(run.path.name, run.path)
    predictions, folds = member.own_predictions()
    source, missing = find_dataset(run, data_dir)
    groups, clusters = (group_by_id(source.dataset), _read_clusters(source)) if source else ({}, {})
    try:
        found = find_label_errors(predictions, folds, groups, clusters)
    except UserError as error:
        raise UserError(f"{run.path}: {error}") from None
    return Audit(member, found, source.dataset if source else None, missing, run.read_run().get("split_over_folds", 0))


def _read_clusters(found: RunDataset) -> dict[str, str]:
    # Datasets that were built before duplicates were looked for have no table of them.
    examples = read_examples(found.directory) if found.manifest.duplicates else []
    return {example.id: example.cluster for example in examples if example.cluster}


def _conflicts(predictions: Predictions, clusters: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Labels, in class order, of the duplicates of each image that has one with another label; by id."""
    names = predictions.class_names
    clustered = [id_ for id_ in predictions.ids.tolist() if id_ in clusters]
    label_of = dict(zip(predictions.ids.tolist(), predictions.labels.tolist(), strict=True))
    labels: dict[str, set[int]] = {}
    for id_ in clustered:
        labels.setdefault(clusters[id_], set()).add(label_of[id_])
    several = {cluster: tuple(names[k] for k in sorted(found)) for cluster, found in labels.items() if len(found) > 1}
    return {id_: several[clusters[id_]] for id_ in clustered if clusters[id_] in several}
