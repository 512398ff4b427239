"""Runs that are compared, finished or not: opened, brought into one order, and what keeps them from being paired."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import name_runs
from fer_tl.evaluation.finished_runs import open_member
from fer_tl.evaluation.open_split import check_evaluated
from fer_tl.evaluation.openings import key_of_run, read_ledger
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import Imported, read_import, refuse_opened
from fer_tl.runs.part import NUMBER, TIMING, check_part, known_seconds, read_keys, read_result
from fer_tl.runs.predictions import Predictions, join_predictions, load_predictions
from fer_tl.runs.refits import refuse_refit


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run, and what of it is compared: N examples.

    Attributes:
        name: its row in the tables.
        path: as given.
        run: its folder.
        about: ``run.json``.
        settings: of its experiment, by dotted option name, as it was trained.
        done: names of the parts that are done.
        failures: why the training of a part failed, by its name.
        fingerprint: of the data that was predicted; None if the run does not say.
        predictions: ids in their order as text, of a repeated cross validation each once for every repetition; None
            while no part is done.
        folds: int64 ``[N]``, which part predicted each example.
        keys: text ``[N]``, unique: the id, and the repetition if there are several.
        differs: how it differs from the first, so that the two cannot be paired; empty if it does not.
        trainings: the runs that it stands for, which differ in their seed alone, see
            ``fer_tl.evaluation.trainings``: predictions, folds and keys are then theirs, one after the other, all else
            that of the first; empty for a single run.
    """

    name: str
    path: str
    run: RunFolder
    about: dict[str, Any]
    settings: dict[str, Any]
    done: tuple[str, ...]
    failures: dict[str, str]
    fingerprint: str | None
    predictions: Predictions | None
    folds: np.ndarray
    keys: np.ndarray
    differs: str = ""
    trainings: tuple[ComparedRun, ...] = ()

    @property
    def repeats(self) -> int:
        """How often a cross validation is repeated, else 1."""
        return self.run.repeats if self.about["kind"] == "cv" else 1

    @property
    def imported(self) -> Imported | None:
        """Where its predictions come from if another framework made them."""
        return read_import(self.about)

    @property
    def is_whole(self) -> bool:
        """Whether all its parts are done."""
        return len(self.done) == len(self.about["parts"])

    @property
    def state(self) -> str:
        """Empty for a whole run, else how much of it is done."""
        if self.is_whole:
            return ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        unit = "folds" if self.about["kind"] == "cv" else "models"
        return f"{len(self.done)} of {len(self.about['parts'])} {unit}{failed}"

    @property
    def seconds(self) -> float | None:
        """What its done parts took to train and predict; None if none is done, or one does not say. Of several
        trainings, their mean."""
        if self.trainings:
            return _mean(each.seconds for each in self.trainings)
        seconds = [known_seconds(self.run.part(name)) for name in self.done]
        return sum(filter(None, seconds)) if seconds and None not in seconds else None

    @property
    def images_per_second(self) -> float | None:
        """Training images over the time of their epochs, of the parts that say it; None if none does. Of several
        trainings, their mean."""
        if self.trainings:
            return _mean(each.images_per_second for each in self.trainings)
        images, seconds = 0.0, 0.0
        for folder in map(self.run.part, self.done):
            with contextlib.suppress(UserError):  # no file, as in version 0.1.0, or a damaged one
                epochs = read_keys(folder / TIMING, {"epoch_seconds": list}, "")["epoch_seconds"]
                if not all(type(each) in NUMBER and 0 <= each < 1e9 for each in epochs):
                    continue
                images += len(epochs) * read_result(folder).get("trained_on", 0)
                seconds += sum(epochs)
        return images / seconds if images and seconds else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def open_runs(run_dirs: Sequence[Path | str], split: str | None, tta: str) -> tuple[ComparedRun, ...]:
    """Read what runs predicted.

    Args:
        run_dirs: each once.
        split: ``test`` or ``validation``, as evaluated before; None for out-of-fold and held-out predictions.
        tta: one of ``fer_tl.evaluation.test_time_augmentation.TTA``, with a split only.

    Raises:
        UserError: a bad value, the same run twice, no run, predictions that are missing, damaged or changed, or with a
            split an unfinished run.
    """
    check_evaluated(split, tta, "runs are compared on")
    named = name_runs(run_dirs, "name each run once")
    found = [_open(name, path, split, tta) for name, path in named.items()]
    taken = [run.name for run in found]
    return tuple(replace(run, name=_name_of_export(run, taken)) for run in found)


def _name_of_export(run: ComparedRun, taken: Sequence[str]) -> str:
    """Of an exported model the run that it was made of and the export; of others, and where another row is called so,
    the name that it has."""
    said = run.imported
    name = f"{said.run} {said.export}" if said and said.export else run.name
    return run.name if name in taken else name


def count_opened(runs: Sequence[ComparedRun], split: str, data_dir: Path | str | None) -> int:
    """How many models a split was opened for, by the ledger of the first run's data folder: these runs, whether it
    knows them or not, and the others that it has.

    Raises:
        UserError: a ledger that cannot be read.
    """
    first = runs[0]
    place = Path(data_dir or first.run.read_experiment().data_dir)
    dataset = first.about["dataset"]
    known = {entry["run"] for entry in read_ledger(place) if (entry["dataset"], entry["split"]) == (dataset, split)}
    return len(known | {key_of_run(run.run) for run in runs})


def _open(name: str, path: Path, split: str | None, tta: str) -> ComparedRun:
    run = RunFolder(path)
    about = run.read_run()
    settings = _settings(run)
    done = tuple(part for part in about["parts"] if run.is_scored(part))
    fingerprint: str | None = about["fingerprint"]
    if split:
        member = open_member(name, path)
        fingerprint = member.fingerprint(split, tta)
        parts = [member.split_predictions(split, tta)]
    else:
        refuse_refit(path, "compare it by what fer-tl evaluate saved, with --split test")
        refuse_opened(path, "compare it with --split {split}")
        for part in done:
            check_part(run.part(part), ("predictions.npz",))
        parts = [load_predictions(run.part(part) / "predictions.npz") for part in done]
    if parts and not split:
        run.refuse_untrue("class_names", list(parts[0].class_names))
    # Part numbers, where parts before it are missing.
    numbers = [0] if split else [about["parts"].index(part) for part in done]
    nothing = None, np.zeros(0, np.int64), np.zeros(0, str)
    each_has = len(about["parts"]) // run.repeats if run.repeats > 1 and not split else None
    predictions, folds, keys = _joined(path, parts, numbers, each_has) if parts else nothing
    images, found = about.get("images"), len(folds) // run.repeats
    if not split and about["kind"] == "cv" and images and len(done) == len(about["parts"]) and found != images:
        raise UserError(
            f"{path} holds predictions of {found:,} of its {images:,} images: one of its folds is another "
            "run's; train it again in another folder"
        )
    return ComparedRun(name, str(path), run, about, settings, done, run.failures, fingerprint, predictions, folds, keys)


def _settings(run: RunFolder) -> dict[str, Any]:
    """What was asked for, with the seed by which its folds were drawn, also where that is the only seed there is, and
    the precision that it was trained in, also where a trial chose it; of predictions that were imported, only what made
    them."""
    if imported := read_import(run.read_run()):
        return {"backbone": imported.model}
    found = run.read_run().get("settings") or identity(run.read_experiment())  # runs of version 0.1.0 do not have them
    given, drawn_by = found.get("fold_table"), found.get("fold_seed")
    taken = {"precision": run.precision(found["precision"])} if "precision" in found else {}
    return {**found, **taken, "fold_seed": None if given else found.get("seed") if drawn_by is None else drawn_by}


def _joined(
    path: Path, parts: Sequence[Predictions], numbers: Sequence[int], folds: int | None
) -> tuple[Predictions, np.ndarray, np.ndarray]:
    """Predictions of several parts in the order of their keys, the number of the part that each is from, and the keys.

    Args:
        path: of the run, for messages.
        parts: their predictions.
        numbers: of these parts in the run.
        folds: parts of one repetition; None where each image is predicted once.
    """
    if any(part.class_names != parts[0].class_names for part in parts):
        raise UserError(
            f"the parts of {path} know other classes: one of them is another run's; put its own back, or train "
            "the run again in another folder"
        )
    joined = join_predictions(parts)
    if not np.isfinite(joined.logits).all():
        raise UserError(f"{path} predicts numbers that are not finite: its training diverged, leave it out")
    part_of = np.repeat(numbers, [len(part.ids) for part in parts])  # [N]
    keys = joined.ids
    if folds:
        keys = np.array([f"{i}\n{n // folds}" for i, n in zip(joined.ids.tolist(), part_of.tolist(), strict=True)])
    order = np.argsort(keys, kind="stable")
    ids, keys = joined.ids[order], keys[order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        raise UserError(
            f"{path} predicts '{ids[twice[0]]}' twice: one of its parts is another run's; put its own "
            "back, or train the run again in another folder"
        )
    return Predictions(ids, joined.labels[order], joined.logits[order], joined.class_names), part_of[order], keys
