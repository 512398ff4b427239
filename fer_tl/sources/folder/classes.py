"""Which classes the names of folders stand for: one spelling for each, none merged unseen."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT, canonical_class
from fer_tl.core.errors import UserError
from fer_tl.core.safe_text import for_terminal
from fer_tl.sources.label_orders import check_numbers, class_of_number, number_of

_HIGHEST = 7  # of the numbers that datasets of expressions count to
_MOVE = (
    "move the images of one into the folder of the other if they are one class, or build them as your own classes with "
    "`fer-tl build folder`"
)
_RARER, _NEAR = 5, 0.8  # of a misspelled name: how much rarer it is, and how alike by `difflib`
_MANY = 5  # numbers from 0 or 1 that are hardly anything but a known order


class Classes(NamedTuple):
    """Classes and what folders belong to them.

    Attributes:
        names: in label order: those of ``CLASS_NAMES`` that are there, in that order, then the others, sorted.
        label_of: the label of each folder's name.
        notes: lines to tell about names that were joined, or kept apart.
    """

    names: tuple[str, ...]
    label_of: dict[str, int]
    notes: list[str]


def name_classes(folders: Iterable[tuple[str, str]], labels: str | None, where: str, what: str = "folder") -> Classes:
    """Find the classes of images from the folders that they lie in, or from labels.

    Names that differ only in capitals, Unicode form, blanks and punctuation are one class. A name of an expression
    becomes that of ``CLASS_NAMES``, unless a split has two folders that mean the same one: these stay apart under their
    own names.

    Args:
        folders: split and folder of each image.
        labels: what numbered folders mean, a key of ``LABEL_ORDERS``, or None if nobody has said.
        where: what has them, for messages.
        what: what they are, for messages: "folder" or "label".

    Raises:
        UserError: numbered folders that are those of a known order, but nobody says of which, or that the order given
            does not have.
    """
    counts = Counter(folders)
    notes = _check_numbers({folder for _, folder in counts}, labels, where, what)
    key_of = _keys(counts)
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    splits_of: dict[str, set[str]] = defaultdict(set)
    for (split, folder), number in counts.items():
        spellings[key_of[folder]][folder] += number
        splits_of[key_of[folder]].add(split)
    # The spelling of most images; of equally frequent ones, the first.
    own = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spellings.items()}
    meant = {key: _meaning(name, labels) for key, name in own.items()}
    apart = _kept_apart(meant, splits_of)
    name_of = {key: meant[key] if meant[key] and key not in apart else _tidy(own[key]) for key in own}
    for name in sorted({str(meant[key]) for key in apart}):
        keys = sorted(key for key in apart if meant[key] == name)
        kept = [key for key in keys if _tidy(own[key]).lower() == name]
        if kept:
            name_of[kept[0]] = name
        shown = [str(name_of[key]) for key in keys]
        notes.append(
            f"{' and '.join(shown)} both mean {name} but are two {what}s of one split: they stay {len(keys)} classes. "
            f"If they are one, train with --classes, as in {name}={'+'.join(shown)}."
        )
    joined = [found for found in spellings.values() if len(found) > 1]
    if joined:
        notes.append(
            f"{what.capitalize()}s whose names differ only in capitals, blanks or punctuation are one class: "
            + "; ".join(" = ".join(map(repr, sorted(found))) for found in joined)
            + "."
        )
    sizes: Counter[str] = Counter()
    for key, found in spellings.items():
        sizes[str(name_of[key])] += found.total()
    notes += _misspelled(sizes, what)
    unique = {str(name) for name in name_of.values()}
    names = (*(n for n in CLASS_NAMES if n in unique), *sorted(unique - {*CLASS_NAMES}))
    return Classes(names, {folder: names.index(str(name_of[key])) for folder, key in key_of.items()}, notes)


def _misspelled(sizes: Mapping[str, int], what: str) -> list[str]:
    """A line for each class that is hardly there and called nearly like one that is, as by a slip of the keyboard."""
    known, told = {*CLASS_NAMES, CONTEMPT}, []
    for name in sorted({*sizes} - known):
        usual = [other for other in sizes if sizes[other] >= _RARER * sizes[name]]
        near = difflib.get_close_matches(name.casefold(), [other.casefold() for other in usual], n=1, cutoff=_NEAR)
        if near:
            images = "1 image" if sizes[name] == 1 else f"{sizes[name]:,} images"
            told.append(f"Warning: {name!r} is a class of its own, of {images}: is it {near[0]}? Correct the {what}.")
    return told


def refuse_merged(
    folders: Iterable[tuple[str, str]], meanings: Mapping[str, object], where: str, advice: str = _MOVE
) -> None:
    """Raise ``UserError`` if a split has two names that stand for one class, however they are spelled.

    Args:
        folders: split and folder, or other name of a class, of each image.
        meanings: {folder: its class}.
        where: what has them.
        advice: what to do about two of them.
    """
    key_of = _keys(Counter(folders))
    seen: dict[tuple[str, object], str] = {}
    for split, folder in sorted(set(folders)):
        first = seen.setdefault((split, meanings[folder]), folder)
        if key_of[first] != key_of[folder]:
            raise UserError(f"{where} has two names for one class in {split}, {first} and {folder}: {advice}")


def _check_numbers(folders: set[str], labels: str | None, where: str, what: str) -> list[str]:
    """Raise ``UserError`` for a guess; a line about numbers that stay names."""
    numbers = {number for folder in folders if (number := number_of(folder)) is not None}
    if labels is not None:
        if not numbers:
            raise UserError(f"{where} has names for classes, not numbers: leave --labels out")
        check_numbers(numbers, labels, where)
    elif numbers and len(numbers) >= _MANY and min(numbers) <= 1 and max(numbers) <= _HIGHEST:
        check_numbers(numbers, None, where)
    elif numbers:
        return [f"Warning: {where} has numbered {what}s: what they mean is not known here, they stay names of classes."]
    return []


def _keys(counts: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """{folder: what is left of its name without what makes no class of its own}."""
    loose = {folder: _letters(folder) for _, folder in counts}
    strict = {folder: _tidy(folder).casefold() for _, folder in counts}
    # "C" and "C++" in one split are meant to differ, "sad" and "sad." are not.
    forms: dict[tuple[str, str], set[str]] = defaultdict(set)
    for split, folder in counts:
        forms[split, loose[folder]].add(strict[folder])
    doubted = {key for (_, key), found in forms.items() if len(found) > 1 and canonical_class(key) is None}
    return {folder: strict[folder] if key in doubted else key for folder, key in loose.items()}


def _kept_apart(meant: Mapping[str, str | None], splits_of: Mapping[str, set[str]]) -> set[str]:
    """Keys that mean the same as another one which a split has beside them."""
    apart: set[str] = set()
    for name in set(meant.values()) - {None}:
        keys = [key for key, meaning in meant.items() if meaning == name]
        if sum(len(splits_of[key]) for key in keys) > len(set().union(*(splits_of[key] for key in keys))):
            apart |= {*keys}
    return apart


def _meaning(folder: str, labels: str | None) -> str | None:
    if number_of(folder) is not None:
        return class_of_number(folder, labels) if labels else None
    return canonical_class(folder)


def _letters(folder: str) -> str:
    number = number_of(folder)
    if number is not None:
        return str(number)
    letters = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", folder).casefold())
    return letters or _tidy(folder)


def _tidy(folder: str) -> str:
    """A name as it is shown everywhere: no control character reaches a table or a terminal."""
    return for_terminal(unicodedata.normalize("NFC", folder).strip() or folder)
