"""A module under commands/ is a command and a function of the Python API, with nothing else changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from jsonargparse import ArgumentParser
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl.cli import main
from fer_tl.commands import command_names, load_command
from fer_tl.commands._command import Command
from fer_tl.core.errors import UserError

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"
CODE = next(block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "COMMAND" in block)


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], object]]:
    """Writes the module of a command ``count``, forgotten at the end."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setattr(fer_tl.commands, "__path__", [*fer_tl.commands.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "fer_tl.commands.count", raising=False)
    yield lambda code: (folder / "count.py").write_text(code)
    sys.modules.pop("fer_tl.commands.count", None)
    vars(fer_tl.commands).pop("count", None)


def test_the_command_of_the_docs_is_one_file(
    add: Callable[[str], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(CODE)
    assert command_names()[-1] == "count"
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"count +count the images of a built dataset\n", capsys.readouterr().out)
    with pytest.raises(SystemExit):
        main(["count", "--help"])
    assert re.search(r"--split SPLIT +train, validation or test \(default: train\)", capsys.readouterr().out)
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

    with pytest.raises(UserError, match="mute: 'number' needs a text under Args"):
        Command(mute).declare(ArgumentParser(exit_on_error=False))


WRONG = {
    "nothing declared": (("COMMAND = ", "OTHER = "), "count.py declares no command: end it with `COMMAND = Command("),
    "another thing": (("COMMAND = ", "COMMAND = 0, "), "count.py declares no command"),
    "syntax": (("def count", "deff count"), "the command 'count' cannot be imported: SyntaxError"),
    "missing module": (
        ("fer_tl.data.dataset", "fer_tl.data.set"),
        "cannot be imported: ModuleNotFoundError: No",
    ),
    "no docstring": (
        ('"""Count the images of a built dataset."""', ""),
        "count.py begins with no docstring",
    ),
    "no text": (("        data: a built dataset.\n", ""), "count.count: 'data' needs a text under Args"),
    "no type": (("data: str,", "data,"), "count.count: 'data' needs a type"),
    "no future": (("from __future__ import annotations", ""), "count.count: 'data' needs a type, and the module"),
    "unknown type": (("data: str,", "data: Strr,"), "count.count: the type 'Strr' of 'data' cannot be used (Name"),
    "unknown positional": (
        ('("data",)', '("dataa",)'),
        "count.count has no parameter 'dataa', which its",
    ),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_mistake_in_a_command_is_one_line_that_names_it(
    add: Callable[[str], object], capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    assert change[0] in CODE
    add(CODE.replace(*change))
    assert main(["count", "fer2013"]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_no_two_commands_have_one_function_name() -> None:
    """The Python API would have only one of them."""
    names = [load_command(name).run.__name__ for name in command_names()]
    assert len(set(names)) == len(names), sorted(names)


def test_what_the_help_calls_a_positional_argument() -> None:
    def greet(name: str, data: str, other: str) -> None:
        """Greet.

        Args:
            name: of somebody.
            data: a dataset.
            other: what else.
        """

    parser = ArgumentParser(exit_on_error=False)
    Command(greet, positional=("name", "data", "other"), metavars={"other": "THING"}).declare(parser)
    assert "NAME DATASET THING" in parser.format_help()
