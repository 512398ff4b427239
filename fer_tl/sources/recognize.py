"""Which dataset somebody's file or folder is, so that it can be trained on without saying so."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

from fer_tl.core.archives import open_files
from fer_tl.sources.format import formats


def recognize(path: Path) -> tuple[str, str] | None:
    """The name that a dataset of a source would be built under, and what tells it; None if nothing does.

    Formats with a name of their own come first, then those that give one to each source, such as ``folder/NAME``,
    called after the file.

    Args:
        path: a file, archive or folder that exists.

    Raises:
        UserError: it cannot be read.
    """
    files = open_files(path)
    try:
        for form in sorted(formats().values(), key=lambda form: form.variants):
            if form.recognizer and (told := pkgutil.resolve_name(form.recognizer)(files)):
                return (f"{form.name}/{_variant(path)}" if form.variants else form.name), told
    finally:
        files.close()
    return None


def _variant(path: Path) -> str:
    """The name of a file or folder in small letters, digits, ``-`` and ``_``; "mine" if it has none of them."""
    stem = path.resolve().name.lower()
    stem = re.sub(r"\.(zip|tar|tgz|gz|bz2|xz|tar\.\w+)$", "", stem)
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_") or "mine"
