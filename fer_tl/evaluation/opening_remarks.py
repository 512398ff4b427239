"""What a reader must know of an opened split, in a sentence each."""

from __future__ import annotations

from pathlib import Path

from fer_tl.data.manifest import Manifest
from fer_tl.evaluation.openings import openings_of, standing
from fer_tl.runs.folder import RunFolder


def recipe_remark(run: RunFolder, manifest: Manifest) -> str:
    """That the images of a dataset were made otherwise than those of the training, "" if they were not."""
    trained, here = run.read_recipe(), manifest.recipe
    if trained == here:
        return ""
    return (
        f" These images were made otherwise than those of the training ({here.describe()}; then {trained.describe()})."
    )


def remark_on(run: RunFolder, split: str, manifest: Manifest, trained: bool) -> str:
    """What is known before the split is opened; each sentence with a blank before it."""
    about, data = run.read_run(), manifest.dataset
    times = len(openings_of(run, split, data))
    before = f" was opened {times} time{'s' if times > 1 else ''} before: do not choose by it."
    remark = ""
    if data != about["dataset"]:
        if split != "test" and len(manifest.counts) == 1:
            remark += f" {data} has no split but {split}: all of it is scored."
        if times:
            remark += f" Split {split} of {data}{before}"
        if trained:
            remark += f" The run was trained on the images of {data}, under the name {about['dataset']}."
        return remark
    if times and split == "test":
        remark += f" The test split{before}"
    if not trained:
        what = "what the run was trained on" if "train" in manifest.fingerprints else "there to compare"
        remark += f" This build's training data is not {what}."
    return remark


def standing_remark(data_dir: Path, run: RunFolder, split: str, manifest: Manifest) -> str:
    """Which of the models of this data folder the run is for which a split is opened that nothing may be chosen by: the
    test split, or any of a dataset that the run does not know."""
    if split != "test" and manifest.dataset == run.read_run()["dataset"]:
        return ""
    found = standing(data_dir, manifest.dataset, split, run, opening=True)
    if found.models == 1:
        return ""
    return f" Split {split} of {manifest.dataset}: {found}. Whoever takes the best of them has chosen on it."
