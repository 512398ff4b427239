"""Merge the classes of a dataset, or of predictions, into fewer: which goes into which, and what is left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fer_tl.core.classes import canonical_class
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.say import Say
from fer_tl.data.dataset import Dataset, join_fingerprints, load_dataset
from fer_tl.data.manifest import Manifest

EXAMPLE = "[happy, neutral, negative=angry+sad]"


@dataclass(frozen=True)
class ClassMap:
    """Merged classes, M of them.

    Attributes:
        names: in label order.
        parts: of each, the classes that become it.
    """

    names: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]

    @property
    def items(self) -> tuple[str, ...]:
        """As they are written: ``happy``, ``negative=angry+sad``."""
        return tuple(
            name if parts == (name,) else f"{name}={'+'.join(parts)}"
            for name, parts in zip(self.names, self.parts, strict=True)
        )

    def labels_of(self, class_names: Sequence[str]) -> np.ndarray:
        """What each of K classes becomes, int64 ``[K]``: an index into ``names``, -1 for what is left out."""
        label_of = {part: label for label, parts in enumerate(self.parts) for part in parts}
        return np.array([label_of.get(name, -1) for name in class_names], dtype=np.int64)

    def fingerprint(self, before: str) -> str:
        """Of a dataset under this map, from its own: SHA-256 in hex of it, the names and their parts in any order."""
        merged = [[name, sorted(parts)] for name, parts in zip(self.names, self.parts, strict=True)]
        return hashlib.sha256(json.dumps([before, merged], ensure_ascii=False).encode()).hexdigest()


def parse_classes(items: Sequence[str], class_names: Sequence[str]) -> ClassMap:
    """Read a list of classes, of a config or of the command line.

    Args:
        items: each a class that stays as it is, or ``name=part+part``, in label order; an expression may have any name
            that ``canonical_class`` knows.
        class_names: the classes there are; those that no item names are left out.

    Returns:
        The map, its parts spelled as ``class_names`` are.

    Raises:
        UserError: fewer than two items, one that cannot be read, a name twice, a class in two items, or one that there
            is not.
    """
    split = split_items(items)
    names: list[str] = []
    parts: list[tuple[str, ...]] = []
    taken: dict[str, str] = {}
    for item, (given, pieces) in zip(items, split, strict=True):
        found: list[str] = []
        for piece in pieces:
            name = find_class(piece, class_names)
            if name is None:
                raise UserError(f"classes: there is no class '{piece}'{suggest(piece, class_names)}")
            if name in taken:
                raise UserError(f"classes: '{name}' is in '{taken[name]}' and again in '{item}': name it once")
            taken[name] = item
            found.append(name)
        names.append(given or found[0])
        parts.append(tuple(found))
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UserError(f"classes: two items are called '{repeated[0]}': join their parts, or rename one")
    return ClassMap(tuple(names), tuple(parts))


def split_items(items: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The name of each item, "" for a class that stays as it is, and its parts as they are written.

    Raises:
        UserError: fewer than two items, or one that cannot be read.
    """
    if isinstance(items, str | dict) or len(items) < 2:
        given = f"a {type(items).__name__}" if items else "an empty one"
        raise UserError(f"classes: name two or more in a list such as {EXAMPLE}, not {given}")
    found = []
    for item in items:
        name, equals, right = (text.strip() for text in item.partition("="))
        parts = tuple(part.strip() for part in (right if equals else name).split("+"))
        if not name or not all(parts) or (not equals and len(parts) > 1):
            raise UserError(f"classes: '{item}' should be a class or NAME=PART+PART, such as in {EXAMPLE}")
        found.append((name if equals else "", parts))
    return found


def find_class(name: str, class_names: Sequence[str]) -> str | None:
    """The class of this name, or else the only one that stands for the same expression: "Anger" for "angry"."""
    if name in class_names:
        return name
    expression = canonical_class(name)
    same = [known for known in class_names if expression and canonical_class(known) == expression]
    return same[0] if len(same) == 1 else None


def merge_dataset(dataset: Dataset, class_map: ClassMap) -> Dataset:
    """A dataset with merged classes, without the images of those that are left out.

    The images stay the memory map that they are if none is left out. Soft targets are summed over the parts and made
    to sum to 1 again; where all of an image's votes went to classes that are left out, its label is its target.

    Raises:
        UserError: no image is left.
    """
    into = class_map.labels_of(dataset.class_names)  # [K]
    labels = into[dataset.labels]  # [N]
    if (labels < 0).all():
        raise UserError(f"{dataset.name} has no image of {', '.join(class_map.names)}")
    rows = np.flatnonzero(labels >= 0) if (labels < 0).any() else slice(None)
    kept, labels = dataset.select(rows), labels[rows]
    joins = (into[:, None] == np.arange(len(class_map.names))).astype(np.float32)  # [K, M]
    return replace(
        kept,
        labels=labels,
        class_names=class_map.names,
        fingerprint=class_map.fingerprint(dataset.fingerprint),
        targets=None if kept.targets is None else _merge_targets(kept.targets, labels, joins),
    )


def _merge_targets(targets: np.ndarray, labels: np.ndarray, joins: np.ndarray) -> np.ndarray:
    """Soft targets float32 ``[N, K]`` over the merged classes ``[N, M]``; ``joins`` ``[K, M]`` is 1 for a part."""
    merged = targets @ joins  # [N, M]
    lost = merged.sum(axis=1) == 0
    merged[lost, labels[lost]] = 1
    return merged / merged.sum(axis=1, keepdims=True)


def merged_fingerprint(manifest: Manifest, splits: tuple[str, ...], items: Sequence[str] | None) -> str:
    """The fingerprint that splits of a build have with the classes of an experiment, see ``take_classes``."""
    before = join_fingerprints(manifest, splits)
    return parse_classes(items, manifest.class_names).fingerprint(before) if items else before


def left_out(dataset: Dataset, class_map: ClassMap) -> str:
    """How many images of which classes a map leaves out, as ``12 of fear, 3 of sad``; empty for none."""
    into = class_map.labels_of(dataset.class_names)
    counts = np.bincount(dataset.labels, minlength=len(into))
    lost = [k for k in range(len(into)) if into[k] < 0 and counts[k]]
    return ", ".join(f"{counts[k]:,} of {dataset.class_names[k]}" for k in lost)


def take_classes(dataset: Dataset, items: Sequence[str] | None, say: Say) -> Dataset:
    """A dataset with the classes that an experiment asks for, after saying which these are and what is left out.

    Args:
        dataset: with all its classes.
        items: as ``parse_classes`` takes them; None for the classes as they are.
        say: prints a line.
    """
    if items is None:
        return dataset
    class_map = parse_classes(items, dataset.class_names)
    merged = merge_dataset(dataset, class_map)
    lost = left_out(dataset, class_map)
    say(f"classes: {', '.join(class_map.items)}{f'; images left out: {lost}' if lost else ''}")
    return merged


def load_training_images(experiment: Experiment, say: Say) -> Dataset:
    """The training split of an experiment's dataset, with the classes that it asks for; with digests of the images."""
    dataset = load_dataset(experiment.data, experiment.data_dir, "train", experiment.input, digests=True)
    return take_classes(dataset, experiment.classes, say)


def merge_logits(logits: np.ndarray, class_names: Sequence[str], class_map: ClassMap) -> np.ndarray:
    """Logits of merged classes, whose probabilities are the sums of those of their parts.

    A sum of probabilities is in logits ``log(sum(exp(parts)))``; softmax over the merged classes then makes them sum to
    1 without those that are left out, however small what remains.

    Args:
        logits: float32 ``[..., K]``.
        class_names: the K classes of the columns.
        class_map: each of its classes has one of them or more.

    Returns:
        float32 ``[..., M]``; the columns of classes that are not merged are copied.
    """
    into = class_map.labels_of(class_names)  # [K]
    columns = [logits[..., into == label].astype(np.float64) for label in range(len(class_map.names))]
    # A diverged model's NaN goes through, to be told when it is scored.
    with np.errstate(invalid="ignore"):
        return np.stack([np.logaddexp.reduce(parts, axis=-1) for parts in columns], axis=-1).astype(np.float32)
