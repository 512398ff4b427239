"""The verb ``soup``: the mean of the weights that helped on the validation split, never worse there than the best."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from made_run import DATA, FINGERPRINT, make_faces, make_run
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.commands.soup import soup
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.reports.run_facts import recipes
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import RESULT, check_part, describe_files
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import load_model, save_model

pytestmark = pytest.mark.usefixtures("light_figures")

FACES, SIDE = make_faces(), 8
TEMPLATES = np.random.default_rng(1).normal(size=(3, SIDE * SIDE))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store(*names: str) -> None:
    """Noisy images of three patterns; each split has its own noise and its own ids."""
    splits = {}
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).normal(size=(len(FACES.ids), SIDE * SIDE))
        pixels = 128 + 40 * TEMPLATES[FACES.labels] + 50 * noise  # [N, 64]
        images = pixels.clip(0, 255).astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
        ids = FACES.ids if name == "train" else np.char.add(name, FACES.ids)
        splits[name] = Stored(images, FACES.labels, ids, FACES.groups)
    prints = {name: FINGERPRINT if name == "train" else name[0] * 64 for name in names}
    store_dataset(Path("data"), DATA, FACES.class_names, splits, fingerprints=prints)


def network(kernel: np.ndarray, hidden: np.ndarray | None = None, mean: float = 0.0) -> keras.Model:
    """Pixels to logits by ``kernel`` ``[64, 3]``, or by ``hidden`` ``[64, H]`` and ``kernel`` ``[H, 3]``, behind a
    BatchNorm that knows ``mean``, and dropout, which has a state of its own."""
    inputs = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Flatten(name="flat")(keras.layers.Rescaling(1 / 128, offset=-1, name="scale")(inputs))
    normalize = keras.layers.BatchNormalization(name="norm")
    x = keras.layers.Dropout(0.5, name="dropout")(normalize(x))
    if hidden is not None:
        first = keras.layers.Dense(hidden.shape[1], activation="relu", name="hidden")
        x = first(x)
        first.kernel.assign(hidden)
    last = keras.layers.Dense(3, name="classes")
    model = keras.Model(inputs, last(x))
    last.kernel.assign(kernel)
    normalize.moving_mean.assign(np.full(SIDE * SIDE, mean))
    return model


def make_cv(models: list[keras.Model], path: str = "cv", kind: str = "cv") -> RunFolder:
    run = make_run(Path(path), FACES, kind, data_dir=str(Path("data").absolute()))
    for name, model in zip(run.parts, models, strict=False):
        save_model(model, FACES.class_names, run.part(name) / "model.keras")
        result = read_json(run.part(name) / RESULT)
        write_json(run.part(name) / RESULT, result | {"files": describe_files(run.part(name))})
    return run


def noisy(seed: int, scale: float = 4.0) -> np.ndarray:
    return TEMPLATES.T + scale * np.random.default_rng(seed).normal(size=TEMPLATES.T.shape)


def near_and_far() -> list[keras.Model]:
    """Two models of one answer, of opposite noise, and one of the opposite answer."""
    return [network(noisy(2), mean=0.01), network(-4 * TEMPLATES.T, mean=0.02), network(noisy(2, -4.0), mean=0.05)]


def accuracy(run: str | Path, split: str) -> float:
    return fer_tl.evaluate(run, split, say=lambda line: None).result.rows[0][1].accuracy


def test_the_soup_is_the_mean_of_what_helps_and_is_better_than_the_best():
    store("train", "validation", "test")
    models = near_and_far()
    run, said = make_cv(models), list[str]()
    found = soup("cv", "soup", say=said.append)
    alone = fer_tl.evaluate("cv", "validation", say=lambda line: None).result.rows
    best = max(metrics.accuracy for name, metrics in alone if name != "ensemble")
    assert found.result.rows[0][1].accuracy > best + 0.03
    assert set(found.ingredients) == {"fold-0", "fold-2"}
    mixed = load_model(Path("soup/model/model.keras"))[0]
    for weights, one, two in zip(mixed.get_weights(), models[0].get_weights(), models[2].get_weights(), strict=True):
        np.testing.assert_allclose(weights, (one.astype(np.float64) + two) / 2, rtol=1e-6)
    assert [layer.name for layer in mixed.layers] == [layer.name for layer in models[0].layers]
    told = [re.sub(r"\d+\.\d+", "x", line) for line in said if line.startswith("fold-") and "predicted" not in line]
    assert told[-1] == "fold-1: with it x %, left out" and told[1].endswith("taken")
    assert run.read_run()["kind"] == "cv"


def test_a_soup_is_a_run_that_predicts_and_is_scored_and_says_how_it_was_chosen():
    store("train", "validation", "test")
    make_cv(near_and_far())
    said: list[str] = []
    found = soup("cv", "soup", say=said.append)
    check_part(Path("soup/model"))
    saved = load_predictions(Path("soup/model/predictions.npz"))
    again = fer_tl.evaluate("soup", "validation", say=lambda line: None).predictions["model"]
    np.testing.assert_allclose(saved.logits, again.logits, atol=1e-5)
    assert accuracy("soup", "test") > 0.5
    words = (
        r"mean of those of fold-\d, fold-\d of cv, .* what is scored on that split is chosen by it. Left out: fold-1"
    )
    page = fer_tl.report("soup", say=said.append).path.read_text()
    for text in (found.text, page):
        assert re.search(words, text) and "weights are those of the last epoch" not in text
    assert not [line for line in said if "cannot be read" in line]  # its history has no epoch
    shutil.copytree("soup", "twin")
    compared = " ".join(fer_tl.compare(["soup", "twin"], say=lambda line: None).text.split())
    assert "soup, twin: the mean of the weights of a cross validation's folds" in compared
    assert "last epoch" not in compared
    commands = recipes(open_contents(RunFolder(Path("soup")), None, print))
    assert commands["again"] == "fer-tl soup cv --out soup-again"
    first, second = commands["without_files"].splitlines()
    assert first.startswith("fer-tl cv --data folder/mine ") and first.endswith(" --run-dir cv")
    assert second == "fer-tl soup cv --out soup"


def test_models_that_do_not_average_make_no_soup():
    store("train", "validation")
    hidden = np.concatenate([TEMPLATES.T, -TEMPLATES.T], axis=1)  # [64, 6]
    kernel = np.concatenate([np.eye(3), -np.eye(3)])  # [6, 3]
    units = np.array([3, 4, 5, 0, 1, 2])  # the same function, its units elsewhere
    other = network(kernel[units], hidden[:, units])
    make_cv([network(kernel, hidden), other, other])
    with pytest.raises(UserError, match=r"no soup: with any other fold of cv mixed in, fold-\d is worse than alone"):
        soup("cv", "soup", say=lambda line: None)
    assert not Path("soup").exists()


def test_the_validation_split_is_opened_on_record_and_the_test_split_stays_closed():
    store("train", "validation", "test")
    make_cv(near_and_far())
    soup("cv", "soup", say=lambda line: None)
    assert [entry["split"] for entry in read_json(Path("cv/evaluations.json"))] == ["validation"]
    ledger = [json.loads(line) for line in Path("data/openings.jsonl").read_text().splitlines()]
    assert [entry["split"] for entry in ledger] == ["validation"]


def test_a_finished_soup_is_only_shown_and_one_of_other_models_is_refused():
    store("train", "validation")
    make_cv(near_and_far())
    first = soup("cv", "soup", say=lambda line: None)
    before = {path: path.stat().st_mtime_ns for path in Path("soup/model").iterdir()}
    assert soup("cv", "soup", say=lambda line: None).text == first.text
    assert before == {path: path.stat().st_mtime_ns for path in Path("soup/model").iterdir()}
    shutil.rmtree("cv")
    make_cv([network(noisy(seed)) for seed in (7, 8, 9)])
    with pytest.raises(UserError, match="soup holds a soup of other models than those of cv: give another --out"):
        soup("cv", "soup", say=lambda line: None)


@pytest.mark.parametrize(
    ("splits", "kind", "out", "reason"),
    [
        (("train",), "cv", "soup", "has no validation split to choose by"),
        (("train", "validation"), "train", "soup", "is not a cross validation: a soup is made of several models"),
        (("train", "validation"), "cv", "cv", r"holds a run with other settings \(fer-tl cv -> fer-tl soup\)"),
        (("train", "validation"), "cv", "data", "data holds other files and is not a run: give another --out"),
    ],
)
def test_what_no_soup_is_made_of_is_refused(splits: tuple[str, ...], kind: str, out: str, reason: str):
    store(*splits)
    make_cv(near_and_far(), "cv", kind)
    with pytest.raises(UserError, match=reason):
        soup("cv", out, say=lambda line: None)


def test_another_build_or_an_unfinished_run_is_refused(capfd: pytest.CaptureFixture[str]):
    store("train", "validation")
    run = make_cv(near_and_far())
    write_json(run.path / "run.json", read_json(run.path / "run.json") | {"fingerprint": "a" * 64})
    assert main(["soup", "cv", "--out", "soup"]) == 2
    assert "another build of 'folder/mine' than cv was trained on" in capfd.readouterr().err
    shutil.rmtree(run.part("fold-1"))
    assert main(["soup", "cv", "--out", "soup"]) == 2
    assert "cv is unfinished (fold-1)" in capfd.readouterr().err
