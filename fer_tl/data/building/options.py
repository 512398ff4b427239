"""The options of a build: those of every format, and which formats take each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from fer_tl.data.splits import DEFAULT_SHARE, SMALLEST_SHARE
from fer_tl.faces.detectors import KNOWN
from fer_tl.sources.format import BOX_MARGIN, Format, Option, formats

_SPLIT = (
    Option("splits", Path, "CSV with the columns id and split to use, such as another build's examples.csv"),
    Option("split_seed", int, "seed of a drawn split", limits=(0, 2**32 - 1), default=0),
)
_SHARE = Option("test_share", float, "draw a test split of this share of each class, by whole groups, if there is none",
    limits=(SMALLEST_SHARE, 0.5))  # fmt: skip
_BOXES = (
    Option("boxes", Path, "CSV of face boxes to crop to, columns id, top, left, bottom, right in pixels of the "
        "original image; id: the row number, from 0, of a CSV source, else the image's file name or path in the "
        "source; others stay whole"),
)  # fmt: skip
_DETECTOR = Option("detector", str, f"{', '.join(KNOWN)} or package.module:function: crop each image to the largest "
    "face found in it; others stay whole")  # fmt: skip
_DETECTED = (
    Option("detector_model", Path, "file with the model for --detector yunet (default: downloaded once)"),
    Option("align", bool, "rotate each face that --detector finds until its eyes are level"),
    BOX_MARGIN,
)
_LISTED = replace(_DETECTOR, help=f"{', '.join(KNOWN)} or package.module:function: crop each listed face to the box "
    "that is found there; faces that are not found keep the list's box")  # fmt: skip
_FROM_A_SOURCE = (
    Option("source", Path, "the file or folder that you have: CSV, archive, image folders"),
    Option("on_error", str, "if images, rows or lines cannot be used: stop and name them, or skip them (at most 5 %)",
        choices=("stop", "skip"), default="stop"),
    Option("duplicates", str, "group: copies share a fold, training copies of validation and test images are left out; "
        "drop: also leave out all but one training copy; keep: do not look for copies",
        choices=("group", "drop", "keep"), default="group"),
    Option("exclude", Path, "CSV whose column id names examples to leave out, such as copies of a test set elsewhere"),
    Option("groups", Path, "CSV with columns id and group, such as the person in each image: a group is never divided "
        "over folds or splits, and training images of one in validation or test are left out"),
    Option("group_regex", str, "the same by names: a regular expression whose first capture group, searched in each "
        r"image's path in the source (or id), is its group, such as '(S\d+)_'"),
)  # fmt: skip
_ALWAYS = (
    Option("encoding", str, "png, or jpeg: a third of the size, but lossy", choices=("png", "jpeg"), default="png"),
    Option("shards", int, "TFRecord files per split (default: 16)", limits=(1, 10_000)),
)


def options_of(form: Format) -> dict[str, Option]:
    """The options that a build of a format takes, by name."""
    given = (
        *(() if form.drawn else _FROM_A_SOURCE),
        *form.options,
        *((*_BOXES, _DETECTOR, *_DETECTED) if form.crops else (_LISTED, *_DETECTED) if form.detects else ()),
        *(() if form.drawn and not form.splits else (*_SPLIT, _share(form))),
        *_ALWAYS,
    )
    return {option.name: option for option in given}


def _share(form: Format) -> Option:
    if not form.splits:
        return _SHARE
    return replace(_SHARE, default=DEFAULT_SHARE, limits=(0, 0.5), help=f"{_SHARE.help}; 0 for none")


def takers() -> dict[str, list[tuple[Format, Option]]]:
    """{name of an option: formats that take it, each with the option as it has it}."""
    found = defaultdict(list)
    for form in formats().values():
        for option in options_of(form).values():
            found[option.name].append((form, option))
    return dict(found)


def add_build_options(parser: Any) -> None:
    """Add every option of every format to a parser of jsonargparse; its help says which formats take it."""
    sourced = {form.name for form in formats().values() if not form.drawn}
    for having in takers().values():
        lines: dict[str, list[str]] = {}
        for form, option in having:
            default = "" if option.default is None else f" (default: {option.default})"
            lines.setdefault(option.help + default, []).append(form.name)
        text = "; ".join(f"{', '.join(names)}: {line}" for line, names in lines.items())
        if len(lines) == 1 and sourced <= {form.name for form, _ in having}:
            (text,) = lines
        if having[0][1].type is bool:
            parser.add_argument(having[0][1].flag, action="store_true", default=None, help=text)
            continue
        types = {str if option.type is Path else option.type for _, option in having}
        kind = types.pop() if len(types) == 1 else str  # which `Option.read` turns into what the format wants
        parser.add_argument(having[0][1].flag, type=kind | None, help=text)
