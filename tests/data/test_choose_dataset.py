"""Which dataset is meant: the only one of photographs, a name however it is spelled, and never drawn faces unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, store_dataset

from fer_tl import cli
from fer_tl.core.errors import UserError
from fer_tl.data.choose_dataset import choose_dataset


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


def test_a_file_is_no_dataset_and_the_command_that_builds_it_is_said():
    Path("my archive.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"build fer2013 --source 'my archive.zip' --data-dir data`, then name it"):
        choose_dataset("my archive.zip", "data")


def test_commands_take_what_is_meant_and_say_so(capsys: pytest.CaptureFixture[str]):
    store("fer2013", "toyfaces")
    assert cli.parse(["cv", "--backbone", "shallow_cnn"])[1]["data"] == "fer2013"
    assert "data: fer2013, the only one of photographs under data" in capsys.readouterr().out
    for given in (["--data", "toyfaces"], ["--data=toyfaces"]):
        assert cli.parse(["train", *given])[1]["data"] == "toyfaces"
    Path("own.yaml").write_text("data: toyfaces\n")
    assert cli.parse(["cv", "--config", "own.yaml"])[1]["data"] == "toyfaces"
    assert capsys.readouterr().out == ""
    assert cli.main(["cv", "--data", "fer20l3"]) == 2
    assert "did you mean 'fer2013'" in capsys.readouterr().err
