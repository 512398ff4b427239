"""An ensemble as a run with answers and no model, so that it is compared, and votes, like any other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_tl.core.files import write_json
from fer_tl.data.folds import write_folds
from fer_tl.evaluation.ensemble import FILE, Ensemble
from fer_tl.evaluation.import_run import write_parts
from fer_tl.evaluation.open_split import results_folder
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.imports import OUT_OF_FOLD, Imported
from fer_tl.runs.part import OPENINGS
from fer_tl.runs.predictions import save_predictions
from fer_tl.runs.run_file import IMPORTED, RUN


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
    kind = "train" if folds is None else "cv"
    about: dict[str, Any] = {
        "kind": kind,
        "parts": ["model"] if folds is None else [f"fold-{fold}" for fold in range(int(folds.max()) + 1)],
        "dataset": first.dataset,
        "fingerprint": ensemble.fingerprints[0] or "",
        "class_names": list(predictions.class_names),
        "images": len(predictions.ids),
        "held_out": f"split {ensemble.split}" if ensemble.split else OUT_OF_FOLD if kind == "cv" else held_out.pop(),
        "split_over_folds": max(member.run.read_run().get("split_over_folds", 0) for member in ensemble.members),
        IMPORTED: Imported(
            f"soft vote of {len(ensemble.members)}", FILE, "", False, tuple(each.name for each in ensemble.members)
        ).to_dict(),
        **({"opened": True} if ensemble.split else {}),
    }
    (folder / RUN).unlink(missing_ok=True)  # written last: until then it is no run
    write_json(folder / "config.yaml", {"data": first.dataset, "data_dir": str(Path(first.data_dir).absolute())})
    if folds is not None:
        write_folds(folder / "folds.csv", predictions.ids, folds)
    write_parts(run, about["parts"], folds, predictions)
    if ensemble.split:
        save_predictions(_evaluation(folder, ensemble) / "model.npz", predictions)
        write_json(folder / OPENINGS, [_opening(ensemble, len(predictions.ids))])
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


def _opening(ensemble: Ensemble, images: int) -> dict[str, Any]:
    return {
        "dataset": ensemble.members[0].dataset,
        "split": ensemble.split,
        "tta": ensemble.tta,
        "classes": None,
        "images": images,
        "fingerprint": ensemble.fingerprints[0] or "",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "members": [member.name for member in ensemble.members],
    }
