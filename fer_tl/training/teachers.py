"""Teachers of a student: finished cross validations, whose out-of-fold answers become part of what it aims at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.checksums import checksum
from fer_tl.core.config import Distill, Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import name_runs
from fer_tl.data.dataset import Dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.folds import count_split
from fer_tl.data.manifest import read_manifest
from fer_tl.data.merging import merged_fingerprint
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import Lineage, join_lineages, read_lineage, starts_anew
from fer_tl.runs.part import check_part
from fer_tl.runs.predictions import join_repetitions, load_fold_predictions, softmax


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished cross validation that answers for every training image.

    Attributes:
        name: of its folder, or the path where two are called the same.
        backbone: what it trained.
        fingerprint: SHA-256 in hex over its saved predictions, fold after fold.
        logits: float32 ``[R, M, K]`` of the M training images, in the order of the student's dataset: of each from the
            fold that held it out, in each of the R repetitions.
        lineage: what its folds were trained on.
    """

    name: str
    backbone: str
    fingerprint: str
    logits: np.ndarray
    lineage: Lineage

    def describe(self) -> dict[str, Any]:
        """What the student's ``run.json`` says of it."""
        return {"run": self.name, "backbone": self.backbone, "predictions": self.fingerprint}


def check_teachers(experiment: Experiment) -> dict[str, RunFolder]:
    """The folders of an experiment's teachers by name, after what can be checked without the student's images.

    Raises:
        UserError: a run twice, no run, no cross validation, an unfinished one, folds that leak, or another dataset.
    """
    named = name_runs(experiment.distill.teachers or (), "a run teaches once")
    runs = {name: RunFolder(path) for name, path in named.items()}
    for run in runs.values():
        _check_run(run, experiment.data)
    return runs


def _check_run(run: RunFolder, data: str) -> None:
    about = run.read_run("class_names")
    if about["kind"] != "cv":
        raise UserError(
            f"{run.path} is not a cross validation: its model has trained on the images that it would answer for; "
            "a teacher comes from fer-tl cv"
        )
    run.refuse_edited()
    if about["dataset"] != data:
        raise UserError(
            f"{run.path} was trained on '{about['dataset']}', the student's data are '{data}': they have to be the same"
        )
    unfinished = [name for name in run.parts if not run.is_scored(name)]
    if unfinished:
        raise UserError(
            f"{run.path} is unfinished ({', '.join(unfinished)}): run its command again to continue it, a teacher "
            "answers for every training image"
        )
    if not run.read_experiment().group_folds:
        raise UserError(
            f"{run.path} was trained with group_folds false: its folds answer for copies of what they trained on, "
            "cross-validate it with grouped folds"
        )


def read_teachers(experiment: Experiment, dataset: Dataset) -> tuple[Teacher, ...]:
    """The teachers of an experiment with their answers.

    Args:
        experiment: of the student; without teachers, there are none.
        dataset: its training and validation split, with its classes.

    Raises:
        UserError: as ``check_teachers``; no validation split; other classes or another build of the dataset; damaged
            predictions, or ones that are not finite.
    """
    runs = check_teachers(experiment)
    if not runs:
        return ()
    if not (dataset.splits == "validation").any():
        raise UserError(
            f"'{dataset.name}' has no validation split to score a student on: the teachers' folds have trained on any "
            "training image that was held out instead; build it with one"
        )
    manifest = read_manifest(dataset_directory(Path(experiment.data_dir), experiment.data))
    fingerprint = merged_fingerprint(manifest, ("train",), experiment.classes)
    return tuple(_read_teacher(name, run, dataset, fingerprint) for name, run in runs.items())


def _read_teacher(name: str, run: RunFolder, dataset: Dataset, fingerprint: str) -> Teacher:
    about = run.read_run("class_names")
    if about["class_names"] != list(dataset.class_names):
        raise UserError(
            f"{run.path} knows the classes {', '.join(about['class_names'])}, the student learns "
            f"{', '.join(dataset.class_names)}: give both the same --classes"
        )
    if about["fingerprint"] != fingerprint:
        raise UserError(
            f"{run.path} was trained on another build of '{dataset.name}' (fingerprint {about['fingerprint'][:12]}, of "
            f"the student {fingerprint[:12]}): name the folder of that build with --data-dir"
        )
    training = dataset.splits == "train"
    ids, groups = dataset.ids[training], dataset.groups[training]
    if leaking := count_split(run.read_fold_table(ids), groups):
        raise UserError(
            f"the folds of {run.path} leak: {leaking:,} images have one of their group in another fold, so that folds "
            "answer for copies of what they trained on"
        )
    for part in run.parts:
        check_part(run.part(part), ("predictions.npz",))
    found = []
    for answers in join_repetitions(load_fold_predictions(run, ids, run.parts), run.repeats):
        if not np.isfinite(answers.logits).all():
            raise UserError(f"{run.path} predicts numbers that are not finite: its training diverged, leave it out")
        row_of = np.argsort(answers.ids)
        found.append(answers.logits[row_of[np.searchsorted(answers.ids, ids, sorter=row_of)]])
    logits = np.stack(found)
    return Teacher(name, run.read_experiment().backbone, answers_fingerprint(run), logits, _lineage(name, run))


def _lineage(name: str, run: RunFolder) -> Lineage:
    """What the folds of a teacher have learnt, the student's own training images aside where no record is left."""

    def of_part(part: str) -> Lineage:
        try:
            return read_lineage(run.part(part) / "model.keras", name)
        except UserError:  # it may have been deleted: only its answers teach
            return Lineage(unknown=(name,))

    found = join_lineages(map(of_part, run.parts))
    known = found.unknown == (name,) and starts_anew(run.read_experiment())
    return Lineage(found.digests) if known else found


def answers_fingerprint(run: RunFolder) -> str:
    """SHA-256 in hex over those of the predictions of all folds of a teacher."""
    sums = [checksum(run.part(part) / "predictions.npz").sha256 for part in run.parts]
    return hashlib.sha256("".join(sums).encode()).hexdigest()


def teach(dataset: Dataset, teachers: Sequence[Teacher], settings: Distill) -> Dataset:
    """A dataset whose training images aim at the teachers' answers too.

    The target of a training image is ``share * p + (1 - share) * t``: p the mean over the teachers, of each over its
    repetitions, of ``softmax(logits / temperature)``, t its label, or its shares of people's votes where the dataset
    has them. The loss is linear in the target: this is the weighted sum of the losses against both. Unlike in Hinton et
    al. (2015) the temperature is the teachers' alone, the student's logits are not divided.

    Args:
        dataset: training and validation images; the targets of the latter stay as they are.
        teachers: none leaves the dataset as it is.
        settings: the share and the temperature.
    """
    if not teachers:
        return dataset
    training = dataset.splits == "train"
    each = [softmax(teacher.logits / settings.temperature).mean(axis=0) for teacher in teachers]  # [M, K] each
    answers = np.mean(each, axis=0)  # [M, K]
    targets = dataset.targets
    if targets is None:
        targets = np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels]  # [N, K]
    mixed = targets.astype(np.float64)
    mixed[training] = settings.share * answers + (1 - settings.share) * mixed[training]
    return replace(dataset, targets=mixed.astype(np.float32))


def refuse_other_teachers(run: RunFolder, teachers: Sequence[Teacher]) -> None:
    """Make sure that a student which is here, if any, was begun with these answers.

    Raises:
        UserError: with others: its teachers were trained again since.
    """
    if not (run.path / "run.json").exists():
        return
    before = [each["predictions"] for each in run.read_run().get("teachers", [])]
    for number, teacher in enumerate(teachers):
        found = before[number] if number < len(before) else "none"
        if found != teacher.fingerprint:
            raise UserError(
                f"{run.path} was begun with other answers of its teacher {teacher.name} (fingerprint {found[:12]}, now "
                f"{teacher.fingerprint[:12]}): give another --run-dir"
            )
