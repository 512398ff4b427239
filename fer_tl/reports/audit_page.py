"""What a run says of its labels, for people: the list as CSV, a page with the images, the terminal's text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from fer_tl.core.counting import counted, fitting
from fer_tl.core.files import write_text
from fer_tl.evaluation.label_errors import Audit, LabelErrors, Suspect
from fer_tl.reports.page import Tile, render
from fer_tl.reports.rendering import Table, as_csv, as_text, per_cent

LIST = "label_errors.csv"
PAGE = "index.html"
_SIDE = 144  # pixels of a picture: three times those of FER-2013, two in a row on a phone
_PAIRS = 10  # in the terminal; the page has all
_FIRST = 10  # suspects in the terminal
_WIDTH = 100  # letters of a line there
_UNBROKEN = "\u00a0"  # a blank at which no line ends


def write_audit(audit: Audit, folder: Path, top: int) -> str:
    """Write the list and the page.

    Args:
        audit: from ``fer_tl.evaluation.label_errors.open_audit``.
        folder: from ``fer_tl.core.output_folder.choose_folder``.
        top: how many images are shown at most, those of the least probable labels; 1 or more.

    Returns:
        What the terminal shows.
    """
    # First: a folder left by an interruption is then known as an audit's.
    write_text(folder / LIST, label_errors_csv(audit.found))
    tiles = _tiles(audit, top)
    classes, pairs, suspects = _class_table(audit.found), _pair_table(audit.found), audit.found.suspects
    html = render(
        "audit.html",
        _title(audit),
        notes=_notes(audit),
        tiles=tiles,
        side=_SIDE,
        suspects=_suspect_table(suspects[:top]),
        total=len(suspects),
        list=LIST,
        has_copies=any(suspect.cluster_labels for suspect in suspects[:top]),
        classes=classes,
        pairs=pairs,
    )
    write_text(folder / PAGE, html)
    return _audit_text(audit, folder, classes, pairs)


def label_errors_csv(found: LabelErrors) -> str:
    """One line a suspect, in order: probabilities as fractions; labels of duplicates joined by ``|``."""
    header = ["id", "given", "suggested", "p_given", "p_suggested", "fold", "group", "cluster", "cluster_labels"]
    lines = [
        [s.id, s.given, s.suggested, s.p_given, s.p_suggested, s.fold, s.group, s.cluster, "|".join(s.cluster_labels)]
        for s in found.suspects
    ]
    return as_csv([header, *lines])


def _audit_text(audit: Audit, folder: Path, classes: Table, pairs: Table) -> str:
    found = audit.found
    (rows,) = pairs.blocks
    parts = [_title(audit), "\n".join(textwrap.fill(note, _WIDTH) for note in _notes(audit)), as_text(classes).rstrip()]
    if found.suspects:
        shown = as_text(Table(pairs.header, [rows[:_PAIRS]], pairs.left)).rstrip()
        parts.append(f"{shown}\n{len(rows) - _PAIRS} further pairs: {folder / PAGE}" if len(rows) > _PAIRS else shown)
        parts.append(as_text(_suspect_table(found.suspects[:_FIRST])).rstrip())
    if audit.missing:
        parts.append(f"The images are not shown: {audit.missing}. If it is elsewhere, name its folder with --data-dir.")
    return "\n\n".join([*parts, f"list: {folder / LIST}\npage: {folder / PAGE}"])


def _title(audit: Audit) -> str:
    member = audit.member
    return f"{member.backbone} on {member.dataset}, {member.held_out}: labels to look at"


def _notes(audit: Audit) -> list[str]:
    """What the list is, and what it is not: a sentence or two each."""
    found = audit.found
    many = len(found.suspects)
    notes = [
        f"{many:,} of {found.images:,} labels ({per_cent(many / found.images)}) {fitting(many, 'is', 'are')} "
        "confidently contradicted by a network that was not trained on the image. They are candidates for a human to "
        "check, not errors: images that the networks themselves get wrong are listed too. The higher on the list, "
        "the more likely the label is wrong.",
        f"Confident learning estimates that {counted(found.estimated, 'image')} "
        f"{fitting(found.estimated, 'belongs', 'belong')} to another class than their label. This "
        f"is not a count of wrong labels: the networks agree with {per_cent(found.agreement)} of the labels, and their "
        "own mistakes are in the estimate.",
    ]
    if audit.member.repeats > 1:
        notes.append(
            f"A probability is the mean of {audit.member.repeats} networks', one of each repetition; the fold is that "
            "of the first."
        )
    conflicts = sum(bool(suspect.cluster_labels) for suspect in found.suspects)
    if conflicts:
        notes.append(f"Listed images that have a duplicate with another label: {conflicts:,}.")
    if audit.split_over_folds:
        notes.append(
            f"The folds leak: {counted(audit.split_over_folds, 'image has', 'images have')} a duplicate or a face of "
            "the same photo in another fold. A wrong label that both share may be missing here."
        )
    return notes


def _class_table(found: LabelErrors) -> Table:
    images, listed = found.joint.sum(axis=1), found.listed.sum(axis=1)  # [K]
    estimated = images - found.joint.diagonal()  # [K]

    def row(name: str, count: int, *parts: int) -> list[str]:
        return [name, f"{count:,}", *(cell for n in parts for cell in (f"{n:,}", per_cent(n / max(count, 1))))]

    rows = [row(*values) for values in zip(found.class_names, images, listed, estimated, strict=True)]
    last = row("all", found.images, len(found.suspects), found.estimated)
    return Table(["label", "images", "listed", "share", "estimated", "share"], [rows, [last]])


def _pair_table(found: LabelErrors) -> Table:
    """Every pair that is listed or estimated, the most listed first."""
    names, listed, joint = found.class_names, found.listed, found.joint
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j and (listed[i, j] or joint[i, j])]
    pairs.sort(key=lambda pair: (-listed[pair], -joint[pair], pair))
    rows = [[names[i], names[j], f"{listed[i, j]:,}", f"{joint[i, j]:,}"] for i, j in pairs]
    return Table(["label", "rather", "listed", "estimated"], [rows], left=frozenset({0, 1}))


def _suspect_table(suspects: Sequence[Suspect]) -> Table:
    rows = [[s.id, s.given, per_cent(s.p_given), s.suggested, per_cent(s.p_suggested), str(s.fold)] for s in suspects]
    return Table(["image", "label", "probability", "rather", "probability", "fold"], [rows], left=frozenset({0, 1, 3}))


def _tiles(audit: Audit, top: int) -> list[Tile]:
    if audit.dataset is None:
        return []
    row_of = {example_id: row for row, example_id in enumerate(audit.dataset.ids.tolist())}
    return [Tile(audit.dataset.images[row_of[s.id]], _caption(s)) for s in audit.found.suspects[:top]]


def _caption(suspect: Suspect) -> str:
    lines = [
        f"{suspect.given} {100 * suspect.p_given:.0f}{_UNBROKEN}%",
        f"→ {suspect.suggested} {100 * suspect.p_suggested:.0f}{_UNBROKEN}%",
        suspect.id,
    ]
    if suspect.cluster_labels:
        lines.append(f"copies: {', '.join(suspect.cluster_labels)}")
    return "\n".join(lines)
