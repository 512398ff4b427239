"""List the bundled recipes, with what their papers claim and what we measured, or print one."""

from __future__ import annotations

import textwrap

from fer_tl.commands._command import Command
from fer_tl.core.recipes import Recipe, read_recipe, recipe_names
from fer_tl.core.say import Say, say_line


def list_recipes(name: str | None = None, say: Say = say_line) -> tuple[Recipe, ...]:
    """Every recipe of the package with the paper's claim and the measured figure; or one, with its file.

    Args:
        name: a recipe, to print its file; default: all, in a list.
        say: prints the list or the file.

    Returns:
        The recipes, sorted by name, or the one that was asked for.

    Raises:
        UserError: no recipe of this name.
    """
    if name is not None:
        recipe = read_recipe(name)
        say(recipe.path.read_text(encoding="utf-8").rstrip())
        return (recipe,)
    recipes = tuple(read_recipe(each) for each in recipe_names())
    say("\n\n".join(_paragraph(recipe) for recipe in recipes))
    say("\n`fer-tl recipes NAME` prints one: save it to a file to change it. Flags override it as well.")
    return recipes


def _paragraph(recipe: Recipe) -> str:
    facts = {"claim": recipe.claim, "measured": recipe.measured}
    lines = [recipe.name, f"  {recipe.title}", f"  $ {recipe.command}"]
    for word, text in facts.items():
        if text:
            lines += textwrap.wrap(text, 100, initial_indent=f"  {word}: ", subsequent_indent="    ")
    return "\n".join(lines)


COMMAND = Command(list_recipes, positional=("name",))
