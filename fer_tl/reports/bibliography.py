"""What the papers claim: their own figures on their own data, to stand beside ours and never to be tested against."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.errors import UserError, suggest
from fer_tl.core.yaml_files import load_yaml


@dataclass(frozen=True)
class Claim:
    """A row of a paper.

    Attributes:
        model: as the paper has it, in short.
        split: what was scored: ``4 folds`` for their mean, ``test``, ``validation``; ``""`` where it is not known.
        accuracy: per cent; None where the paper gives none.
        balanced_accuracy: mean recall of the classes in per cent; None likewise.
        loss: cross-entropy in nats; None likewise.
        remark: what a reader of the row must know; may be empty.
    """

    model: str
    split: str
    accuracy: float | None
    balanced_accuracy: float | None = None
    loss: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper and its rows.

    Attributes:
        name: by which it is asked for, as in ``fer-tl recipes``.
        title: who and what.
        data: dataset, as ``--data`` names it.
        protocol: data and training in words.
        claims: its rows.
        chosen: how the epoch that was scored was chosen, as far as that is known.
        remark: what holds of several rows; may be empty.
    """

    name: str
    title: str
    data: str
    protocol: str
    claims: tuple[Claim, ...]
    chosen: str = "how the epoch was chosen is not known to us"
    remark: str = ""


@functools.cache
def all_papers() -> dict[str, Paper]:
    """Those of ``papers.yaml``, by name."""
    read = load_yaml(Path(__file__).with_name("papers.yaml"))
    return {
        name: Paper(name, **{**about, "claims": tuple(Claim(**claim) for claim in about["claims"])})
        for name, about in read.items()
    }


def find_papers(names: Sequence[str]) -> tuple[Paper, ...]:
    """Papers by name, each once.

    Raises:
        UserError: an unknown one, with the nearest.
    """
    papers = all_papers()
    for name in names:
        if name not in papers:
            raise UserError(f"--paper {name}: no such paper{suggest(name, papers)}")
    return tuple(papers[name] for name in dict.fromkeys(names))
