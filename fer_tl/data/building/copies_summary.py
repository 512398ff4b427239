"""What was found of copies and what was left out: for the manifest, and in a line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from fer_tl.core.counting import counted
from fer_tl.data.building.exclusions import EXCLUDED
from fer_tl.data.examples import KEPT, Example


def summarize_copies(examples: list[Example], policy: str) -> dict[str, object]:
    """``Manifest.duplicates`` of all examples that were read."""
    classes = defaultdict(set)
    for example in examples:
        if example.cluster:
            classes[example.cluster].add(example.class_name)
    copies = Counter(example.copy for example in examples)
    dropped = Counter(example.kept for example in examples if example.kept != KEPT)
    return {
        "policy": policy,
        "exact": copies["exact"],
        "near": copies["near"],
        "clusters": len(classes),
        "conflicting": sum(len(names) > 1 for names in classes.values()),
        "dropped": dict(sorted(dropped.items())),
    }


def describe_duplicates(found: Mapping[str, Any]) -> str:
    """One line about `Manifest.duplicates`."""
    dropped = found["dropped"]
    assert isinstance(dropped, dict)
    reasons = ", ".join(f"{number:,} ({reason})" for reason, number in dropped.items() if reason != EXCLUDED)
    left_out = f" Left out of training: {reasons}." if reasons else ""
    if dropped.get(EXCLUDED):
        left_out += f" Excluded by the table of --exclude: {dropped[EXCLUDED]:,}."
    if found["policy"] == "keep":
        return f"Duplicates: not looked for.{left_out}"
    if not found["clusters"]:
        return f"Duplicates: none.{left_out}"
    return (
        f"Duplicates: {counted(found['exact'], 'image has', 'images have')} an exact copy and {found['near']:,} a near "
        f"one, in {counted(found['clusters'], 'cluster')}, {found['conflicting']:,} with different labels; each "
        f"cluster is one group.{left_out or ' Nothing was left out.'}"
    )
