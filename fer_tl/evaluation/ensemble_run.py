"""An ensemble as a run with answers and no model, so that it is compared, and votes, like any other."""

from __future__ import annotations

from pathlib import Path

from fer_tl.core.files import write_json
from fer_tl.evaluation.answers_run import describe_answers, write_parts, write_place
from fer_tl.evaluation.ensemble import FILE, Ensemble
from fer_tl.evaluation.open_split import results_folder
from fer_tl.evaluation.openings import describe_opening
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import Imported
from fer_tl.runs.part import OPENINGS
from fer_tl.runs.predictions import save_predictions
from fer_tl.runs.run_file import RUN


def write_vote(folder: Path, ensemble: Ensemble) -> str:
    """Write what makes the folder of an ensemble a run.

    It opens no split: its members' evaluations did.

    Args:
        folder: of the ensemble.
        ensemble: whose answers are written.

    Returns:
        Why it cannot be compared with runs, or "".
    """
    first, predictions = ensemble.members[0], ensemble.predictions["ensemble"]
    held_out = {member.held_out for member in ensemble.members}
    if why := _why_not(ensemble, held_out):
        (folder / RUN).unlink(missing_ok=True)  # of an earlier one, of which other members were evaluated since
        return why
    run, folds = RunFolder(folder), ensemble.folds
    about = describe_answers(
        first.dataset,
        ensemble.fingerprints[0] or "",
        predictions.class_names,
        len(predictions.ids),
        folds,
        f"split {ensemble.split}" if ensemble.split else held_out.pop(),
        Imported(f"soft vote of {len(ensemble.members)}", FILE, "", False, tuple(e.name for e in ensemble.members)),
        max(member.run.read_run().get("split_over_folds", 0) for member in ensemble.members),
    ) | ({"opened": True} if ensemble.split else {})
    classes = first.run.read_experiment().classes
    (folder / RUN).unlink(missing_ok=True)  # written last: until then it is not a run
    write_place(folder, first.dataset, first.data_dir, classes, predictions.ids, folds)
    write_parts(run, about["parts"], folds, predictions)
    if ensemble.split:
        save_predictions(_evaluation(folder, ensemble) / "model.npz", predictions)
        entry = describe_opening(
            first.dataset, ensemble.split, len(predictions.ids), ensemble.fingerprints[0] or "", ensemble.tta
        )
        write_json(folder / OPENINGS, [entry | {"members": [member.name for member in ensemble.members]}])
    write_json(folder / RUN, about)
    return ""


def _why_not(ensemble: Ensemble, held_out: set[str]) -> str:
    if len({member.dataset for member in ensemble.members}) > 1 or len(set(ensemble.fingerprints)) > 1:
        return "Its members saw different builds of the data, so compare does not take it."
    if ensemble.split is None and (len(held_out) > 1 or (held_out == {"out of fold"} and ensemble.folds is None)):
        return "Its members have different folds, so compare does not take it."
    return ""


def _evaluation(folder: Path, ensemble: Ensemble) -> Path:
    assert ensemble.split
    return folder / results_folder(ensemble.members[0].run, ensemble.split, ensemble.tta).name
