"""What an audit leaves behind: the list, the page with the right images, and one line where there can be none."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from html_reader import Reader, decoded
from stored_dataset import Stored, store_dataset

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import choose_folder
from fer_tl.data.examples import Example, write_examples
from fer_tl.data.folds import write_folds
from fer_tl.evaluation.label_errors import Audit, open_audit
from fer_tl.reports.audit_page import LIST, write_audit
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import PART_FILES
from fer_tl.runs.predictions import Predictions, save_predictions

CLASSES = ("angry", "happy", "sad & tired")
COUNT = 120
IDS = np.array([f"face-{row:03d}" for row in range(COUNT)])
TRUE = np.arange(COUNT) % 3
WRONG = np.array([4, 33, 71, 100])
LABELS = np.where(np.isin(np.arange(COUNT), WRONG), (TRUE + 1) % 3, TRUE)
FOLDS = np.arange(COUNT) // 3 % 2
LOGITS = (4 * np.eye(3)[TRUE] + np.random.default_rng(0).normal(size=(COUNT, 3))).astype(np.float32)
LOGITS[WRONG, TRUE[WRONG]] += 3
IMAGES = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 4, 4, 1))


def make_run(path: Path, kind: str = "cv", logits: np.ndarray = LOGITS, leak: int = 0) -> RunFolder:
    """A finished run without a model in it, on the dataset of ``build``."""
    run, parts = RunFolder(path), ["fold-0", "fold-1"] if kind == "cv" else ["model"]
    about = {"kind": kind, "parts": parts, "dataset": "folder/mine", "fingerprint": "f" * 64, "split_over_folds": leak}
    experiment = Experiment(data="folder/mine", data_dir="data", backbone="shallow_cnn", weights="none")
    run.start(experiment, {**about, "held_out": "every fold in turn" if kind == "cv" else "split train"})
    write_folds(path / "folds.csv", IDS, FOLDS)
    for number, part in enumerate(parts):
        (path / part).mkdir()
        for file in PART_FILES:
            (path / part / file).write_text('{"epochs": 1, "kept_epoch": 1}')
        rows = np.flatnonzero(number == FOLDS)[::-1] if kind == "cv" else np.arange(COUNT)[::-1]
        save_predictions(path / part / "predictions.npz", Predictions(IDS[rows], LABELS[rows], logits[rows], CLASSES))
    return run


def build(data_dir: Path, fingerprint: str = "f" * 64) -> None:
    """A built dataset, in an order of its own; image ``face-007`` is grey of level 7."""
    order = np.random.default_rng(3).permutation(COUNT)
    groups = np.char.add("photo-", (order // 10).astype(str))
    stored = {"train": Stored(IMAGES[order], LABELS[order], IDS[order], groups)}
    counts = {"exact": 4, "near": 0, "clusters": 2, "conflicting": 1, "dropped": {}}
    changes = {"fingerprints": {"train": fingerprint}, "duplicates": {"policy": "group", **counts}}
    directory = store_dataset(data_dir, "folder/mine", CLASSES, stored, **changes)
    clusters = {IDS[4]: IDS[2], IDS[2]: IDS[2]}  # labels: sad & tired by mistake, sad & tired
    clusters |= {IDS[33]: IDS[30], IDS[30]: IDS[30]}  # happy by mistake, angry
    write_examples(
        [Example(i, "train", CLASSES[k], i, clusters.get(i, "")) for i, k in zip(IDS.tolist(), LABELS, strict=True)],
        directory,
    )


def run_audit(run: RunFolder, data_dir: str | None = None, top: int = 60, out: str | None = None) -> tuple[Audit, str]:
    folder = choose_folder(out, run.path / "audit", LIST, "audit")
    audit = open_audit(run, data_dir)
    return audit, write_audit(audit, folder, top)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_list_has_every_suspect_with_duplicates_and_group():
    build(Path("data"))
    audit, _ = run_audit(make_run(Path("run")))
    with Path("run/audit/label_errors.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["id"] for row in rows] == [s.id for s in audit.found.suspects]
    assert {row["id"] for row in rows[:4]} == set(IDS[WRONG].tolist())
    by_id = {row["id"]: row for row in rows}
    wrong = by_id["face-033"]
    assert (wrong["given"], wrong["suggested"]) == ("happy", "angry")
    assert (wrong["fold"], wrong["group"], wrong["cluster"]) == ("1", "photo-3", "face-030")
    assert wrong["cluster_labels"] == "angry|happy"
    assert float(wrong["p_given"]) == next(s.p_given for s in audit.found.suspects if s.id == "face-033")
    assert (by_id["face-004"]["cluster"], by_id["face-004"]["cluster_labels"]) == ("face-002", "")
    assert (by_id["face-071"]["cluster"], by_id["face-071"]["cluster_labels"]) == ("", "")


def test_the_page_shows_the_images_of_the_first_suspects():
    build(Path("data"))
    audit, text = run_audit(make_run(Path("run")), top=3)
    shown = [s.id for s in audit.found.suspects[:3]]
    html = Path("run/audit/index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")
    assert re.findall(r'<img[^>]* alt="[^"]*(face-\d+)', html) == shown
    assert "sad &amp; tired" in html and "sad & tired" not in html
    levels = [int(identity.removeprefix("face-")) for identity in shown]
    tiles = [decoded(image) for image in Reader(html).all("img")]
    assert [int(np.ravel(tile)[0]) for tile in tiles] == levels
    assert f"{len(audit.found.suspects)} of 120 labels" in text and "out of fold" in text
    assert "a duplicate with another label: 1." in text
    assert "candidates for a human to check, not errors" in text and "candidates for a human to check" in html
    assert "leak" not in text


def test_held_out_images_of_a_single_fit_are_judged():
    build(Path("data"))
    audit, text = run_audit(make_run(Path("run"), kind="train"))
    assert {s.id for s in audit.found.suspects[:4]} == set(IDS[WRONG].tolist())
    assert "split train" in text


def test_without_the_dataset_the_list_is_written_and_the_images_are_missed():
    build(Path("data"))
    run = make_run(Path("run"), leak=7)
    with_images, _ = run_audit(run)
    Path("data").rename("moved")
    without, text = run_audit(run)
    assert [s.id for s in without.found.suspects] == [s.id for s in with_images.found.suspects]
    assert "folder/mine is not built under data" in text and "--data-dir" in text
    assert "The folds leak: 7 images" in text
    html = Path("run/audit/index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")
    assert "<img" not in html and without.found.suspects[0].id in html
    found, _ = run_audit(run, data_dir="moved")
    assert found.found.suspects == with_images.found.suspects
    assert "<img" in Path("run/audit/index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")


def test_no_suspects_are_a_result_too():
    build(Path("data"))
    run = make_run(Path("run"), logits=(9 * np.eye(3)[LABELS]).astype(np.float32))
    audit, text = run_audit(run)
    assert audit.found.suspects == ()
    assert "0 of 120 labels" in text
    assert "There is none." in Path("run/audit/index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")


def make_sweep() -> RunFolder:
    make_run(Path("sweep/lr-1"))
    return RunFolder(Path("sweep"))


def make_unfinished() -> RunFolder:
    run = make_run(Path("run"))
    (run.path / "fold-1/result.json").unlink()
    return run


def make_diverged() -> RunFolder:
    return make_run(Path("run"), logits=np.where(np.arange(COUNT)[:, None] == 5, np.nan, LOGITS))


def make_rebuilt() -> RunFolder:
    build(Path("data"), "e" * 64)
    return make_run(Path("run"))


def make_occupied() -> RunFolder:
    run = make_run(Path("run"))
    (run.path / "audit").mkdir()
    (run.path / "audit" / "notes.txt").write_text("mine")
    return run


BAD: dict[str, tuple[Callable[[], RunFolder], str]] = {
    "no run": (lambda: RunFolder(Path("none")), "none does not exist"),
    "unfinished": (make_unfinished, r"run is unfinished \(fold-1\)"),
    "sweep": (make_sweep, r"sweep holds several runs: name one of them \(lr-1\)"),
    "diverged": (make_diverged, "run: the predictions are not finite"),
    "another build": (make_rebuilt, "another build of 'folder/mine' .*eeeeeeeeeeee.*ffffffffffff.* --data-dir"),
    "other files": (make_occupied, "run/audit holds other files and is no audit"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_line_and_leaves_nothing(case: str):
    make, message = BAD[case]
    run = make()
    with pytest.raises(UserError, match=message) as caught:
        run_audit(run)
    assert "\n" not in str(caught.value)
    assert not (run.path / "audit/label_errors.csv").exists()


def test_a_dataset_that_is_asked_for_must_be_there():
    with pytest.raises(UserError, match="folder/mine is not built under elsewhere"):
        run_audit(make_run(Path("run")), data_dir="elsewhere")
