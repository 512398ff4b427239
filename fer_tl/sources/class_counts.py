"""How many examples a source has of each class in each split."""

from __future__ import annotations

from collections.abc import Mapping

from fer_tl.sources.records import SPLITS


def tabulate(counts: Mapping[tuple[str, int], int], class_names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Turn {(split, label): n} into {split: {class name: n}}: splits in the order of ``SPLITS``, classes of 0 too."""
    table = {split: dict.fromkeys(class_names, 0) for split in SPLITS if any(key[0] == split for key in counts)}
    for (split, label), number in counts.items():
        table[split][class_names[label]] += number
    return table
