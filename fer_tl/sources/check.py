"""What a source may hand to a build: anything else is refused with the format, the example and what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fer_tl.core.errors import UserError, raised_where
from fer_tl.sources.records import SPLITS, Record, Source

_NOT_OURS = (UserError, OSError, MemoryError)  # are told as they are


def check_source(source: Source) -> str:
    """The SHA-256 of a source that says of itself what the manifest writes down.

    Raises:
        UserError: something of it is missing or is none.
    """
    where = f"a source of the class {type(source).__name__}"
    kinds: dict[str, Any] = {"kind": str, "name": str, "options": dict, "notes": (list, tuple)}
    for name, kind in kinds.items():
        value: Any = getattr(source, name, None)
        if not isinstance(value, kind) or not all(isinstance(text, str) for text in value):
            what = {"options": "a dict of texts", "notes": "a list of texts"}.get(name, "a text")
            raise UserError(f"{where}: {name} is {value!r:.60}, not {what}; set it before `records` is read")
    if not all(isinstance(text, str) for text in source.options.values()):
        raise UserError(f"{where}: options are {source.options!r:.200}, not a dict of texts")
    found = source.sha256()
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{64}", found):
        raise UserError(f"{where}: sha256() gives {found!r:.80}, not 64 hexadecimal digits")
    return found


def _told(source: Source, where: str) -> Iterator[Record]:
    """The records of a source; whatever its code raises, with the line of it."""
    number = 0
    try:
        for record in source.records():
            yield record
            number += 1
    except _NOT_OURS:
        raise
    except Exception as error:
        raise UserError(f"{where}: reading record {number:,} fails: {raised_where(error)}") from error


def checked_records(source: Source) -> Iterator[Record]:
    """The records of a source, each of them checked; labels as ``int``.

    Raises:
        UserError: class names or a shape of images that no dataset can have, or a record that is none.
    """
    shape, names = tuple(source.image_shape), tuple(source.class_names)
    where = f"{source.name} ({source.kind})"
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape) or shape[2] not in (1, 3):
        raise UserError(f"{where}: image_shape is {shape}, not (H, W, 1) or (H, W, 3)")
    if not names or len({*names}) < len(names) or not all(isinstance(name, str) and name.strip() for name in names):
        raise UserError(f"{where}: class_names are {names}, not different texts")
    number = -1
    for number, record in enumerate(_told(source, where)):
        if problem := _problem(record, shape, len(names)):
            name = f" ({str(record.id)!r:.60})" if isinstance(record, Record) else ""
            raise UserError(f"{where}, record {number:,}{name}: {problem}")
        yield record if type(record.label) is int else replace(record, label=int(record.label))
    if not source.skipped() and number + 1 != (total := source.total()):
        raise UserError(f"{where}: total() promises {total:,} records, and records() gives {number + 1:,}")


def _problem(record: object, shape: tuple[int, ...], classes: int) -> str:
    if not isinstance(record, Record):
        return f"it is a {type(record).__name__}, not a Record"
    for name in ("id", "group"):
        text = getattr(record, name)
        if not isinstance(text, str) or not text or "\n" in text or "\r" in text:
            return f"its {name} is {text!r:.60}, not a text of one line"
    if not isinstance(record.person, str) or "\n" in record.person or "\r" in record.person:
        return f"its person is {record.person!r:.60}, not a text of one line"
    if isinstance(record.label, bool) or not isinstance(record.label, int | np.integer):
        return f"its label is {record.label!r:.60}, not a whole number"
    if not 0 <= record.label < classes:
        return f"its label is {record.label}, not 0 to {classes - 1}"
    if record.split not in (None, *SPLITS):
        return f"its split is {record.split!r:.60}, not {', '.join(SPLITS)} or None"
    image, targets = record.image, record.targets
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != shape:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        return f"its image is {found}, not uint8 {shape}"
    if targets is not None and (targets.shape != (classes,) or targets.dtype != np.float32):
        return f"its targets are {targets.dtype} {targets.shape}, not float32 ({classes},)"
    for name, value in record.measures.items():
        named = isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name)
        if not named or not isinstance(value, float) or not math.isfinite(value):
            return f"its measure {name!r:.60} is {value!r:.60}; use a-z, 0-9 and _ for names and finite floats"
    return ""
