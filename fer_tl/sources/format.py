"""Dataset formats: the record that declares one, and how all of them are found, inside this package and outside."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError, one_line, raised_where, suggest
from fer_tl.core.plugins import installed
from fer_tl.faces.recipe import FITS
from fer_tl.sources.label_orders import LABEL_ORDERS

if TYPE_CHECKING:
    from fer_tl.sources.records import Source

GROUP = "fer_tl.sources"
"""The entry points by which an installed package gives a format: ``NAME = "module:FORMAT"``."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")  # what TFDS takes, in lower case as folders are
_VARIANT = "[a-z0-9][a-z0-9_-]*"
_KINDS = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "true or false"}


@dataclass(frozen=True)
class Option:
    """An option of ``fer-tl build``.

    Attributes:
        name: as Python has it: ``image_size`` is ``--image-size``.
        type: ``int``, ``float``, ``str``, ``Path`` for a file, or ``bool`` for one without a value.
        help: what it does, in a line without its default.
        choices: the only values that it takes, if there are such.
        limits: its lowest and highest value, if there are such.
        default: what it is if it is not given, shown in the help and omitted from commands that rebuild a dataset; None
            where ``help`` says it.
    """

    name: str
    type: type[int] | type[float] | type[str] | type[Path] | type[bool]
    help: str
    choices: tuple[Any, ...] = ()
    limits: tuple[float, float] | None = None
    default: Any = None

    @property
    def flag(self) -> str:
        """As it is typed."""
        return f"--{self.name.replace('_', '-')}"

    def read(self, value: Any) -> Any:
        """The value as ``type``, ``~`` of a path expanded.

        Raises:
            UserError: it is of another type, none of ``choices`` or outside ``limits``.
        """
        try:
            # Path.expanduser raises for an unknown user.
            found: Any = Path(os.path.expanduser(value)) if self.type is Path else self.type(value)
            if isinstance(value, float) and found != value:  # 2.5 images, or NaN
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{self.flag} is {value!r}, not {_KINDS[self.type]}") from None
        if self.choices and found not in self.choices:
            raise UserError(f"{self.flag} {value}: no such choice{suggest(str(value), map(str, self.choices))}")
        if self.limits and not self.limits[0] <= found <= self.limits[1]:
            raise UserError(f"{self.flag} is {found:g}, not {self.limits[0]:,} to {self.limits[1]:,}")
        return found


@dataclass(frozen=True)
class Format:
    """A dataset format: ``FORMAT`` of a folder of ``fer_tl.sources``, or of a package with an entry point in ``GROUP``.

    Attributes:
        name: of the datasets that are built of it: a-z, 0-9 and _.
        summary: what it reads, in a few words.
        reader: what opens a source of it, as "module:function", for the module is imported when it is needed. It takes
            the path (unless ``drawn``) and, by keyword, those of ``options`` that were given, returns a
            ``fer_tl.sources.records.Source``, and raises ``UserError`` if there is something else. It needs no
            TensorFlow.
        options: what it takes besides the options of every build.
        drawn: its images are made by code: it has no path, its copies are not looked for, and training makes the
            dataset where it is missing.
        crops: its source hands pictures to ``Source.cut``, so that boxes and detectors may crop them.
        detects: its source takes a detector (``Source.use_detector``) to find the faces that it lists.
        splits: its records have no split: one is drawn, 80:20 if nothing else is asked for, or read from a table.
        variants: a dataset of it has a name of its own, ``folder/mine``.
        recognizer: what tells such a source by its names, as "module:function", for ``--data FILE``: it takes the open
            ``fer_tl.core.archives.Files`` and returns what tells it, "" if nothing does; "" where nothing can.
        most_lost: share of a class's training images that may be copies of validation and test without a question; None
            for that of all formats.
        terms: what is known of the licence of its images, in sentences, for the cards of models that learn from them.
    """

    name: str
    summary: str
    reader: str
    options: tuple[Option, ...] = ()
    drawn: bool = False
    crops: bool = False
    detects: bool = False
    splits: bool = False
    variants: bool = False
    recognizer: str = ""
    most_lost: float | None = None
    terms: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"{self.name!r} cannot be the name of a dataset format: use a-z, 0-9 and _, a letter first")

    def __str__(self) -> str:
        return f"{self.shown}: {self.summary}"

    def open(self, path: Path | None, **options: Any) -> Source:
        """Open a source with the ``reader``, which see; ``path`` is None if ``drawn``."""
        from fer_tl.sources.records import Source as Wanted

        try:
            reader = pkgutil.resolve_name(self.reader)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(
                f"the reader {self.reader!r} of the dataset format '{self.name}' cannot be imported "
                f"({one_line(error)}): it should be 'module:function'"
            ) from error
        try:
            source: Source = reader(*(() if self.drawn else (path,)), **options)
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # whatever the code of a contributor or another package raises
            given = ", ".join([*([] if self.drawn else ["path"]), *(f"{name}=" for name in options)])
            raise UserError(
                f"the reader {self.reader}({given}) of the dataset format '{self.name}' fails: {raised_where(error)}"
            ) from error
        if not isinstance(source, Wanted):
            raise UserError(
                f"the reader {self.reader} of the dataset format '{self.name}' returned a {type(source).__name__}, not "
                "a fer_tl.sources.records.Source"
            )
        return source

    @property
    def shown(self) -> str:
        """How its datasets are called: "fer2013" or "folder/NAME"."""
        return f"{self.name}/NAME" if self.variants else self.name

    def is_name(self, name: str) -> bool:
        """Whether a dataset of this format can be called ``name``."""
        return bool(re.fullmatch(f"{self.name}/{_VARIANT}" if self.variants else self.name, name))

    def check_variant(self, name: str) -> None:
        """Raise ``UserError`` if ``name`` has a slash and ``is_name`` is false."""
        _, slash, variant = name.partition("/")
        if slash and not self.variants:
            raise UserError(f"{self.name} has no variants: write {self.name}, not {name}")
        if slash and not self.is_name(name):
            raise UserError(f"{name}: {variant!r} cannot be a folder's name: use a-z, 0-9, - and _")


DEFAULT_IMAGE_SIZE = 96
IMAGE_SIZE = Option(
    "image_size", int, f"side in pixels of the stored images (default: {DEFAULT_IMAGE_SIZE})", limits=(8, 1024)
)
FIT = Option("fit", str, "pad, crop or stretch images that are not square", choices=FITS, default="pad")
CHANNELS = Option("channels", int, "1 for grey, 3 for colour (default: 1 if all are stored in grey)", choices=(1, 3))
LABELS = Option(
    "labels", str, f"what numbers mean as classes: {', '.join(LABEL_ORDERS)} (default: FER-2013's own 0-6 if that is "
    "certain)", choices=tuple(LABEL_ORDERS),
)  # fmt: skip
VOTES = Option(
    "votes", str, "majority, or soft: train on the shares of votes, of FER+ or cleaned ExpW",
    choices=("majority", "soft"), default="majority",
)  # fmt: skip
BOX_MARGIN = Option(
    "box_margin", float, "what to add on each side of a box, as a fraction of it (default: 0, with --detector its own)",
    limits=(0, 1),
)  # fmt: skip


@cache
def _built_in() -> dict[str, Format]:
    from fer_tl import sources

    folders = [module.name for module in pkgutil.iter_modules(sources.__path__) if module.ispkg]
    found: dict[str, Format] = {}
    for folder in folders:
        module = importlib.import_module(f"{sources.__name__}.{folder}")
        form = getattr(module, "FORMAT", None)
        if not isinstance(form, Format):
            raise UserError(f"{module.__file__} declares no format: give it `FORMAT = Format(...)`")
        if form.name in found:
            raise UserError(f"{module.__file__}: another folder declares the dataset format '{form.name}' already")
        found[form.name] = form
    return found


def all_formats() -> dict[str, Format | UserError]:
    """Every format by name, built in or installed; in place of an unusable one an error, which says what to do."""
    return _built_in() | installed(GROUP, Format, "dataset format", _built_in())


def formats() -> dict[str, Format]:
    """Every usable format by name, and one built in even where a package gives another of its name."""
    return _built_in() | {name: form for name, form in all_formats().items() if isinstance(form, Format)}


def find_format(dataset: str) -> Format:
    """The format of a dataset's name, "fer2013" or "folder/mine"; "FER-2013" is "fer2013" too.

    Raises:
        UserError: there is none of it, or two packages give it, or its package cannot be imported.
    """
    name, found = dataset.partition("/")[0], all_formats()
    alike = [known for known in found if plain_name(known) == plain_name(name)]
    if name not in found and len(alike) == 1:
        name = alike[0]
    if name not in found:
        near = suggest(name, found)
        if "valid are" in near:
            shown = ", ".join(form.shown for form in formats().values())
            near = f"; give one of {shown}, such as folder/{name} for images of your own in class folders"
        raise UserError(f"there is no dataset {name!r} to build{near}")
    form = found[name]
    if isinstance(form, UserError):
        raise form
    return form


def plain_name(name: str) -> str:
    """A name without what people spell differently: the case of its letters, blanks, ``-`` and ``_``."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def known_format(dataset: str) -> Format | None:
    """As ``find_format``, but None where that raises; looks for installed packages only if it is not built in."""
    name = dataset.partition("/")[0]
    return _built_in().get(name) or formats().get(name)


def is_drawn(dataset: str) -> bool:
    """Whether a dataset of this name has drawings made by code, as far as is known here."""
    form = known_format(dataset)
    return form is not None and form.drawn
