"""The house: rooms import downwards only, nothing goes in circles, and every function can be held in the head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the ground up; a room may import those in front of it. The plug for TFDS stands on top, imported by its name.
ROOMS = (
    "core", "executors", "faces", "sources", "data", "models", "augment", "devices", "engines", "runs", "training",
    "evaluation", "inference", "estimator", "reports", "commands",
)  # fmt: skip
SIBLINGS = {"training", "evaluation"}
LONGEST_FUNCTION, LONGEST_MODULE = 60, 300

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("fer_tl", "tfrecords_builder")
    for path in (ROOT / package).rglob("*.py")
}


def imports_of(name: str) -> Iterator[str]:
    """The modules of the project that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


GRAPH = {name: {other for other in imports_of(name) if other in MODULES} for name in MODULES}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "fer_tl" and len(parts) > 1 else parts[0]


def test_the_root_holds_the_command_line_and_rooms_alone() -> None:
    assert {path.name for path in (ROOT / "fer_tl").glob("*.py")} == {"__init__.py", "__main__.py", "cli.py"}
    assert {path.parent.name for path in (ROOT / "fer_tl").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_downwards_only(room: str) -> None:
    below = {*ROOMS[: ROOMS.index(room) + 1]} - (SIBLINGS - {room} if room in SIBLINGS else set())
    below |= {"tfrecords_builder"} if room == "data" else set()  # writes records by the plug
    upwards = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        if room_of(name) == room
        for other in sorted(others)
        if room_of(other) not in below
    ]
    assert upwards == []


def test_no_two_test_modules_have_one_name() -> None:
    """pytest imports them by it, and takes one for the other."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in ("__init__.py", "conftest.py")]
    assert sorted(names) == sorted(set(names))


def test_no_imports_go_in_circles() -> None:
    inside = {name: {other for other in others if room_of(other) in ROOMS} for name, others in GRAPH.items()}
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_functions_and_modules_can_be_held_in_the_head() -> None:
    long = []
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > LONGEST_MODULE:
            long.append(f"{name} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                # Without its docstring, which may be long where a verb has many options.
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and (lines := int(body[-1].end_lineno or 0) - body[0].lineno + 1) > LONGEST_FUNCTION:
                    long.append(f"{name}.{node.name} has {lines} lines")
    assert long == []
