"""What stands under a comparison: how it was tested, which rows are not like the others, what claims are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_tl.core.counting import counted
from fer_tl.evaluation.intervals import RESAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fer_tl.evaluation.comparison import Pair
    from fer_tl.reports.compare_table import Comparison

_FEW_FOLDS = 5


def result_notes(comparison: Comparison, legend: str) -> list[str]:
    """Notes on who is how good, a few sentences each.

    Args:
        comparison: what is shown.
        legend: how the best value of a column is marked, such as "Bold".
    """
    notes = []
    if comparison.pairs:
        notes.append(f"{legend}: best of its column. {_test_note(comparison)}")
    notes += _trainings_notes(comparison)
    notes += [
        f"† {row.run.name}: {row.run.differs}. It is shown beside the others, neither tested nor marked as best."
        for row in comparison.rows
        if row.run.differs
    ]
    for row in comparison.rows:
        if row.run.state and not row.run.differs:
            why = "".join(f"; {name} failed: {why.partition(';')[0]}" for name, why in row.run.failures.items())
            scored = (
                "scored on these alone, neither tested nor marked as best" if row.run.done else "nothing to score yet"
            )
            notes.append(f"{row.run.name}: {row.run.state}{why}; {scored}.")
    notes += _twin_notes(comparison)
    notes += [f"{row.run.name}: {row.run.imported.remark}." for row in comparison.rows if row.run.imported]
    notes += [*filter(None, [_selection_note(comparison)]), *_leak_notes(comparison)]
    if not comparison.split and any(row.run.repeats > 1 for row in comparison.rows):
        notes.append(
            "Of a repeated cross validation, figures are means over its repetitions, which score the same images: "
            "intervals and the sign-flip test keep all answers of an image together, and count it once."
        )
    if not comparison.has_groups:
        notes.append("The intervals and tests take each image for itself, not its group: the dataset is not at hand.")
    if comparison.split:
        more = comparison.opened - sum(len(row.run.trainings) or 1 for row in comparison.rows)
        others = f", and for {more} other model{'s' * (more > 1)} of this data folder" if more > 0 else ""
        notes.append(f"Split {comparison.split} was opened for each run{others}: do not choose anything by it.")
    elif comparison.pairs:
        notes.append("Taking the best row is a choice made on these images: expect less of it on others.")
    return notes


def paper_notes(comparison: Comparison) -> list[str]:
    """Notes on the rows that papers claim."""
    notes = []
    if comparison.papers:
        notes.append(
            "Claims are the papers' own figures, from their own protocols: they are not tested, and never marked "
            "as best."
        )
    ours = {row.run.about["dataset"].partition("/")[0] for row in comparison.rows}
    for paper in comparison.papers:
        other = "" if ours == {paper.data} else ", other data than here"
        remarks = [f"{claim.model}: {claim.remark}." for claim in paper.claims if claim.remark]
        notes.append(
            " ".join(
                [f"{paper.name}: {paper.title}; {paper.protocol}{other}; {paper.chosen}.", *remarks, paper.remark]
            ).strip()
        )
    return notes


def cost_notes(comparison: Comparison) -> list[str]:
    """Notes on the table of costs."""
    notes = [
        "Parameters and MACs (multiplications of convolutions and dense layers for one image) are of one model with "
        "its head. Minutes are those of training and scoring all parts that are done. Images/s are those of the "
        "training epochs alone; if the features of a frozen backbone are kept, computing them is not counted."
    ]
    if comparison.split and any(len(row.run.done) > 1 for row in comparison.rows):
        notes.append(f"Split {comparison.split} is predicted by all models of a cross validation together.")
    return [*notes, *(f"{row.run.name}: {row.uncounted}." for row in comparison.rows if row.uncounted)]


def _test_note(comparison: Comparison) -> str:
    rows = [row for row in comparison.rows if row.is_tested]
    folds, pairs = len(rows[0].run.done), len(comparison.pairs)
    units = "groups of images" if comparison.has_groups else "images"
    tests = f"the exact sign-flip test over {units}"
    asked = "The sign-flip test asks whether these trained models differ in accuracy on such images"
    if comparison.has_folds:
        all_of = f", all of {rows[0].run.repeats} repetitions," if rows[0].run.repeats > 1 else ""
        tests += f" and by the corrected resampled t-test of Nadeau and Bengio over the {folds} folds{all_of}"
        asked += ", the t-test whether the recipes would on other folds"
    together, adjusted = "come from", ""
    if pairs > 1:
        together = f"hold for all {pairs} pairs at once, by"
        adjusted = (
            f" Adjusted p is corrected for all {pairs} pairs: that of the sign-flip test as the intervals are, by the "
            "largest deviation among the pairs"
        )
        adjusted += ", that of the t-test by Holm." if comparison.has_folds else "."
    if comparison.has_folds and any(pair.t_test is None for pair in comparison.pairs):
        asked += "; it says nothing (–) where all folds show the same difference to less than an image"
    over = [pair for pair in comparison.pairs if pair.trainings is not None]
    whose = " of rows of a single training" if over else ""
    drawn = f"their 95 % intervals{whose} {together} {RESAMPLES:,} resamples of {units}"
    if len(over) == pairs:
        drawn = f"their 95 % intervals are over trainings and {units}{', for all pairs at once' if pairs > 1 else ''}"
    start = f"Differences are in points of accuracy, paired image by image; {drawn}."
    return f"{start} p is two-sided by {tests}.{adjusted} {asked}."


def _trainings_notes(comparison: Comparison) -> list[str]:
    """What rows of several trainings show and how they are tested; or that there are none."""
    if not comparison.has_trainings:
        if not comparison.pairs or all(row.run.imported for row in comparison.rows):
            return []
        return [
            "Each row is a single training: nothing here says what another seed would give. --seeds 0,1,2 trains a "
            "recipe again on the same folds."
        ]
    units = "groups of images" if comparison.has_groups else "images"
    stands = "; ".join(
        f"{row.run.name} of {', '.join(each.name for each in row.run.trainings)}"
        for row in comparison.rows
        if row.run.trainings
    )
    notes = [
        f"Rows of several trainings, which differ in their seed alone: {stands}. Figures are means over trainings, sd "
        "their standard deviation in points of accuracy; counts of classes and confusions are of all their answers. "
        f"Their intervals are over trainings and {units} together."
    ]
    over = [pair for pair in comparison.pairs if pair.trainings is not None]
    if over:
        adjusted = " and intervals are corrected by Bonferroni" if len(comparison.pairs) > 1 else ""
        notes.append(
            f"Over trainings p asks whether the recipes differ, on such images and with any seed: a t-test of the "
            f"difference whose variance is that of the trainings and of the {units}, crossed (two-way clustering of "
            "Cameron, Gelbach and Miller 2011, degrees of freedom by Satterthwaite 1946)"
            f"{'; its adjusted p' + adjusted if adjusted else ''}. It stands first since the sign-flip test takes the "
            "trained models, with their luck, as they are. The images of the training are the same for all, so neither "
            "says what others would give."
        )
        notes.append(_power_note(comparison, over))
    return notes


def _power_note(comparison: Comparison, over: Sequence[Pair]) -> str:
    """Which differences so few trainings, and folds, cannot find."""
    least, most = (100 * found(pair.detectable or 0 for pair in over) for found in (min, max))
    said = f"{most:.2f} points" if f"{least:.2f}" == f"{most:.2f}" else f"{least:.2f} to {most:.2f} points, by pair,"
    fewest = min(len(row.run.trainings) for row in comparison.rows if row.run.trainings)
    note = (
        f"Power: with {fewest} trainings per row, a true difference of {said} is found four times out of five; not "
        "finding a smaller one does not prove that there is none."
    )
    folds = len(comparison.rows[over[0].better].run.done)
    if comparison.has_folds and folds <= _FEW_FOLDS:
        note += f" The t-test over {folds} folds has {folds - 1} degrees of freedom and finds only large differences."
    return note


def _twin_notes(comparison: Comparison) -> list[str]:
    return [
        f"{other} and {one} predict the same to the last digit: it is one run under two paths, which counts once."
        if same
        else f"{other} and {one} give the same answer for every image."
        for one, other, same in comparison.twins
    ]


def _selection_note(comparison: Comparison) -> str:
    """How the epoch that is scored was chosen, by the names of the runs where they differ."""
    mixed = [row.run.name for row in comparison.rows if "soup" in row.run.about]
    trained = [row for row in comparison.rows if row.run.name not in mixed and not row.run.imported]
    chosen = [row.run.name for row in trained if row.run.settings.get("early_stopping")]
    last = [row.run.name for row in trained if row.run.name not in chosen]
    parts = []
    if mixed:
        parts.append(
            f"{', '.join(mixed)}: the mean of the weights of a cross validation's folds, chosen by the accuracy on the "
            "validation split."
        )
    if last:
        who = f" ({', '.join(last)})" if len(last) < len(comparison.rows) else ""
        parts.append(f"The weights are those of the last epoch; no choice was made on the images scored here{who}.")
    if chosen:
        who = f" ({', '.join(chosen)})" if len(chosen) < len(comparison.rows) else ""
        parts.append(f"The epoch was chosen on images set aside from the training part, not on those scored here{who}.")
    return " ".join(parts)


def _leak_notes(comparison: Comparison) -> list[str]:
    leaks = {row.run.name: row.run.about.get("split_over_folds", 0) for row in comparison.rows}
    if not any(leaks.values()) or comparison.split:
        return []
    said = ", ".join(f"{name} {counted(count, 'image')}" for name, count in leaks.items() if count)
    return [f"The folds leak, images have a duplicate or a face of the same photo in another fold: {said}."]
