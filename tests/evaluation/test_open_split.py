"""Runs scored on other datasets and on merged classes: what is matched, said, recorded, refused and left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.augment.adapt import adapt_images
from fer_tl.cli import main
from fer_tl.commands.evaluate import EvaluationResult
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest
from fer_tl.data.merging import parse_classes
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.open_split import last_fingerprint
from fer_tl.reports import run_report
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import PART_FILES
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import save_model

CLASSES = ("angry", "happy", "sad", "surprise")
BRIGHTNESS = {"angry": 0.1, "happy": 0.35, "sad": 0.6, "surprise": 0.85, "negative": 0.45}
COUNT = 80
LABELS = np.arange(COUNT) % 4
COARSE = ("happy", "surprise", "negative=angry+sad")


def draw(labels: np.ndarray, seed: int) -> np.ndarray:
    """Images uint8 ``[N, 8, 8, 1]`` whose brightness tells which of ``CLASSES`` they are, most of the time."""
    rng = np.random.default_rng(seed)
    bright = np.array([BRIGHTNESS[name] for name in CLASSES])[labels] + rng.normal(0, 0.12, len(labels))
    pixels = bright[:, None, None, None] + rng.normal(0, 0.05, (len(labels), 8, 8, 1))
    return (255 * np.clip(pixels, 0, 1)).astype(np.uint8)


def make_dataset(
    name: str,
    classes: Sequence[str] = CLASSES,
    labels: np.ndarray = LABELS,
    images: np.ndarray | None = None,
    splits: Sequence[str] = ("train", "test"),
    group: int = 1,
    seed: int = 0,
) -> str:
    """A dataset under ``data`` as a build would leave it; without ``images`` each split has its own.

    Args:
        name: such as ``folder/own``.
        classes: its class names.
        labels: int ``[N]``, indices into ``classes``.
        images: uint8 ``[N, H, W, C]``; drawn from the labels if there are none.
        splits: their names.
        group: images a group.
        seed: of the drawing.
    """
    stored = {}
    for number, split in enumerate(splits):
        rows = np.arange(len(labels))
        ids, groups = (np.array([f"{split}-{kind}-{row:03d}" for row in numbers]) for kind, numbers in
                       (("face", rows), ("photo", rows // group)))  # fmt: skip
        stored[split] = Stored(draw(labels, seed + 10 * number) if images is None else images, labels, ids, groups)
    store_dataset(Path("data"), name, classes, stored, version="1.0.0")
    return name


def make_run(name: str, classes: tuple[str, ...] | None = None, sharpness: tuple[int, int] = (60, 20)) -> Path:
    """A finished cross validation of ``folder/own`` with two models that go by brightness.

    Args:
        name: of its folder.
        classes: the option of that name.
        sharpness: of its two models.
    """
    make_dataset("folder/own")
    manifest = read_manifest(dataset_directory("data", "folder/own"))
    known, fingerprint = CLASSES, manifest.fingerprints["train"]
    if classes:
        class_map = parse_classes(classes, CLASSES)
        known, fingerprint = class_map.names, class_map.fingerprint(fingerprint)
    run, parts = RunFolder(Path(name)), ["fold-0", "fold-1"]
    about = {"kind": "cv", "parts": parts, "dataset": "folder/own", "fingerprint": fingerprint}
    run.start(
        Experiment(data="folder/own", data_dir="data", backbone="shallow_cnn", weights="none", classes=classes),
        about | {"class_names": list(known), "split_over_folds": 0},
    )
    centres = np.array([BRIGHTNESS[each] for each in known])
    for part, sharp in zip(parts, sharpness, strict=True):
        inputs = keras.Input((8, 8, 1))
        dense = keras.layers.Dense(len(known))
        mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
        model = keras.Model(inputs, dense(mean))
        # Squared distance to each centre, less what all classes share: the nearest centre wins.
        dense.set_weights([2 * sharp * centres[None], -sharp * centres**2])
        save_model(model, known, run.part(part) / "model.keras")
        for file in set(PART_FILES) - {"model.keras"}:
            (run.part(part) / file).write_text('{"epochs": 1, "kept_epoch": 1}')
    return run.path


def score(run: Path, **options: Any) -> EvaluationResult:
    return fer_tl.evaluate(run, say=lambda line: None, **options)


def refusal(run: Path, **options: Any) -> str:
    """The one line with which an evaluation is refused, which leaves the run as it was."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as error:
        score(run, **options)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module", autouse=True)
def _step_by_step() -> Iterator[None]:
    """Runs TensorFlow without graphs: a small model predicts faster than it is traced."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_report, "save_figure", lambda figure, path: None)


@pytest.fixture
def run() -> Path:
    return make_run("run")


@pytest.fixture
def coarse() -> Path:
    """Trained on three classes of its dataset's four, one of them merged."""
    return make_run("coarse", ("surprise", "negative=anger+happiness"))


def test_a_run_on_its_own_dataset_named_gives_what_it_gives_unnamed(run: Path):
    plain, named = score(run), score(run, data="folder/own")
    for name, predictions in plain.predictions.items():
        np.testing.assert_array_equal(named.predictions[name].logits, predictions.logits)
        np.testing.assert_array_equal(named.predictions[name].labels, predictions.labels)
    assert "The test split was opened 1 time before" in named.text
    assert named.text.startswith("shallow_cnn on folder/own, split test\n")
    assert {path.name for path in run.glob("evaluate*")} == {"evaluate-test"}


def test_openings_are_counted_over_the_runs_of_a_data_folder(run: Path):
    """Ten models that each open the test split once have chosen by it all the same."""
    first = score(run)
    assert "models opened on it" not in first.text
    other = make_run("other", sharpness=(55, 25))
    second = score(other)
    assert "Split test of folder/own: the 2nd of 2 models opened on it." in second.text.replace("\n", " ")
    again = score(run).text.replace("\n", " ")
    assert "the 1st of 2 models opened on it" in again and "was opened 1 time before" in again
    ledger = [json.loads(line) for line in Path("data/openings.jsonl").read_text().splitlines()]
    assert [Path(entry["path"]).name for entry in ledger] == ["run", "other"]  # what was saved was read again


def test_whether_the_build_is_that_of_the_training_is_written_down(run: Path):
    score(run)
    make_dataset("folder/own", seed=4)
    (run / "evaluate-test").rename(run / "kept")
    score(run)
    score(run, data=make_dataset("folder/other"))
    assert [entry["same_build"] for entry in read_json(run / "evaluations.json")] == [True, False, False]


def test_classes_are_matched_by_name_and_by_expression_not_by_index(run: Path):
    order = [2, 3, 0, 1]
    make_dataset("folder/turned", [CLASSES[k] for k in order], np.argsort(order)[LABELS], draw(LABELS, 5), ["test"])
    make_dataset("folder/raw", ["1.Anger", "Happiness", "Sad", "suprised"], images=draw(LABELS, 5), splits=["test"])
    make_dataset("folder/same", images=draw(LABELS, 5), splits=["test"])
    same, turned, raw = (score(run, data=f"folder/{name}") for name in ("same", "turned", "raw"))
    assert 0.5 < same.result.rows[0][1].accuracy < 1
    for other in (turned, raw):
        assert other.result.rows[0][1].accuracy == same.result.rows[0][1].accuracy
        np.testing.assert_array_equal(other.result.rows[0][1].confusion, same.result.rows[0][1].confusion)
        assert other.result.rows[0][1].class_names == CLASSES
    assert "Scored as" not in same.text + turned.text
    assert "angry=1.Anger, happy=Happiness, sad=Sad, surprise=suprised" in raw.text


def test_images_that_were_cut_otherwise_than_those_of_the_training_are_told(run: Path):
    make_dataset("folder/alike", splits=["test"])
    make_dataset("folder/cut", splits=["test"])
    path = dataset_directory("data", "folder/cut") / "manifest.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"faces": values["faces"] | {"fit": "crop", "cutter": "haar", "margin": 0.2}}))
    assert "made otherwise" not in score(run, data="folder/alike").text
    told = " ".join(score(run, data="folder/cut").text.split())
    assert "made otherwise than those of the training (faces found by haar, margin 0.2; what is not square is" in told


def test_images_are_brought_to_what_the_models_take(run: Path):
    big = np.random.default_rng(3).integers(0, 256, (COUNT, 20, 20, 3), dtype=np.uint8)
    make_dataset("folder/big", images=big, splits=["test"])
    make_dataset("folder/small", images=adapt_images(big, (8, 8, 1)), splits=["test"])
    adapted, stored = score(run, data="folder/big", tta="flip"), score(run, data="folder/small", tta="flip")
    np.testing.assert_array_equal(adapted.predictions["fold-1"].logits, stored.predictions["fold-1"].logits)
    assert "Images of 20x20x3 were brought to the 8x8x1 that the models take." in adapted.text
    assert "brought" not in stored.text
    assert (run / "evaluate-folder-big-test-flip" / "ensemble.npz").is_file()


def test_a_class_that_the_model_does_not_know_is_left_out_or_merged_only_if_asked(run: Path):
    labels = np.arange(COUNT) % 5
    make_dataset("folder/five", [*CLASSES, "contempt"], labels, draw(LABELS, 5), ["test"])
    said = refusal(run, data="folder/five")
    assert "the model does not know contempt" in said
    assert "folder/five has angry, happy, sad, surprise, contempt; the model knows angry, happy, sad, surprise" in said
    assert "--classes '[angry,happy,sad,surprise]'" in said
    without = score(run, data="folder/five", classes=CLASSES)
    assert without.result.rows[0][1].support.tolist() == [16, 16, 16, 16]
    assert "Images left out: 16 of contempt." in without.text
    merged = score(run, data="folder/five", classes=["happy", "surprise", "negative=angry+sad+contempt"])
    assert merged.result.rows[0][1].support.tolist() == [16, 16, 48]
    p = without.predictions["fold-0"]
    whole = merged.predictions["fold-0"]
    rows = np.searchsorted(whole.ids, p.ids)
    np.testing.assert_allclose(whole.probabilities[rows, 2], p.probabilities[:, 0] + p.probabilities[:, 2], atol=1e-6)
    folders = {path.name for path in run.glob("evaluate*") if path.is_dir()}
    assert len(folders) == 2
    assert all(re.fullmatch(r"evaluate-folder-five-test-[43]-classes-[0-9a-f]{6}", name) for name in folders)


def test_answers_in_a_class_without_images_are_wrong_and_counted(run: Path):
    labels = np.where(LABELS == 2, 1, LABELS)  # every sad face is called happy
    make_dataset("folder/three", ["surprise", "angry", "happy"], np.array([1, 2, 2, 0])[labels], draw(LABELS, 5))
    result = score(run, data="folder/three")
    metrics, answers = result.result.rows[0][1], result.predictions["ensemble"].logits.argmax(axis=1)
    sad = int((answers == 2).sum())
    assert sad > 5
    assert f"No image here is of these classes, so answers in them are wrong: {sad} sad of 80." in result.text
    assert metrics.class_names == CLASSES
    assert (metrics.support[2], metrics.confusion[:, 2].sum()) == (0, sad)
    assert metrics.accuracy == np.mean(answers == labels)
    recalls = [np.mean(answers[labels == k] == k) for k in (0, 1, 3)]
    assert metrics.balanced_accuracy == pytest.approx(np.mean(recalls))


def test_merged_classes_are_scored_on_merged_labels_and_added_probabilities(run: Path):
    plain, merged = score(run), score(run, classes=COARSE)
    assert list(merged.predictions) == ["ensemble", "fold-0", "fold-1"]
    for name, predictions in merged.predictions.items():
        p = plain.predictions[name].probabilities
        assert predictions.class_names == ("happy", "surprise", "negative")
        expected = np.stack([p[:, 1], p[:, 3], p[:, 0] + p[:, 2]], axis=1)
        np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-6)
        assert predictions.labels.tolist() == [[2, 0, 2, 1][label] for label in LABELS]
    right = merged.predictions["ensemble"].probabilities.argmax(axis=1) == merged.predictions["ensemble"].labels
    assert merged.result.rows[0][1].accuracy == right.mean() != plain.result.rows[0][1].accuracy
    assert "split test, 3 classes" in merged.text
    assert "Scored as: negative=angry+sad." in merged.text
    # Each choice of classes has a folder of its own, and every one opened the test split.
    score(run, classes=["happy", "surprise", "negative=angry"])
    assert len(list(run.glob("evaluate-test*"))) == 3
    np.testing.assert_array_equal(
        load_predictions(run / "evaluate-test" / "ensemble.npz").logits, plain.predictions["ensemble"].logits
    )
    openings = read_json(run / "evaluations.json")
    assert [entry["classes"] for entry in openings] == [None, list(COARSE), ["happy", "surprise", "negative=angry"]]
    assert "opened 3 times before" in score(run).text


def test_without_a_test_split_the_only_one_is_scored_or_one_must_be_chosen(run: Path):
    make_dataset("folder/mine", splits=["train"], seed=7)
    make_dataset("folder/both", splits=["train", "validation"], seed=8)
    result = score(run, data="folder/mine")
    assert "folder/mine has no split but train: all of it is scored." in result.text
    assert len(result.predictions["ensemble"].ids) == COUNT
    assert (run / "evaluate-folder-mine-train" / "table.md").is_file()
    assert "choose one of train, validation with --split" in refusal(run, data="folder/both")
    assert len(score(run, data="folder/both", split="train").predictions["ensemble"].ids) == COUNT
    assert "no such split; did you mean 'train'?" in refusal(run, data="folder/both", split="trian")
    assert "the models were trained on it" in refusal(run, data="folder/own", split="train")


def test_intervals_resample_the_groups_of_the_images_that_are_scored(run: Path):
    make_dataset("folder/photos", images=draw(LABELS, 5), splits=["test"], group=16)
    result = score(run, data="folder/photos")
    groups = np.repeat([f"photo-{k}" for k in range(5)], 16)
    interval = bootstrap_intervals(result.predictions["ensemble"], groups)["accuracy"]
    assert result.result.intervals["accuracy"] == interval
    assert interval != bootstrap_intervals(result.predictions["ensemble"], np.arange(COUNT))["accuracy"]
    make_dataset("folder/photo", images=draw(LABELS, 5), splits=["test"], group=COUNT)
    assert "holds a single group of images" in refusal(run, data="folder/photo")


def test_openings_of_each_dataset_are_counted_and_kept_apart(run: Path, capsys: pytest.CaptureFixture[str]):
    make_dataset("folder/other", seed=9)
    first = score(run, data="folder/other")
    assert "before" not in first.text
    # A foreign evaluation is none of the run's own.
    assert last_fingerprint(RunFolder(run), "test", "none") is None
    make_run("second")
    assert main(["ensemble", "run", "second", "--split", "test"]) == 2
    assert "run `fer-tl evaluate run --split test` first" in capsys.readouterr().err
    assert "before" not in score(run).text
    own = read_manifest(dataset_directory("data", "folder/own")).fingerprints["test"]
    other = read_manifest(dataset_directory("data", "folder/other")).fingerprints["test"]
    assert last_fingerprint(RunFolder(run), "test", "none") == own
    assert last_fingerprint(RunFolder(run), "test", "none", "folder/other") == other
    second = score(run, data="folder/other", classes=COARSE)
    assert "Split test of folder/other was opened 1 time before: do not choose by it." in second.text
    assert [entry["dataset"] for entry in read_json(run / "evaluations.json")] == [
        "folder/other", "folder/own", "folder/other"]  # fmt: skip
    make_dataset("folder/other", seed=11)
    assert "holds results on another build of 'folder/other'" in refusal(run, data="folder/other")
    (run / "evaluate-folder-other-test").rename(run / "first-build")
    score(run, data="folder/other")
    assert "holds results on another build" in refusal(run, data="folder/other", classes=COARSE)


def test_the_training_data_under_another_name_is_recognised(run: Path, coarse: Path):
    make_dataset("folder/copy")
    said = "The run was trained on the images of folder/copy, under the name folder/own."
    assert said in score(run, data="folder/copy").text
    assert said in score(coarse, data="folder/copy", classes=["surprise", "negative"]).text
    make_dataset("folder/copy", seed=4)
    assert said not in score(coarse, data="folder/copy", split="train", classes=["surprise", "negative"]).text


def test_a_run_of_merged_classes_takes_the_classes_of_any_dataset_for_what_it_learned(coarse: Path):
    """It learned 'surprise' and 'negative', which was angry and happy; sad was left out."""
    own = score(coarse)
    assert own.predictions["ensemble"].class_names == ("surprise", "negative")
    assert own.result.rows[0][1].support.tolist() == [20, 40]
    assert "Images left out: 20 of sad." in own.text
    assert "not what the run was trained on" not in own.text
    # Elsewhere nobody decided what is left out.
    make_dataset("folder/other", ["Anger", "joy", "sad", "surprise"], images=draw(LABELS, 5), splits=["test"])
    assert "the model does not know sad (folder/other has Anger" in refusal(coarse, data="folder/other")
    other = score(coarse, data="folder/other", classes=["negative", "surprise"])
    assert other.result.rows[0][1].support.tolist() == [40, 20]
    # A dataset of the merged names.
    make_dataset("folder/two", ["negative", "surprise"], LABELS // 2, draw(LABELS, 5), ["test"])
    two = score(coarse, data="folder/two")
    assert two.predictions["ensemble"].labels.tolist() == [1 - label // 2 for label in LABELS]
    assert "there is no class 'angry'" in refusal(coarse, data="folder/other", classes=["angry", "surprise"])


def test_sides_that_share_no_class_meet_in_merged_ones(run: Path):
    make_dataset("folder/mood", ["bad", "good"], LABELS % 2, draw(LABELS, 5), ["test"])
    make_dataset("folder/same", images=draw(LABELS, 5), splits=["test"])
    result = score(run, data="folder/mood", classes=["good=good+happy+surprise", "bad=bad+angry+sad"])
    same = score(run, data="folder/same", classes=["good=happy+surprise", "bad=angry+sad"])
    assert result.predictions["ensemble"].class_names == ("good", "bad")
    assert result.predictions["ensemble"].labels.tolist() == (1 - LABELS % 2).tolist()
    np.testing.assert_array_equal(result.predictions["ensemble"].logits, same.predictions["ensemble"].logits)
    assert result.result.rows[0][1].accuracy == same.result.rows[0][1].accuracy > 0.6
    said = refusal(run, data="folder/mood", classes=["good", "bad=bad+angry"])
    assert "the model knows nothing of 'good' (folder/mood has bad, good; the model knows angry, happy" in said


BAD: dict[str, tuple[Callable[[], object], dict[str, Any], str]] = {
    "no such class": (lambda: None, {"classes": ["happy", "hapy"]}, "there is no class 'hapy'; did you mean 'happy'?"),
    "one class": (lambda: None, {"classes": ["happy"]}, "name two or more"),
    "text for a list": (lambda: None, {"classes": "happy"}, "name two or more"),
    "no such dataset": (
        lambda: None,
        {"data": "folder/none"},
        "folder/none is not built under data (there: folder/own)",
    ),
    "no image left": (
        lambda: make_dataset("folder/two", ["angry", "happy"], LABELS % 2, splits=["test"]),
        {"data": "folder/two", "classes": ["sad", "surprise"]},
        "folder/two has no image of",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(run: Path, name: str):
    change, options, said = BAD[name]
    change()
    assert said in refusal(run, **options)


TINY = ["--backbone", "shallow_cnn", "--weights", "none", "--alpha", "0.1", "--epochs", "1", "--folds", "2"]


@pytest.mark.parametrize("command", ["cv", "train"])
def test_a_run_is_trained_on_merged_classes_and_scored_on_them(command: str, capsys: pytest.CaptureFixture[str]):
    make_dataset("folder/own", group=2)
    Path("merged.yaml").write_text("data: folder/own\nrun_dir: there\nclasses: [surprise, negative=angry+sad]\n")
    arguments = [command, "--config", "merged.yaml", *TINY]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "classes: surprise, negative=angry+sad; images left out: 20 of happy\n" in said
    about = read_json(Path("there/run.json"))
    own = read_manifest(dataset_directory("data", "folder/own")).fingerprints["train"]
    assert (about["class_names"], about["images"]) == (["surprise", "negative"], 60)
    assert about["fingerprint"] == parse_classes(["surprise", "negative=angry+sad"], CLASSES).fingerprint(own)
    part = "fold-1" if command == "cv" else "model"
    predictions = load_predictions(Path("there", part, "predictions.npz"))
    assert predictions.class_names == ("surprise", "negative")
    rows = [int(each[-3:]) for each in predictions.ids]
    assert predictions.labels.tolist() == [0 if LABELS[row] == 3 else 1 for row in rows]
    assert 1 not in LABELS[rows]
    assert main(["evaluate", "there"]) == 0
    assert "Images left out: 20 of happy." in capsys.readouterr().out
    assert (
        len(load_predictions(Path("there/evaluate-test", f"{'ensemble' if command == 'cv' else part}.npz")).ids) == 60
    )
    assert main([*arguments, "--classes", "[surprise,sad]"]) == 2
    assert (
        "other settings (classes ['surprise', 'negative=angry+sad'] -> ['surprise', 'sad'])" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ("[happy,srprise]", "fer-tl: classes: there is no class 'srprise'; did you mean 'surprise'?\n"),
        ("[happy]", "fer-tl: classes: name two or more in a list such as [happy, neutral, negative=angry+sad], not"),
        ("[]", "fer-tl: classes: name two or more in a list"),
        ("happy", "fer-tl: classes: name two or more in a list"),
        ("[happy,no]", "fer-tl: 'classes' should be a list of names such as"),
    ],
)
def test_classes_that_cannot_be_are_refused_before_anything_is_written(
    classes: str, said: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["cv", *TINY, "--classes", classes]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(Path().iterdir())  # not even the faces that would have been drawn
