"""What became of every example that was read: in columns, of which an ``Example`` is made when it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, overload

import numpy as np

from fer_tl.data.building.rows import Rows, each, hex_of, text_of
from fer_tl.data.examples import KEPT, Example
from fer_tl.data.fingerprints import Stamp, content_hash
from fer_tl.sources.records import SPLITS

_AT_ONCE = 1 << 16


class GroupNames:
    """Names of groups, in their order.

    Args:
        column: bytes ``[M]`` in UTF-8.
        rows: int ``[G]``, which of them are the names; None for all.
    """

    def __init__(self, column: np.ndarray, rows: np.ndarray | None = None) -> None:
        self._column, self._rows = column, rows

    def __getitem__(self, groups: Any) -> Any:
        """Of a group, or of several."""
        return self._column[groups if self._rows is None else self._rows[groups]]


@dataclass(frozen=True, eq=False)
class Outcome(Sequence[Example]):
    """Examples in the order of the source, also those left out.

    Attributes:
        rows: that were read.
        class_names: in label order.
        split: uint8 ``[N]``, places in ``SPLITS``.
        group: int ``[N]``, places in ``group_names``.
        group_names: of all groups.
        why: uint8 ``[N]``, places in ``reasons``.
        reasons: see ``Example.kept``.
        cluster: int ``[N]``, the row of the first example, by id, of an example's copies; -1 where it has none.
        exact: bool ``[N]``, whether its pixels are those of another one.
    """

    rows: Rows
    class_names: tuple[str, ...]
    split: np.ndarray
    group: np.ndarray
    group_names: GroupNames
    why: np.ndarray
    reasons: tuple[str, ...]
    cluster: np.ndarray
    exact: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, row: int) -> Example: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[Example]: ...

    def __getitem__(self, row: int | slice) -> Example | Sequence[Example]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(row)
        rows, first = self.rows, int(self.cluster[row])
        height, width = rows.size(row)
        return Example(
            text_of(rows.id[row]),
            SPLITS[self.split[row]],
            self.class_names[rows.label[row]],
            self.group_of(row),
            "" if first < 0 else text_of(rows.id[first]),
            "" if first < 0 else "exact" if self.exact[row] else "near",
            self.reasons[self.why[row]],
            height,
            width,
            rows.crop(row),
            rows.measures_of(row),
        )

    @cached_property
    def is_kept(self) -> np.ndarray:
        """Which are written: bool ``[N]``."""
        return np.isin(self.why, [code for code, reason in enumerate(self.reasons) if reason == KEPT])

    def group_of(self, row: int) -> str:
        """See ``Example.group``."""
        return text_of(self.group_names[self.group[row]])

    def left_out(self) -> dict[str, int]:
        """How many are not written, by the reason."""
        numbers = np.bincount(self.why, minlength=len(self.reasons)).tolist()
        return {reason: n for reason, n in zip(self.reasons, numbers, strict=True) if n and reason != KEPT}

    @cached_property
    def splits(self) -> list[str]:
        """Those with examples to write, in the order of ``SPLITS``."""
        return [SPLITS[code] for code in np.unique(self.split[self.is_kept])]

    def rows_of(self, split: str) -> np.ndarray:
        """The rows to write of a split, in their order: int ``[n]``."""
        return np.flatnonzero(self.is_kept & (self.split == SPLITS.index(split)))

    def counts(self) -> dict[str, dict[str, int]]:
        """{split: {class: examples to write}}."""
        return {
            split: dict(
                zip(
                    self.class_names,
                    np.bincount(self.rows.label[self.rows_of(split)], minlength=len(self.class_names)).tolist(),
                    strict=True,
                )
            )
            for split in self.splits
        }

    def crops(self) -> dict[str, dict[str, int]]:
        """See `Manifest.crops`."""
        found = {split: self.rows.crops(self.rows_of(split)) for split in self.splits}
        if not any(counts["whole"] + counts["cropped"] + counts["clipped"] for counts in found.values()):
            return {}
        return {
            split: {
                "cropped": counts["cropped"] + counts["clipped"],
                "whole": counts["whole"],
                "clipped": counts["clipped"],
            }
            for split, counts in found.items()
        }

    def stamps(self, order: np.ndarray) -> Iterator[Stamp]:
        """What goes into the fingerprints, of every example to write, in an order of rows."""
        for row in each(order[self.is_kept[order]]):
            targets = self.rows.targets(row)
            yield Stamp(
                SPLITS[self.split[row]],
                text_of(self.rows.id[row]),
                self.group_of(row),
                int(self.rows.label[row]),
                hex_of(self.rows.stored[row]),
                b"" if targets is None else targets.tobytes(),
            )

    def first_splits(self) -> list[str]:
        """As ``splits``, in the order of the first example of each."""
        return sorted(self.splits, key=lambda split: int(self.rows_of(split)[0]))

    def content(self) -> str:
        """``content_hash`` of the ``stamps``; not by a text for each, which took gigabytes for millions of them."""
        starts = {
            (split, label): f"{SPLITS[split]} {name} "
            for split in range(len(SPLITS))
            for label, name in enumerate(self.class_names)
        }
        ordered = sorted(starts, key=starts.__getitem__)
        if any(starts[later].startswith(starts[one]) for one, later in pairwise(ordered)):
            # A class called "sad 5" beside "sad": hashes decide which line of the two is first.
            return content_hash(list(self.stamps(np.arange(len(self)))), self.class_names)
        digest = hashlib.sha256()
        for split, label in ordered:
            chosen = np.flatnonzero(self.is_kept & (self.split == split) & (self.rows.label == label))
            stored = np.sort(self.rows.stored[chosen])
            for first in range(0, len(stored), _AT_ONCE):
                some = stored[first : first + _AT_ONCE].tolist()
                digest.update("".join(f"{starts[split, label]}{hex_of(one)}\n" for one in some).encode())
        return digest.hexdigest()
