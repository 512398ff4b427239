"""Finds FER-2013 in whatever a person has: a CSV, image folders, and archives of them, one in another too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_tl.core.archives import Files, open_files
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import is_archive
from fer_tl.sources.fer2013.csv_reader import CsvFile, has_labels, has_pixels, is_fer_plus
from fer_tl.sources.fer2013.csv_source import CsvSource
from fer_tl.sources.fer2013.ferplus import read_ferplus
from fer_tl.sources.fer2013.image_reader import open_images
from fer_tl.sources.images import IMAGE_SUFFIXES, find_images, image_paths
from fer_tl.sources.origin import Origin
from fer_tl.sources.records import Source
from fer_tl.sources.split_names import canonical_split

WHOLE = ("fer2013", "icml_face_data")  # best first, as torchvision's FER2013 looks for them
_PARTS = ("train", "val", "valid", "validation", "test")
_SUFFIXES = (".csv", ".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz")
_MAX_DEPTH = 4  # archives in archives; Kaggle's competition file is a zip of a tar.gz


def open_source(path: Path, labels: str | None = None, ferplus: Path | None = None, votes: str | None = None) -> Source:
    """Open a FER-2013 source.

    Where several are found, the order is fer2013.csv, icml_face_data.csv, train.csv (with val.csv and test.csv beside
    it), image folders, any other single CSV, and then what lies in archives inside.

    Args:
        path: a file, a folder or an archive.
        labels: what numbers mean as classes, a key of ``LABEL_ORDERS``, or None (FER-2013's if that is certain).
        ferplus: FER+'s fer2013new.csv, whose votes replace the labels of fer2013.csv; None for none.
        votes: how they become labels, one of ``fer_tl.sources.votes.MODES``; "majority" if not given.

    Raises:
        UserError: nothing usable is there, or votes that cannot be joined to it.
    """
    if votes is not None and ferplus is None:
        raise UserError("--votes says how the votes of --ferplus become labels: give that as well")
    files = open_files(path)
    try:
        source = _find(path, files, files, None, labels, _MAX_DEPTH)
        if ferplus is not None:
            if not isinstance(source, CsvSource):
                # Checked on Kaggle's copy: the numbers in its file names, up to 99,999,696, are neither rows nor in
                # their order.
                raise UserError(
                    f"{files.label} holds images, whose names do not tell the row of fer2013.csv that FER+'s votes "
                    "are for: give fer2013.csv"
                )
            source.use_votes(read_ferplus(ferplus, votes or "majority"))
        return source
    except BaseException:
        files.close()
        raise


def _find(path: Path, top: Files, files: Files, outer: str | None, labels: str | None, depth: int) -> Source:
    """Looks into one level; ``outer`` is the archive of the top level that this level came out of."""

    def origin(used: list[str]) -> Origin:
        return Origin(path, top, [outer] if outer else used)

    single = not path.is_dir() and len(files.names) == 1 and files.names[0] == files.label
    if single and Path(files.names[0]).suffix.lower() not in IMAGE_SUFFIXES:
        return CsvSource(origin(files.names), [CsvFile(files, files.names[0])], labels, [])
    for stem in WHOLE:
        for name in _named(files, (stem,)):
            if not is_archive(files.head(name)):
                return _of_tables(origin([name]), files, [CsvFile(files, name)], labels)
            if depth:
                return _find(path, top, files.nested(name), outer or name, labels, depth - 1)
    parts = [name for name in _named(files, _PARTS) if has_pixels(files, name)]
    if parts:
        tables, notes = _open_parts(files, parts)
        return _of_tables(origin(parts), files, tables, labels, notes)
    csvs = [name for name in files.names if name.lower().endswith(".csv") and not is_archive(files.head(name))]
    votes = [name for name in csvs if is_fer_plus(files, name)]
    if votes:
        CsvFile(files, votes[0])  # raises the error that says what to give instead
    names, passed = find_images(files)
    if names:
        images = open_images(origin(names), files, image_paths(names), labels)
        images.passed_over = passed
        return images
    if len(csvs) == 1:
        return _of_tables(origin(csvs), files, [CsvFile(files, csvs[0])], labels)
    archives = [] if csvs else [name for name in files.names if is_archive(files.head(name))]
    if len(archives) == 1 and depth:
        return _find(path, top, files.nested(archives[0]), outer or archives[0], labels, depth - 1)
    shown = ", ".join((csvs or archives or files.names)[:4]) or "nothing"
    raise UserError(
        f"{files.label} holds no FER-2013 that can be told (found {shown}): "
        "give fer2013.csv, icml_face_data.csv or a folder of class folders"
    )


def _of_tables(
    origin: Origin, files: Files, tables: list[CsvFile], labels: str | None, notes: Sequence[str] = ()
) -> CsvSource:
    """The source of some tables of a folder or archive; what else lies there is passed over."""
    source = CsvSource(origin, tables, labels, [*notes])
    used = {table.name for table in tables}
    source.passed_over = {**files.passed_over, "files beside the table": [n for n in files.names if n not in used]}
    return source


def _open_parts(files: Files, names: list[str]) -> tuple[list[CsvFile], list[str]]:
    """Open train.csv, val.csv and test.csv; those without labels are left out if another has them."""
    labelled = [name for name in names if has_labels(files, name)]
    unlabelled = [name for name in names if name not in labelled]
    tables = [CsvFile(files, name) for name in labelled or names]
    notes = [f"{files.where(name)} has no labels (emotion column) and is left out." for name in unlabelled]
    return tables, notes


def _named(files: Files, stems: tuple[str, ...]) -> list[str]:
    """Files whose name without suffixes is one of ``stems``: in the order of ``stems``, CSV first, then nearest the
    top.

    Only the best one for each split counts: a folder with train.csv and train.csv.zip has the same rows twice.
    """
    best: dict[str, tuple[tuple[int, bool, int, str], str]] = {}
    for name in files.names:
        base = name.rsplit("/", 1)[-1].lower()
        stem = base
        while stem.endswith(_SUFFIXES):
            stem = stem.rsplit(".", 1)[0]
        if stem not in stems:
            continue
        rank = (stems.index(stem), not base.endswith(".csv"), name.count("/"), name)
        key = canonical_split(stem) or stem
        if key not in best or rank < best[key][0]:
            best[key] = rank, name
    return [name for _, name in sorted(best.values())]
