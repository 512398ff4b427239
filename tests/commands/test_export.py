"""Exported runs: what is inside each format, what it is compared on, and what is left where there is no export."""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from stored_dataset import Stored, store_dataset

from fer_tl.commands.export import ExportResult, export
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import identity
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.data.dataset import join_fingerprints
from fer_tl.data.directory import dataset_directory
from fer_tl.data.folds import write_folds
from fer_tl.data.manifest import read_manifest
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.export import network as exporter
from fer_tl.inference.export.formats import choose_format
from fer_tl.inference.export.images import draw_stratified
from fer_tl.inference.export.network import open_exported
from fer_tl.inference.export.parity import Parity, measure_loss
from fer_tl.inference.predictor import load
from fer_tl.models.classifier import build_classifier
from fer_tl.models.pixels import scale_pixels
from fer_tl.models.record import Scaling
from fer_tl.reports.model_card import card_text
from fer_tl.reports.model_card_data import ExportFacts
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import PART_FILES, describe_files
from fer_tl.runs.predictions import Predictions, save_predictions
from fer_tl.runs.saved_model import save_model

CLASSES = ("angry", "happy", "sad")
COUNT, SIDE = 90, 12
RNG = np.random.default_rng(0)
IDS = np.array([f"face-{row:03d}" for row in range(COUNT)])
LABELS = np.arange(COUNT) % 3
IMAGES = RNG.integers(0, 256, (COUNT, 3, 3, 3)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
FOLDS = np.arange(COUNT) // 3 % 3
LAYERS = keras.layers


def make_model(seed: int) -> keras.Model:
    """What backbones are made of: resizing, channels in another order, BatchNorm, dropout."""
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    x = LAYERS.Resizing(16, 16, interpolation="bilinear", name="resize")(inputs)
    x = LAYERS.Normalization(name="normalize")(scale_pixels(x, Scaling(0.01, (-1.0, -1.2, -1.4), "bgr"), "backbone"))
    x = LAYERS.BatchNormalization(name="bn")(LAYERS.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(x))
    x = LAYERS.DepthwiseConv2D(3, name="depthwise")(LAYERS.ReLU(name="relu")(x))
    x = LAYERS.Dropout(0.5, name="dropout")(LAYERS.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(inputs, LAYERS.Dense(3, name="logits")(x), name="tiny")
    rng = np.random.default_rng(seed)
    for layer in model.layers:  # statistics that are neither 0 nor 1
        drawn = [
            rng.normal(0, 1, w.shape) if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()
        ]
        layer.set_weights(drawn)
    model.get_layer("normalize").finalize_state()
    return model


def make_run(kind: str = "cv", validation: bool = False) -> RunFolder:
    """The run ``run`` with its dataset under ``data``, whose test split is damaged; the images of a single fit are held
    out of the training split, or are a validation split."""
    test = Stored(IMAGES[:6], LABELS[:6], np.char.add("test-", IDS[:6]), IDS[:6])
    held = FOLDS == 0
    parts = {"train": np.arange(COUNT)} if not validation else {"train": ~held, "validation": held}
    splits = {name: Stored(IMAGES[rows], LABELS[rows], IDS[rows], IDS[rows]) for name, rows in parts.items()}
    directory = store_dataset(Path("data"), "folder/own", CLASSES, splits | {"test": test})
    for path in directory.glob("*-test.*"):
        path.write_bytes(b"nobody may read this")
    manifest = read_manifest(dataset_directory("data", "folder/own"))
    names = [f"fold-{fold}" for fold in range(3)] if kind == "cv" else ["model"]
    run = RunFolder(Path("run"))
    experiment = Experiment(data="folder/own", data_dir="data", backbone="shallow_cnn", weights="none", folds=3)
    about = {"kind": kind, "parts": names, "dataset": "folder/own", "settings": identity(experiment)}
    about["fingerprint"] = join_fingerprints(manifest, FIT_SPLITS[:1] if kind == "cv" else FIT_SPLITS)
    run.start(experiment, about | {"class_names": list(CLASSES), "held_out": "split validation", "split_over_folds": 0})
    write_folds(run.path / "folds.csv", IDS, FOLDS)
    for number, name in enumerate(names):
        model, rows = make_model(number), np.flatnonzero(number == FOLDS)
        save_model(model, CLASSES, run.part(name) / "model.keras")
        logits = np.asarray(model(IMAGES[rows], training=False))
        save_predictions(run.part(name) / "predictions.npz", Predictions(IDS[rows], LABELS[rows], logits, CLASSES))
        (run.part(name) / "history.csv").write_text("stage,epoch,loss\nmain,1,1.0\n")
        for file in set(PART_FILES) - {"model.keras", "predictions.npz", "history.csv"}:
            write_json(run.part(name) / file, {})
        files = describe_files(run.part(name))
        write_json(run.part(name) / "result.json", {"epochs": 1, "kept_epoch": 1, "files": files})
    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the run ``run`` and its dataset, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_run()
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of it, in the working folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return RunFolder(Path("run"))


def ask(run: RunFolder, format: str = "keras", **options: Any) -> ExportResult:
    return export(run.path, format, say=lambda line: None, **options)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


FORMATS = [
    ("keras", False),
    ("savedmodel", False),
    ("tflite", False),
    ("tflite", True),
    ("onnx", False),
    ("onnx", True),
]


@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize(("name", "int8"), [each for each in FORMATS if not each[1] or each[0] in ("tflite", "onnx")])
def test_the_snippet_of_the_card_says_what_the_run_says(
    run: RunFolder, name: str, int8: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    if name == "onnx":
        pytest.importorskip("tf2onnx")
    result = export(run.path, name, int8)
    shown = capfd.readouterr()
    assert shown.err == ""  # no converter's chatter
    assert result.text in shown.out
    assert (result.loss is not None) == int8
    assert result.parity.images == 30
    assert result.parity.difference < (0.1 if int8 else 1e-5)
    assert result.parity.difference > 0 or name == "keras"
    card = (result.out_dir / "MODEL_CARD.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippet.splitlines()) <= 16
    monkeypatch.chdir(result.out_dir)
    tall = np.concatenate([IMAGES[1], IMAGES[2][:7]]).repeat(3, axis=0).repeat(3, axis=1)  # neither square nor as large
    Image.fromarray(tall).save("face.png")
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    expected = load(Path("../..")).predict(["face.png"])
    np.testing.assert_allclose(scope["p"], expected.probabilities[0], atol=0.1 if int8 else 1e-5)
    printed, probability = capfd.readouterr().out.split()[-2:]
    assert printed == expected.labels[0]
    assert float(probability) == pytest.approx(expected.probabilities.max(), abs=0.1)
    assert scope["names"] == list(CLASSES)
    Path("face.png").unlink()
    assert {path.name for path in Path().iterdir()} == {result.path.name, "MODEL_CARD.md", "export.json"}
    recorded = read_json(Path("export.json"))["files"]
    assert result.size == sum(each["size"] for file, each in recorded.items() if file != "MODEL_CARD.md")


@pytest.fixture(scope="module")
def exported(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a copy of the run with its export to Keras, not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(made, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ask(RunFolder(Path("run")))
    return folder


def test_any_number_of_images_and_a_plain_call_without_dropout(exported: Path):
    path = exported / "run/export/keras/model.keras"
    model = keras.models.load_model(path)
    first, second = (np.asarray(model(IMAGES[:7])) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-6)
    assert model.input.dtype == "uint8"
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    assert set(re.findall(r'"module": "(\w+)', config)) == {"keras"}  # loads where there is no fer-tl
    assert set(re.findall(r'"registered_name": ("?\w+)', config)) <= {"null", '"Functional'}


def test_a_model_that_says_something_else_is_not_kept(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    before = tree(Path())

    def spoil(model: keras.Model) -> keras.Model:
        model.get_layer("logits").bias.assign([0.2, 0.0, 0.0])
        return model

    monkeypatch.setattr(exporter, "fold_batch_norm", spoil)
    with pytest.raises(UserError, match=r"by up to 0\.\d+, where 0\.001 is allowed; nothing was written"):
        ask(RunFolder(Path("run")))
    assert tree(Path()) == before


def test_an_export_is_replaced_by_the_mean_of_all_folds_but_no_file_of_others(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Path("run"))
    again = ask(run, fold="all")
    assert [path.name for path in (run.path / "export").iterdir()] == ["keras"]  # nothing hidden is left
    assert read_json(again.out_dir / "export.json")["parts"] == ["fold-0", "fold-1", "fold-2"]
    answers = open_exported(again.path, choose_format("keras", False))(IMAGES[:5])
    np.testing.assert_allclose(answers, load(run.path, "all").answer(IMAGES[:5]).probabilities, atol=1e-5)
    (again.out_dir / "own").mkdir()
    (again.out_dir / "own" / "notes.txt").write_text("mine")
    before = tree(run.path)
    with pytest.raises(UserError, match=r"keras holds files that are of no export, such as own/notes\.txt"):
        ask(run)
    assert tree(run.path) == before


def test_a_backbone_says_the_same_in_tensorflow_lite(tmp_path: Path):
    model = build_classifier(Experiment(backbone="shallow_cnn", weights="none", alpha=0.5), (24, 24, 1), 3, None).model
    save_model(model, CLASSES, tmp_path / "original.keras")
    images = RNG.integers(0, 256, (4, 3, 3, 1)).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    logits = np.asarray(model(images, training=False))
    temperature = float(np.ptp(logits))
    z = np.exp(logits / temperature)
    chosen = choose_format("tflite", False)
    network = exporter.build_network([tmp_path / "original.keras"], temperature)
    path = exporter.write_model(network, CLASSES, chosen, tmp_path, FaceRecipe())
    np.testing.assert_allclose(open_exported(path, chosen)(images), z / z.sum(axis=1, keepdims=True), atol=1e-4)


def spoil_model(run: RunFolder) -> None:
    (run.part("fold-0") / "model.keras").write_bytes(b"PK")


def lose_data(run: RunFolder) -> None:
    shutil.rmtree("data")


def fill_folder(run: RunFolder) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("all of it")


def make_file(run: RunFolder) -> None:
    Path("mine").write_text("all of it")


REFUSED = {
    "an unknown format": (None, {"format": "tflight"}, "--format tflight: .* did you mean 'tflite'"),
    "int8 Keras": (None, {"format": "keras", "int8": True}, "--int8 does not go with --format keras.* tflite or onnx"),
    "int8 of all": (None, {"format": "tflite", "int8": True, "fold": "all"}, "--int8 --fold all: .* one fold"),
    "no such fold": (None, {"fold": 7}, "--fold 7: run has the folds 0 to 2"),
    "a damaged model": (spoil_model, {}, r"model\.keras is not what was written"),
    "no data for int8": (
        lose_data,
        {"format": "tflite", "int8": True},
        "--int8 needs images of the training, and .*data",
    ),
    "no data there": (None, {"data_dir": "nowhere"}, "nowhere"),
    "a full folder": (fill_folder, {"out": "mine"}, r"mine holds files that are of no export, such as thesis\.txt"),
    "a file": (make_file, {"out": "mine"}, "mine is a file"),
    "below a file": (make_file, {"out": "mine/x"}, r"mine/x cannot be written \(Not a directory\): give another --out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line_and_leaves_nothing(run: RunFolder, name: str):
    spoil, options, message = REFUSED[name]
    if spoil:
        spoil(run)
    before = tree(Path())
    with pytest.raises(UserError, match=message) as caught:
        ask(run, **options)
    assert "\n" not in str(caught.value)
    assert tree(Path()) == before


def test_a_package_that_is_missing_is_named_with_its_remedy(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ONNX needs tf2onnx, onnx, onnxruntime: pip install 'fer-tl\[onnx\]'"):
        ask(run, "onnx")


def test_without_its_dataset_a_model_is_compared_on_made_images(run: RunFolder):
    lose_data(run)
    result = ask(run)
    assert result.parity == Parity(64, pytest.approx(0, abs=1e-5), 1.0)
    assert "64 made-up images, not faces, because the dataset was not at hand" in result.text


@pytest.mark.parametrize(("kind", "validation"), [("cv", False), ("train", False), ("train", True)])
def test_int8_is_calibrated_on_images_of_the_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, validation: bool
):
    monkeypatch.chdir(tmp_path)
    run = make_run(kind, validation)
    asked: list[np.ndarray] = []

    def write(network: Any, names: Any, chosen: Any, folder: Path, recipe: Any, calibration: np.ndarray) -> Path:
        asked.append(calibration)
        raise UserError("enough")

    monkeypatch.setattr(exporter, "write_model", write)
    part = 1 if kind == "cv" else 0
    for _ in range(2):
        with pytest.raises(UserError, match="enough"):
            ask(run, "tflite", int8=True, fold=part if kind == "cv" else None, out="elsewhere/deep")
        assert not Path("elsewhere").exists()
    np.testing.assert_array_equal(asked[0], asked[1])
    trained = {image.tobytes() for image in IMAGES[part != FOLDS]}
    assert {image.tobytes() for image in asked[0]} == trained
    assert len(asked[0]) == 60


def test_the_draw_is_alike_for_all_classes_and_hangs_on_the_seed_alone():
    ids, labels = np.arange(100).astype(str), np.repeat([0, 2, 5], [4, 66, 30])
    drawn = draw_stratified(ids, labels, 40, seed=3)
    assert np.bincount(labels[drawn]).tolist() == [4, 0, 18, 0, 0, 18]
    order = np.random.default_rng(0).permutation(100)
    again = draw_stratified(ids[order], labels[order], 40, seed=3)
    assert set(ids[order][again]) == set(ids[drawn])
    assert set(ids[draw_stratified(ids, labels, 40, seed=4)]) != set(ids[drawn])
    assert len(draw_stratified(ids, labels, 400, seed=3)) == 100


def test_a_loss_is_the_accuracy_before_less_that_after():
    labels = np.zeros(200, np.int64)
    original, quantized = labels.copy(), labels.copy()
    original[:20], quantized[:50] = 1, 2
    groups = np.arange(200).astype(str)
    loss = measure_loss(labels, original, quantized, groups)
    assert (loss.images, loss.original, loss.quantized, loss.agreement) == (200, 0.9, 0.75, 0.75)
    assert loss.difference == pytest.approx(0.15)
    assert 0.099 < loss.interval[0] < 0.15 < loss.interval[1] < 0.21
    gain = measure_loss(labels, quantized, original, groups)
    assert gain.difference == pytest.approx(-0.15)
    assert gain.interval == pytest.approx((-loss.interval[1], -loss.interval[0]), abs=0.01)


@pytest.mark.parametrize("validation", [True, False])
def test_the_card_of_a_single_fit_lists_what_it_was_trained_on(
    validation: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not the images that it was scored on, as if it had learnt from them."""
    monkeypatch.chdir(tmp_path)
    run = make_run("train", validation)
    contents = open_contents(run, None)
    card = card_text(contents, facts_of("model"))
    trained, held = (np.bincount(LABELS[rows], minlength=3) for rows in (FOLDS != 0, FOLDS == 0))
    section = card.split("## Training data")[1].split("##")[0]
    assert "those to train on, and those of split validation, which the model was scored on" in section
    for name, one, other in zip(CLASSES, trained, held, strict=True):
        assert f"| {name} | {one} | {other} |" in section
    assert f"| all | {trained.sum()} | {held.sum()} |" in section
    missing = card_text(replace(contents, source=None), facts_of("model")).split("## Training data")[1].split("##")[0]
    assert "how many of each class is not known" in missing and f"| all | {held.sum()} |" in missing


def test_the_card_of_a_fold_says_which_images_it_has_not_seen(run: RunFolder):
    contents = open_contents(run, None)
    one, mean = (
        card_text(contents, facts_of(*parts)).split("## Training data")[1].split("##")[0]
        for parts in (["fold-1"], ["fold-0", "fold-1", "fold-2"])
    )
    assert "was trained on the other folds' images, not on those of fold-1" in one
    assert "trained on all folds' images but its own's; their mean has seen all" in mean


def facts_of(*parts: str) -> ExportFacts:
    return ExportFacts(
        chosen=choose_format("keras", False),
        parts=parts,
        class_names=CLASSES,
        image_shape=(SIDE, SIDE, 1),
        recipe=FaceRecipe(),
        temperature=1.5,
        calibration="Probabilities are calibrated.",
        parity=Parity(30, 1e-6, 1.0),
        compared_on="30 images",
        loss=None,
        calibrated=0,
        size=10**6,
        milliseconds=1.0,
    )


def test_the_card_tells_the_licence_of_the_weights(run: RunFolder):
    contents = open_contents(run, None)
    facts = facts_of("fold-0")
    card = card_text(contents, facts)
    assert "no published weights are in this model" in card
    assert "divided by 1.500" in card
    assert 'convert("L")' in card
    assert "| happy | 30 |" in card
    assert contents.about["fingerprint"] in card
    vgg = replace(contents, experiment=replace(contents.experiment, backbone="vgg16", weights="vggface"))
    assert "licence: non-commercial, of the Visual Geometry Group" in card_text(vgg, facts)
    other = replace(contents, experiment=replace(contents.experiment, weights="/home/me/secret/mine.weights.h5"))
    assert "the file mine.weights.h5, whose licence fer-tl does not know" in card_text(other, facts)
    card = card_text(other, facts)
    assert "secret" not in card and "--weights mine.weights.h5" in card
