"""JSON from files that may come from anybody: sizes checked first, nothing read that another writer would not mean."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import Any, NoReturn

LARGEST = 1 << 24
"""Bytes. The manifest of 100,000 shards has 13 million; Python needs up to 40 times as many for what they say."""
DEEPEST = 32
"""Objects and lists in one another."""
LARGEST_INTEGER = (1 << 64) - 1
"""Keys of randomness are unsigned numbers of 64 bits."""


class UnreadableMember(ValueError):
    """A member of an archive is no JSON, or there is no such archive; why, in one line."""


def read_bounded(path: Path, largest: int = LARGEST) -> bytes:
    """The bytes of a regular file: a pipe or a device has no end, and a file of other bytes no bound.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        ValueError: it is larger than ``largest`` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        code = errno.EISDIR if path.is_dir() else errno.EINVAL
        raise OSError(code, os.strerror(code) if path.is_dir() else "it is not a regular file", str(path))
    if found.st_size > largest:
        raise ValueError(f"it has {found.st_size:,} bytes, more than {largest:,}")
    with path.open("rb") as file:
        data = file.read(largest + 1)  # it may grow meanwhile
    if len(data) > largest:
        raise ValueError(f"it has more than {largest:,} bytes")
    return data


def load_json(path: Path) -> Any:
    """The value in a JSON file, see ``parse_json``.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, or not what ``parse_json`` takes.
    """
    return parse_json(read_bounded(path))


def load_member(path: Path, name: str) -> Any:
    """The value of a JSON member of a zip archive, such as a ``.keras`` file.

    Raises:
        UnreadableMember: no such archive or member, or the member is too large, damaged or not what ``parse_json``
            takes.
        FileNotFoundError: there is no such file.
    """
    try:
        if not path.is_file():
            path.stat()
            raise ValueError("it is not a regular file")  # a pipe would be waited for
        with zipfile.ZipFile(path) as archive, archive.open(name) as member:
            return parse_json(member.read(LARGEST + 1))  # whatever size the archive says
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen types for damaged archives
        raise UnreadableMember(" ".join(str(error).split())[:200] or type(error).__name__) from None


def parse_json(data: bytes | str) -> Any:
    """A JSON value, with what Python's reader lets pass refused: keys that occur twice, NaN and infinite numbers,
    integers beyond 64 bits, text with NUL or half of a surrogate pair, more than ``DEEPEST`` levels.

    Raises:
        ValueError: what is wrong, in one line.
    """
    if len(data) > LARGEST:
        raise ValueError(f"it has {len(data):,} bytes, more than {LARGEST:,}")
    try:
        value = json.loads(
            data.decode() if isinstance(data, bytes) else data,
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} objects and lists in one another") from None
    _refuse_deep_or_odd(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice[:40]!r} occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > LARGEST_INTEGER:  # 20: nobody waits for 5,000 digits to become a number
        raise ValueError(f"the integer {text[:20]}... is too large")
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _refuse_deep_or_odd(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} objects and lists in one another")
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _refuse_odd(item)
            elif isinstance(item, list):
                below += item
            elif isinstance(item, dict):
                below += item.keys()
                below += item.values()
        level, depth = below, depth + 1


def _refuse_odd(text: str) -> None:
    if not text.isascii():
        text.encode()  # a UnicodeEncodeError, which is a ValueError, for half of a surrogate pair
    if "\0" in text:
        raise ValueError("text with a NUL character")
