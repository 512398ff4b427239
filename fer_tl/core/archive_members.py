"""Which members of a folder or archive are read: names made plain, links followed, what is passed over counted."""

from __future__ import annotations

import bisect
import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import IO

from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import printable

PassedOver = dict[str, list[str]]
"""{why files are not read, said of several: their names}."""

SPECIAL = "devices, pipes and the like"
DEAD_LINKS = "links that lead nowhere or out of it"
HIDDEN = "hidden files"

MOST_BYTES = 1 << 29
"""Of one file that is read whole: more than an uncompressed image of the most pixels that are decoded has."""

_SHOWN = 3  # names a reason
_MOST_LINKS = 1_000_000  # files that links to folders may add
_MOST_HOPS = 40  # from link to link, as Linux allows
# What systems and tools leave behind of themselves, in small letters.
_JUNK = frozenset(
    (
        "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", ".ds_store", ".ipynb_checkpoints", ".git", ".gitignore",
        ".gitkeep", ".gitattributes", ".trashes", ".spotlight-v100", ".fseventsd", ".directory", ".thumbnails",
        "@eadir", "$recycle.bin", "system volume information", "icon\r",
    )
)  # fmt: skip
# Nobody packs images a hundred times smaller; 42 KB that become petabytes are an attack.
_MOST_RATIO = 100
_HARMLESS = 1 << 30


def plain_name(name: str) -> str:
    """A member's name as a path below the archive: no root, no "." and no ".."."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def sort_out(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names that count, and those of hidden files; what systems leave behind is in neither.

    Folders that all files lie in may be hidden: they are around the data, as a download's name is.
    """
    real = [name for name in names if not is_junk(name)]
    shared = shared_depth(real)
    hidden = [any(part.startswith(".") for part in name.split("/")[shared:]) for name in real]
    kept = [name for name, is_hidden in zip(real, hidden, strict=True) if not is_hidden]
    return kept, [name for name, is_hidden in zip(real, hidden, strict=True) if is_hidden]


def is_junk(name: str) -> bool:
    """Whether a path is of what operating systems and notebooks leave behind."""
    return any(part.lower() in _JUNK or part.startswith("._") for part in name.split("/"))


def refuse_twins(names: Iterable[str], label: str) -> None:
    """Raise ``UserError`` if a name occurs twice, so that one of the files would vanish."""
    seen: set[str] = set()
    again = (name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    if twins := [name for name in dict.fromkeys(again) if not is_junk(name)]:
        more = f", and {len(twins) - 1:,} more names" if len(twins) > 1 else ""
        raise UserError(
            f"{label} has two members of one name, {twins[0]}{more}: which of them counts is not told; unpack it "
            "yourself and give the folder"
        )


def follow_links(links: Mapping[str, str | None], files: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Find what the links of an archive stand for: files and folders of the same archive only.

    Args:
        links: {name: the name it leads to, None if that is outside}.
        files: the names of the regular files.

    Returns:
        {name below a link: name of the file}, and the links that lead to none.
    """
    known, ordered = set(files), sorted(files)
    found: dict[str, str] = {}
    dead = []
    for name, first in links.items():
        target: str | None = first
        for _ in range(_MOST_HOPS):
            if target is None or target not in links:
                break
            target = links[target]
        if target is None or target in links:  # outside, or a loop
            dead.append(name)
        elif target in known:
            found[name] = target
        else:
            start = bisect.bisect_left(ordered, f"{target}/")
            below = ordered[start : bisect.bisect_left(ordered, f"{target}0", start)]  # "0" follows "/"
            if not below or len(found) + len(below) > _MOST_LINKS:
                dead.append(name)
                continue
            found |= {name + file[len(target) :]: file for file in below}
    return {name: file for name, file in found.items() if name not in known}, dead


def link_target(name: str, target: str) -> str | None:
    """Where a symbolic link leads, as a plain name; None if that is outside of the archive."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return None if target.startswith("/") or path.split("/")[0] == ".." else plain_name(path)


def most_unpacked(packed: int) -> int:
    """How many bytes may come out of an archive or compressed file of so many."""
    return max(_HARMLESS, _MOST_RATIO * packed)


def refuse_bomb(unpacked: int, budget: int, label: str) -> None:
    """Raise ``UserError`` if more bytes come out of an archive than ``most_unpacked`` allows."""
    if unpacked > budget:
        raise UserError(
            f"{label} unpacks to more than {budget / 1e9:.1f} GB, far more than images can be packed into its size: "
            "unpack it yourself if you trust it, and give the folder"
        )


def copy_bounded(source: IO[bytes], target: IO[bytes], budget: int, label: str) -> None:
    """Copy what is left of a stream; raises ``UserError`` as ``refuse_bomb`` does, before more is written."""
    copied = 0
    while block := source.read(1 << 20):
        copied += len(block)
        refuse_bomb(copied, budget, label)
        target.write(block)


def describe_passed_over(passed: Mapping[str, Mapping[str, object]]) -> str:
    """One line about ``Manifest.passed_over``, "" where there is nothing to tell."""
    parts = []
    for reason, found in passed.items():
        count, first = found["count"], found["first"]
        assert isinstance(count, int) and isinstance(first, list)
        names = ", ".join(printable(str(name)) for name in first) + (", ..." if count > len(first) else "")
        parts.append(f"{count:,} {reason} ({names})")
    return f"Passed over: {'; '.join(parts)}." if parts else ""


def summarize_passed_over(passed: Mapping[str, list[str]]) -> dict[str, dict[str, object]]:
    """{why: {"count": how many, "first": some names}}, for the manifest."""
    return {
        reason: {"count": len(names), "first": [name[:100] for name in names[:_SHOWN]]}
        for reason, names in passed.items()
        if names
    }


def walk(root: Path) -> tuple[dict[str, list[str]], PassedOver]:
    """The folders below a folder, relative ("" for itself), with the names of their regular files; what is not read.

    Links are followed; each real folder is visited once.
    """
    found: dict[str, list[str]] = {}
    passed: PassedOver = {SPECIAL: [], DEAD_LINKS: [], "folders that are read under another name": []}
    special, dead, again = passed.values()
    shut = passed.setdefault("folders that cannot be opened", [])
    seen = set()
    for folder, folders, names in os.walk(
        root, followlinks=True, onerror=lambda error: shut.append(os.path.relpath(error.filename, root))
    ):
        relative = "/".join(Path(folder).relative_to(root).parts)
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            again.append(relative)
            continue
        seen.add(real)
        folders.sort()
        kept = found.setdefault(relative, [])
        for name in names:
            path = f"{relative}/{name}" if relative else name
            try:
                mode = os.stat(os.path.join(folder, name)).st_mode
            except OSError:  # a link to nowhere or to itself, or a file that has just gone
                dead.append(path)
                continue
            (kept if stat.S_ISREG(mode) else special).append(name if stat.S_ISREG(mode) else path)
    return found, passed


def shared_depth(names: list[str]) -> int:
    """How many folders from the top all files lie in."""
    if not names:
        return 0
    first, last = (name.split("/")[:-1] for name in (min(names), max(names)))
    depth = 0
    while depth < min(len(first), len(last)) and first[depth] == last[depth]:
        depth += 1
    return depth
