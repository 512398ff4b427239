"""A module under commands/ is a command and a function of the Python API, with nothing else changed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.commands import command_names

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"
CODE = next(block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "COMMAND" in block)


def test_the_command_of_the_docs_is_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "commands"
    folder.mkdir()
    (folder / "count.py").write_text(CODE)
    monkeypatch.setattr(fer_tl.commands, "__path__", [*fer_tl.commands.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "fer_tl.commands.count", raising=False)
    assert command_names()[-1] == "count"
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"count +count the images of a built dataset\n", capsys.readouterr().out)
    with pytest.raises(SystemExit):
        main(["count", "--help"])
    assert re.search(r"--split SPLIT +train, validation or test \(type: str, default: train\)", capsys.readouterr().out)
    images = np.zeros((3, 8, 8, 1), np.uint8)
    stored = Stored(images, np.array([0, 1, 0]), np.array(["a", "b", "c"]), np.array(["a", "b", "c"]))
    store_dataset(tmp_path / "data", "fer2013", ["happy", "sad"], {"train": stored})
    assert main(["count", "fer2013", "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out == "3 images\n"
    assert fer_tl.count("fer2013", str(tmp_path / "data"), say=lambda line: None) == 3
    assert main(["count", "fer2013", "--spilt", "test"]) == 2
    assert "fer-tl count has no option --spilt; did you mean" in capsys.readouterr().err
