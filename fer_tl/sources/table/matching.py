"""Which file a path in a table means: written on another system, from another folder, in part or without its ending."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from fer_tl.sources.images import IMAGE_SUFFIXES
from fer_tl.sources.split_names import canonical_split


class Match(NamedTuple):
    """A file that a path means.

    Attributes:
        name: of the file.
        parts: how many parts at the end of the path it was found by.
    """

    name: str
    parts: int


class Finder:
    """Finds files by paths as tables have them.

    A file is meant by the longest end of a path that is the end of its own: ``C:\\Users\\me\\set\\a\\1.jpg`` means
    ``pictures/a/1.jpg``. Capitals and Unicode form count only where two files differ in nothing else. The ending may be
    missing or another image's; a bare number may have lost its leading zeros. What is cut off in front may not be the
    name of a folder of images that is there, or another split's than that of the file: the file that was meant is
    missing then, and this one is another.

    Args:
        names: of all files.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._whole: dict[str, list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        self._numbers: dict[str, list[str]] = defaultdict(list)
        self._folders: set[str] = set()
        for name in names:
            parts = _parts(name)
            self._folders.update(parts[:-1])
            for start in range(len(parts)):
                end = "/".join(parts[start:])
                self._whole[end].append(name)
                self._stems[_without_ending(end)].append(name)
            stem = _without_ending(parts[-1])
            if stem.isascii() and stem.isdecimal():
                self._numbers[stem.lstrip("0") or "0"].append(name)

    def find(self, path: str) -> Match | str:
        """The file that a path means, or what is wrong with it."""
        parts = _parts(path)
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            found = self._whole.get(end) or self._stems.get(_without_ending(end))
            if found is None:
                continue
            return self._chosen(found, path, parts, start)
        number = parts[-1].removesuffix(".0") if len(parts) == 1 else ""
        if number.isascii() and number.isdecimal() and (found := self._numbers.get(number.lstrip("0") or "0")):
            return self._chosen(found, path, parts, 0)
        return "there is no such file"

    def _chosen(self, found: list[str], path: str, parts: list[str], start: int) -> Match | str:
        if len(found) > 1:
            written = path.replace("\\", "/")
            found = [name for name in found if name == written] or found
        if len(found) > 1:
            exact = "/".join(path.replace("\\", "/").split("/")[-(len(parts) - start) :])
            found = [name for name in found if f"/{name}".endswith(f"/{exact}")] or found
        if len(found) > 1:
            return f"several files may be meant, {found[0]} and {found[1]}: give more of the path"
        name = found[0]
        if start:
            cut, above = parts[start - 1], _parts(name)[: -(len(parts) - start)]
            there = canonical_split(above[-1]) if above else None
            if cut in self._folders or (there and canonical_split(cut) not in (None, there)):
                return f"there is no such file, and {name} is another"
        return Match(name, len(parts) - start)


def _parts(path: str) -> list[str]:
    text = unicodedata.normalize("NFC", path.replace("\\", "/")).casefold()
    return [part for part in text.split("/") if part not in ("", ".", "..")] or [""]


def _without_ending(end: str) -> str:
    suffix = PurePosixPath(end).suffix
    return end.removesuffix(suffix) if suffix in IMAGE_SUFFIXES else end
