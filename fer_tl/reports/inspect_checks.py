"""What may be wrong with a dataset as a whole: sentences, tables and pictures of each check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fer_tl.core.counting import counted, fitting
from fer_tl.data.checks.agreement import Agreement
from fer_tl.data.checks.associations import Association
from fer_tl.data.checks.check import Checks
from fer_tl.data.checks.order import Order, natural_order
from fer_tl.data.checks.outliers import FEWEST
from fer_tl.data.survey import Survey
from fer_tl.reports.page import Tile
from fer_tl.reports.rendering import Table, as_csv, per_cent

_FARTHEST = 48  # images that are shown
_USUAL = 12  # of a class, and as many of the others
_IN_A_ROW = 24
_DISPUTED = 24
_LEAST_VOTES = 0.5  # of an image's votes: below it no choice has most of them

# What a class is called that has more of a property, and less.
_WORDS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "poorer in contrast"),
    "sharpness": ("sharper", "more blurred"),
    "border": ("wider of border", "narrower of border"),
    "size": ("larger", "smaller"),
}

Gallery = tuple[str, list[Tile]]


def check_parts(found: Survey, checks: Checks) -> dict[str, Any]:
    """What the template shows: sentences, tables and pictures of each check."""
    return {
        "outliers_text": outliers_text(checks),
        "farthest": _tiles(found, _farthest(found, checks)),
        "looks_text": looks_text(checks),
        "class_looks": looks_and_classes(found, checks) if checks.associations else None,
        "told_by_looks": _told(found, checks),
        "order_text": order_text(checks),
        "rows": [_in_order(found, order) for order in checks.orders if order.is_found],
        "agreement_text": agreement_text(checks.agreement),
        "agreement": agreement_table(found, checks.agreement) if checks.agreement else None,
        "disputed": _disputed(found, checks.agreement) if checks.agreement else [],
    }


def checks_text(found: Survey, checks: Checks) -> str:
    """What the terminal shows of them: a line each."""
    texts = (outliers_text(checks), looks_text(checks), order_text(checks), agreement_text(checks.agreement))
    return "\n".join(text for text in texts if text)


def outliers_csv(found: Survey, checks: Checks) -> str:
    """The images that are shown, the farthest from the others first; ``fer-tl build --exclude`` takes the rows that a
    person leaves in."""
    rows = [
        [
            identity,
            found.by_id[identity].split,
            found.by_id[identity].class_name,
            round(float(checks.outliers.deviations[row]), 2),
        ]
        for row in _farthest(found, checks)
        for identity in [str(found.ids[row])]
    ]
    return as_csv([["id", "split", "class", "deviations"], *rows])


def outliers_text(checks: Checks) -> str:
    """How many images are unlike all others."""
    number = len(checks.outliers.deviations)
    if number < FEWEST:
        return f"Outliers are not looked for among fewer than {FEWEST} images."
    beyond = int(checks.outliers.is_beyond.sum())
    what = "no image is" if beyond == 0 else f"{beyond:,} {'image is' if beyond == 1 else 'images are'}"
    return f"Outliers: {what} farther from what all have in common than chance explains; the page shows the farthest."


def looks_text(checks: Checks) -> str:
    """Which classes their looks tell."""
    told = [each for each in checks.associations if each.is_found]
    if not checks.associations:
        return "Looks and classes are not compared: no two classes have enough images."
    if not told:
        return "Looks and classes: no class is told by brightness, contrast, sharpness, border or size."
    words = "; ".join(map(_words, sorted(told, key=lambda each: -each.distance)))
    return (
        "Looks and classes: a network can gain without looking at faces, because classes differ in other ways from the "
        f"rest: {words}."
    )


def order_text(checks: Checks) -> str:
    """Whether images that come one after the other are alike."""
    if not checks.orders:
        return "Order is not looked at: too few names have numbers, or all that follow each other are in one group."
    told = [order for order in checks.orders if order.is_found]
    if not told:
        return "Order: by the numbers in their names, images that follow each other are no more alike than others."
    parts = []
    for order in told:
        words = []
        if order.by_label:
            words.append(f"have the same label {per_cent(order.label_excess, 0)} of the way from chance to always")
        if order.by_likeness:
            words.append(f"look alike (distance {order.likeness:.2f} of 1, p = {order.likeness_p:.3f})")
        parts.append(f"in {order.split} they {' and '.join(words)}")
    return (
        f"Order: by the numbers in their names, images that follow each other are alike: {'; '.join(parts)}. Either "
        "the numbers tell the class, or they were taken one after the other (a film, a person's sitting, one search); "
        "then hold those together with --groups or --group-regex, or folds divide them."
    )


def agreement_text(found: Agreement | None) -> str:
    """How far voters agree, "" where there are no votes."""
    if found is None:
        return ""
    without = int((found.majority <= _LEAST_VOTES).sum())
    interval = f" (95 % interval {found.low:.2f} to {found.high:.2f})" if np.isfinite(found.low) else ""
    return (
        f"Agreement: Krippendorff's alpha of the votes on {len(found.ids):,} images is {found.alpha:.2f}{interval}, "
        f"{per_cent(float(found.majority.mean()))} of an image's votes are for its most frequent choice, and "
        f"{counted(without, 'image')} {fitting(without, 'has', 'have')} no choice with more than half of them. Images "
        "that the votes left out of the build are not counted."
    )


def looks_and_classes(found: Survey, checks: Checks) -> Table:
    """Probabilities by class and property; those that are surely more than small are marked."""
    looks = list(dict.fromkeys(each.look for each in checks.associations))
    cell = {(each.class_name, each.look): each for each in checks.associations}
    rows: list[list[str]] = []
    marks = set()
    for name in found.manifest.class_names:
        row = [name]
        for look in looks:
            each = cell.get((name, look))
            row.append(f"{each.share:.0%} ({each.low:.0%}–{each.high:.0%})".replace("%", " %") if each else "–")
            if each and each.is_found:
                marks.add((len(rows), len(row) - 1))
        rows.append(row)
    return Table(["class", *looks], [rows], marks=frozenset(marks))


def agreement_table(found: Survey, agreement: Agreement) -> Table:
    """Votes by class."""
    rows: list[list[str]] = []
    for name in found.manifest.class_names:
        own = agreement.class_names == name
        if own.any():
            most, pairs = agreement.majority[own], agreement.pairwise[own]
            disputed = int((most <= _LEAST_VOTES).sum())
            rows.append([name, f"{own.sum():,}", per_cent(most.mean()), per_cent(pairs.mean()), f"{disputed:,}"])
    return Table(["class", "images", "for the first choice", "pairs of voters that agree", "no majority"], [rows])


def _words(each: Association) -> str:
    more, less = _WORDS[each.look]
    share, least = max(each.share, 1 - each.share), max(each.low, 1 - each.high)
    look = more if each.share > 0.5 else less
    return f"{each.class_name} is {look} ({share:.0%} of pairs with others, at least {least:.0%})".replace("%", " %")


def _farthest(found: Survey, checks: Checks) -> list[int]:
    order = np.lexsort((found.ids, -checks.outliers.deviations))[:_FARTHEST]
    return [int(row) for row in order if checks.outliers.deviations[row] > 0]


def _told(found: Survey, checks: Checks) -> list[tuple[str, list[Gallery]]]:
    """For each class that a property tells: usual images of it, and of the others."""
    parts = []
    for each in sorted((each for each in checks.associations if each.is_found), key=lambda each: -each.distance):
        values = checks.looks[each.look]
        own = found.labels == found.manifest.class_names.index(each.class_name)
        sides = {each.class_name: own, "the others": ~own}
        galleries = [(f"nearest to the median of {name}", _usual(found, values, side)) for name, side in sides.items()]
        parts.append((_words(each), galleries))
    return parts


def _usual(found: Survey, values: np.ndarray, side: np.ndarray) -> list[Tile]:
    rows = np.flatnonzero(side & np.isfinite(values))
    away = np.abs(values[rows] - np.median(values[rows]))
    return _tiles(found, rows[np.lexsort((found.ids[rows], away))[:_USUAL]])


def _in_order(found: Survey, order: Order) -> Gallery:
    inside = np.flatnonzero(found.splits == order.split)
    rows = inside[natural_order(found.ids[inside])]
    start = max(0, (len(rows) - _IN_A_ROW) // 2)
    return f"{_IN_A_ROW} images of {order.split} from the middle of the order", _tiles(found, rows[start:][:_IN_A_ROW])


def _disputed(found: Survey, agreement: Agreement) -> list[Tile]:
    order = np.lexsort((agreement.ids, agreement.pairwise))[:_DISPUTED]
    return [
        Tile(found.images[str(agreement.ids[row])], f"{agreement.class_names[row]}: {agreement.describe_votes(row)}")
        for row in order
    ]


def _tiles(found: Survey, rows: Iterable[int] | np.ndarray) -> list[Tile]:
    examples = [found.by_id[str(found.ids[row])] for row in rows]
    return [Tile(found.images[each.id], f"{each.id}\n{each.class_name}, {each.split}") for each in examples]
