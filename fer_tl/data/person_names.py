"""Names of images that look like names of persons: ``S01_happy_3``, where nobody has said who is in which."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fer_tl.data.examples import Example

_CODE = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{1,12}[_-]?)(\d{1,5})([_\-. /])")
_COUNTED = re.compile(
    r"(?i)(im|img|image|pic|picture|photo|frame|face|crop|fer|train|training|test|testing|val|valid|validation|dev|"
    r"publictest|privatetest|sample|dsc|screenshot|version|v|fold|take|seq|sequence)[_-]?"
)
_ALL = 0.9  # share of the images whose names must have the code
_MOST_ALONE = 0.5  # share of the codes that may stand on one image, or on images of one class
_FEWEST = 2  # images of a person, on average


@dataclass(frozen=True)
class PersonNames:
    """What was found in the names.

    Attributes:
        pattern: for ``--group-regex``.
        persons: how many it tells apart.
        example: an id.
        person: the person of that id.
        divided: how many of them are in several groups, so that folds may divide them.
    """

    pattern: str
    persons: int
    example: str
    person: str
    divided: int


def find_person_names(examples: Sequence[Example]) -> PersonNames | None:
    """Names that hold letters and a number which many images of several classes share, and the groups do not.

    The most frequent letters count, of the first such code in each id that is not how cameras and datasets count
    (``img_12``). None where there is nothing of the kind.

    Args:
        examples: of a built dataset.
    """
    codes = [_code(example.id) for example in examples]
    kinds = Counter((code[1], code[3]) for code in codes if code)
    if not kinds:
        return None
    (letters, end), number = max(kinds.items(), key=lambda item: (item[1], item[0]))
    if number < _ALL * len(examples):
        return None
    pattern = f"({re.escape(letters)}\\d+){re.escape(end)}".replace("\\_", "_").replace("\\-", "-")
    groups, classes, sizes = defaultdict(set), defaultdict(set), Counter[str]()
    for example in examples:
        if found := re.search(pattern, example.id):
            groups[found[1]].add(example.group)
            classes[found[1]].add(example.class_name)
            sizes[found[1]] += 1
    if len(sizes) < 2 or sizes.total() < _FEWEST * len(sizes):
        return None
    if sum(len(each) < 2 for each in classes.values()) > _MOST_ALONE * len(sizes):
        return None
    divided = sum(len(each) > 1 for each in groups.values())
    first = next(example.id for example in examples if re.search(pattern, example.id))
    found = re.search(pattern, first)
    assert found is not None  # as `first` was chosen
    return PersonNames(pattern, len(sizes), first, found[1], divided) if divided else None


def describe_person_names(found: PersonNames, dataset: str) -> str:
    """What to do about them, in a few sentences."""
    return (
        f"Names look like persons: {found.example} may be of {found.person!r}, one of {found.persons:,}, and "
        f"{found.divided:,} of them are in several groups, so that folds and drawn splits may divide them: a model "
        "is then scored on people it knows. If they are persons, build again: `fer-tl build "
        f"{dataset} ... --group-regex '{found.pattern}' --overwrite`."
    )


def _code(name: str) -> re.Match[str] | None:
    return next((found for found in _CODE.finditer(name) if not _COUNTED.fullmatch(found[1])), None)
