"""A recipe is found by its name from any folder, and a file of one's own comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.core.recipes import find_config, read_recipe, recipe_names


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["quickstart", "quickstart.yaml", "configs/quickstart.yaml"])
def test_a_recipe_is_found_from_any_folder(given: str) -> None:
    assert find_config(Path(given)) == read_recipe("quickstart").path
    assert fer_tl.load_experiment(given) == fer_tl.load_experiment(read_recipe("quickstart").path)


def test_a_file_of_ones_own_comes_first(elsewhere: Path) -> None:
    (elsewhere / "quickstart.yaml").write_text("epochs: 77\n")
    assert fer_tl.load_experiment("quickstart.yaml").epochs == 77


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("quickstrt", r"no recipe quickstrt; did you mean 'quickstart'\?"),
        ("mine/quickstart.yaml", "there is no config file and no recipe mine/quickstart.yaml"),
        (".", "is a folder: give a config file, or the name of a recipe"),
    ],
)
def test_what_is_neither_is_told(given: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fer_tl.load_experiment(given)


def test_the_list_names_every_recipe_and_what_was_measured() -> None:
    said: list[str] = []
    found = fer_tl.list_recipes(say=said.append)
    assert [each.name for each in found] == recipe_names()
    text = " ".join(said[0].split())
    for each in found:
        assert f"{each.title} $ {each.command}" in text
        assert each.claim in text and each.measured in text


def test_a_printed_recipe_is_its_file(elsewhere: Path) -> None:
    said: list[str] = []
    (recipe,) = fer_tl.list_recipes("li_shallow_cnn", say=said.append)
    (elsewhere / "mine.yaml").write_text(said[0])
    assert fer_tl.load_experiment("mine.yaml") == fer_tl.load_experiment("li_shallow_cnn")
    assert recipe.claim.startswith("68.39 %")
    assert recipe.measured.startswith("60.5 %") and recipe.measured.endswith("recipes-fer2013.md.")
