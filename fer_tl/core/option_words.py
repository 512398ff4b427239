"""Options in words, for help and reference: what a value may be and what it is without one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}


def words_of_type(kind: Any) -> str:
    """What a value of a type is: "whole number", "adam, sgd or rmsprop", "list of numbers"; "" for any other type."""
    if kind in _WORDS:
        return _WORDS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _either(_words(kind))
    if origin in (tuple, list, Sequence):
        inner = words_of_type(arguments[0])
        return {"text": "list of names", "whole number": "list of whole numbers", "number": "list of numbers"}[inner]
    words = [word for part in arguments if part is not NoneType for word in _words(part)]
    words = [word for word in words if word != "text" or len(words) == 1]  # of lists that may be typed as text
    return _either(list(dict.fromkeys(words)))


def _words(kind: Any) -> list[str]:
    return [str(choice) for choice in get_args(kind)] if get_origin(kind) is Literal else [words_of_type(kind)]


def words_of_value(value: Any) -> str:
    """A default as it is typed: "true", "0.001", "[64,32]"; "" for none."""
    if value is None or value == () or value == []:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return f"[{','.join(words_of_value(each) for each in value)}]"
    return str(value)


def listed(given: str | Iterable[object]) -> list[str]:
    """The items of a list that may be typed as text, ``a,b`` or ``[a,b]``, without blanks around them."""
    return [item.strip() for item in (given.strip("[]() ").split(",") if isinstance(given, str) else map(str, given))]


def words_of_limits(limits: tuple[float, float] | None) -> str:
    """ "0 to 1", or "" where there are none."""
    return "" if limits is None else f"{_plain(limits[0])} to {_plain(limits[1])}"


def _plain(number: float) -> str:
    return f"{int(number):,}" if float(number).is_integer() and abs(number) < 1e12 else f"{number:g}"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
