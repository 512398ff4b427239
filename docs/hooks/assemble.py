"""Put the source of the site together: the pages of docs/, the reference made of the code, and the files of the project
that pages link to, under project/.

    python docs/hooks/assemble.py build/docs
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from reference import ROOT, pages

DOCS = ROOT / "docs"
KINDS = ("*.md", "*.png", "*.css", "*.html", "*.csv", "*.tex")
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def assemble(folder: Path) -> None:
    """Write the source of the site into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    made = pages()
    todo: dict[str, Path] = {}  # by place on the site
    for kind in KINDS:
        todo |= {str(path.relative_to(DOCS)): path for path in DOCS.rglob(kind)}
    done: set[str] = set()
    for place, text in made.items():
        todo |= write(folder / place, text, DOCS / place, place)
        done.add(place)
    while todo:
        place, path = todo.popitem()
        if place in done:
            continue
        done.add(place)
        if path.suffix == ".md":
            todo |= write(folder / place, path.read_text(encoding="utf-8"), path, place)
        else:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)


def write(target: Path, text: str, source: Path, place: str) -> dict[str, Path]:
    """Write a page with its links as they are on the site; returns the files outside of ``docs`` that it links to."""
    found: dict[str, Path] = {}

    def lead(link: re.Match[str]) -> str:
        path = Path(os.path.normpath(source.parent / link[2]))
        if ":" in link[2] or (not path.is_file() and DOCS not in path.parents):
            return link[0]
        other = str(path.relative_to(DOCS)) if DOCS in path.parents else f"project/{path.relative_to(ROOT)}"
        if DOCS not in path.parents:
            found[other] = path
        return f"{link[1]}{os.path.relpath(other, os.path.dirname(place) or '.')}{link[3]}"

    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(LINK.sub(lead, text), encoding="utf-8")
    return found


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
