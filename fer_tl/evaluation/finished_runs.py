"""Members of an ensemble: finished runs, what they saved, and how their predictions are brought together."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import name_runs
from fer_tl.evaluation.learnt_images import read_left_out
from fer_tl.evaluation.open_split import check_finished, ensemble_name, last_fingerprint, results_folder
from fer_tl.evaluation.soft_voting import soft_vote
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import read_import, refuse_opened
from fer_tl.runs.predictions import Predictions, join_repetitions, load_fold_predictions, load_predictions
from fer_tl.runs.refits import refuse_refit


@dataclass(frozen=True)
class Member:
    """A finished run that votes.

    Attributes:
        name: its row in the tables.
        path: as given.
        run: its folder.
        kind: ``cv`` or ``train``.
        backbone: what it trained.
        dataset: on what.
        data_dir: where the built dataset was.
        held_out: what its own predictions are of: ``out of fold``, or such as ``split validation``.
    """

    name: str
    path: str
    run: RunFolder
    kind: str
    backbone: str
    dataset: str
    data_dir: str
    held_out: str

    @property
    def repeats(self) -> int:
        """How often it is repeated: so many models answer for an image in ``own_predictions``."""
        return self.run.repeats

    def own_predictions(self) -> tuple[Predictions, np.ndarray]:
        """Its predictions of images unseen in training, and their folds int64 ``[N]``, 0 for all of
        a single fit. Of a repeated cross validation each image once: the mean of what its repetitions answered, and the
        folds of the first one.

        Raises:
            UserError: a refit, which has none; damaged predictions, or repetitions of which one diverged.
        """
        refuse_refit(self.run.path, "ask the cross validation, or score it on a split with fer-tl evaluate")
        refuse_opened(self.run.path, "it votes on --split {split} alone, with equal weights")
        if self.kind != "cv":
            predictions = load_predictions(self.run.part("model") / "predictions.npz")
            return predictions, np.zeros(len(predictions.ids), dtype=np.int64)
        held_out = [load_predictions(self.run.part(part) / "predictions.npz").ids for part in self.run.parts]
        # Loaded again to be checked against the fold table: 0.1 s for FER-2013.
        parts = load_fold_predictions(self.run, np.unique(np.concatenate(held_out)))
        first, *others = repetitions = join_repetitions(parts, self.repeats)
        sizes = [len(part.ids) for part in parts[: len(parts) // self.repeats]]
        folds = np.repeat(np.arange(len(sizes)), sizes)
        if not others:
            return first, folds
        for each in repetitions:
            _refuse_diverged(self, each)
        return soft_vote([each.in_order_of(first.ids) for each in repetitions]), folds

    def split_predictions(self, split: str, tta: str) -> Predictions:
        """What ``fer-tl evaluate`` saved of a split.

        Raises:
            UserError: nothing; with the command that makes it.
        """
        file = results_folder(self.run, split, tta) / f"{ensemble_name(self.run.parts)}.npz"
        if not file.is_file():
            option = f" --tta {tta}" if tta != "none" else ""
            if imported := read_import(self.run.read_run()):
                way = f"import those of {imported.model} into it with `fer-tl import-predictions` (without --tta)"
                way = (
                    f"give `fer-tl ensemble` this --split{' and --tta' if option else ''}" if imported.members else way
                )
                raise UserError(f"{self.path} holds no predictions of split '{split}'{option}: {way}")
            raise UserError(
                f"{self.path} has no saved predictions of split '{split}'{f' with{option}' if option else ''}: "
                f"run `fer-tl evaluate {shlex.quote(self.path)} --split {split}{option}` first"
            )
        return load_predictions(file)

    def left_out(self, split: str, tta: str) -> set[str]:
        """Ids of the split that its evaluation left out, since it had learnt them."""
        return read_left_out(results_folder(self.run, split, tta))

    def fingerprint(self, split: str | None, tta: str) -> str | None:
        """Of the images that were predicted; None if the run does not say."""
        return last_fingerprint(self.run, split, tta) if split else str(self.run.read_run()["fingerprint"])


def open_members(run_dirs: Sequence[Path | str]) -> tuple[Member, ...]:
    """Read the runs of an ensemble.

    Raises:
        UserError: fewer than two, the same one twice, no run, or an unfinished one.
    """
    if len(run_dirs) < 2:
        raise UserError("an ensemble needs two runs or more: fer-tl ensemble RUN RUN ...")
    named = name_runs(run_dirs, "a run votes once", taken=["ensemble"])
    return tuple(open_member(name, path) for name, path in named.items())


def open_member(name: str, path: Path) -> Member:
    """Read a run as a member called ``name``.

    Raises:
        UserError: no run, or an unfinished one.
    """
    run = RunFolder(path)
    about = run.read_run()
    check_finished(run)
    experiment, imported = run.read_experiment(), read_import(about)
    backbone = imported.model if imported else experiment.backbone
    held_out = "out of fold" if about["kind"] == "cv" else about["held_out"]
    return Member(name, str(path), run, about["kind"], backbone, about["dataset"], experiment.data_dir, held_out)


def match(members: Sequence[Member], predictions: Sequence[Predictions]) -> tuple[Predictions, ...]:
    """The predictions of all members with the examples in the order of the first one's, matched by id, and the classes
    in its order, matched by name.

    Raises:
        UserError: other classes, other ids, other labels, or a diverged run, with the run that differs and how.
    """
    for member, given in zip(members, predictions, strict=True):
        _refuse_diverged(member, given)
    first = predictions[0]
    matched = [first]
    for member, given in zip(members[1:], predictions[1:], strict=True):
        _refuse_other_classes(members[0], first, member, given)
        _refuse_other_ids(members[0], first, member, given)
        given = given.in_order_of(first.ids)
        columns = [given.class_names.index(name) for name in first.class_names]
        labels = np.argsort(columns)[given.labels]  # [N], in the first member's classes
        wrong = np.flatnonzero(labels != first.labels)
        if len(wrong):
            row = wrong[0]
            raise UserError(
                f"{member.path} and {members[0].path} have other labels for {len(wrong):,} of {len(labels):,} images: "
                f"'{first.ids[row]}' is {first.class_names[labels[row]]} in the one, "
                f"{first.class_names[first.labels[row]]} in the other; train both on the same build"
            )
        matched.append(Predictions(first.ids, labels, given.logits[:, columns], first.class_names))
    return tuple(matched)


def _refuse_diverged(member: Member, given: Predictions) -> None:
    if not np.isfinite(given.logits).all():
        raise UserError(f"{member.path} predicts numbers that are not finite: its training diverged, leave it out")


def _refuse_other_classes(one: Member, first: Predictions, other: Member, given: Predictions) -> None:
    lacking = [name for name in first.class_names if name not in given.class_names]
    extra = [name for name in given.class_names if name not in first.class_names]
    if lacking or extra:
        parts = [f"only {one.path} has {', '.join(lacking)}"] if lacking else []
        parts += [f"only {other.path} has {', '.join(extra)}"] if extra else []
        raise UserError(f"{other.path} and {one.path} know other classes: {'; '.join(parts)}")


def _refuse_other_ids(one: Member, first: Predictions, other: Member, given: Predictions) -> None:
    parts = []
    for member, ids, others in ((one, first.ids, given.ids), (other, given.ids, first.ids)):
        alone = np.setdiff1d(ids, others)
        if len(alone):
            parts.append(f"{len(alone):,} of {len(ids):,} are only in {member.path}, such as '{alone[0]}'")
    if parts:
        advice = "; --split test scores both on the same images" if one.held_out != other.held_out else ""
        raise UserError(f"{other.path} and {one.path} predict other images: {'; '.join(parts)}{advice}")
