"""Names of images that look like names of persons: ``S01_happy_3``, ``anna_12``, ``anna/happy/3``.

Nobody has said who is in which.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fer_tl.core.classes import canonical_class
from fer_tl.data.examples import Example
from fer_tl.sources.split_names import canonical_split

_CODE = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{1,12}[_-]?)(\d{1,5})([_\-. /])")
_COUNTED = re.compile(
    r"(?i)(im|img|image|pic|picture|photo|frame|face|crop|fer|train|training|test|testing|val|valid|validation|dev|"
    r"publictest|privatetest|sample|dsc|screenshot|version|v|fold|take|seq|sequence)[_-]?"
)
# Searched from the end, for the path in a source may have folders in front of what an id has.
_NUMBERED = r"(?:^|/)([^\W\d_]{2,})[ _-]?\(?\d[^/]*$"
_BEFORE_CLASS = r"(?:^|/)([^\W\d_]+)[ _-][^/]*$"
_FOLDER = r"([^/]+)/{}[^/]+$"
_DEEPEST = 3  # folders above an image that are looked at
_ALL = 0.9  # share of the images whose names must have the code
_MOST_ALONE = 0.5  # share of the codes that may stand on one image, or on images of one class
_ALONE = 0.5  # groups an image, where nobody has said who is in which; copies make them fewer
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
    """Names that many images of several classes share, and the groups do not. None where there is nothing of the kind.

    Letters with a number count, the most frequent letters of the first such code in each id that is not how cameras and
    datasets count (``img_12``); words before a number or a class; and folders, from the nearest to the image upwards.

    Args:
        examples: of a built dataset.
    """
    return next(filter(None, (_look(pattern, examples) for pattern in _patterns(examples))), None)


def describe_person_names(found: PersonNames, dataset: str) -> str:
    """What to do about them, in a few sentences."""
    return (
        f"Names look like persons: {found.example} may be of {found.person!r}, one of {found.persons:,}, and "
        f"{found.divided:,} of them are in several groups, so that folds and drawn splits may divide them: a model "
        "is then scored on people it knows. If they are persons, build again: `fer-tl build "
        f"{dataset} ... --group-regex '{found.pattern}' --overwrite`."
    )


def _patterns(examples: Sequence[Example]) -> Iterator[str]:
    """Expressions that may tell persons apart, the most likely first."""
    codes = [_code(example.id) for example in examples]
    if kinds := Counter((code[1], code[3]) for code in codes if code):
        (letters, end), number = max(kinds.items(), key=lambda item: (item[1], item[0]))
        if number >= _ALL * len(examples):
            yield f"({re.escape(letters)}\\d+){re.escape(end)}".replace("\\_", "_").replace("\\-", "-")
    if len({example.group for example in examples}) < _ALONE * len(examples):
        return  # persons, or films, are known
    yield _NUMBERED
    if sum(map(_is_before_class, examples)) >= _ALL * len(examples):
        yield _BEFORE_CLASS
    for above in range(_DEEPEST):
        yield _FOLDER.format("[^/]+/" * above)


def _look(pattern: str, examples: Sequence[Example]) -> PersonNames | None:
    """What an expression finds; None if that does not look like persons, or no group divides any."""
    groups, classes, sizes = defaultdict(set), defaultdict(set), Counter[str]()
    first: tuple[str, str] | None = None
    for example in examples:
        if found := re.search(pattern, example.id):
            first = first or (example.id, found[1])
            groups[found[1]].add(example.group)
            classes[found[1]].add(example.class_name)
            sizes[found[1]] += 1
    if first is None or sizes.total() < max(_ALL * len(examples), _FEWEST * len(sizes)) or len(sizes) < 2:
        return None
    if sum(len(each) < 2 for each in classes.values()) > _MOST_ALONE * len(sizes):
        return None
    if any(_COUNTED.fullmatch(name) or canonical_split(name) or canonical_class(name) for name in sizes):
        return None
    if all(map(str.isdecimal, sizes)) and not all(map(_is_below_class, examples)):
        return None  # folders that hold so many files each, as those of AffectNet
    divided = sum(len(each) > 1 for each in groups.values())
    return PersonNames(pattern, len(sizes), *first, divided) if divided else None


def _is_before_class(example: Example) -> bool:
    """Whether the second word of a file's name is a class: ``anna_happy_3``."""
    found = re.search(r"(?:^|/)[^\W\d_]+[ _-]([^\W\d_]+)[^/]*$", example.id)
    return found is not None and canonical_class(found[1]) is not None


def _is_below_class(example: Example) -> bool:
    return any(canonical_class(part) or part == example.class_name for part in example.id.split("/")[:-1])


def _code(name: str) -> re.Match[str] | None:
    return next((found for found in _CODE.finditer(name) if not _COUNTED.fullmatch(found[1])), None)
