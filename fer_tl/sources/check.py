"""What a source may hand to a build: anything else is refused with the format, the example and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.sources.records import SPLITS, Record, Source


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
    for number, record in enumerate(source.records()):
        if problem := _problem(record, shape, len(names)):
            name = f" ({str(record.id)!r:.60})" if isinstance(record, Record) else ""
            raise UserError(f"{where}, record {number:,}{name}: {problem}")
        yield record if type(record.label) is int else replace(record, label=int(record.label))


def _problem(record: object, shape: tuple[int, ...], classes: int) -> str:
    if not isinstance(record, Record):
        return f"it is a {type(record).__name__}, not a Record"
    for name in ("id", "group"):
        text = getattr(record, name)
        if not isinstance(text, str) or not text or "\n" in text or "\r" in text:
            return f"its {name} is {text!r:.60}, not a text of one line"
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
    return ""
