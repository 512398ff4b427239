"""A module under commands/ is a command and a function of the Python API, with nothing else changed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonargparse import ArgumentParser
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.commands import command_names
from fer_tl.commands._command import Command

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


def test_options_follow_from_types_and_defaults() -> None:
    """Numbers are numbers also where they are positional or required, and what is on by default can be switched off."""

    def run(number: int, size: int, fast: bool = False, sure: bool = True, share: float | None = None) -> None:
        """Run.

        Args:
            number: how many, 5 % at most.
            size: in pixels.
            fast: do not look.
            sure: look.
            share: of all.
        """

    parser = ArgumentParser(exit_on_error=False)
    Command(run, positional=("number",)).declare(parser)
    found = parser.parse_args(["3", "--size", "7"]).as_dict()
    assert found == {"number": 3, "size": 7, "fast": False, "sure": True, "share": None}
    assert parser.parse_args(["3", "--size", "7", "--sure", "false", "--fast"]).as_dict()["sure"] is False
    assert "5 % at most" in parser.format_help()

    def mute(number: int) -> None:
        """Say nothing of its argument."""

    with pytest.raises(TypeError, match="'number' needs a text under Args"):
        Command(mute).declare(ArgumentParser(exit_on_error=False))
