"""The verbs of fer-tl: build, load, cross-validate, fit, evaluate. They return values and leave files behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_tl.config import Experiment, check
from fer_tl.data.build import build
from fer_tl.data.dataset import Dataset, join_fingerprints, load_dataset
from fer_tl.data.manifest import dataset_directory, read_manifest
from fer_tl.errors import UserError, suggest
from fer_tl.files import read_json, write_json
from fer_tl.models.backbones import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.quiet import import_tensorflow
from fer_tl.training.run_folder import (
    Predictions,
    RunFolder,
    default_run_dir,
    load_fold_predictions,
    load_predictions,
    save_predictions,
)
from fer_tl.training.strategy import check_cluster, claim_devices

if TYPE_CHECKING:
    from fer_tl.evaluation.summary import CvSummary
    from fer_tl.reports.run_report import Result

__all__ = ["CvResult", "EvaluationResult", "FitResult", "build", "cross_validate", "evaluate", "fit", "load_dataset"]

Say = Callable[[str], None]
SPLITS = ("train", "validation", "test")
FIT_SPLITS = SPLITS[:2]


@dataclass(frozen=True, eq=False)
class CvResult:
    """A finished cross validation.

    Attributes:
        run_dir: its folder.
        summary: metrics of every fold, their spread, and the pooled out-of-fold result with intervals.
        folds: out-of-fold predictions of each fold.
        text: the tables as the terminal shows them.
    """

    run_dir: Path
    summary: CvSummary
    folds: tuple[Predictions, ...]
    text: str


@dataclass(frozen=True, eq=False)
class FitResult:
    """A finished single fit: its folder, the metrics and predictions of the held-out images, and the tables as text."""

    run_dir: Path
    result: Result
    predictions: Predictions
    text: str


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Predictions of a run's models on a split by model name, the ensemble first, their metrics, and the tables."""

    result: Result
    predictions: dict[str, Predictions]
    text: str


def cross_validate(experiment: Experiment | None = None, say: Say = print) -> CvResult:
    """Cross-validate an experiment on the training split of its dataset.

    Folds are stratified and grouped; every fold starts from the same weights. An interrupted run continues where its
    last checkpoint stands, a finished one is only reported.

    Args:
        experiment: from ``fer_tl.load_experiment``; none for the defaults.
        say: prints a line.

    Raises:
        UserError: bad settings, missing or half-built data, missing weights, another run in the folder.
    """
    experiment, run = _prepare(experiment, "cv", say)
    from fer_tl.training.cross_validation import train_folds

    dataset = load_dataset(experiment.data, experiment.data_dir, "train")
    train_folds(experiment, dataset, run, say)
    from fer_tl.evaluation.summary import summarize
    from fer_tl.reports.run_report import write_cv_report

    folds = load_fold_predictions(run, dataset.ids)
    summary = summarize(folds, _groups(dataset))
    text = write_cv_report(run, summary)
    say(f"\n{text}\n\n{_last_line(experiment, run)}")
    return CvResult(run.path, summary, folds, text)


def fit(experiment: Experiment | None = None, say: Say = print) -> FitResult:
    """Train one model on the training split and score the validation split (the first fold where there is none).

    Args and errors as ``cross_validate``.
    """
    experiment, run = _prepare(experiment, "train", say)
    from fer_tl.training.cross_validation import train_one

    manifest = read_manifest(dataset_directory(Path(experiment.data_dir), experiment.data))
    splits = tuple(split for split in FIT_SPLITS if split in manifest.counts)
    dataset = load_dataset(experiment.data, experiment.data_dir, splits)
    train_one(experiment, dataset, run, say)
    from fer_tl.reports.run_report import score_rows, write_train_report

    predictions = load_predictions(run.part("model") / "predictions.npz")
    result = score_rows({"model": predictions}, _groups(dataset))
    text = write_train_report(run, result)
    say(f"\n{text}\n\n{_last_line(experiment, run)}")
    return FitResult(run.path, result, predictions, text)


def evaluate(
    run_dir: Path | str, split: str = "test", data_dir: Path | str | None = None, say: Say = print
) -> EvaluationResult:
    """Open a split that the run has not seen: every model of the run, and the mean of their probabilities.

    The only door to the test split. The run records each opening in ``evaluations.json``.

    Args:
        run_dir: a finished run.
        split: ``test`` or ``validation``.
        data_dir: where the dataset is now; default: where the run found it.
        say: prints a line.

    Raises:
        UserError: no run, an unfinished one, other classes, or a split it was trained on.
    """
    run = RunFolder(Path(run_dir))
    about, experiment = run.read_run(), run.read_experiment()
    unfinished = [name for name in run.parts if not run.is_done(name)]
    if unfinished:
        raise UserError(f"{run.path} is unfinished ({', '.join(unfinished)}): run its command again to continue it")
    if split not in ("validation", "test"):
        hint = "the models were trained on it" if split == "train" else f"no such split{suggest(split, SPLITS)}"
        raise UserError(f"--split {split}: {hint}; evaluate opens validation or test")
    data_dir = data_dir or experiment.data_dir
    manifest = read_manifest(dataset_directory(Path(data_dir), about["dataset"]))
    dataset = load_dataset(about["dataset"], data_dir, split)
    import_tensorflow()
    from fer_tl.reports.run_report import score_rows, selection_note, write_result
    from fer_tl.training.saved_model import check_model

    # What can fail without the split must fail before it is opened.
    note = selection_note(run)
    for name in run.parts:
        check_model(run.part(name) / "model.keras")
    opened = _record_opening(run, split, dataset)
    if about["fingerprint"] not in (manifest.fingerprints.get("train"), join_fingerprints(manifest, FIT_SPLITS)):
        what = "what the run was trained on" if "train" in manifest.fingerprints else "there to compare"
        opened += f" This build's training data is not {what}."
    say(f"opening '{split}' of {dataset.name}: {len(dataset):,} images.{opened}")
    predictions = _predict(run, dataset, say)
    folder = run.path / f"evaluate-{split}"
    for name, part in predictions.items():
        save_predictions(folder / f"{name}.npz", part)
    result = score_rows(predictions, _groups(dataset))
    text = write_result(folder, f"{experiment.backbone} on {dataset.name}, split {split}", result, note + opened)
    say(f"\n{text}\n\nresults: {folder}")
    return EvaluationResult(result, predictions, text)


def _prepare(experiment: Experiment | None, kind: str, say: Say) -> tuple[Experiment, RunFolder]:
    """Check all that can be checked before TensorFlow is imported, and draw toyfaces if they are asked for."""
    experiment = Experiment() if experiment is None else experiment
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"an experiment comes from fer_tl.load_experiment(...), but this is a {type(experiment).__name__}"
        )
    check(experiment)
    backbone, size, _ = resolve_model(experiment)
    worker = check_cluster() if experiment.strategy == "multiworker" else 0
    path = Path(experiment.run_dir) if experiment.run_dir else default_run_dir(experiment, kind)
    if worker:
        # Every worker ends with the whole result; the chief's is the run.
        path = path.with_name(f"{path.name}-worker-{worker}")
    run = RunFolder(path)
    drawn = experiment.data == "toyfaces"
    if not drawn:
        dataset_directory(Path(experiment.data_dir), experiment.data)
    if not run.is_finished:
        find_weights(backbone, experiment.weights, experiment.alpha, size)
        claim_devices(experiment.strategy)
    if drawn:
        say("data: toyfaces, drawn faces made by code (no photographs); --data NAME takes a dataset of your own")
        try:
            dataset_directory(Path(experiment.data_dir), "toyfaces")
        except UserError:
            build("toyfaces", data_dir=experiment.data_dir, say=say)
    say(f"run: {path}")
    # Absolute, so that the run finds its data from another folder too.
    return replace(experiment, run_dir=str(path), data_dir=str(Path(experiment.data_dir).absolute())), run


def _last_line(experiment: Experiment, run: RunFolder) -> str:
    drawn = " (on toyfaces, drawn faces: it says nothing about photographs)" if experiment.data == "toyfaces" else ""
    return f"results: {run.path}{drawn}"


def _groups(dataset: Dataset) -> dict[str, str]:
    return dict(zip(dataset.ids.tolist(), dataset.groups.tolist(), strict=True))


def _record_opening(run: RunFolder, split: str, dataset: Dataset) -> str:
    """Write down that a split is opened, before it is; returns a remark if it was opened before."""
    path = run.path / "evaluations.json"
    before = read_json(path) if path.exists() else []
    opening = {
        "split": split,
        "images": len(dataset),
        "fingerprint": dataset.fingerprint,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(path, [*before, opening])
    times = sum(entry["split"] == split for entry in before)
    if not times or split != "test":
        return ""
    return f" The test split was opened {times} time{'s' if times > 1 else ''} before: do not choose by it."


def _predict(run: RunFolder, dataset: Dataset, say: Say) -> dict[str, Predictions]:
    """Predictions of every model of the run, and of their ensemble where there are several, which comes first."""
    from fer_tl.training.saved_model import predict_saved

    single = {}
    for name in run.parts:
        logits = predict_saved(run.part(name) / "model.keras", dataset)
        single[name] = Predictions(dataset.ids, dataset.labels, logits, dataset.class_names)
        say(f"{name}: predicted")
    if len(single) == 1:
        return single
    mean = np.mean([part.probabilities for part in single.values()], axis=0)  # [N, K]
    # The smallest float keeps the logarithm finite; softmax of it gives the mean probabilities back.
    logits = np.log(np.maximum(mean, np.finfo(np.float64).tiny)).astype(np.float32)
    return {"ensemble": Predictions(dataset.ids, dataset.labels, logits, dataset.class_names), **single}
