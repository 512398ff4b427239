"""Groups that a person gives: who is in each image, by a table or by what the names of files say."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_tl.core.counting import counted
from fer_tl.core.csv_tables import digest_rows, find_examples, is_missing, read_table
from fer_tl.core.errors import UserError

_PARENTHESES = r"put parentheses round what names the person, as in '(S\d+)_'"


@dataclass(frozen=True)
class GroupTable:
    """A table that was read: the group of each id.

    Attributes:
        name: base name of its file.
        rows: (how it calls the example, its group, how a message names the row), in the file's order, at least one.
    """

    name: str
    rows: tuple[tuple[str, str, str], ...]

    key = "groups"

    @property
    def said(self) -> str:
        """How messages call it."""
        return f"--groups {self.name}"

    @property
    def option(self) -> str:
        """What the manifest says of it: the same for the same rows in any order."""
        rows = {(name, group) for name, group, _ in self.rows}
        groups = len({group for _, group in rows})
        return f"{groups} groups of {len(rows)} ids, sha256 {digest_rows(rows)}"

    def match(self, ids: Sequence[str], names: Mapping[str, str | None]) -> np.ndarray:
        """The group of each id: text ``[N]``, "" where the table names none.

        Args:
            ids: of all examples.
            names: {name: id} for every name that an example goes by, None if several do.

        Raises:
            UserError: a row's example cannot be told, an example has two groups, or no row is about any.
        """
        found: dict[str, tuple[str, str]] = {}  # id -> group, place
        identities = find_examples([(name, place) for name, _, place in self.rows], names)
        for identity, (_, group, place) in zip(identities, self.rows, strict=True):
            if identity is None:
                continue
            other, there = found.setdefault(identity, (group, place))
            if other != group:
                raise UserError(f"{place}: {identity!r} is in the group {other!r} in {there}: an example has one group")
        if not found:
            raise UserError(
                f"{self.name}: none of its {len(self.rows):,} ids is an example's (the first is "
                f"{self.rows[0][0][:80]!r}, an example's is {ids[0]!r}): give the groups of these images"
            )
        return np.array([found.get(identity, ("", ""))[0] for identity in ids])


@dataclass(frozen=True)
class GroupPattern:
    """A regular expression whose first capture group is the group of an image, searched in its path or id."""

    pattern: re.Pattern[str]

    key = "group_regex"

    @property
    def said(self) -> str:
        """How messages call it."""
        return f"--group-regex '{self.option}'"

    @property
    def option(self) -> str:
        """What the manifest says of it."""
        return self.pattern.pattern

    def match(self, ids: Sequence[str], names: Mapping[str, str | None]) -> np.ndarray:
        """The group of each id: text ``[N]``, "" where the expression does not match.

        The paths in the source are searched, or the ids if it matches more of those: the same for all images.

        Args:
            ids: of all examples.
            names: {name: id} for every name that an example goes by, None if several do; the longest is its path.

        Raises:
            UserError: it matches none.
        """
        paths: dict[str, str] = {}
        for name, identity in names.items():
            if identity is not None:
                paths[identity] = max(paths.get(identity, ""), name, key=lambda text: (len(text), text))
        by_path, by_id = self._search([paths.get(identity, identity) for identity in ids]), self._search(ids)
        found = max(by_path, by_id, key=lambda groups: len(groups) - groups.count(""))
        if not any(found):
            raise UserError(
                f"{self.said} matches none of the {len(ids):,} images, such as {paths.get(ids[0], ids[0])!r}: give one "
                "that matches the paths in the source"
            )
        return np.array(found)

    def _search(self, texts: Sequence[str]) -> list[str]:
        return [(found[1] or "") if (found := self.pattern.search(text)) else "" for text in texts]


GivenGroups = GroupTable | GroupPattern


def read_groups(path: Path) -> GroupTable:
    """Read a CSV with the columns id and group, among others, see ``csv_tables.read_table``.

    Raises:
        UserError: there is no such file, it is not such a table, or a row has no id or no group.
    """
    table = read_table(path, ("id", "group"), "groups, such as the person in each image,")
    for row in table.rows:
        row.check_filled("id", "group")
        if is_missing(row.cells["group"]):
            raise UserError(f"{row.place}: the group is {row.cells['group']!r}, which is none: fill it in")
    return GroupTable(table.name, tuple((row.cells["id"], row.cells["group"], row.place) for row in table.rows))


def read_pattern(text: str) -> GroupPattern:
    """A regular expression of ``--group-regex``.

    Raises:
        UserError: it is none, or captures nothing.
    """
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"--group-regex {text!r} is not a regular expression ({error}): correct it") from None
    if not pattern.groups:
        raise UserError(f"--group-regex {text!r} captures nothing: {_PARENTHESES}")
    return GroupPattern(pattern)


def one_spelling(groups: np.ndarray, said: str) -> tuple[np.ndarray, list[str]]:
    """Groups, text ``[N]``, of which names that differ only in capitals, blanks or zeros in front of a number are one;
    and a line that says so where there are such.

    Args:
        groups: "" for none.
        said: who gives them.
    """
    spellings: dict[str, list[str]] = {}
    for name, _ in sorted(Counter(groups.tolist()).items(), key=lambda item: (-item[1], item[0])):
        spellings.setdefault(_loosely(name), []).append(name)
    several = [names for names in spellings.values() if len(names) > 1]
    if not several:
        return groups, []
    one = {name: names[0] for names in spellings.values() for name in names}
    shown = "; ".join(" = ".join(map(repr, names[:4])) for names in several[:3]) + ("; ..." if several[3:] else "")
    line = f"Groups of {said} whose names differ only in capitals, blanks or zeros in front are one: {shown}."
    return np.array([one[name] for name in groups.tolist()]), [line]


def _loosely(name: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", name).casefold().split())
    number = text.removesuffix(".0")
    return number.lstrip("0") or "0" if number.isascii() and number.isdecimal() else text


def refuse_one_person(
    persons: np.ndarray, labels: np.ndarray, counted: np.ndarray, class_names: tuple[str, ...]
) -> None:
    """Raise ``UserError`` if all images of a class are of one person, who would have to be learnt from and scored.

    Args:
        persons: text ``[N]``, "" for unknown.
        labels: int ``[N]``, indices into ``class_names``.
        counted: bool ``[N]``, those that are not left out.
        class_names: in label order.
    """
    for label, name in enumerate(class_names):
        found = persons[(labels == label) & counted]
        if len(found) > 1 and found[0] and (found == found[0]).all():
            raise UserError(
                f"all {len(found):,} images of '{name}' are of one person ({str(found[0])!r}), who would have to be in "
                f"training and in test: add images of others, or take these away (--exclude)"
            )


def refuse_useless(groups: np.ndarray, said: str) -> None:
    """Raise ``UserError`` if groups, text ``[N]`` with "" for none, hold nothing together, or everything.

    Args:
        groups: at least one is not "".
        said: who gives them.
    """
    named = groups[groups != ""]
    number = len(np.unique(named))
    if number == len(named):
        raise UserError(
            f"{said} gives each of {number:,} images a group of its own (the first is {str(named[0])!r}), which holds "
            "nothing together: name the person, or leave it out"
        )
    if number == 1 and len(named) == len(groups):
        raise UserError(
            f"{said} puts all {len(named):,} images into one group, {str(named[0])!r}, so that nothing can be "
            "divided: name the person, or leave it out"
        )


def describe_groups(groups: np.ndarray, said: str) -> str:
    """A line about groups, text ``[N]`` with "" for none, which ``said`` gives; at least one is not ""."""
    sizes = Counter(group for group in groups.tolist() if group).values()
    least, most = min(sizes), max(sizes)
    each = counted(most, "image") if least == most else f"{least:,} to {most:,} images"
    return f"Groups: {len(sizes):,} from {said}, of {each} each; none is divided over folds or splits."


def warn_of_ungrouped(groups: np.ndarray, ids: Sequence[str], said: str) -> list[str]:
    """A line if some images have no group, text ``[N]`` with "" for none."""
    without = np.flatnonzero(groups == "")
    if not len(without):
        return []
    return [
        f"{said} says nothing about {len(without):,} of {len(ids):,} images, such as {ids[without[0]]!r}: each of them "
        "counts as a group of its own, copies and faces of one photo aside."
    ]
