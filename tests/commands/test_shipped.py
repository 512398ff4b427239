"""The network that ships: a run is put into the package, and every command takes it where no run is named."""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import shutil
import socket
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from made_run import make_faces, make_run
from PIL import Image

import fer_tl
from fer_tl.cli import main
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.data.dataset import load_dataset
from fer_tl.data.digests import digest_images
from fer_tl.models import shipped
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.reports.model_card import start_licence
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import read_lineage
from fer_tl.runs.predictions import load_predictions
from fer_tl.sources.toyfaces import source as toyfaces

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("thin_backbone", "light_figures")


def quiet(line: str) -> None:
    """Nobody listens."""


def ship(run: Path, to: Path, **options: Any) -> Path:
    """What ``benchmarks/ship_model.py`` does, into another folder than the package's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import ship_model

        patch.setattr(shipped, "FOLDER", to)
        return Path(ship_model.ship(run, say=quiet, **options))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, thin_backbone: None, light_figures: None) -> Path:
    """A folder with drawn faces in ``data``, a run of them in ``run``, and the network that ships in ``pretrained``."""
    folder = tmp_path_factory.mktemp("shipped")
    settings = fer_tl.load_experiment(
        backbone="shallow_cnn", weights="none", alpha=0.5, head={"dense": []}, epochs=1, batch_size=32,
        optimizer={"rate": 0.005}, run_dir="run", data="toyfaces",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(toyfaces, "COUNTS", {"train": 500, "validation": 140, "test": 70})
        fer_tl.fit(settings, say=quiet)
        fer_tl.evaluate("run", split="validation", tta="flip", say=quiet)
        ship(Path("run"), folder / "pretrained", note="Drawn, not photographed.")
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder where that network ships."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "FOLDER", place / "pretrained")
    return tmp_path


@pytest.fixture
def photo(place: Path, here: Path) -> str:
    """A drawn face in a file."""
    faces = load_dataset("toyfaces", place / "data", "validation")
    Image.fromarray(faces.images[0][..., 0]).save("photo.png")
    return "photo.png"


@pytest.mark.engines
def test_it_is_a_run_of_half_the_size_that_answers_as_the_one_it_comes_from(place: Path):
    run, network = RunFolder(place / "run"), RunFolder(place / "pretrained" / "fer2013")
    before, after = (each.part("model") / "model.keras" for each in (run, network))
    assert after.stat().st_size < before.stat().st_size
    first, second = (load_predictions(each.part("model") / "predictions.npz") for each in (run, network))
    np.testing.assert_array_equal(first.ids, second.ids)
    difference = np.abs(first.probabilities - second.probabilities).max()
    assert 0 < difference < 0.01
    plain = keras.models.load_model(after, compile=False)
    assert {weight.dtype for weight in plain.weights} == {"float32"}
    kernel = keras.models.load_model(before, compile=False).get_layer("conv1").kernel.numpy()
    np.testing.assert_array_equal(plain.get_layer("conv1").kernel.numpy(), kernel.astype(np.float16))


def test_its_card_has_the_figures_of_the_network_as_it_ships(place: Path):
    folder = place / "pretrained" / "fer2013"
    card, text = read_json(folder / "card.json"), (folder / "card.md").read_text()
    saved = load_predictions(folder / "model" / "predictions.npz")
    right = saved.logits.argmax(axis=1) == saved.labels
    assert card["accuracy"] == right.mean() and card["images"] == len(right) == 140
    low, high = card["interval_95"]["accuracy"]
    assert low < right.mean() < high
    assert card["measures"]["per_class"]["happy"]["recall"] == right[saved.labels == 3].mean()
    bounds = [each["f1"] for each in card["class_interval_95"].values()]
    assert None in bounds  # of classes that are never named nothing is known
    assert all(0 <= low <= high <= 1 for low, high in filter(None, bounds))
    assert card["float16"]["agreement"] > 0.97 and card["float16"]["largest_probability_difference"] < 0.01
    assert card["calibration"]["temperature"] == fer_tl.load(folder, say=quiet).temperature
    assert card["calibration"]["error_cross_fitted"] != card["calibration"]["error_on_the_images_it_was_fitted_to"]
    assert [(each["split"], each["tta"]) for each in card["evaluations"]] == [("validation", "flip")]
    assert "fer-tl train --data toyfaces --backbone shallow_cnn" not in text  # its default data
    for words in ("fer-tl train", "--alpha 0.5", "Drawn, not photographed.", "Confusion matrix", "MIT, as the code"):
        assert words in text, words
    assert str(place) not in "".join(path.read_text() for path in folder.glob("*.*") if path.suffix != ".npz")


def test_predict_takes_it_for_a_photo_alone(photo: str, here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", photo, "--faces", "crop"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Model: fer2013, which ships with fer-tl 0.1.0: shallow_cnn, ")
    assert "140 images that it was not trained on, split validation of toyfaces." in said.splitlines()[0]
    assert (here / "predict" / "faces.csv").is_file()
    assert json.loads((here / "predict" / "predict.json").read_text())["run"].startswith("fer2013, which ships")
    assert main(["predict", "--faces", "crop", photo, "--out", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["id"] == "photo" and "Model: fer2013" in err


def test_a_run_that_is_named_is_taken_wherever_options_stand(
    photo: str, place: Path, here: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(place / "run", here / "mine")
    shutil.rmtree(here / "mine" / "predict", ignore_errors=True)
    assert main(["predict", "mine", "--faces", "crop", photo]) == 0
    assert "Model: fer2013" not in capsys.readouterr().out
    assert (here / "mine" / "predict" / "faces.csv").is_file() and not (here / "predict").exists()


WRONG = {
    "missing": (["nothing.jpg"], "nothing.jpg does not exist: give pictures, which"),
    "missing run": (["runs/none", "photo.png"], "runs/none does not exist: give pictures"),
    "no run": (["empty", "photo.png"], "empty is not a run, which has a run.json; and empty holds no picture"),
    "run alone": (["mine"], "mine is a run, or holds some: name what to predict on behind it"),
    "runs alone": (["all"], "all is a run, or holds some"),
    "several runs": (["all", "photo.png"], "all holds several runs: name one of them (mine)"),
    "nothing": ([], "nothing to predict on: give pictures"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_what_is_neither_a_run_nor_a_picture_is_one_line(
    words: list[str], message: str, photo: str, place: Path, here: Path, capsys: pytest.CaptureFixture[str]
):
    (here / "empty").mkdir()
    (here / "all").mkdir()
    (here / "mine").symlink_to(place / "run")
    (here / "all" / "mine").symlink_to(place / "run")
    assert main(["predict", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_its_own_pictures_are_not_read_the_next_time(photo: str, here: Path):
    for source in (".", str(here)):
        with pytest.raises(UserError, match=f"predict would lie in {source} and be read as pictures the next time"):
            fer_tl.predict(source, faces="crop", say=quiet)
    assert fer_tl.predict(".", faces="crop", save="csv", out="there", say=quiet).faces == 1


def test_python_explain_and_export_take_it(photo: str, here: Path):
    lines: list[str] = []
    model = fer_tl.load(say=lines.append)
    assert lines == [shipped.find_shipped().describe()] and model.predict(photo).probabilities.shape == (1, 7)
    found = fer_tl.explain(photo, method="saliency", say=lines.append)
    assert lines[1] == lines[0] and found.out_dir == Path("explain") and len(found.explanations) == 1
    exported = fer_tl.export(say=lines.append)
    assert exported.path == Path("export/keras/model.keras") and exported.path.is_file()


def test_serve_takes_it(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("flask")
    from fer_tl.inference.serve.listening import WebServer

    def stop(self: WebServer) -> None:
        raise KeyboardInterrupt

    address = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **named: address)  # the offline tests refuse all names
    monkeypatch.setattr(WebServer, "wait", stop)
    assert main(["serve", "--port", "0", "--detector", "none"]) == 0
    assert "Model: fer2013, which ships" in capsys.readouterr().out


@pytest.mark.engines
def test_a_training_starts_from_it(place: Path, here: Path):
    settings = fer_tl.load_experiment(
        backbone="shallow_cnn", weights="fer2013", alpha=0.5, head={"dense": []}, epochs=1,
        data="toyfaces", data_dir=str(place / "data"), run_dir="tuned",
    )  # fmt: skip
    assert find_weights(resolve_model(settings), "fer2013") == shipped.find_shipped().weights
    fer_tl.fit(settings, say=quiet)
    start = json.loads((here / "tuned" / "environment.json").read_text())[0]
    assert start["weights"] == "fer2013"


def test_it_knows_the_images_that_it_was_trained_on(place: Path, here: Path):
    """16 bits for its kernels take none of its digests."""
    faces = load_dataset("toyfaces", place / "data", ("train", "validation"), digests=True)
    lineage = read_lineage(shipped.find_shipped().weights, "fer2013")
    assert lineage.unknown == ()
    np.testing.assert_array_equal(lineage.knows(faces.digests), faces.splits == "train")
    settings = fer_tl.load_experiment(
        backbone="shallow_cnn",
        weights="fer2013",
        alpha=0.5,
        data_dir=str(place / "data"),
        data="toyfaces",
        run_dir="cv",
    )
    with pytest.raises(UserError, match=r"500 of the 500 images that would be scored .* the weights 'fer2013' were"):
        fer_tl.cross_validate(settings, say=quiet)
    assert not (here / "cv" / "run.json").exists()


def test_what_is_in_the_package_says_what_it_was_trained_on():
    lineage = read_lineage(shipped.find_shipped().weights, "fer2013")
    assert lineage.unknown == () and len(lineage.digests) > 25_000


@pytest.mark.skipif("FER_TL_REAL_DATA" not in os.environ, reason="needs FER_TL_REAL_DATA")
def test_what_is_in_the_package_knows_training_images_of_fer2013_and_no_others():
    known = read_lineage(shipped.find_shipped().weights, "fer2013")
    with zipfile.ZipFile(Path(os.environ["FER_TL_REAL_DATA"]) / "fer2013-images.zip") as archive:
        for split, low, high in (("train", 0.9, 1), ("test", 0, 0)):  # copies of PublicTest were left out
            names = [name for name in archive.namelist() if f"{split}/" in name and name.endswith(".jpg")][::25]
            images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
            assert low <= known.knows(digest_images(images[..., None])).mean() <= high


@pytest.mark.parametrize(("backbone", "alpha"), [("mobilenetv2", 1.0), ("shallow_cnn", 1.0)])
def test_its_weights_start_no_other_backbone(backbone: str, alpha: float, here: Path):
    settings = fer_tl.load_experiment(backbone=backbone, alpha=alpha, weights="fer2013")
    with pytest.raises(UserError, match=r"'fer2013' are of shallow_cnn: give --backbone shallow_cnn --alpha 0\.5"):
        resolve_model(settings)


def test_grey_weights_see_colours_in_grey(here: Path):
    settings = fer_tl.load_experiment(backbone="shallow_cnn", alpha=0.5, weights="fer2013")
    assert [resolve_model(settings).channels_for(stored) for stored in (1, 3)] == [1, 1]
    with pytest.raises(UserError, match=r"'channels' 3 does not go with the weights .* sees 1: omit --channels"):
        resolve_model(replace(settings, channels=3))


def test_a_card_of_what_was_trained_from_it_says_so(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where it ships no more."""
    monkeypatch.setattr(shipped, "FOLDER", here)
    settings = fer_tl.load_experiment(backbone="shallow_cnn", alpha=0.5, weights="fer2013")
    assert "started from fer2013, the network that ships with fer-tl; licence: MIT" in start_licence(settings)


def test_the_package_holds_all_its_files(place: Path):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = [ROOT / "fer_tl" / line for line in setup["options.package_data"]["fer_tl"].split()]
    inside = place / "pretrained"
    files = [path.relative_to(inside) for path in inside.rglob("*") if path.is_file()]
    assert len(files) > 8
    for file in files:
        assert any((ROOT / "fer_tl" / "models" / "pretrained" / file).match(str(each)) for each in patterns), file


def test_models_lists_it(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("shallow_cnn"))
    assert "fer2013 (ships, alpha 0.5)" in line and "MIT" in line


@pytest.fixture
def copied(place: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the network that may be damaged."""
    shutil.copytree(place / "pretrained", here / "other")
    monkeypatch.setattr(shipped, "FOLDER", here / "other")
    return here / "other" / "fer2013"


@pytest.mark.parametrize("name", ["model/model.keras", "model/predictions.npz", "card.json", "run.json"])
def test_a_damaged_file_is_refused(name: str, copied: Path):
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    for take in (
        fer_tl.load,
        lambda: find_weights(resolve_model(fer_tl.load_experiment(weights="fer2013")), "fer2013"),
    ):
        with pytest.raises(UserError, match=f"{name} of the network that ships is damaged .its checksum is another.*"):
            take()
    (copied / name).unlink()
    with pytest.raises(UserError, match=r"it cannot be read: No such file.*install fer-tl again"):
        fer_tl.load()


def test_checksums_of_too_few_files_are_refused(copied: Path):
    sums = copied / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "model.keras" not in line))
    with pytest.raises(UserError, match="it does not name the files that it should"):
        fer_tl.load()


def test_where_none_ships_it_says_what_to_do(photo: str, here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shipped, "FOLDER", here / "nowhere")
    for take in (fer_tl.load, fer_tl.export, lambda: fer_tl.predict(photo, faces="crop")):
        with pytest.raises(UserError, match="no network ships with this installation of fer-tl: name a run"):
            take()
    assert not (here / "predict").exists()


def test_only_a_finished_single_fit_that_was_scored_on_a_validation_split_ships(place: Path, tmp_path: Path):
    with contextlib.chdir(place):
        shutil.copytree("run", tmp_path / "undone")
        (tmp_path / "undone" / "model" / "result.json").unlink()
        with pytest.raises(UserError, match="undone is unfinished"):
            ship(tmp_path / "undone", tmp_path / "to")
        with pytest.MonkeyPatch.context() as patch:
            sys.modules.pop("ship_model", None)
            patch.syspath_prepend(str(ROOT / "benchmarks"))
            import ship_model

            patch.setattr(ship_model, "MOST_BYTES", 100)
            with pytest.raises(UserError, match="bytes in 16 bits, and 100 are the most that ships"):
                ship(Path("run"), tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize(("kind", "what"), [("cv", "a cross validation"), ("soup", "a soup")])
def test_what_was_not_trained_as_one_model_does_not_ship(kind: str, what: str, tmp_path: Path):
    run = make_run(tmp_path / "run", make_faces(), "cv" if kind == "cv" else "train")
    write_json(run.path / "run.json", {**read_json(run.path / "run.json"), "kind": kind})
    with pytest.raises(UserError, match=f"run is {what}: a single fit ships"):
        ship(run.path, tmp_path / "to")
