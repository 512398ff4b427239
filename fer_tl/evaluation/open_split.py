"""Open a split that a run has not seen: check, write the opening down, predict, save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_tl.data.dataset import Dataset, join_fingerprints, load_dataset
from fer_tl.data.manifest import Manifest, dataset_directory, read_manifest
from fer_tl.errors import UserError, suggest
from fer_tl.evaluation.soft_voting import soft_vote
from fer_tl.evaluation.views import TTA, check_tta, make_views
from fer_tl.files import read_json, write_json
from fer_tl.training.progress import Clock
from fer_tl.training.run_folder import Predictions, RunFolder, save_predictions

Say = Callable[[str], None]
SPLITS = ("train", "validation", "test")
FIT_SPLITS = SPLITS[:2]


@dataclass(frozen=True, eq=False)
class Opening:
    """A split that is about to be opened for a run.

    Attributes:
        run: whose models predict.
        split: ``test`` or ``validation``.
        tta: one of ``fer_tl.evaluation.views.TTA``.
        dataset: the examples of the split.
        remark: what a reader of the results must know, each sentence with a blank before it; may be empty.
    """

    run: RunFolder
    split: str
    tta: str
    dataset: Dataset
    remark: str

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return results_folder(self.run, self.split, self.tta)

    @property
    def title(self) -> str:
        """Model, dataset, split and views."""
        views = f", {TTA[self.tta]}" if TTA[self.tta] else ""
        return f"{self.run.read_experiment().backbone} on {self.dataset.name}, split {self.split}{views}"


def results_folder(run: RunFolder, split: str, tta: str) -> Path:
    """``evaluate-test``, or ``evaluate-test-flip``: what one test-time augmentation gave never overwrites another's."""
    return run.path / "-".join(["evaluate", split, *([tta] if tta != "none" else [])])


def ensemble_name(parts: list[str]) -> str:
    """Name of the predictions that speak for the whole run: the mean of its models, or its only model."""
    return "ensemble" if len(parts) > 1 else parts[0]


def read_openings(run: RunFolder) -> list[dict[str, Any]]:
    """Every opening that the run recorded, oldest first."""
    path = run.path / "evaluations.json"
    return list(read_json(path)) if path.exists() else []


def last_fingerprint(run: RunFolder, split: str, tta: str) -> str | None:
    """Fingerprint of the split as it was last opened with this test-time augmentation, None if it never was."""
    # Openings without 'tta' are older than the option.
    found = [entry for entry in read_openings(run) if (entry["split"], entry.get("tta", "none")) == (split, tta)]
    return str(found[-1]["fingerprint"]) if found else None


def check_finished(run: RunFolder) -> None:
    """Refuse a run that has parts left to train.

    Raises:
        UserError: naming the parts.
    """
    unfinished = [name for name in run.parts if not run.is_done(name)]
    if unfinished:
        raise UserError(f"{run.path} is unfinished ({', '.join(unfinished)}): run its command again to continue it")


def check_split(split: str, verb: str) -> None:
    """Refuse a split that no run may be scored on.

    Raises:
        UserError: ``train``, or no such split.
    """
    if split not in ("validation", "test"):
        hint = "the models were trained on it" if split == "train" else f"no such split{suggest(split, SPLITS)}"
        raise UserError(f"--split {split}: {hint}; {verb} validation or test")


def prepare_opening(run: RunFolder, split: str, tta: str, data_dir: Path | str | None) -> Opening:
    """Check all that can be checked without a model, and load the split.

    Raises:
        UserError: no run, an unfinished one, a split it was trained on, no such test-time augmentation, or results on
            another build of the dataset that would be overwritten.
    """
    check_split(split, "evaluate opens")
    check_tta(tta)
    about, experiment = run.read_run(), run.read_experiment()
    check_finished(run)
    data_dir = data_dir or experiment.data_dir
    manifest = read_manifest(dataset_directory(Path(data_dir), about["dataset"]))
    _refuse_to_overwrite(run, split, tta, manifest)
    dataset = load_dataset(about["dataset"], data_dir, split)
    return Opening(run, split, tta, dataset, _remark(run, split, manifest, about["fingerprint"]))


def _refuse_to_overwrite(run: RunFolder, split: str, tta: str, manifest: Manifest) -> None:
    folder, before = results_folder(run, split, tta), last_fingerprint(run, split, tta)
    now = manifest.fingerprints.get(split, "")
    if folder.exists() and before and now and before != now:
        raise UserError(
            f"{folder} holds results on another build of '{manifest.dataset}' (fingerprint {before[:12]}, now "
            f"{now[:12]}): rename that folder to keep them, or delete it, then evaluate again"
        )


def _remark(run: RunFolder, split: str, manifest: Manifest, trained_on: str) -> str:
    remark = ""
    times = sum(entry["split"] == split for entry in read_openings(run))
    if times and split == "test":
        remark += f" The test split was opened {times} time{'s' if times > 1 else ''} before: do not choose by it."
    if trained_on not in (manifest.fingerprints.get("train"), join_fingerprints(manifest, FIT_SPLITS)):
        what = "what the run was trained on" if "train" in manifest.fingerprints else "there to compare"
        remark += f" This build's training data is not {what}."
    return remark


def predict_opening(opening: Opening, say: Say) -> dict[str, Predictions]:
    """Write down that the split is opened, and predict it.

    Args:
        opening: from ``prepare_opening``.
        say: prints a line.

    Returns:
        Predictions of every model of the run by name; where there are several, ``ensemble``, the mean of their
        probabilities, comes first. They are saved as well.

    Raises:
        UserError: a damaged model (before the opening is recorded), or one of other classes or image sizes.
    """
    from fer_tl.training.saved_model import check_model, predict_saved

    run, dataset = opening.run, opening.dataset
    # What can fail without the split must fail before it is opened.
    for name in run.parts:
        check_model(run.part(name) / "model.keras")
    _record(opening)
    say(f"opening '{opening.split}' of {dataset.name}: {len(dataset):,} images.{opening.remark}")
    views = make_views(opening.tta, dataset.image_shape[:2])
    single = {}
    for name in run.parts:
        clock = Clock()
        logits = predict_saved(run.part(name) / "model.keras", dataset, views)  # [V, N, K]
        seen = [Predictions(dataset.ids, dataset.labels, each, dataset.class_names) for each in logits]
        single[name] = seen[0] if len(seen) == 1 else soft_vote(seen)
        seconds = clock.lap()
        say(f"{name}: predicted in {seconds:.1f} s, {len(dataset) / seconds:,.0f} images/s with loading{_each(views)}")
    first = {ensemble_name(run.parts): soft_vote(list(single.values()))} if len(single) > 1 else {}
    predictions = first | single
    for name, part in predictions.items():
        save_predictions(opening.folder / f"{name}.npz", part)
    return predictions


def _each(views: list[Any]) -> str:
    return f", {len(views)} views each" if len(views) > 1 else ""


def _record(opening: Opening) -> None:
    entry = {
        "split": opening.split,
        "tta": opening.tta,
        "images": len(opening.dataset),
        "fingerprint": opening.dataset.fingerprint,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(opening.run.path / "evaluations.json", [*read_openings(opening.run), entry])
