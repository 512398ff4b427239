"""Folders that verbs write results to: new ones, and those of an earlier call of the same verb."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.files import is_temporary, read_json


def choose_folder(out: Path | str | None, default: Path, mark: str, kind: str) -> Path:
    """Where a result is written: ``out``, or a default. An earlier one there is replaced.

    Args:
        out: as given.
        default: where nothing is given.
        mark: name of the file by which such a folder is known; to be written first.
        kind: what it holds, with an article.

    Raises:
        UserError: the folder holds something else.
    """
    folder = Path(out) if out else default
    others = folder.is_dir() and not all(map(is_temporary, folder.iterdir()))
    if folder.is_file() or (others and not (folder / mark).is_file()):
        raise UserError(f"{folder} holds other files and is no {kind}: give another --out")
    return folder


def refuse_other_page(path: Path, mark: str, kind: str) -> None:
    """Make sure that a page may be written: to a new file, or over an earlier one of its kind.

    Args:
        path: of the page.
        mark: what the file of such a page has in it.
        kind: what it is, without an article.

    Raises:
        UserError: it is something else, or lies below a file.
    """
    parent = next(parent for parent in path.parents if parent.exists())
    if not parent.is_dir():
        raise UserError(f"{parent} is a file, not a folder: choose another --out")
    if path.exists() and mark not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"{path} is no {kind} and would be overwritten: choose another --out")


def choose_requested(out: Path | str | None, mark: str, kind: str, request: Mapping[str, Any]) -> Path:
    """The same for what runs are brought together in: ``out``, or ``runs/<kind>-<hash of what was asked for>``.

    Args:
        out: as given.
        mark: a JSON file that holds the request, and perhaps more.
        kind: as of ``choose_folder``.
        request: JSON-ready.

    Raises:
        UserError: the folder holds something else, or the same of another request, with the difference.
    """
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()[:8]
    folder = choose_folder(out, Path("runs") / f"{kind}-{digest}", mark, kind)
    if (folder / mark).is_file():
        before = read_json(folder / mark)
        changed = [f"{key} {before.get(key)} -> {now}" for key, now in request.items() if before.get(key) != now]
        if changed:
            raise UserError(f"{folder} holds another {kind} ({'; '.join(changed)}): give another --out")
    return folder


def name_runs(run_dirs: Sequence[Path | str], remark: str, taken: Sequence[str] = ()) -> dict[str, Path]:
    """Runs by the name that their row has: that of the folder, with as many of those above it as tell all apart.

    Args:
        run_dirs: each once.
        remark: what to do about one that is given twice.
        taken: names that rows have already.

    Raises:
        UserError: the same run twice.
    """
    paths = [Path(run_dir) for run_dir in run_dirs]
    real = [path.resolve() for path in paths]
    for index, path in enumerate(real):
        if path in real[:index]:
            raise UserError(f"{paths[index]} is given twice: {remark}")
    names = [path.name for path in real]
    depth = 1
    while len({*names, *taken}) < len(names) + len(taken):  # ends: the whole paths are unique
        depth += 1
        names = ["/".join(path.parts[-depth:]).replace("//", "/") for path in real]
    return dict(zip(names, paths, strict=True))
