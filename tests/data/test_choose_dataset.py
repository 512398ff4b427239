"""Which dataset is meant: the only one of photographs, a name however it is spelled, and never drawn faces unasked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from fer_files import csv_text, image_files, make_faces, write_folder
from stored_dataset import Stored, store_dataset

from fer_tl import cli
from fer_tl.core.errors import UserError
from fer_tl.data.choose_dataset import choose_dataset
from fer_tl.data.dataset import load_dataset
from fer_tl.sources.fer2013.labels import OFFICIAL_COUNTS
from fer_tl.sources.recognize import recognize


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store(*names: str) -> None:
    ids = np.array(["a", "b"])
    images = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    for name in names:
        store_dataset(Path("data"), name, ("angry", "happy"), {"train": Stored(images, np.arange(2), ids, ids)})


def test_without_a_name_it_is_the_only_one_of_photographs():
    assert choose_dataset(None, "data") == "toyfaces"
    store("toyfaces")
    assert choose_dataset(None, "data") == "toyfaces"
    store("folder/mine")
    assert choose_dataset(None, "data") == "folder/mine"
    store("fer2013")
    with pytest.raises(UserError, match="fer2013, folder/mine are built under data: name one of them with --data"):
        choose_dataset(None, "data")


@pytest.mark.parametrize("spelled", ["fer2013", "FER2013", "fer-2013", "FER_2013", "Fer 2013"])
def test_a_name_is_known_however_it_is_spelled(spelled: str):
    assert choose_dataset(spelled, "data") == "fer2013"  # though it is not built, which is said with the command
    store("fer2013")
    assert choose_dataset(spelled, "data") == "fer2013"


def test_a_name_that_is_nearly_one_is_refused_with_it():
    store("folder/mine")
    assert choose_dataset("Folder/Mine", "data") == "folder/mine"
    with pytest.raises(UserError, match="no dataset 'fer2031'; did you mean 'fer2013'"):
        choose_dataset("fer2031", "data")
    assert choose_dataset("folder/other", "data") == "folder/other"
    assert choose_dataset("Mine", "data") == "folder/mine"


@pytest.mark.parametrize("asked", ["archiv.zip", "downloads/faces"])
def test_a_file_that_is_not_there_is_told_as_such(asked: str):
    with pytest.raises(UserError, match=f"^{asked} does not exist: give a file, archive or folder, or"):
        load_dataset(choose_dataset(asked, "data"), "data", "train")


def test_what_nothing_tells_is_refused_with_the_command_that_builds_it():
    Path("my notes.txt").write_text("a,b\n1,2\n")
    with pytest.raises(
        UserError, match=r"nothing tells which.* --source 'my notes.txt' --data-dir data`, then name it"
    ):
        choose_dataset("my notes.txt", "data")


def test_class_folders_are_built_on_the_spot_and_taken_the_next_time():
    faces = make_faces(42)
    write_folder(Path("Our Faces"), image_files(faces, "{split}/{name}/{index}.png"))
    said: list[str] = []
    assert choose_dataset("Our Faces", "data", said.append) == "folder/our-faces"
    assert said[0].startswith("data: Our Faces has images in folders of 7 classes (angry, disgust,")
    assert len(load_dataset("folder/our-faces", "data", ("train", "validation", "test"))) == 42
    said.clear()
    assert choose_dataset("Our Faces", "data", said.append) == "folder/our-faces"
    assert said[-1] == "It is in data/folder/our-faces/1.2.0"


def test_the_table_of_fer2013_is_told_by_its_columns_or_name(tmp_path: Path):
    text = csv_text(make_faces(42))
    for name in ("whatever.csv", "fer2013.csv"):
        Path(name).write_text(text)
        assert recognize(Path(name))[0] == "fer2013"
    with zipfile.ZipFile("download.zip", "w") as archive:
        archive.writestr("challenges/fer2013.tar.gz", b"")
    assert recognize(Path("download.zip")) == ("fer2013", "a file called fer2013.tar.gz")


def test_images_are_fer2013_only_if_there_are_as_many_of_each_class(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(OFFICIAL_COUNTS, "train", (2,) * 7)
    faces = make_faces(42)
    write_folder(Path("a"), image_files(faces, "{split}/{name}/{index}.png"))
    assert recognize(Path("a"))[0] == "fer2013"
    next(Path("a/train/happy").iterdir()).unlink()
    assert recognize(Path("a"))[0] == "folder/a"


def test_commands_take_what_is_meant_and_say_so(capsys: pytest.CaptureFixture[str]):
    store("fer2013", "toyfaces")
    values = cli.parse(["cv", "--backbone", "shallow_cnn"])[1]
    assert (values["data"], values["weights"]) == ("fer2013", "none")
    out = capsys.readouterr().out
    assert "data: fer2013, the only one of photographs under data" in out
    assert "weights: none (random), as none are published for shallow_cnn\n" in out
    for weights in (["--weights", "imagenet"], ["--weights=imagenet"]):
        given = cli.parse(["cv", "--data", "fer2013", "--backbone", "shallow_cnn", *weights])[1]
        assert given["weights"] == "imagenet"
    for given in (["--data", "toyfaces"], ["--data=toyfaces"]):
        assert cli.parse(["train", *given])[1]["data"] == "toyfaces"
    Path("own.yaml").write_text("data: toyfaces\n")
    assert cli.parse(["cv", "--config", "own.yaml"])[1]["data"] == "toyfaces"
    assert capsys.readouterr().out == ""
    assert cli.main(["cv", "--data", "fer20l3"]) == 2
    assert "did you mean 'fer2013'" in capsys.readouterr().err
