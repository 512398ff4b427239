"""Images of a split that a run's models, or anything that they come from, were trained on: left out of the figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_tl.core.counting import counted, fitting
from fer_tl.core.csv_tables import read_table
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.core.safe_text import csv_line, from_csv
from fer_tl.evaluation.open_split import Opening
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import Lineage, is_few, join_lineages, read_lineage, starts_anew

LEFT_OUT = "left-out.csv"
"""In the folder of an evaluation: ids of the images that are not scored, where there are any."""
HANDFUL = 10
"""Images, the fewest that are scored where others are left out."""


def leave_out_learnt(opening: Opening) -> Opening:
    """Leave out what is not new to the models, and say so in the remark.

    An official split of the run's own dataset stays whole where so few of its images look like known ones that it may
    be chance: the build has left copies of it out of the training.

    Args:
        opening: from ``fer_tl.evaluation.open_split.prepare_opening``, its images as they were built.

    Raises:
        UserError: a damaged model; or fewer than ten images, or two groups, are new.
    """
    run, dataset = opening.run, opening.dataset
    lineage = run_lineage(run)
    opening = replace(opening, remark=opening.remark + _doubts(opening, lineage))
    known = lineage.knows(dataset.digests)
    count, total = int(known.sum()), len(dataset)
    if not count:
        return opening
    if opening.same_build and is_few(count, total):
        look = fitting(count, "looks", "look")
        chance = f" {count:,} of its {total:,} images {look} like ones that the models learnt: few enough to be chance."
        return replace(opening, remark=opening.remark + chance)
    new = dataset.select(~known)
    learnt = (
        f"{count:,} of the {total:,} images {fitting(count, 'is', 'are')} among those that the run's models, or what "
        "they come from, learnt"
    )
    if len(new) < HANDFUL or len(np.unique(new.groups)) < 2:
        raise UserError(
            f"split '{opening.split}' of {dataset.name}: {learnt}; the {counted(len(new), 'other')} "
            f"{fitting(len(new), 'is', 'are')} too few to score: evaluate on images that are new to them"
        )
    remark = f"{opening.remark} {learnt}: {fitting(count, 'it is', 'they are')} left out, and listed in {LEFT_OUT}."
    return replace(opening, dataset=new, remark=remark, left_out=tuple(dataset.ids[known].tolist()))


def run_lineage(run: RunFolder) -> Lineage:
    """What the models of a run were trained on, all together: whoever scores one of them scores their mean too.

    Raises:
        UserError: a damaged model.
    """
    return join_lineages(read_lineage(run.part(part) / "model.keras", run.path.resolve().name) for part in run.parts)


def _doubts(opening: Opening, lineage: Lineage) -> str:
    """A sentence, with a blank before it, on models that do not say what they were trained on, where that matters."""
    if not lineage.unknown:
        return ""
    own = opening.run.path.resolve().name
    if lineage.unknown == (own,) and not opening.foreign and starts_anew(opening.run.read_experiment()):
        return ""
    return (
        f" It is not known which images {' and '.join(lineage.unknown)} learnt: if some of those scored here are among "
        "them, these figures are of memory."
    )


def write_left_out(folder: Path, ids: Iterable[str]) -> None:
    """List what an evaluation leaves out in its folder, or remove the list of another one."""
    rows = [["id"], *([name] for name in ids)]
    if len(rows) > 1:
        write_text(folder / LEFT_OUT, "".join(map(csv_line, rows)))
    else:
        (folder / LEFT_OUT).unlink(missing_ok=True)


def read_left_out(folder: Path) -> set[str]:
    """Ids that an evaluation left out.

    Raises:
        UserError: a damaged list.
    """
    path = folder / LEFT_OUT
    rows = read_table(path, ("id",), "images left out").rows if path.is_file() else ()
    return {from_csv(row.cells["id"]) for row in rows}
