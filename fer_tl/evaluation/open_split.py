"""A split that a run has not seen, of its dataset or of another: what is checked before it is opened, and where the
results go."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.errors import UserError, suggest
from fer_tl.data.choose_dataset import choose_dataset
from fer_tl.data.dataset import Dataset, join_fingerprints, load_dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import Manifest, read_manifest
from fer_tl.data.merging import left_out, merge_dataset, parse_classes
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.class_matching import Matching, match_classes
from fer_tl.evaluation.openings import (
    describe_opening,
    openings_of,
    recipe_remark,
    remark_on,
    standing_remark,
    write_opening,
)
from fer_tl.evaluation.test_time_augmentation import TTA, check_tta
from fer_tl.runs.folder import RunFolder


@dataclass(frozen=True, eq=False)
class Opening:
    """A split that is about to be opened for a run.

    Attributes:
        run: whose models predict.
        backbone: of these models.
        trained_on: the run's dataset.
        split: of the dataset.
        tta: one of ``fer_tl.evaluation.test_time_augmentation.TTA``.
        asked: the classes that were asked for, as ``ClassMap.items`` spells them; None for the model's.
        dataset: the examples of the split, with the classes that are scored.
        fingerprint: of the split as it was built.
        matching: from the classes of dataset and model to those that are scored.
        data_dir: folder of the built datasets, which holds the ledger of openings.
        same_build: whether the dataset's training images are those of the run: else the split may hold some of them.
        remark: what a reader of the results must know, each sentence with a blank before it; may be empty.
        left_out: ids of the images of the split that are not among the examples, since the models have learnt them.
    """

    run: RunFolder
    backbone: str
    trained_on: str
    split: str
    tta: str
    asked: tuple[str, ...] | None
    dataset: Dataset
    fingerprint: str
    matching: Matching
    data_dir: Path
    same_build: bool
    remark: str
    left_out: tuple[str, ...] = ()

    @property
    def foreign(self) -> bool:
        """Whether the dataset is another than the run's."""
        return self.dataset.name != self.trained_on

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.folder_of(self.run)

    def folder_of(self, run: RunFolder) -> Path:
        """Where those of another run of the same dataset would go, such as of an exported model."""
        return results_folder(run, self.split, self.tta, self.dataset.name, self.asked)

    @property
    def title(self) -> str:
        """Model, dataset, split, views and classes."""
        views = f", {TTA[self.tta]}" if TTA[self.tta] else ""
        trained = f" of {self.trained_on}" if self.foreign else ""
        classes = f", {len(self.asked)} classes" if self.asked else ""
        return f"{self.backbone}{trained} on {self.dataset.name}, split {self.split}{views}{classes}"


def results_folder(
    run: RunFolder, split: str, tta: str, data: str | None = None, asked: Sequence[str] | None = None
) -> Path:
    """``evaluate-test``, ``evaluate-test-flip``, ``evaluate-expw-test``, ``evaluate-test-3-classes-1a2b3c``: what one
    dataset, test-time augmentation or choice of classes gave never overwrites another's."""
    parts = ["evaluate"]
    if data and data != run.read_run()["dataset"]:
        parts.append(data.replace("/", "-"))
    parts.append(split)
    if tta != "none":
        parts.append(tta)
    if asked:
        parts.append(f"{len(asked)}-classes-{hashlib.sha256(chr(10).join(asked).encode()).hexdigest()[:6]}")
    return run.path / "-".join(parts)


def ensemble_name(parts: list[str]) -> str:
    """Name of the predictions that speak for the whole run: the mean of its models, or its only model."""
    return "ensemble" if len(parts) > 1 else parts[0]


def last_fingerprint(
    run: RunFolder, split: str, tta: str, data: str | None = None, asked: Sequence[str] | None = None
) -> str | None:
    """Fingerprint of a split as it was last opened; None if it never was. Arguments as of ``last_opening``."""
    found = last_opening(run, split, tta, data, asked)
    return str(found["fingerprint"]) if found else None


def last_opening(
    run: RunFolder, split: str, tta: str, data: str | None = None, asked: Sequence[str] | None = None
) -> dict[str, Any] | None:
    """What was written down when a split was last opened with this test-time augmentation and these classes, None if it
    never was.

    Args:
        run: whose openings.
        split: of the dataset.
        tta: one of ``fer_tl.evaluation.test_time_augmentation.TTA``.
        data: the dataset; None for the run's.
        asked: as in ``Opening``.
    """
    wanted = (tta, list(asked) if asked else None)
    # Openings without 'tta' or 'classes' are older than these options.
    found = [
        entry for entry in openings_of(run, split, data) if (entry.get("tta", "none"), entry.get("classes")) == wanted
    ]
    return found[-1] if found else None


def check_finished(run: RunFolder) -> None:
    """Refuse a run that has parts left to train, or whose configuration is not what it was trained with.

    Raises:
        UserError: naming the parts, and why their training failed if it did.
    """
    run.refuse_edited()
    failures = run.failures
    unfinished = [
        f"{name} failed: {failures[name].partition(';')[0]}" if name in failures else name
        for name in run.parts
        if not run.is_done(name)
    ]
    if unfinished:
        separator = "; " if failures else ", "
        raise UserError(
            f"{run.path} is unfinished ({separator.join(unfinished)}): run its command again to continue it"
        )


def check_split(split: str, verb: str) -> None:
    """Refuse a split that no run may be scored on.

    Raises:
        UserError: ``train``, or no such split.
    """
    if split not in ("validation", "test"):
        hint = "the models were trained on it" if split == "train" else "no such split"
        near = "" if split == "train" else suggest(split, ("validation", "test")).partition("; valid are")[0]
        raise UserError(f"--split {split}: {hint}; {verb} validation or test{near}")


def check_evaluated(split: str | None, tta: str, verb: str) -> None:
    """Refuse what no saved evaluation is of; without a split, held-out predictions are meant.

    Raises:
        UserError: a split that no run may be scored on, no such test-time augmentation, or one without a split.
    """
    if split is not None:
        check_split(split, verb)
    check_tta(tta)
    if tta != "none" and split is None:
        raise UserError(f"--tta {tta} needs --split: only evaluations of a split are made with it")


def prepare_opening(
    run: RunFolder,
    split: str | None,
    tta: str,
    data_dir: Path | str | None,
    data: str | None = None,
    asked: Sequence[str] | None = None,
) -> Opening:
    """Check all that can be checked without a model, and load the split.

    Args:
        run: a finished run.
        split: None for test; of another dataset without it, its only one.
        tta: one of ``fer_tl.evaluation.test_time_augmentation.TTA``.
        data_dir: folder of the built datasets; None for where the run found its own.
        data: the dataset; None for the run's.
        asked: the classes to score, see ``fer_tl.evaluation.class_matching.match_classes``.

    Raises:
        UserError: no run, an unfinished one, a split it was trained on, no such test-time augmentation, classes that do
            not go together, fewer than two groups of images, or results on another build of the dataset that would be
            overwritten.
    """
    check_tta(tta)
    about = run.read_run()
    check_finished(run)
    experiment = run.read_experiment()
    data_dir = data_dir or experiment.data_dir
    data = choose_dataset(data, data_dir) if data else about["dataset"]
    own = data == about["dataset"]
    if own:
        check_split(split or "test", "evaluate opens")
    manifest = read_manifest(dataset_directory(Path(data_dir), data))
    if own and split is None and "test" not in manifest.counts and "validation" in manifest.counts:
        raise UserError(f"{data} has no test split: give --split validation")
    chosen = split or "test" if own else _choose_split(split, manifest)
    matching = match_classes(data, manifest.class_names, about["class_names"], experiment.classes, asked, own)
    items = None if asked is None else matching.model.items
    _refuse_to_overwrite(run, chosen, tta, manifest, items)
    whole = load_dataset(data, data_dir, chosen, "auto", digests=True)
    dataset = merge_dataset(whole, matching.dataset)
    if len(np.unique(dataset.groups)) < 2:
        raise UserError(f"split '{chosen}' of {data} holds a single group of images: two are the least to score")
    trained = _was_trained_on(run, manifest, experiment.classes)
    remark = remark_on(run, chosen, manifest, trained)
    remark += standing_remark(Path(data_dir), run, chosen, manifest) + matching.remark
    remark += recipe_remark(run, manifest)
    lost = left_out(whole, matching.dataset)
    return Opening(
        run=run,
        backbone=experiment.backbone,
        trained_on=about["dataset"],
        split=chosen,
        tta=tta,
        asked=items,
        dataset=dataset,
        fingerprint=whole.fingerprint,
        matching=matching,
        data_dir=Path(data_dir),
        same_build=own and trained,
        remark=remark + (f" Images left out: {lost}." if lost else ""),
    )


def _choose_split(split: str | None, manifest: Manifest) -> str:
    """The split of a dataset that the run was not trained on: any of them is unseen."""
    there = list(manifest.counts)
    if split is None:
        if "test" in there or len(there) == 1:
            return "test" if "test" in there else there[0]
        raise UserError(f"{manifest.dataset} has no split 'test': choose one of {', '.join(there)} with --split")
    if split not in there:
        raise UserError(f"--split {split}: {manifest.dataset} has no such split{suggest(split, there)}")
    return split


def _refuse_to_overwrite(run: RunFolder, split: str, tta: str, manifest: Manifest, asked: Sequence[str] | None) -> None:
    folder = results_folder(run, split, tta, manifest.dataset, asked)
    before = last_fingerprint(run, split, tta, manifest.dataset, asked)
    now = manifest.fingerprints.get(split, "")
    if folder.exists() and before and now and before != now:
        raise UserError(
            f"{folder} holds results on another build of '{manifest.dataset}' (fingerprint {before[:12]}, now "
            f"{now[:12]}): rename that folder to keep them, or delete it, then evaluate again"
        )


def _was_trained_on(run: RunFolder, manifest: Manifest, items: Sequence[str] | None) -> bool:
    """Whether a build's images, of the classes that the run took, are what it was trained on."""
    found = {join_fingerprints(manifest, splits) for splits in (FIT_SPLITS[:1], FIT_SPLITS)}
    if items:
        try:
            class_map = parse_classes(items, manifest.class_names)
        except UserError:  # it does not have these classes
            return False
        found = {class_map.fingerprint(each) for each in found}
    return run.read_run()["fingerprint"] in found


def record_opened(opening: Opening) -> str:
    """Write the opening into the run and the ledger; returns why the latter could not be written, or ""."""
    dataset = opening.dataset
    entry = describe_opening(dataset.name, opening.split, len(dataset), opening.fingerprint, opening.tta, opening.asked)
    entry |= {"same_build": opening.same_build}
    entry |= {"left_out": len(opening.left_out)} if opening.left_out else {}
    return write_opening(opening.data_dir, opening.run, entry)
