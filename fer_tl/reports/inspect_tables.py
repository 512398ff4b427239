"""What is in a dataset as tables and sentences, for the terminal and for the page."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fer_tl.core.archive_members import describe_passed_over
from fer_tl.core.counting import counted
from fer_tl.data.examples import KEPT
from fer_tl.data.person_names import describe_person_names, find_person_names
from fer_tl.data.survey import CLOSED_SPLIT, Cluster, Survey
from fer_tl.data.tones import NEARLY_BLANK
from fer_tl.reports.rendering import Table, as_text, per_cent
from fer_tl.sources.format import is_drawn


def inspection_text(found: Survey) -> str:
    """What the terminal shows: counts of classes, counts of properties, duplicates, and what was not looked at."""
    classes, facts = as_text(class_table(found)).rstrip(), as_text(fact_table(found)) + fact_note(found)
    told = describe_passed_over(found.manifest.passed_over)
    more = [line for line in (persons_text(found), told) if line]
    return "\n\n".join([found.manifest.dataset, classes, facts, duplicates_text(found), *more, scope_text(found)])


def persons_text(found: Survey) -> str:
    """A warning if the names of images look like persons whom the groups do not hold together, "" if not."""
    names = None if is_drawn(found.manifest.dataset) else find_person_names(found.examples)
    return describe_person_names(names, found.manifest.dataset) if names else ""


def class_table(found: Survey) -> Table:
    """Images in the records by class and split."""
    counts = found.manifest.counts
    total = sum(sum(classes.values()) for classes in counts.values())

    def row(name: str, numbers: list[int]) -> list[str]:
        return [name, *(f"{n:,}" for n in [*numbers, sum(numbers)]), per_cent(sum(numbers) / total)]

    rows = [row(name, [counts[split][name] for split in counts]) for name in found.manifest.class_names]
    last = row("all", [sum(classes.values()) for classes in counts.values()])
    return Table(["class", *counts, "total", "share"], [rows, [last]])


def fact_table(found: Survey) -> Table:
    """Images by property and split: properties that some image has, or that are worth knowing when none has."""
    splits = found.all_splits
    always = {"read", "in the records", "blank", "nearly blank"}
    if found.manifest.duplicates["policy"] != "keep":
        always |= {"exact copies", "near copies"}
    rows = [
        [name, *(f"{numbers[split]:,}" if split in numbers else "not opened" for split in splits)]
        for name, numbers in found.counts().items()
        if name in always or any(numbers.values())
    ]
    return Table(["images", *splits], [rows])


def fact_note(found: Survey) -> str:
    """What the names in ``fact_table`` mean."""
    note = f"blank: one tone; nearly blank: standard deviation of grey below {NEARLY_BLANK:g} of 255"
    if not any(found.counts()["enlarged"].values()):
        return note
    height, width, _ = found.manifest.image_shape
    return f"{note}; enlarged: smaller than {height} × {width} pixels before"


def looks_table(found: Survey) -> Table:
    """Medians of brightness and contrast by class and split."""
    looks = {"brightness": found.looks.brightness, "contrast": found.looks.contrast}
    rows = []
    for label, name in enumerate(found.manifest.class_names):
        cells = []
        for split in found.open_splits:
            chosen = (found.labels == label) & (found.splits == split)
            cells += [f"{np.median(values[chosen]):.0f}" if chosen.any() else "–" for values in looks.values()]
        rows.append([name, *cells])
    return Table(["class", *(f"{look}, {split}" for split in found.open_splits for look in looks)], [rows])


def sizes_table(sizes: np.ndarray) -> Table:
    """Quantiles of heights and widths before resizing, pixels: int64 ``[M, 2]``."""
    quantiles = {"smallest": 0, "5 %": 5, "median": 50, "95 %": 95, "largest": 100}
    rows = [
        [name, *(f"{value:.0f}" for value in np.percentile(sides, list(quantiles.values())))]
        for name, sides in zip(("height", "width"), sizes.T, strict=True)
    ]
    return Table(["pixels", *quantiles], [rows])


def duplicates_text(found: Survey) -> str:
    """Sentences on the clusters of duplicates."""
    if found.manifest.duplicates["policy"] == "keep":
        return "Duplicates were not looked for when the dataset was built."
    if not found.clusters:
        return "No image is a copy of another one."
    several = sum(len(cluster.splits) > 1 for cluster in found.clusters)
    return (
        f"{counted(len(found.clusters), 'cluster')} of duplicates, the largest of {len(found.clusters[0].members):,} "
        f"images; in several splits: {several:,}; with different labels: {len(found.conflicts):,}."
    )


def cluster_text(cluster: Cluster, hidden: int) -> str:
    """A line on a cluster: its size and labels, and how many of its images in the records are not shown for want of
    room. Labels in the closed split are not told."""
    members = cluster.members
    near = sum(member.copy == "near" for member in members)
    labels = Counter(member.class_name for member in members if member.split != CLOSED_SPLIT)
    left_out = Counter(member.kept for member in members if member.kept != KEPT)
    notes = []
    if near:
        notes.append("no exact copies" if near == len(members) else f"{near} of them without an exact copy")
    if labels.total() < len(members):
        notes.append(f"{len(members) - labels.total()} in {CLOSED_SPLIT}, closed")
    notes += [f"{number} left out as {reason}" for reason, number in sorted(left_out.items())]
    if hidden:
        notes.append(f"{hidden} more not shown")
    names = ", ".join(f"{number} {name}" for name, number in labels.most_common())
    return f"{len(members)} images: {names}" + (f" ({'; '.join(notes)})" if notes else "")


def scope_text(found: Survey) -> str:
    """Sentences on the splits whose pictures were looked at."""
    shown = f"Pictures are those of {' and '.join(found.open_splits)}."
    if CLOSED_SPLIT not in found.all_splits:
        return shown
    return (
        f"{shown} Those of {CLOSED_SPLIT} are neither shown nor measured, so that it stays unseen until fer-tl "
        "evaluate opens it; what is counted of it comes from the build."
    )
