"""Runs explained: which model speaks, what is written and shown, and where there can be no explanation."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_reader import assert_sound, decoded
from PIL import Image
from small_run import CLASSES, COUNT, FOLDS, IDS, IMAGES, LABELS, SIDE, make_run, seal
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.commands.explain import ExplainResult, explain
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.evaluation.calibration import choose_scaling
from fer_tl.inference.explain.explain import compute_maps
from fer_tl.inference.explain.gradients import GradientModel
from fer_tl.inference.explain.methods import METHODS
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions, load_predictions, save_predictions, softmax
from fer_tl.runs.saved_model import load_model

RNG = np.random.default_rng(0)


def ask(run: RunFolder, *images: str, **options: Any) -> ExplainResult:
    return explain(run.path, images, say=lambda line: None, **{"faces": "crop", **options})


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the run ``run`` and its dataset, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_run("run")
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunFolder:
    """A copy of it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return RunFolder(Path("run"))


def write_image(name: str, pixels: np.ndarray, **options: Any) -> str:
    Image.fromarray(pixels).save(name, **options)
    return name


def test_mistakes_are_the_most_confident_and_explained_by_the_model_that_held_them_out(run: RunFolder):
    result = ask(run, errors=9)
    wrong = []
    for part in run.parts:
        saved = load_predictions(run.part(part) / "predictions.npz")
        p = softmax(saved.logits / choose_scaling(run, [part]).temperature)
        for row in np.flatnonzero(p.argmax(axis=1) != saved.labels):
            wrong.append(
                (-p[row].max(), str(saved.ids[row]), part, CLASSES[saved.labels[row]], CLASSES[p[row].argmax()])
            )
    wrong.sort()
    found = result.explanations
    assert [(e.picture.id, e.picture.part, e.picture.label, e.predicted) for e in found] == [w[1:] for w in wrong[:9]]
    assert len({each.picture.part for each in found}) > 1
    assert f"The 9 most confident of {len(wrong)} mistakes on {COUNT} held-out images" in result.text.replace("\n", " ")
    fold_of = dict(zip(IDS.tolist(), FOLDS.tolist(), strict=True))
    row_of = {name: row for row, name in enumerate(IDS.tolist())}
    model = GradientModel(load_model(run.part("fold-0") / "model.keras")[0])
    for each, (minus_p, *_) in zip(found, wrong, strict=False):
        assert each.picture.part == f"fold-{fold_of[each.picture.id]}"
        assert each.explained == each.predicted
        assert max(each.probabilities.values()) == pytest.approx(-minus_p, abs=1e-5)
        pixels = IMAGES[row_of[each.picture.id]]
        np.testing.assert_array_equal(each.picture.pixels, pixels)
        model.take_weights(run.part(each.picture.part) / "model.keras")
        k = np.array([CLASSES.index(each.explained)])
        _, maps = compute_maps(model, pixels[None], k, tuple(METHODS))
        for method in METHODS:
            np.testing.assert_allclose(each.maps[method], maps[method][0], rtol=1e-4, atol=1e-7)


def test_list_maps_overlays_and_page_say_the_same(run: RunFolder):
    result = ask(run, errors=4, class_name="Anger")
    assert result.out_dir == Path("run/explain")
    lines = list(csv.DictReader((result.out_dir / "explain.csv").open(encoding="utf-8")))
    assert [line["method"] for line in lines] == 4 * list(METHODS)
    arrays = np.load(result.out_dir / "maps.npz")
    assert (arrays["gradcam"].shape, arrays["gradcam"].dtype) == ((4, 6, 6), np.float32)
    assert arrays["saliency"].shape == arrays["smoothgrad"].shape == (4, SIDE, SIDE)
    assert (str(arrays["layer"]), set(arrays["explained"].tolist())) == ("conv", {"angry"})
    assert arrays["class_names"].tolist() == list(CLASSES)
    reader = assert_sound((result.out_dir / "index.html").read_text(encoding="utf-8"))
    shown = reader.all("img")[1:]  # behind the legend
    assert len(shown) == 4 * 4
    for number, line in enumerate(lines):
        row, column = divmod(number, 3)
        each, method = result.explanations[row], line["method"]
        values = each.maps[method]
        assert (line["id"], line["true"], line["explained"]) == (each.picture.id, each.picture.label, "angry")
        assert float(line["p_explained"]) == pytest.approx(each.probabilities["angry"])
        assert values[int(line["row"]), int(line["column"])] == values.max() == np.float32(line["maximum"])
        np.testing.assert_array_equal(arrays[method][row], values)
        picture = np.asarray(Image.open(result.out_dir / line["file"]))
        np.testing.assert_array_equal(decoded(shown[4 * row + 1 + column]), picture)
        assert picture.shape == (240, 240, 3)
        alt = shown[4 * row + 1 + column]["alt"]
        assert METHODS[method] in alt and "angry" in alt and (line["place"] in alt or line["place"] == "nowhere")
    assert "maps of angry" in reader.text and "What the colours mean" in reader.text
    assert {path.name for path in result.out_dir.rglob("*.png")} == {Path(line["file"]).name for line in lines}
    shorter = ask(run, errors=1, method="saliency")
    assert len(list((shorter.out_dir / "overlays").iterdir())) == 1
    assert np.load(shorter.out_dir / "maps.npz").files[-1] == "saliency"


def test_a_mistake_of_one_fold_alone(run: RunFolder):
    result = ask(run, errors=50, fold=2, method="gradcam")
    saved = load_predictions(run.part("fold-2") / "predictions.npz")
    assert len(result.explanations) == (saved.logits.argmax(axis=1) != saved.labels).sum() > 5
    assert {each.picture.part for each in result.explanations} == {"fold-2"}


def test_files_are_decoded_as_builders_do_and_explained_by_one_fold(run: RunFolder):
    face = RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    colour = RNG.integers(0, 256, (800, 600, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    names = [
        write_image("face.png", face),
        write_image("turned.png", np.rot90(face), exif=exif),
        write_image("photo.jpg", colour),
    ]
    result = ask(run, *names, method="gradcam")
    plain, turned, photo = (each.picture for each in result.explanations)
    np.testing.assert_array_equal(plain.pixels[:, :, 0], face)
    np.testing.assert_array_equal(turned.pixels, plain.pixels)
    np.testing.assert_array_equal(*(each.maps["gradcam"] for each in result.explanations[:2]))
    assert photo.pixels.shape == (SIDE, SIDE, 1) and not photo.pixels[:, 0].any()  # padded with black
    assert {each.picture.part for each in result.explanations} == {"fold-0"}
    text = " ".join(result.text.split())
    assert "The explanations are those of the model of fold-0, one of 3. It takes pictures of 12x12x1 pixels." in text
    assert "photo.jpg: not square, so padded with black; larger than 500 pixels, so it may show more" in text
    assert "trained on crops of faces: what else a picture shows misleads it" in text and "face.png: " not in text
    other = ask(run, names[0], method="gradcam", fold=2, out="there")
    assert (other.out_dir, other.explanations[0].picture.part) == (Path("there"), "fold-2")
    assert other.explanations[0].probabilities != result.explanations[0].probabilities


def test_faces_are_found_cut_and_answered_as_predict_does(run: RunFolder):
    photo = RNG.integers(0, 256, (160, 200, 3)).astype(np.uint8)
    names = [write_image("two.png", photo), write_image("none.png", photo[:140])]
    boxes = [(0, 60, 50, 110), (100, 5, 130, 35)]

    def find(image: np.ndarray) -> list[tuple[int, ...]]:
        return boxes if len(image) == 160 else []

    result = ask(run, *names, faces="detect", detector=find, method="gradcam")
    predicted = fer_tl.predict(run.path, names, detector=find, fold=0, save="jsonl", say=lambda line: None)
    assert predicted.out_dir is not None
    lines = (predicted.out_dir / "faces.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record.get("label")]
    assert [each.picture.id for each in result.explanations] == ["two-face-1.png", "two-face-2.png", "none.png"]
    for each, record in zip(result.explanations[:2], records, strict=True):
        assert each.predicted == record["label"]
        assert each.probabilities == pytest.approx(record["probabilities"], abs=1e-3)
    assert "none.png: no face was found, so the whole picture is explained" in " ".join(result.text.split())
    with pytest.raises(UserError, match="500 in one call; give fewer pictures"):
        ask(run, names[0], faces="detect", detector=lambda image: boxes * 251, method="gradcam", out="more")


def test_the_class_and_the_layer_that_are_asked_for_matter(run: RunFolder):
    name = write_image("face.png", IMAGES[0, :, :, 0])
    maps = [ask(run, name, class_name=each, method="gradcam").explanations[0].maps["gradcam"] for each in CLASSES]
    assert not np.array_equal(maps[0], maps[1]) and not np.array_equal(maps[1], maps[2])
    other = ask(run, name, layer="scale", method="gradcam")
    assert other.explanations[0].maps["gradcam"].shape == (SIDE, SIDE)
    assert "layer scale, a map of 12x12" in other.text


def test_an_unfinished_run_explains_with_what_is_done_and_says_so(run: RunFolder):
    (run.part("fold-0") / "result.json").unlink()
    name = write_image("face.png", IMAGES[0, :, :, 0])
    result = ask(run, name, method="gradcam")
    assert result.explanations[0].picture.part == "fold-1"
    assert "The run is unfinished: fold-0 of 3 parts" in result.text
    mistakes = ask(run, errors=50, method="gradcam")
    assert {each.picture.part for each in mistakes.explanations} == {"fold-1", "fold-2"}
    assert "The run is unfinished: fold-0" in mistakes.text


def test_a_single_fit_and_merged_classes_are_explained(tmp_path: Path):
    single = make_run("single", kind="train")
    assert {each.picture.part for each in ask(single, errors=5, method="gradcam").explanations} == {"model"}
    merged = make_run("merged", folds=3, classes=("sad", "lively=angry+happy"))
    found = ask(merged, errors=3, method="gradcam", class_name="lively").explanations
    assert {each.picture.label for each in found} <= {"sad", "lively"}
    assert {each.explained for each in found} == {"lively"}


def damage(path: str) -> Callable[[], None]:
    def change() -> None:
        data = bytearray(Path(path).read_bytes())
        data[len(data) // 2] ^= 1
        Path(path).write_bytes(data)

    return change


def edit_predictions() -> None:
    """By hand, so that no checksum tells: a mistake of another fold is put into fold 0."""
    path = Path("run/fold-0/predictions.npz")
    mine, other = load_predictions(path), load_predictions(Path("run/fold-1/predictions.npz"))
    ids = mine.ids.copy()
    ids[0] = other.ids[0]
    save_predictions(path, Predictions(ids, mine.labels, mine.logits, mine.class_names))
    seal(RunFolder(Path("run")), "fold-0")


def diverge() -> None:
    path = Path("run/fold-1/predictions.npz")
    mine = load_predictions(path)
    save_predictions(path, Predictions(mine.ids, mine.labels, mine.logits * np.nan, mine.class_names))
    seal(RunFolder(Path("run")), "fold-1")


def make_right() -> None:
    for part in ("fold-0", "fold-1", "fold-2"):
        path = Path(f"run/{part}/predictions.npz")
        mine = load_predictions(path)
        logits = np.eye(3, dtype=np.float32)[mine.labels]
        save_predictions(path, Predictions(mine.ids, mine.labels, logits, mine.class_names))
        seal(RunFolder(Path("run")), part)


def unfinish() -> None:
    for part in ("fold-0", "fold-2"):
        (Path("run") / part / "result.json").unlink()


def edit_config() -> None:
    path = Path("run/config.yaml")
    path.write_text(path.read_text().replace("seed: 0", "seed: 1"))


def rebuild() -> None:
    store_dataset(Path("data"), "folder/own", CLASSES, {"train": Stored(IMAGES, LABELS[::-1], IDS, IDS)})


def nothing() -> None:
    pass


FACE = {"images": ["face.png"]}
BAD: dict[str, tuple[Callable[[], object], dict[str, Any], str]] = {
    "nothing": (nothing, {}, "nothing to explain: name image files, or give --errors N"),
    "both": (nothing, {**FACE, "errors": 2}, "image files and --errors: give one of them"),
    "fewer than none": (nothing, {"errors": -1}, "--errors -1: name image files"),
    "no run": (nothing, {**FACE, "run_dir": "none"}, "none does not exist: give pictures, which"),
    "too many": (nothing, {"errors": 501}, "501 images to explain: at most 500 in one call"),
    "method": (nothing, {**FACE, "method": "gradcan"}, "--method gradcan: no such method; did you mean 'gradcam'?"),
    "faces": (nothing, {**FACE, "faces": "find"}, "--faces find: not known"),
    "detector for crops": (
        nothing,
        {**FACE, "faces": "crop", "detector": "mtcnn"},
        "--detector is for faces that are cut out",
    ),
    "layer for nothing": (nothing, {**FACE, "method": "saliency", "layer": "conv"}, "--layer conv is for gradcam"),
    "class": (
        nothing,
        {**FACE, "class_name": "hapy"},
        "--class hapy: the run has no such class; did you mean 'happy'?",
    ),
    "fold": (nothing, {**FACE, "fold": 3}, "--fold 3: run has the folds 0 to 2"),
    "fold not done": (unfinish, {**FACE, "fold": 2}, "--fold 2: run has not trained it yet; done: fold-1"),
    "missing": (nothing, {"images": ["none.png"]}, "none.png does not exist"),
    "folder": (nothing, {"images": ["data"]}, "data is a folder: give image files"),
    "no image": (nothing, {"images": ["face.png", "run/run.json"]}, "run/run.json is text, not a picture"),
    "truncated": (
        lambda: Path("face.png").write_bytes(Path("face.png").read_bytes()[:60]),
        FACE,
        "face.png is truncated",
    ),
    "damaged model": (damage("run/fold-0/model.keras"), FACE, "model.keras is not what was written (its checksum is"),
    "damaged predictions": (
        damage("run/fold-2/predictions.npz"),
        {"errors": 2},
        "predictions.npz is not what was written",
    ),
    "edited predictions": (edit_predictions, {"errors": 2}, "does not hold the images that folds.csv gives to fold-0"),
    "diverged": (diverge, {"errors": 2}, "run/fold-1 predicts numbers that are not finite"),
    "no mistake": (make_right, {"errors": 2}, f"run made no mistake on {COUNT} held-out images"),
    "edited settings": (edit_config, FACE, "config.yaml was changed since the run began (seed 0 -> 1)"),
    "another build": (rebuild, {"errors": 2}, "is another build of 'folder/own' than run was trained on"),
    "dataset elsewhere": (
        lambda: Path("data").rename("moved"),
        {"errors": 2},
        "If it is elsewhere, name its folder with --data-dir",
    ),
    "other files": (nothing, {**FACE, "out": "data"}, "data holds other files and is no explanation"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_before_tensorflow_and_leaves_nothing(
    run: RunFolder, name: str, monkeypatch: pytest.MonkeyPatch
):
    write_image("face.png", IMAGES[0, :, :, 0])
    change, options, said = BAD[name]
    change()
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and ".cache" not in path.parts}
    monkeypatch.setattr("fer_tl.commands.explain.import_backend", lambda: pytest.fail("too late"))
    with pytest.raises(UserError) as error:
        explain(**{"run_dir": "run", "say": lambda line: None, **options})
    assert said in str(error.value) and "\n" not in str(error.value)
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and ".cache" not in path.parts}
    assert after == before


def test_a_layer_that_does_not_exist_leaves_nothing(run: RunFolder):
    with pytest.raises(UserError, match=r"--layer con: there is none; did you mean 'conv'\? Valid are: scale"):
        ask(run, write_image("face.png", IMAGES[0, :, :, 0]), layer="con")
    assert not (run.path / "explain").exists()


def test_arguments_are_read_without_tensorflow(run: RunFolder):
    """In a process of its own, up to the last check before it is imported."""
    code = (
        "import sys, fer_tl.commands.explain as e\n"
        "def stop(): print(sorted({'keras', 'tensorflow'} & set(sys.modules))); raise SystemExit\n"
        "e.import_backend = stop\n"
        "e.explain('run', errors=3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert read_json(Path("run/run.json"))["kind"] == "cv"
