"""Predictions of another framework as a table: which column is which class, which row which image, what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.classes import canonical_class
from fer_tl.core.csv_tables import Table, TableRow, image_finder, read_table
from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset
from fer_tl.data.merging import find_class
from fer_tl.runs.predictions import Predictions
from fer_tl.sources.label_orders import LABEL_ORDERS, check_numbers, class_of_number, number_of

ANSWERS = ("prediction", "predicted", "predicted_label", "predicted_class", "pred", "y_pred", "answer")
"""Columns that may hold the class that was answered."""
TRUTHS = ("label", "true_label", "true_class", "truth", "y_true", "target")
"""Columns that may hold the true class, which the dataset knows: they are compared with it."""
SUM_TOLERANCE = 0.01
"""By which the probabilities of a row may miss 1, for they are rounded; they are divided by their sum."""
FLOOR = float(np.finfo(np.float64).eps)
"""What a probability of 0 counts as, so that no loss is infinite: that of scikit-learn's ``log_loss``."""

_AFFIX = re.compile(r"^(?:p|prob|probs|proba|probability|logits?|scores?|class)[\s_.:-]+")


@dataclass(frozen=True, eq=False)
class GivenPredictions:
    """What a table says of the images of a split.

    Attributes:
        predictions: in the order of the split; of labels alone the logit of the answer is 1, of others 0.
        labels_only: whether there are no probabilities.
        sha256: of the file.
        passed_over: rows of images that the split does not have.
        unread: columns that mean nothing here.
        zeros: images whose true class had the probability 0.
    """

    predictions: Predictions
    labels_only: bool
    sha256: str
    passed_over: int
    unread: tuple[str, ...]
    zeros: int


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of a table: those of the K classes in their order, none where there are none; and what else there
    is."""

    of_classes: tuple[str, ...]
    answer: str | None
    truth: str | None
    unread: tuple[str, ...]


def read_predictions(
    path: Path, dataset: Dataset, logits: bool = False, labels: str | None = None, skip_others: bool = False
) -> GivenPredictions:
    """Read a CSV with a column ``id``, and one for each class or one with the class that was answered.

    Ids are found as ``csv_tables.image_finder`` does it. Classes are found by name,
    whatever their order, such as ``happy``, ``Happiness`` or ``p_happy``.

    Args:
        path: of the table.
        dataset: the split that was predicted, N images.
        logits: whether the numbers are logits, before softmax, and not probabilities.
        labels: a key of ``LABEL_ORDERS``, for classes that are numbers.
        skip_others: pass over rows of images that the split does not have.

    Raises:
        UserError: naming the first row or column that cannot be used, and why; images that are missing, or there twice.
    """
    if labels is not None and labels not in LABEL_ORDERS:
        raise UserError(f"--labels {labels}: no such order; valid are: {', '.join(LABEL_ORDERS)}")
    table = read_table(path, ("id",), "predictions")
    columns = _find_columns(table, dataset.class_names, labels)
    rows, passed_over = _match(table, dataset, skip_others)
    _refuse_other_truth(columns.truth, rows, dataset, labels)
    if not columns.of_classes:
        if logits:
            raise UserError(f"{table.name}: --values logits needs a column for each class: {_spell(dataset)}")
        answers = _answers(columns.answer or "", rows, dataset, labels)
        found, zeros = np.eye(len(dataset.class_names))[answers], 0
    else:
        values = _numbers(columns.of_classes, rows)  # [N, K]
        found, zeros = (values, 0) if logits else _logits_of(values, columns.of_classes, rows, dataset)
        _refuse_other_answer(columns, rows, found, dataset, labels)
    with np.errstate(over="ignore"):
        found = found.astype(np.float32)
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        raise UserError(f"{rows[broken[0]].place}: a logit is too large to be one")
    predictions = Predictions(dataset.ids, dataset.labels, found, dataset.class_names)
    return GivenPredictions(predictions, not columns.of_classes, table.sha256, passed_over, columns.unread, zeros)


def _spell(dataset: Dataset) -> str:
    return ", ".join(dataset.class_names)


def _class_of(text: str, class_names: Sequence[str], labels: str | None) -> str | None:
    """The class of a dataset that a cell or a column names, None if it names none."""
    name = next((each for each in class_names if each.lower() == text.lower()), None) or find_class(text, class_names)
    if name is None and labels is not None and (meant := class_of_number(text, labels)):
        name = find_class(meant, class_names)
    return name


def _find_columns(table: Table, class_names: Sequence[str], labels: str | None) -> _Columns:
    found: dict[str, str] = {}
    unread, numbers = [], []
    answer = next((name for name in ANSWERS if name in table.header), None)
    truth = next((name for name in TRUTHS if name in table.header), None)
    for column in table.header:
        if column in ("id", answer, truth, "fold", ""):
            continue
        plain = _AFFIX.sub("", column)
        name = _class_of(column, class_names, labels) or _class_of(plain, class_names, labels)
        if name is None:
            unread.append(column)
            numbers += [plain] if number_of(plain) is not None else []
        elif name in found:
            raise UserError(f"{table.name}: the columns {found[name]} and {column} are both of '{name}': remove one")
        else:
            found[name] = column
    expected = f"a column for each class ({', '.join(class_names)}), or one called {ANSWERS[0]} with the class"
    if numbers and not found:
        check_numbers([number_of(each) or 0 for each in numbers], labels, table.name)
    lacking = [name for name in class_names if name not in found]
    if found and lacking:
        raise UserError(f"{table.name}: no column of {', '.join(lacking)}; expected {expected}")
    strange = [column for column in unread if found and canonical_class(_AFFIX.sub("", column))]
    if strange:
        raise UserError(
            f"{table.name}: the dataset has no class of the column {strange[0]}: it has {', '.join(class_names)}; "
            "leave the column out and divide the others by their sum, or predict these classes alone"
        )
    if not found and answer is None:
        hint = f" (a column called {truth} may be the true class)" if truth else ""
        raise UserError(f"{table.name}: no predictions{hint}; expected {expected}")
    return _Columns(tuple(found[name] for name in class_names) if found else (), answer, truth, tuple(unread))


def _match(table: Table, dataset: Dataset, skip_others: bool) -> tuple[list[TableRow], int]:
    """The row of each image, in the split's order, and how many rows are of none."""
    find = image_finder(dataset.ids.tolist())
    row_of: dict[str, TableRow] = {}
    others: list[TableRow] = []
    for row in table.rows:
        row.check_filled("id")
        image = find(row.cells["id"])
        if image is None:
            others.append(row)
        elif image in row_of:
            raise UserError(f"{row.place}: '{image}' was in {row_of[image].place} before: give each image once")
        else:
            row_of[image] = row
    missing = [each for each in dataset.ids.tolist() if each not in row_of]
    where = f"{dataset.name}, split {dataset.splits[0]}"
    if missing:
        raise UserError(
            f"{table.name} says nothing of {len(missing):,} of the {len(dataset):,} images of {where}, such as "
            f"'{missing[0]}': predict them too, for all models are compared on the same images"
            + (f" (its ids are such as '{others[0].cells['id'][:60]}')" if len(missing) == len(dataset) else "")
        )
    if others and not skip_others:
        raise UserError(
            f"{others[0].place}: '{others[0].cells['id'][:60]}' is not an image of {where}, nor {len(others) - 1:,} "
            "more: remove them, or pass them over with --skip-others"
        )
    return [row_of[each] for each in dataset.ids.tolist()], len(others)


def _answers(column: str, rows: Sequence[TableRow], dataset: Dataset, labels: str | None) -> np.ndarray:
    """The class of each row, int64 ``[N]``."""
    texts = [row.cells[column] for row in rows]
    known = {text: _class_of(text, dataset.class_names, labels) for text in set(texts)}
    numbers = [number for text, name in known.items() if name is None and (number := number_of(text)) is not None]
    if numbers:
        check_numbers(numbers, labels, rows[0].place.partition(",")[0])
    index = {name: number for number, name in enumerate(dataset.class_names)}
    for row, text in zip(rows, texts, strict=True):
        if known[text] is None:
            what = f"{column} {text[:40]!r} is not a class of the dataset"
            raise UserError(f"{row.place}: {what}: it has {_spell(dataset)}")
    return np.array([index[known[text] or ""] for text in texts])


def _numbers(columns: Sequence[str], rows: Sequence[TableRow]) -> np.ndarray:
    """float64 ``[N, K]``, all finite."""

    def number(row: TableRow, column: str) -> float:
        text = row.cells[column]
        try:
            value = math.nan if "_" in text else float(text.replace(",", ".") if text.count(",") == 1 else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{row.place}: {column} {text[:40]!r} is not a number: give one for every class")
        return value

    return np.array([[number(row, column) for column in columns] for row in rows])


def _logits_of(
    values: np.ndarray, columns: Sequence[str], rows: Sequence[TableRow], dataset: Dataset
) -> tuple[np.ndarray, int]:
    """Logits ``[N, K]`` of probabilities, whose softmax they are; and for how many images the true class had 0."""
    sums = values.sum(axis=1)
    outside = (values < 0) | (values > 1 + SUM_TOLERANCE)
    for row in np.flatnonzero(outside.any(axis=1) | (np.abs(sums - 1) > SUM_TOLERANCE))[:1]:
        if outside[row].any():
            column = int(outside[row].argmax())
            what = f"{columns[column]} {values[row, column]:g} is not a probability"
        else:
            what = f"the probabilities sum to {sums[row]:.4g}, not to 1"
        per_cent = np.allclose(sums, 100, atol=100 * SUM_TOLERANCE) and (values >= 0).all()
        advice = "divide them by 100" if per_cent else "if they are logits, say so with --values logits"
        raise UserError(f"{rows[row].place}: {what}: {advice}")
    zeros = int((values[np.arange(len(values)), dataset.labels] == 0).sum())
    return np.log(np.maximum(values / sums[:, None], FLOOR)), zeros


def _refuse_other_truth(column: str | None, rows: Sequence[TableRow], dataset: Dataset, labels: str | None) -> None:
    """Raise ``UserError`` where a column of true classes is not what the dataset says: ids may be of other images."""
    found = [_class_of(row.cells[column], dataset.class_names, labels) for row in rows] if column else []
    if not found or None in found:
        return
    theirs = np.array([dataset.class_names.index(name or "") for name in found])
    wrong = np.flatnonzero(theirs != dataset.labels)
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{rows[row].place}: {column} is {found[row]}, but '{dataset.ids[row]}' of {dataset.name} is "
            f"{dataset.class_names[dataset.labels[row]]} ({len(wrong):,} of {len(rows):,} images differ): are these "
            "its ids? Without that column they are scored by the dataset's labels"
        )


def _refuse_other_answer(
    columns: _Columns, rows: Sequence[TableRow], values: np.ndarray, dataset: Dataset, labels: str | None
) -> None:
    """Raise ``UserError`` where the class that was answered has not the largest number: columns may be misnamed."""
    names: Mapping[int, str] = dict(enumerate(dataset.class_names))
    for row, numbers in zip(rows, values, strict=True) if columns.answer else ():
        name = _class_of(row.cells[columns.answer or ""], dataset.class_names, labels)
        if name and numbers[dataset.class_names.index(name)] < numbers.max():
            raise UserError(
                f"{row.place}: {columns.answer} is {name}, but the largest number is that of "
                f"{names[int(numbers.argmax())]}: are the columns of the classes named rightly?"
            )
