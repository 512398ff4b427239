"""The dataset that a run was trained on, if it is still where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import Manifest, read_manifest
from fer_tl.data.merging import merge_dataset, merged_fingerprint, parse_classes
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_fold_predictions, load_predictions
from fer_tl.runs.refits import refuse_refit
from fer_tl.runs.run_file import ARRAYS, IMPORTED, REFIT

FOLD_OF = "fold "
"""What ``held_out`` of ``run.json`` begins with where a single model answers for one fold of a cross validation."""


@dataclass(frozen=True, eq=False)
class RunDataset:
    """The build that a run was trained on.

    Attributes:
        directory: of the build.
        manifest: of the build.
        dataset: the split that the run held images out of, with the classes of the build.
        data_dir: folder of the built datasets.
    """

    directory: Path
    manifest: Manifest
    dataset: Dataset
    data_dir: Path


def find_dataset(
    run: RunFolder, data_dir: Path | str | None, input: Literal["resident", "stream"] = "resident"
) -> tuple[RunDataset | None, str]:
    """Find what a run held images out of: of ``cv`` the training split, of ``train`` the validation split if there is
    one; of a refit the training split, of which it held out nothing; of answers without a model the split that they are
    of.

    Args:
        run: whose dataset.
        data_dir: where it is; without one, it is taken from where the run found it.
        input: "stream" where few images are looked at.

    Returns:
        The dataset and "", or None and why it is not there.

    Raises:
        UserError: it is not under the ``data_dir`` that was given, or another build of it is there.
    """
    about = run.read_run()
    if about["dataset"] == ARRAYS:
        return None, "it was trained on arrays that fer_tl.Classifier was given, which are kept nowhere"
    place = data_dir or run.read_experiment().data_dir
    try:
        directory = dataset_directory(Path(place), about["dataset"])
    except UserError as error:
        if data_dir:
            raise
        return None, str(error)
    manifest = read_manifest(directory)
    _refuse_another_build(run, manifest, directory)
    split = answered_split(about)
    if split not in manifest.counts:
        split = "validation" if fit_splits(about) == FIT_SPLITS and "validation" in manifest.counts else "train"
    return RunDataset(directory, manifest, load_dataset(about["dataset"], place, split, input), Path(place)), ""


def open_held_out(run: RunFolder, data_dir: Path | str | None) -> Dataset:
    """The split that a run held images out of, with the run's classes; images stay in the records, few are looked at.

    Raises:
        UserError: the run is a refit; the dataset is not there, or another build of it is.
    """
    refuse_refit(run.path, "ask the cross validation, or show it new pictures")
    found, missing = find_dataset(run, data_dir, "stream")
    if found is None:
        raise UserError(f"{missing}. If it is elsewhere, name its folder with --data-dir")
    items = run.read_experiment().classes
    return merge_dataset(found.dataset, parse_classes(items, found.manifest.class_names)) if items else found.dataset


def held_out_predictions(run: RunFolder, ids: np.ndarray, parts: Sequence[str]) -> tuple[Predictions, ...]:
    """What each of some parts that are done predicted of the images that it held out.

    Args:
        run: whose saved predictions are read; their checksums are the caller's to check.
        ids: text ``[N]``, of the split that it held images out of.
        parts: of the run.

    Raises:
        UserError: predictions of other images than the fold table says, or ones that are not finite.
    """
    if run.read_run()["kind"] == "cv":
        predictions = load_fold_predictions(run, ids, parts)
    else:
        predictions = tuple(load_predictions(run.part(name) / "predictions.npz") for name in parts)
    known = set(ids.tolist())
    for part, each in zip(parts, predictions, strict=True):
        if not np.isfinite(each.logits).all():
            raise UserError(f"{run.part(part)} predicts numbers that are not finite: its training diverged")
        if unknown := sorted(set(each.ids.tolist()) - known):
            raise UserError(f"{run.part(part) / 'predictions.npz'} holds '{unknown[0]}', which the dataset has not")
    return predictions


def answered_split(about: Mapping[str, Any]) -> str:
    """The split that answers without a model are of, which may be the test split: it was opened for them. Empty for
    those of a run that was trained, which says of itself what it held out, and for those out of fold."""
    held_out = str(about.get("held_out", ""))
    return held_out.removeprefix("split ") if IMPORTED in about and held_out.startswith("split ") else ""


def fit_splits(about: Mapping[str, Any]) -> tuple[str, ...]:
    """The splits that a run was trained on or held images out of, by its ``run.json``."""
    of_fold = str(about.get("held_out", "")).startswith(FOLD_OF)  # of an exported model of a cross validation
    return FIT_SPLITS[:1] if of_fold or about["kind"] in ("cv", REFIT) else FIT_SPLITS


def _refuse_another_build(run: RunFolder, manifest: Manifest, directory: Path) -> None:
    about = run.read_run()
    now = merged_fingerprint(manifest, fit_splits(about), run.read_experiment().classes)
    before = about["fingerprint"]
    # Of an ensemble on a split, the fingerprint is that of the split.
    if before not in (now, manifest.fingerprints.get(answered_split(about))):
        raise UserError(
            f"{directory} is another build of '{about['dataset']}' than {run.path} was trained on (fingerprint "
            f"{now[:12]}, of the run {before[:12]}): name the folder of that build with --data-dir"
        )
