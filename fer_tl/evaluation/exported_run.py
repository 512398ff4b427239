"""An exported model as a run with answers: on the images that its training held out, or on a split that is opened.

What a quantized file answers is no longer what the run answers: it stands beside it in ``compare`` as a row of its own,
on the same images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest
from fer_tl.data.merging import merged_fingerprint
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.answers_run import describe_answers, write_parts, write_place
from fer_tl.evaluation.given_predictions import FLOOR
from fer_tl.evaluation.learnt_images import leave_out_learnt, write_left_out
from fer_tl.evaluation.open_split import Opening, prepare_opening, record_opened
from fer_tl.evaluation.run_dataset import FOLD_OF, find_dataset, held_out_predictions
from fer_tl.runs.exports import Exported
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import Imported, read_import
from fer_tl.runs.part import OF_IMPORT, check_part
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions
from fer_tl.runs.run_file import EXPORTED, REFIT, refuse_strangers

# uint8 [B, H, W, C] to probabilities float32 [B, K].
Answer = Callable[[np.ndarray], np.ndarray]
_BATCH = 64
ALL = "all"


@dataclass(frozen=True, eq=False)
class ExportTarget:
    """What an exported model is scored on.

    Attributes:
        source: the run that it was made of.
        exported: the model.
        run: where its answers go.
        dataset: the images, with the classes of the run.
        data_dir: folder of the built datasets.
        held_out: such as ``fold 0 of 4`` or ``split test``.
        opening: of a split; None for held-out images.
    """

    source: RunFolder
    exported: Exported
    run: RunFolder
    dataset: Dataset
    data_dir: Path
    held_out: str
    opening: Opening | None

    @property
    def title(self) -> str:
        """Which model on which images."""
        return f"{self.exported.name} of {self.source.path.name} on {self.dataset.name}, {self.held_out}"


def held_out_target(source: RunFolder, exported: Exported, data_dir: Path | str | None) -> ExportTarget:
    """The images that the training of an exported model held out.

    Raises:
        UserError: a model that has learnt all of them, no dataset, or answers of another file where these would go.
    """
    about = source.read_run("class_names")
    if refusal := why_none_held_out(source, exported):
        raise UserError(f"{exported.folder} {refusal}: score it on a split, such as --split validation")
    found, missing = find_dataset(source, data_dir, "stream")
    if found is None:
        raise UserError(f"{missing}. If it is elsewhere, name its folder with --data-dir")
    part = exported.parts[0]
    check_part(source.part(part), OF_IMPORT)
    (original,) = held_out_predictions(source, found.dataset.ids, [part])
    row_of = {identity: row for row, identity in enumerate(found.dataset.ids.tolist())}
    chosen = found.dataset.select(np.array([row_of[identity] for identity in original.ids.tolist()]))
    dataset = replace(chosen, labels=original.labels, class_names=original.class_names, targets=None)
    scored = about["held_out"]
    if about["kind"] == "cv":
        scored = f"{FOLD_OF}{source.parts.index(part)} of {len(source.parts)}"
    return _target(source, exported, dataset, found.data_dir, scored, None)


def why_none_held_out(source: RunFolder, exported: Exported) -> str:
    """Why there are no images that an exported model has not learnt, among those of its training; "" if there are."""
    if source.read_run()["kind"] == REFIT:
        return "is of a model that learnt all images of the training"
    return "is the mean of all folds, and each image is in the training of some" if len(exported.parts) > 1 else ""


def split_target(source: RunFolder, exported: Exported, split: str, data_dir: Path | str | None) -> ExportTarget:
    """A split that is to be opened for an exported model, without what the run has learnt.

    Raises:
        UserError: as of ``prepare_opening`` and ``leave_out_learnt``; or answers of another file where these would go.
    """
    opening = leave_out_learnt(prepare_opening(source, split, "none", data_dir))
    return _target(source, exported, opening.dataset, opening.data_dir, f"split {split}", opening)


def _target(
    source: RunFolder, exported: Exported, dataset: Dataset, data_dir: Path, scored: str, opening: Opening | None
) -> ExportTarget:
    run = RunFolder(source.path / f"{EXPORTED}{exported.folder.resolve().name}")
    if not (run.path / "run.json").exists():
        refuse_strangers(run.path, "name to the export")
    elif (said := read_import(run.read_run())) is None or said.sha256 != exported.sha256:
        raise UserError(
            f"{run.path} holds the answers of another file than {exported.path} (it was exported anew since): rename "
            "that folder to keep them, or delete it, then evaluate again"
        )
    return ExportTarget(source, exported, run, dataset, data_dir, scored, opening)


def known_answers(target: ExportTarget) -> Predictions | None:
    """What was saved of the same file and the same images; None where that is nothing.

    Raises:
        UserError: damaged predictions.
    """
    if not (target.run.path / "run.json").is_file():
        return None
    if target.opening:
        file = _split_file(target)
        known = load_predictions(file) if file.is_file() else None
    elif target.run.is_done("model"):
        check_part(target.run.part("model"), OF_IMPORT)
        known = load_predictions(target.run.part("model") / OF_IMPORT[0])
    else:
        known = None
    same = known is not None and np.array_equal(known.ids, target.dataset.ids)
    return known if same else None


def answer_target(target: ExportTarget, answer: Answer, say: Say) -> Predictions:
    """Let an exported model answer, and write it down; an opening of a split before anything is predicted.

    Args:
        target: what it answers for, nothing of which is known yet.
        answer: the model.
        say: told where the ledger of the data folder cannot be written.
    """
    run = target.run
    if not (run.path / "run.json").exists():
        _begin(target)
    if target.opening:
        opening = replace(target.opening, run=run)
        if unwritten := record_opened(opening):
            say(unwritten)
        write_left_out(opening.folder, opening.left_out)
    found = _predict(target, answer)
    if not run.is_done("model"):
        write_parts(run, ["model"], None, found)
    if target.opening:
        save_predictions(_split_file(target), found)
    return found


def _predict(target: ExportTarget, answer: Answer) -> Predictions:
    dataset = target.dataset
    parts = [answer(dataset.images[start : start + _BATCH]) for start in range(0, len(dataset), _BATCH)]
    values = np.concatenate(parts).astype(np.float64)  # [N, K]
    if not np.isfinite(values).all():
        raise UserError(f"{target.exported.path} answers numbers that are not finite: export the model again")
    logits = np.log(np.maximum(values / values.sum(axis=1, keepdims=True), FLOOR))
    columns = [target.exported.class_names.index(name) for name in dataset.class_names]
    return Predictions(dataset.ids, dataset.labels, logits[:, columns].astype(np.float32), dataset.class_names)


def count_zeros(found: Predictions) -> int:
    """For how many images the file gives the true class the probability 0, as 8-bit integers do below 1/512."""
    return int((found.probabilities[np.arange(len(found.ids)), found.labels] < 2 * FLOOR).sum())


def _begin(target: ExportTarget) -> None:
    source, exported = target.source, target.exported
    about, classes = source.read_run(), source.read_experiment().classes
    fingerprint = about["fingerprint"]
    if target.opening:
        manifest = read_manifest(dataset_directory(target.data_dir, about["dataset"]))
        fingerprint = merged_fingerprint(manifest, FIT_SPLITS, classes)
    part = ALL if len(exported.parts) > 1 else exported.parts[0]
    name = source.path.resolve().name
    said = Imported(
        f"{source.read_experiment().backbone}, {exported.name}",
        exported.file,
        exported.sha256,
        False,
        export=exported.name,
        run=name,
        part=part,
        milliseconds=exported.milliseconds,
    )
    leak = about.get("split_over_folds", 0) if about["kind"] == "cv" and not target.opening else 0
    described = describe_answers(
        about["dataset"],
        fingerprint,
        target.dataset.class_names,
        len(target.dataset),
        None,
        target.held_out,
        said,
        leak,
    )
    write_place(target.run.path, about["dataset"], target.data_dir, classes)
    write_json(target.run.path / "run.json", described | ({"opened": True} if target.opening else {}))


def _split_file(target: ExportTarget) -> Path:
    assert target.opening
    return target.opening.folder_of(target.run) / "model.npz"
