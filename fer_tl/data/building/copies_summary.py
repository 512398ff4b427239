"""What was found of copies and what was left out: for the manifest, and in a line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_tl.core.counting import counted
from fer_tl.data.building.exclusions import EXCLUDED
from fer_tl.data.building.outcome import Outcome


def summarize_copies(examples: Outcome, policy: str) -> dict[str, object]:
    """``Manifest.duplicates`` of all examples that were read."""
    classes = defaultdict(set)
    copied = np.flatnonzero(examples.cluster >= 0)
    for row in copied.tolist():
        classes[int(examples.cluster[row])].add(int(examples.rows.label[row]))
    exact = int(examples.exact[copied].sum())
    return {
        "policy": policy,
        "exact": exact,
        "near": len(copied) - exact,
        "clusters": len(classes),
        "conflicting": sum(len(labels) > 1 for labels in classes.values()),
        "dropped": dict(sorted(examples.left_out().items())),
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
