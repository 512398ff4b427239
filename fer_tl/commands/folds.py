"""Draw, write and check the folds of a cross validation."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say, say_line
from fer_tl.data.choose_dataset import choose_dataset
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.reports.rendering import Table, as_text


@dataclass(frozen=True, repr=False)
class FoldsResult(Shown):
    """A fold table that is good: the fold of each training image by id (where repeated, those of all repetitions), the
    file it was written to, None for none, and its counts."""

    fold_of: dict[str, int | tuple[int, ...]]
    path: Path | None
    text: str


def draw_folds(
    data: str = "toyfaces",
    data_dir: Path | str = "data",
    folds: int | None = None,
    repeats: int = 1,
    seed: int | None = None,
    table: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> FoldsResult:
    """Draw the folds that ``cv`` would draw, or check a table that somebody gives; write them down if asked to.

    A table is good if it has every training image once, every fold has every class, and no group (duplicates, faces of
    one photo) is split.

    Args:
        data: a built dataset, such as fer2013, expw or folder/mine.
        data_dir: folder of the built datasets.
        folds: how many to draw, or how many the table should have; default: 4.
        repeats: how often, each time other folds; a column for each.
        seed: seed of the drawing; default: 0.
        table: a CSV with the columns id and fold to check in place of drawing one.
        out: CSV to write the folds to; default: none.
        say: prints a line.

    Raises:
        UserError: no such data, or the table is not good, with the reason.
    """
    from fer_tl.data.folds import count_split, read_repetitions, write_folds
    from fer_tl.data.repetitions import check_repetitions, make_repetitions

    if folds is not None and folds < 2:
        raise UserError(f"--folds {folds}: cross validation needs two folds or more")
    if not 1 <= repeats <= 100:
        raise UserError(f"--repeats {repeats}: folds are drawn 1 to {100} times")
    if table and seed is not None:
        raise UserError("--seed draws folds and --table gives them: use one of them")
    data = choose_dataset(data, data_dir, say)
    dataset = load_dataset(data, data_dir, "train", "stream")  # no image is looked at
    if table:
        assigned = read_repetitions(Path(table), dataset.ids, repeats, others=True)  # [R, N]
        number = folds or max(2, int(assigned[0].max()) + 1)
    else:
        number = folds or 4
        examples = dataset.ids, dataset.labels, dataset.groups, dataset.class_names
        assigned = make_repetitions(*examples, number, seed or 0, repeats)
    text = "\n".join(folds_text(dataset, row) for row in assigned)
    times = f" {repeats} times" if repeats > 1 else ""
    say(f"{data}, split train, {number} folds{times}{f' of {table}' if table else f', seed {seed or 0}'}\n\n{text}")
    split = count_split(assigned, dataset.groups)
    if split:
        raise UserError(
            f"{table} leaks: {split:,} of {len(dataset):,} images {fitting(split, 'has', 'have')} a duplicate or a "
            "face of the same photo in another fold; draw folds without --table"
        )
    check_repetitions(assigned, dataset.labels, dataset.groups, dataset.class_names, number)
    say("Every image is in one fold, every fold has every class, no group is split.")
    path = None
    words = ["--data", data, *(["--data-dir", str(data_dir)] if Path(data_dir) != Path("data") else [])]
    words += ["--folds", str(number), *(["--repeats", str(repeats)] if repeats > 1 else [])]
    if out:
        path = Path(out)
        if path.exists() and (
            path.is_dir() or not np.array_equal(read_repetitions(path, dataset.ids, repeats, True), assigned)
        ):
            raise UserError(f"{path} is there and holds something else: give another --out")
        write_folds(path, dataset.ids, assigned)
        words += ["--fold-table", str(path)]
        say(f"Written to {path}; fer-tl cv {shlex.join(words)} uses it.")
    elif not table:
        words += ["--fold-seed", str(seed)] if seed else []
        say(f"fer-tl cv {shlex.join(words)} draws the same folds; --out FILE writes them down.")
    fold_of = assigned[0].tolist() if repeats == 1 else map(tuple, assigned.T.tolist())
    return FoldsResult(dict(zip(dataset.ids.tolist(), fold_of, strict=True)), path, text)


COMMAND = Command(draw_folds, positional=("data",))


def folds_text(dataset: Dataset, assigned: np.ndarray) -> str:
    """One row a fold: images, groups, images of each class.

    Args:
        dataset: N examples.
        assigned: int ``[N]``, their folds, of one repetition.
    """
    folds = range(int(assigned.min()), int(assigned.max()) + 1)
    classes = range(len(dataset.class_names))

    def row(name: str, chosen: np.ndarray) -> list[str]:
        counts = np.bincount(dataset.labels[chosen], minlength=len(classes))  # [K]
        numbers = [chosen.sum(), len(np.unique(dataset.groups[chosen])), *counts]
        return [name, *(f"{number:,}" for number in numbers)]

    rows = [row(str(fold), assigned == fold) for fold in folds]
    header = ["fold", "images", "groups", *dataset.class_names]
    return as_text(Table(header, [rows, [row("all", np.full(len(assigned), True))]]))
