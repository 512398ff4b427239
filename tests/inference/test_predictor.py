"""A run as a function of faces: it says what the run's saved models say, of any picture, calibrated."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_run import CLASSES, FOLDS, IMAGES, SIDE, make_run, seal

from fer_tl.core.errors import UserError
from fer_tl.evaluation.calibration import choose_scaling
from fer_tl.inference import compiled
from fer_tl.inference.predictor import BATCH, PRECISIONS, load
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return RunFolder(make_run("run").path.absolute())


def softmax(logits: np.ndarray) -> np.ndarray:
    z = np.exp(logits - logits.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def saved(run: RunFolder, part: str) -> np.ndarray:
    return load_predictions(run.part(part) / "predictions.npz").logits


@pytest.mark.engines
@pytest.mark.parametrize("brief", [False, True])
def test_a_fold_answers_what_it_predicted_calibrated_on_what_it_held_out(run: RunFolder, brief: bool):
    model = load(run.path, fold=1, brief=brief)
    assert (model.temperature, model.calibration) == astuple(choose_scaling(run, ["fold-1"]))
    assert model.temperature != pytest.approx(1.0, abs=0.05)
    answers = model.predict(IMAGES[FOLDS == 1])
    expected = softmax(saved(run, "fold-1") / model.temperature)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
    assert answers.labels == tuple(CLASSES[k] for k in expected.argmax(axis=1)) and len(set(answers.labels)) > 1


@pytest.mark.engines
def test_bfloat16_answers_nearly_the_same_and_not_quite(run: RunFolder):
    exact, half = (load(run.path, precision=precision).predict(IMAGES).probabilities for precision in PRECISIONS[:2])
    difference = np.abs(exact - half).max()
    assert 1e-6 < difference < 0.05
    np.testing.assert_allclose(half.sum(axis=1), 1, atol=1e-6)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("gain", "difference", "chosen"), [(0.0, 1.0, "bfloat16"), (0.0, 1e-7, "float32"), (1e9, 1.0, "float32")]
)
def test_a_trial_takes_bfloat16_where_it_is_faster_and_near_enough(
    gain: float, difference: float, chosen: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, "LEAST_GAIN", gain)
    monkeypatch.setattr(compiled, "LARGEST_DIFFERENCE", difference)
    model = load(run.path, precision="auto")
    assert model.outcome == ""
    answers = model.predict(IMAGES).probabilities
    assert model.outcome.startswith(f"precision: {chosen}; bfloat16 takes ")
    np.testing.assert_array_equal(answers, load(run.path, precision=chosen).predict(IMAGES).probabilities)
    three = load(run.path, "all", precision="auto")
    three.predict(IMAGES)
    assert three.outcome.count(f"precision: {chosen}; ") == 3  # each network has its own


def test_a_precision_that_is_none_is_one_line(run: RunFolder):
    with pytest.raises(UserError, match="'precision' should be float32, bfloat16 or auto, but is 'half'"):
        load(run.path, precision="half")


def test_all_folds_are_averaged(run: RunFolder):
    whole = load(run.path, fold="all", brief=True)
    each = [softmax(load(run.path, fold=fold, brief=True)._networks[0](IMAGES)) for fold in range(3)]
    assert whole.temperature == 1 and "not calibrated" in whole.calibration
    np.testing.assert_allclose(whole.predict(IMAGES).probabilities, np.mean(each, axis=0), atol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 0.01 and whole.parts == ("fold-0", "fold-1", "fold-2")


def test_the_same_face_is_the_same_in_every_form(run: RunFolder, tmp_path: Path):
    model, face = load(run.path, brief=True), IMAGES[7]
    picture = Image.fromarray(face[..., 0])
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    forms = [face, face[..., 0], face.repeat(3, axis=2), picture, picture.convert("RGB"), tmp_path / "turned.png"]
    answers = model.predict(forms)
    np.testing.assert_allclose(answers.probabilities, np.tile(model.predict(face).probabilities, (6, 1)), atol=1e-6)
    tall = np.zeros((2 * SIDE, 4 * SIDE), np.uint8)
    tall[:, SIDE:-SIDE] = np.kron(face[..., 0], np.ones((2, 2), np.uint8))
    wide = model.predict(tall[:, SIDE:-SIDE]).probabilities
    assert np.abs(wide - model.predict(tall).probabilities).max() > 1e-3  # padded, not cut to the middle


@pytest.mark.engines
def test_any_number_of_faces(run: RunFolder):
    model = load(run.path, brief=True)
    many = np.tile(IMAGES, (2, 1, 1, 1))[: BATCH + 5]
    alone = [model.predict([face]).probabilities[0] for face in many[-6:]]
    np.testing.assert_allclose(model.predict(many).probabilities[-6:], alone, atol=1e-6)
    nothing = model.predict([])
    assert nothing.labels == () and nothing.probabilities.shape == (0, 3)


@pytest.mark.parametrize(
    ("images", "words"),
    {
        "float pixels": ([IMAGES[0] / 255], "image 0 is an array [12, 12, 1] of float64: give uint8"),
        "two channels": ([IMAGES[0], np.zeros((5, 5, 2), np.uint8)], "image 1 is an array [5, 5, 2]"),
        "no pixels": ([np.zeros((0, 5), np.uint8)], "image 0 is an array [0, 5]"),
        "no file": (["nowhere.png"], "nowhere.png does not exist: give image files"),
        "a folder": ([Path(__file__).parent], "is a folder: give image files"),
        "no image": ([__file__], "is text, not a picture"),
    }.values(),
)
def test_what_is_no_image_is_named(run: RunFolder, images: list[object], words: str):
    with pytest.raises(UserError) as told:
        load(run.path, brief=True).predict(images)  # type: ignore[arg-type]
    assert words in str(told.value)


def test_a_run_that_cannot_answer_says_why(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for options, words in (
        ((run.path / "nowhere",), r"nowhere does not exist: give the folder of a run"),
        ((run.path, 7), "--fold 7: "),
        ((run.path / "folds.csv",), "is a file, not the folder of a run"),
    ):
        with pytest.raises(UserError, match=words):
            load(*options)
    monkeypatch.chdir(tmp_path)
    single = make_run("single", kind="train")
    with pytest.raises(UserError, match="is a single fit and has no folds"):
        load(single.path, 0)
    assert load(single.path, "all", brief=True).parts == ("model",)
    changed = make_run("changed")
    with (changed.part("fold-0") / "model.keras").open("r+b") as file:
        file.seek(-40, 2)
        file.write(b"tampered")
    with pytest.raises(UserError, match=r"model\.keras is not what was written"):
        load(changed.path)
    other = make_run("other", classes=("sad", "lively=angry+happy"))
    model = changed.part("fold-1") / "model.keras"
    model.write_bytes((other.part("fold-1") / "model.keras").read_bytes())
    seal(changed, "fold-1")
    with pytest.raises(UserError, match="knows other classes than the run"):
        load(changed.path, 1, brief=True)
