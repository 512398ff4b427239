"""CK+ as a source of examples, in whichever of its forms somebody has it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from fer_tl.core.archives import Files, open_files
from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.core.errors import UserError
from fer_tl.sources.ckplus.sequences import FRAMES, has_labels, read_class_folders, read_sequences
from fer_tl.sources.ckplus.table import CkTable
from fer_tl.sources.fer2013.csv_reader import CsvFile, has_pixels
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.images import IMAGE_SUFFIXES
from fer_tl.sources.origin import Origin
from fer_tl.sources.portraits import open_portraits
from fer_tl.sources.records import Source


def open_ckplus(
    path: Path,
    image_size: int | None = None,
    fit: str | None = None,
    channels: int | None = None,
    frames: int | None = None,
    neutral: str | None = None,
) -> Source:
    """Open CK+: sequences with files of emotions, class folders, or a CSV with pixels.

    Args:
        path: a folder, an archive or the CSV.
        image_size: see ``open_portraits``; None for 96, of a CSV its own 48.
        fit: likewise; None for "pad".
        channels: likewise.
        frames: how many at the end of a sequence have its label; None for 3.
        neutral: "first" to take the first frame of a labelled sequence as neutral, "omit" or None not to.

    Raises:
        UserError: there is nothing of it, or an option does not fit what is there; see ``open_portraits`` too.
    """
    files = open_files(path)
    try:
        table = _table(files)
        labelled = table is None and has_labels(files)
        if table is not None:
            given = {"image-size": image_size, "fit": fit, "channels": channels, "frames": frames, "neutral": neutral}
            _refuse(given, files.where(table), "rows of 48x48 pixels, which are taken as they are")
            source = CkTable(Origin(path, files, [table]), CsvFile(files, table))
            source.passed_over = {
                **files.passed_over,
                "files beside the table": [name for name in files.names if name != table],
            }
            return source
        if not labelled:
            _refuse({"frames": frames, "neutral": neutral}, files.label, "class folders and no labelled sequences")
    except BaseException:
        files.close()
        raise
    files.close()
    taken, first = frames or FRAMES, neutral == "first"
    find = partial(read_sequences, frames=taken, neutral=first) if labelled else read_class_folders
    return open_portraits(
        path,
        find,
        (*CLASS_NAMES, CONTEMPT),
        image_size=image_size or DEFAULT_IMAGE_SIZE,
        fit=fit or "pad",
        channels=channels,
        options={"frames": str(taken), "neutral": neutral or "omit"} if labelled else {},
    )


def _table(files: Files) -> str | None:
    """The CSV with pixels, where there are no images."""
    if any(name.lower().endswith(tuple(IMAGE_SUFFIXES)) for name in files.names):
        return None
    found = [name for name in files.names if name.lower().endswith(".csv") and has_pixels(files, name)]
    if len(found) > 1:
        raise UserError(f"{files.label} holds several CSVs with pixels ({', '.join(found[:4])}): give one of them")
    return found[0] if found else None


def _refuse(given: Mapping[str, object], where: str, held: str) -> None:
    """Raise ``UserError`` if an option was given that has no meaning."""
    for name, value in given.items():
        if value is not None:
            raise UserError(f"{where} has {held}: leave --{name} out")
