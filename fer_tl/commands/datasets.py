"""The verbs of data: look at a built dataset, verify it, draw and check its folds."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fer_tl.commands.results import FoldsResult, InspectionResult
from fer_tl.core.errors import UserError
from fer_tl.data.dataset import load_dataset

Say = Callable[[str], None]


def inspect_dataset(
    data: str = "toyfaces", data_dir: Path | str = "data", out: Path | str | None = None, say: Say = print
) -> InspectionResult:
    """Show what is in a built dataset: counts, duplicates, conflicting labels, blank images, brightness, sizes, faces.

    No image of the test split is shown.

    Args:
        data: a built dataset.
        data_dir: where it is.
        out: folder of page and pictures; default: ``inspect/<data>``.
        say: prints a line.

    Raises:
        UserError: no such data, or it was built by an older version.
    """
    from fer_tl.reports.inspect_page import write_inspection

    folder = Path(out) if out else Path("inspect") / data.replace("/", "-")
    text = write_inspection(data, data_dir, folder)
    say(f"{text}\n\npage: {folder / 'index.html'}")
    return InspectionResult(folder, text)


def draw_folds(
    data: str = "toyfaces",
    data_dir: Path | str = "data",
    folds: int | None = None,
    seed: int | None = None,
    table: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = print,
) -> FoldsResult:
    """Draw the folds that ``cv`` would draw and write them down, or check a table that somebody gives.

    A table is good if it has every training image once, every fold has every class, and no group (duplicates, faces of
    one photo) is split.

    Args:
        data: a built dataset.
        data_dir: where it is.
        folds: how many to draw, 4 if not given; how many the table should have.
        seed: of the drawing, 0 if not given.
        table: a CSV with the columns id and fold to check in place of drawing one.
        out: file to write; default: ``folds-<data>-<folds>-<seed>.csv``, none where a table is checked.
        say: prints a line.

    Raises:
        UserError: no such data, or the table is not good, with the reason.
    """
    from fer_tl.data.folds import check_folds, count_split, make_folds, read_folds, write_folds
    from fer_tl.reports.folds_table import folds_text

    if folds is not None and folds < 2:
        raise UserError(f"--folds {folds}: cross validation needs two folds or more")
    if table and seed is not None:
        raise UserError("--seed draws folds and --table gives them: use one of them")
    dataset = load_dataset(data, data_dir, "train", "stream")  # no image is looked at
    if table:
        assigned = read_folds(Path(table), dataset.ids, others=True)
        number = folds or max(2, int(assigned.max()) + 1)
    else:
        number = folds or 4
        assigned = make_folds(dataset.ids, dataset.labels, dataset.groups, dataset.class_names, number, seed or 0)
    text = folds_text(dataset, assigned)
    say(f"{data}, split train, {number} folds{f' of {table}' if table else f', seed {seed or 0}'}\n\n{text}")
    split = count_split(assigned, dataset.groups)
    if split:
        raise UserError(
            f"{table} leaks: {split:,} of {len(dataset):,} images have a duplicate or a face of the same photo in "
            "another fold; draw folds without --table"
        )
    check_folds(assigned, dataset.labels, dataset.groups, dataset.class_names, number)
    say("Every image is in one fold, every fold has every class, no group is split.")
    path = None
    if out or not table:
        path = Path(out) if out else Path(f"folds-{data.replace('/', '-')}-{number}-{seed or 0}.csv")
        if path.exists() and (path.is_dir() or not np.array_equal(read_folds(path, dataset.ids, True), assigned)):
            raise UserError(f"{path} is there and holds something else: give another --out")
        write_folds(path, dataset.ids, assigned)
        words = ["--data", data, *(["--data-dir", str(data_dir)] if Path(data_dir) != Path("data") else [])]
        words += ["--folds", str(number), "--fold-table", str(path)]
        say(f"Written to {path}; fer-tl cv {shlex.join(words)} uses it.")
    return FoldsResult(dict(zip(dataset.ids.tolist(), assigned.tolist(), strict=True)), path, text)


def verify(name: str = "toyfaces", data_dir: Path | str = "data", say: Say = print) -> None:
    """Read every byte of a built dataset and compare it with what was built.

    Files with their checksums, records with theirs, examples with the counts, fingerprints and table of the build, and
    the decoded arrays that are kept of them. Says a line for each split and each finding; it needs no TensorFlow.

    Args:
        name: a built dataset.
        data_dir: where it is.
        say: prints a line.

    Raises:
        UserError: no such data, or something is damaged, after all of it has been said.
    """
    from fer_tl.data.verify import verify_dataset

    verify_dataset(name, data_dir, say)
