"""YAML from files that may come from anybody: bounded in size, depth and what its aliases stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fer_tl.core.json_files import DEEPEST, LARGEST_INTEGER, read_bounded

LARGEST = 1 << 18
"""Bytes; PyYAML reads some 50,000 a second. A configuration has 2,000."""
MOST_NODES = 20_000
"""Keys and values when every alias is written out: nine lists of nine aliases each stand for 3e8."""


def load_yaml(path: Path) -> Any:
    """The value in a YAML file.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not text.
        yaml.YAMLError, ValueError: it is no YAML, too large or too deep, its aliases stand for too much, or a key
            occurs twice in a mapping.
    """
    import yaml

    text = read_bounded(path, LARGEST).decode()
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):  # one event at a time: the composer would go as deep as the file
        depth += isinstance(event, yaml.events.CollectionStartEvent)
        depth -= isinstance(event, yaml.events.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} lists and mappings in one another")
    root = yaml.compose(text, yaml.SafeLoader)
    if root is None:
        return None
    _written_out(root, {}, set())
    value = yaml.safe_load(text)
    _refuse_large_integers(value)
    return value


def _written_out(node: Any, known: dict[int, int], above: set[int]) -> int:
    """How many keys and values a node stands for."""
    if id(node) in above:
        raise ValueError("an alias stands for what it is in")
    if id(node) in known:
        return known[id(node)]
    above.add(id(node))
    children: list[Any] = []
    if node.id == "mapping":
        _refuse_repeated_keys(node)
        children = [child for pair in node.value for child in pair]
    elif node.id == "sequence":
        children = node.value
    elif len(node.value) > 10_000:
        raise ValueError("a value of more than 10,000 characters")
    count = 1 + sum(_written_out(child, known, above) for child in children)
    if count > MOST_NODES:
        raise ValueError(f"its aliases stand for more than {MOST_NODES:,} values")
    above.remove(id(node))
    known[id(node)] = count
    return count


def _refuse_repeated_keys(node: Any) -> None:
    """YAML says that keys are unique, PyYAML takes the last one."""
    seen = set()
    for key, _ in node.value:
        if key.id != "scalar":
            raise ValueError(f"a key that is not text, in line {key.start_mark.line + 1}")
        if key.value in seen:
            raise ValueError(f"key '{key.value[:80]}' occurs twice, again in line {key.start_mark.line + 1}")
        seen.add(key.value)


def _refuse_large_integers(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, int) and abs(item) > LARGEST_INTEGER:
            raise ValueError("an integer is too large")
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list | tuple | set):
            waiting += item
