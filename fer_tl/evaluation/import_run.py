"""Predictions of another framework become a run: what is checked and written, so that it compares like any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json
from fer_tl.data.dataset import Dataset, join_fingerprints, load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.folds import count_split, read_folds
from fer_tl.data.manifest import Manifest, read_manifest
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.answers_run import describe_answers, write_parts, write_place
from fer_tl.evaluation.given_predictions import GivenPredictions
from fer_tl.evaluation.open_split import check_split, ensemble_name, results_folder
from fer_tl.evaluation.openings import describe_opening, write_opening
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import OUT_OF_FOLD, Imported, read_import
from fer_tl.runs.part import OF_IMPORT, check_part
from fer_tl.runs.predictions import Predictions, join_predictions, load_predictions, save_predictions
from fer_tl.runs.run_file import IMPORTED, refuse_strangers


@dataclass(frozen=True, eq=False)
class ImportTarget:
    """What predictions are of, N images.

    Attributes:
        dataset: the split, its images in the records.
        manifest: of the build.
        data_dir: folder of the built datasets.
        split: ``validation`` or ``test``; None for ``train``, out of fold.
        folds: int64 ``[N]``, by whose model each image was predicted; None for a split.
    """

    dataset: Dataset
    manifest: Manifest
    data_dir: Path
    split: str | None
    folds: np.ndarray | None

    @property
    def scored(self) -> str:
        """``out of fold``, or such as ``split test``."""
        return f"split {self.split}" if self.split else "out of fold"


def open_target(data: str, data_dir: Path, split: str | None, fold_table: Path | None) -> ImportTarget:
    """The images that predictions are said to be of, and the folds.

    Args:
        data: name of a built dataset.
        data_dir: folder of the built datasets.
        split: as given; ``train`` is the same as None.
        fold_table: which image was held out by which model, for ``train`` alone.

    Raises:
        UserError: no such dataset or split, a fold table that is missing, or that numbers its folds otherwise than from
            0.
    """
    manifest = read_manifest(dataset_directory(data_dir, data))
    split = None if split == FIT_SPLITS[0] else split
    if split:
        check_split(split, "predictions are imported of")
        if fold_table:
            raise UserError(f"--fold-table is for out-of-fold predictions of split train, not of split {split}")
        return ImportTarget(load_dataset(data, data_dir, split, "stream"), manifest, data_dir, split, None)
    if fold_table is None:
        raise UserError(
            "say what was predicted: --split validation or --split test, or --fold-table FILE for predictions of the "
            "training split by models that did not train on the image, a CSV with id and fold such as a run's folds.csv"
        )
    dataset = load_dataset(data, data_dir, FIT_SPLITS[0], "stream")
    folds = read_folds(fold_table, dataset.ids, others=True)
    number = int(folds.max()) + 1
    if number < 2 or set(folds.tolist()) != set(range(number)):
        found = sorted(set(folds.tolist()))
        shown = ", ".join(map(str, found[:10])) + ", ..." * (len(found) > 10)
        raise UserError(f"{fold_table} has the folds {shown}: number two or more of them from 0, none left out")
    return ImportTarget(dataset, manifest, data_dir, None, folds)


def write_import(run: RunFolder, target: ImportTarget, given: GivenPredictions, said: Imported) -> str | None:
    """Write predictions into a run, a new one or one that was imported before; what is there already stays.

    Whoever imports predictions of a split has opened it: that is written into the run and into the ledger of the data
    folder, before the predictions are.

    Args:
        run: where; the caller keeps others out.
        target: what was predicted.
        given: what was answered.
        said: where it comes from.

    Returns:
        None where the same was there already, else why the ledger could not be written, or "".

    Raises:
        UserError: the folder holds something else.
    """
    is_new = not (run.path / "run.json").exists()
    if is_new:
        refuse_strangers(run.path, "--out")
    else:
        _refuse_others(run, target, given, said)
    before = None if is_new else imported_predictions(run, target)
    if before is not None and not _same(before, given.predictions):
        raise UserError(f"{run.path} holds other predictions {_of(target)}: give another --out")
    if is_new:
        _begin(run, target, said)
    if is_new or not run.is_done(run.parts[-1]):
        write_parts(run, run.parts, target.folds, given.predictions)
    if not target.split:
        return "" if before is None else None
    file = _split_file(run, target.split)
    if before is not None and file.is_file():
        return None
    unwritten = _record(run, target, said)
    save_predictions(file, given.predictions)
    return unwritten


def imported_predictions(run: RunFolder, target: ImportTarget) -> Predictions | None:
    """What a run holds of the same images, in no certain order; None if it holds none of them.

    Raises:
        UserError: damaged predictions.
    """
    file = _split_file(run, target.split) if target.split else None
    if file and file.is_file():
        return load_predictions(file)
    wanted = f"split {target.split}" if target.split else OUT_OF_FOLD
    if run.read_run()["held_out"] != wanted or not all(map(run.is_done, run.parts)):
        return None
    for part in run.parts:
        check_part(run.part(part), OF_IMPORT)
    return join_predictions([load_predictions(run.part(part) / "predictions.npz") for part in run.parts])


def _split_file(run: RunFolder, split: str) -> Path:
    return results_folder(run, split, "none") / f"{ensemble_name(run.parts)}.npz"


def _of(target: ImportTarget) -> str:
    return f"of split {target.split}" if target.split else "out of fold"


def _refuse_others(run: RunFolder, target: ImportTarget, given: GivenPredictions, said: Imported) -> None:
    about = run.read_run("class_names", "held_out")
    found = read_import(about)
    if found is None:
        raise UserError(f"{run.path} holds a run that fer-tl trained: give another --out")
    if about["dataset"] != target.dataset.name or about["fingerprint"] != _fingerprint(about["kind"], target):
        raise UserError(f"{run.path} holds predictions of {about['dataset']}, or of another build: give another --out")
    if found.model != said.model:
        raise UserError(f"{run.path} holds predictions of '{found.model}', not of '{said.model}': give another --out")
    if found.labels_only != given.labels_only:
        form = "labels alone" if found.labels_only else "probabilities"
        raise UserError(f"{run.path} holds {form}: give the same of each split, or another --out")
    if not target.split and about["kind"] != "cv":
        raise UserError(
            f"{run.path} was begun with predictions of {about['held_out']}: import those out of fold first, the others "
            "into the same folder, or give another --out"
        )
    if target.folds is not None and not np.array_equal(run.read_fold_table(target.dataset.ids)[0], target.folds):
        raise UserError(f"{run.path} holds predictions of other folds: give another --out")


def _fingerprint(kind: str, target: ImportTarget) -> str:
    """Of the images that runs of this kind train on or hold out."""
    return join_fingerprints(target.manifest, FIT_SPLITS[: 1 if kind == "cv" else 2])


def _begin(run: RunFolder, target: ImportTarget, said: Imported) -> None:
    dataset, folds = target.dataset, target.folds
    about = describe_answers(
        dataset.name,
        _fingerprint("train" if folds is None else "cv", target),
        dataset.class_names,
        len(dataset),
        folds,
        f"split {target.split}",
        said,
        0 if folds is None else count_split(folds, dataset.groups),
    )
    write_place(run.path, dataset.name, target.data_dir, None, dataset.ids, folds)
    write_json(run.path / "run.json", about)


def _same(one: Predictions, other: Predictions) -> bool:
    """Whether predictions of the same images are the same, whatever their order."""
    first, second = (each.take(np.argsort(each.ids)) for each in (one, other))
    return np.array_equal(first.ids, second.ids) and np.array_equal(first.logits, second.logits)


def _record(run: RunFolder, target: ImportTarget, said: Imported) -> str:
    """Write the opening into the run and the ledger; returns why the latter could not be written, or ""."""
    assert target.split
    dataset = target.dataset
    entry = describe_opening(dataset.name, target.split, len(dataset), dataset.fingerprint)
    entry |= {"same_build": True, IMPORTED: said.file}
    return write_opening(target.data_dir, run, entry)
