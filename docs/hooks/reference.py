"""The pages of the reference, made of the code: what each command takes, each setting, each backbone, each function."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fer_tl
from fer_tl.commands import command_names, commands_by_task, load_command, summary_of
from fer_tl.commands._arguments import Argument, arguments_of, settings_by_group
from fer_tl.commands._help import GROUPS
from fer_tl.core.recipes import read_recipe, recipe_names
from fer_tl.core.yaml_files import load_yaml
from fer_tl.models.backbones import BACKBONES

ROOT = Path(__file__).parents[2]
# Classes whose objects the functions take or return, in the order of the page.
CLASSES = ("estimator.classifier.Classifier", "core.config.Experiment",
    "inference.predictor.ExpressionModel", "inference.predictor.Answers",
    "commands._report_folds.CvResult", "commands.train.FitResult", "commands._evaluation_result.EvaluationResult",
    "evaluation.summary.CvSummary")  # fmt: skip


def pages() -> dict[str, str]:
    """Markdown of all generated pages by path under ``docs``."""
    found = {f"reference/commands/{name}.md": command_page(name) for name in command_names()}
    return found | {
        "reference/index.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/backbones.md": backbones_page(),
        "reference/recipes.md": recipes_page(),
        "reference/python.md": python_page(),
    }


def cell(text: str) -> str:
    """A text as a cell of a table: nothing in it is markup."""
    return re.sub(r"([|*`\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def commands_page() -> str:
    """All commands by task, with an example each."""
    parts = [
        "# Commands by task",
        "Each command has a page with all of its options; `fer-tl COMMAND --help` says the same in a terminal. Every "
        "command also takes `-q` (only results and warnings) and `-v` (times, and where an error was raised).",
    ]
    for task, commands in commands_by_task().items():
        rows = [
            [f"[`{name}`](commands/{name}.md)", cell(summary_of(name)), f"`{shown}`" if shown else ""]
            for name, shown in commands.items()
        ]
        parts += [f"## {task}", table(["command", "what it does", "for example"], rows)]
    return "\n\n".join(parts) + "\n"


def command_page(name: str) -> str:
    """One command: how it is typed, what it takes, the function behind it."""
    command, arguments = load_command(name), arguments_of(name)
    shown = next((commands[name] for commands in commands_by_task().values() if name in commands), "")
    given = " ".join(each.flags[0] if each.required else f"[{each.flags[0]}]" for each in arguments if each.positional)
    summary = summary_of(name)
    parts = [f"# fer-tl {name}", f"{summary[0].upper()}{summary[1:]}.", f"```\nfer-tl {name} [options] {given}".strip()]
    parts[-1] += "\n```"
    if shown:
        parts.append(f"For example: `{shown}`")
    keys = {f"--{key.replace('_', '-')}" for rows in settings_by_group().values() for key, *_ in rows}
    is_training = keys <= {flag for each in arguments for flag in each.flags}
    own = [each for each in arguments if not (is_training and keys.intersection(each.flags))]
    if positional := [each for each in own if each.positional]:
        parts += ["## Arguments", argument_table(positional)]
    if options := [each for each in own if not each.positional]:
        parts += ["## Options", argument_table(options)]
    if is_training:
        parts.append(
            "It takes every setting of a training, as an option or as a key of the file that is given: see "
            "[Settings of a training](../settings.md)."
        )
    parts.append(f"In Python: [`fer_tl.{command.run.__name__}`](../python.md#{anchor(command.run)}).")
    return "\n\n".join(parts) + "\n"


def argument_table(arguments: list[Argument]) -> str:
    """What a command takes, a row each."""
    rows = [
        [
            " ".join(f"`{flag}`" for flag in each.flags),
            cell(each.text) + (" (required)" if each.required else ""),
            cell(each.kind),
            f"`{each.default}`" if each.default else "",
        ]
        for each in arguments
    ]
    if all(each.positional for each in arguments):
        return table(["argument", "what it is"], [[*row[:2]] for row in rows])
    return table(["option", "what it does", "value", "default"], rows)


def settings_page() -> str:
    """Every setting of an experiment, by group."""
    parts = [
        "# Settings of a training",
        "Each setting is an option of `fer-tl cv`, `train`, `distill`, `sweep` and `profile`, a key of a YAML file, "
        "and a "
        "keyword of `fer_tl.load_experiment`. As an option, `_` is `-`: `--batch-size 32`. In a file, a dot is a "
        "level:",
        "```yaml\ndata: fer2013\nbackbone: mobilenetv2\nbatch_size: 32\noptimizer: {name: sgd, rate: 0.01}\n```",
        "`fer-tl cv --config my.yaml --epochs 12` takes the file, and 12 epochs whatever the file says. Unknown keys "
        "and "
        "values out of range are refused. A run keeps its settings in `config.yaml`, which is such a file.",
    ]
    for group, rows in settings_by_group().items():
        lines = [
            [f"`{key}`", cell(text), cell(kind) + (f", {limits}" if limits else ""), f"`{default}`" if default else ""]
            for key, kind, default, limits, text in rows
        ]
        parts += [
            f"## {GROUPS[group] if group else 'The run'}",
            table(["setting", "what it does", "value", "default"], lines),
        ]
    return "\n\n".join(parts) + "\n"


def backbones_page() -> str:
    """The registry of backbones, and what recorded runs of them measured."""
    rows = [
        [f"`{each.name}`", f"{each.parameters:,}", f"{each.macs / 1e6:,.0f}", str(each.default_size),
         str(each.min_size), str(each.features), cell(", ".join(each.pretrained) or "none"), each.paper]
        for each in BACKBONES.values()
    ]  # fmt: skip
    header = ["backbone", "parameters", "MACs, millions", "size", "smallest", "features", "published weights", "papers"]
    licences = [
        [f"`{each.name}`", f"`{name}`", cell(weights.licence)]
        for each in BACKBONES.values()
        for name, weights in each.pretrained.items()
    ]
    return (
        "\n\n".join(
            [
                "# Backbones",
                "Parameters and MACs (multiplications of convolutions and dense layers for one image of the default "
                "size) are "
                "of the backbone without its head, at `alpha` 1. Sizes are sides in pixels. Every backbone also "
                "starts from "
                "random numbers, `--weights none`. `fer-tl models` lists the same, and which weights are on this "
                "machine. "
                "[How to add one](../architecture.md#to-add).",
                table(header, rows),
                "## Measured",
                "Runs that are kept with the project, with their settings and full tables. How fast each backbone "
                "trains: "
                "[backbones](../../benchmarks/results/backbones.md).",
                table(["backbone", "data, and what was scored", "accuracy", "95 % interval", "run"], recorded_runs()),
                "## Licences of published weights",
                table(["backbone", "weights", "licence"], licences),
            ]
        )
        + "\n"
    )


def recorded_runs() -> list[list[str]]:
    """A row for each run under ``benchmarks/results`` that keeps its settings and result."""
    rows = []
    for settings in sorted((ROOT / "benchmarks" / "results").glob("*/config.yaml")):
        record = settings.parent / "README.md"
        text = record.read_text(encoding="utf-8")
        share, interval = re.findall(r"^\| accuracy \| (.+?) \| (.+?) \|", text, re.M)[0]
        scored = text.splitlines()[0].partition(" on ")[2]
        link = f"[{settings.parent.name}](../../{record.relative_to(ROOT)})"
        rows.append([f"`{load_yaml(settings)['backbone']}`", cell(scored), share, interval, link])
    return rows


def recipes_page() -> str:
    """The recipes that come with the package: whose each is, what is claimed and what was measured."""
    rows = [
        [f"[{each.name}](../../fer_tl/recipes/{each.path.name})", *map(cell, (each.title, each.claim, each.measured))]
        for each in map(read_recipe, recipe_names())
    ]
    return (
        "\n\n".join(
            [
                "# Recipes",
                "Each file is a row of a paper's table, and says the command, what the paper claims, what was "
                "measured here, "
                "and which choices are ours because the paper is silent. [How to run one](../how-to/recipes.md).",
                table(["name", "what it trains", "the paper's claim", "measured"], rows),
            ]
        )
        + "\n"
    )


def anchor(function: Callable[..., Any]) -> str:
    """Where mkdocstrings puts a function."""
    return f"{function.__module__}.{function.__qualname__}"


def python_page() -> str:
    """What ``import fer_tl`` offers, from its docstrings, by mkdocstrings."""
    parts = [
        "# Python",
        "What `import fer_tl` offers. Keywords of a function are the options of its command, with `_` for `-`. "
        "[How to use it](../how-to/python.md).",
    ]
    for name in fer_tl.__all__:
        found = getattr(fer_tl, name)
        if inspect.isfunction(found):
            parts.append(f"::: {anchor(found)}\n    options:\n      heading: fer_tl.{name}\n      toc_label: {name}")
    parts.append("## What they take and return")
    for path in CLASSES:
        name = path.rpartition(".")[2]
        parts.append(
            f"::: fer_tl.{path}\n    options:\n      heading: {name}\n      heading_level: 3\n      toc_label: {name}"
        )
    return "\n\n".join(parts) + "\n"
