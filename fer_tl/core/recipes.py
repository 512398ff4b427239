"""The recipes that come with the package: config files of ``fer_tl/recipes``, found by their names from any folder."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.errors import UserError, suggest

FOLDER = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """A config file of the package and what its comments say.

    Attributes:
        name: by which ``--config`` and ``fer-tl sweep`` find it.
        path: the file.
        title: whose it is and what it trains.
        command: what runs it, such as ``fer-tl cv --config sikic_mobilenetv2_basic``.
        claim: what the paper states; "" if there is no paper.
        measured: what was measured with it here; "" if nothing was.
    """

    name: str
    path: Path
    title: str
    command: str
    claim: str
    measured: str


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find_config(path: Path) -> Path:
    """The file that is meant by what was given in place of one.

    Args:
        path: a file, or the name of a recipe. ``configs/NAME.yaml``, where recipes lay once, means one as well.

    Raises:
        UserError: neither a file nor a recipe, with the nearest recipe.
    """
    if path.is_file():
        return path
    name = path.name.removesuffix(".yaml")
    if name in recipe_names() and path.parent.name in ("", "configs"):
        return FOLDER / f"{name}.yaml"
    if path.is_dir():
        raise UserError(
            f"{path} is a folder: give a config file, or the name of a recipe (`fer-tl recipes` lists them)"
        )
    raise UserError(f"there is no config file and no recipe {path}{suggest(name, recipe_names())}")


def read_recipe(name: str) -> Recipe:
    """What the comments at the top of a recipe say.

    Raises:
        UserError: no recipe of this name, with the nearest.
    """
    if name not in recipe_names():
        raise UserError(f"there is no recipe '{name}'{suggest(name, recipe_names())}")
    path = FOLDER / f"{name}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    head = "\n".join(itertools.takewhile(lambda line: line.startswith("#"), lines))
    title, command = (line.strip("# .") for line in head.splitlines()[:2])
    return Recipe(name, path, title, command, _fact("Claim", head), _fact("Measured", head))


def _fact(name: str, head: str) -> str:
    """What a comment says after ``name:``, with the lines below that are set in; "" if there is none."""
    found = re.search(rf"^# {name}: (.*(?:\n#  .*)*)", head, re.M)
    return " ".join(re.sub(r"\n#", " ", found[1]).split()) if found else ""
