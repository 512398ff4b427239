"""Sections of a run's report that show where its figures come from: images, data, settings, places, commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_tl.core.config import PLACES, Experiment, flatten, to_dict
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.data.directory import build_arguments
from fer_tl.evaluation.mistakes import Confusion, worst_confusions
from fer_tl.evaluation.open_split import results_folder
from fer_tl.evaluation.openings import standing
from fer_tl.evaluation.run_contents import HeldOut, RunContents
from fer_tl.evaluation.run_dataset import RunDataset
from fer_tl.reports.controls import command, folded
from fer_tl.reports.page import Section, Tile, abreast, gallery, paragraph, subheading, table
from fer_tl.reports.rendering import Table
from fer_tl.reports.run_tables import (
    count_table,
    environment_table,
    part_table,
    setting_tables,
    spell_date,
    spell_interval,
    spell_metric,
    spell_setting,
)
from fer_tl.runs.part import ENVIRONMENT, read_dated_openings, read_environments

# No paths: a page is passed on. The terminal says where the dataset was looked for.
_MISSING = (
    "the dataset is not where the run found it, or another build is. fer-tl report --data-dir DIR names its folder."
)
_SIDE = 96  # pixels of a picture: twice those of FER-2013, three in a row on a phone


def mistakes_section(contents: RunContents, held_out: HeldOut, top: int) -> Section:
    """The most confident mistakes of the most frequent confusions, as images if the dataset is at hand.

    Args:
        contents: of the run.
        held_out: its predictions.
        top: images at most.
    """
    names = held_out.summary.class_names
    confusions = worst_confusions(held_out.predictions, held_out.groups, top)
    heading = "Confident mistakes"
    if not confusions:
        return Section(heading, paragraph("Every image is recognised."))
    shown = sum(len(confusion.mistakes) for confusion in confusions)
    text = (
        f"{shown} images of the most frequent confusions, those that the model is surest of, with the probability of "
        "the wrong class. Of copies of an image, and of faces of one photo, one is shown. Some of the labels may be "
        "wrong: fer-tl audit lists those."
    )
    if contents.source is None:
        html = paragraph(f"The images are not shown: {_MISSING}")
        rows = [
            [mistake.id, names[confusion.label], names[confusion.predicted], f"{100 * mistake.probability:.1f} %"]
            for confusion in confusions
            for mistake in confusion.mistakes
        ]
        cells = Table(["image", "true class", "taken for", "probability"], [rows], left=frozenset({0, 1, 2}))
        return Section(heading, html + paragraph(text) + table(cells, "Confident mistakes."))
    images = _images(contents.source, confusions)
    galleries = [
        gallery(
            [
                Tile(
                    images[mistake.id],
                    f"{100 * mistake.probability:.0f}\u00a0% {names[confusion.predicted]}\n{mistake.id}",
                    f"{names[confusion.label]} taken for {names[confusion.predicted]} with "
                    f"{100 * mistake.probability:.0f} %: {mistake.id}",
                )
                for mistake in confusion.mistakes
            ],
            f"{names[confusion.label]} → {names[confusion.predicted]}: {confusion.count:,} images",
            _SIDE,
        )
        for confusion in confusions
    ]
    return Section(heading, paragraph(text) + abreast(galleries))


def _images(source: RunDataset, confusions: Sequence[Confusion]) -> dict[str, np.ndarray]:
    """Pixels by id; only these are decoded."""
    row_of = {identity: row for row, identity in enumerate(source.dataset.ids.tolist())}
    ids = [mistake.id for confusion in confusions for mistake in confusion.mistakes]
    return dict(zip(ids, source.dataset.images[np.array([row_of[i] for i in ids])], strict=True))


def data_section(contents: RunContents) -> Section:
    """What the images are, and how they lie in the folds."""
    about, source, held_out = contents.about, contents.source, contents.held_out
    merged = contents.experiment.classes
    html = paragraph(
        f"{about['dataset']}, fingerprint {about['fingerprint']}"
        + (f"; classes: {', '.join(merged)}." if merged else ".")
    )
    if source:
        html += paragraph(_duplicates(source))
    split = about.get("split_over_folds")
    if contents.is_cv and split is not None:
        html += paragraph(
            f"Images that have a duplicate or a face of the same photo in another fold: {split:,} of "
            f"{about.get('images', 0):,}."
        )
    if held_out:
        names = [part.name.replace("-", " ") for part in contents.parts]
        cells = count_table(held_out.predictions.labels, held_out.parts, held_out.summary.class_names, names)
        whole = "" if contents.is_finished else " that are done"
        where = f"the folds{whole} that held them out" if contents.is_cv else about["held_out"]
        html += table(cells, f"Images by class, and by {where}." if contents.is_cv else f"Images of {where} by class.")
    if source:
        counts = source.manifest.counts
        rows = [[name, *(f"{counts[split][name]:,}" for split in counts)] for name in source.manifest.class_names]
        html += table(Table(["class", *counts], [rows]), "Images of the dataset by class and split, as it was built.")
    else:
        html += paragraph(f"More is not known here: {_MISSING}")
    return Section("Data", html)


def _duplicates(source: RunDataset) -> str:
    manifest, groups = source.manifest, source.dataset.groups
    _, counts = np.unique(groups, return_counts=True)
    together = int(counts[counts > 1].sum())
    origin = manifest.source
    text = (
        f"Built from {origin['name']} ({origin['kind']}, SHA-256 {origin['sha256']}), version {manifest.version}. Of "
        f"the {len(groups):,} images of split {source.dataset.splits[0]}, {together:,} share a group with another, "
        f"which is never divided over folds: {len(counts):,} groups in all."
    )
    found = manifest.duplicates
    if found.get("policy") == "keep":
        return f"{text} Copies were not looked for."
    if "clusters" in found:
        text += (
            f" The build found {found['clusters']:,} clusters of copies in all splits, {found['conflicting']:,} of "
            "them with different labels."
        )
    return text


def record_section(contents: RunContents) -> Section:
    """The settings, what the parts took, where, and which splits were opened."""
    changed, same = setting_tables(contents.experiment)
    if changed.blocks[0]:
        html = table(changed, "Settings that are not the defaults.")
    else:
        html = paragraph("All settings are the defaults.")
    html += folded("All other settings", table(same, "Settings at their defaults."))
    html += subheading("Parts") + table(part_table(contents.parts), "What was trained, and what it took.")
    html += subheading("Environment")
    said: list[str] = []
    entries = read_environments(contents.run.path, said.append)
    if entries:
        html += table(environment_table(entries), "Where the run was begun or continued.")
    else:
        html += paragraph(f"{ENVIRONMENT} cannot be read; no result depends on it." if said else "Not recorded.")
    return Section("Settings and environment", html + subheading("Splits opened") + _openings(contents))


def _openings(contents: RunContents) -> str:
    run, own = contents.run, contents.about["dataset"]
    entries = read_dated_openings(run.path)
    html = paragraph(test_note(contents))
    if not entries:
        return html
    rows = [
        [
            spell_date(entry["date"]),
            str(entry.get("dataset", own)),
            str(entry.get("split", "")),
            str(entry.get("tta", "none")),
            ", ".join(entry.get("classes") or []),
            f"{entry['images']:,}" if "images" in entry else "",
            _accuracy(contents, entry),
        ]
        for entry in entries
    ]
    header = ["date", "dataset", "split", "views", "classes", "images", "accuracy as it stands (95 %)"]
    caption = "Evaluations by fer-tl evaluate. The accuracy is of the last one of its kind."
    return html + table(Table(header, [rows], left=frozenset({0, 1, 2, 3, 4})), caption)


def test_note(contents: RunContents) -> str:
    """How often the test split was opened, for this run and for others."""
    own = contents.about["dataset"]
    entries = read_dated_openings(contents.run.path)
    tests = [entry for entry in entries if (entry.get("dataset", own), entry.get("split")) == (own, "test")]
    times = {0: "was never opened", 1: "was opened once"}.get(len(tests), f"was opened {len(tests)} times")
    advice = " Whoever chose by an earlier opening has chosen on it." if len(tests) > 1 else ""
    return f"The test split of {own} {times} for this run.{advice} {_test_standing(contents)}"


def _test_standing(contents: RunContents) -> str:
    """How many models of the data folder the test split of the run's dataset was opened for, a sentence or two."""
    if contents.source is None:
        return "For how many other models is not known: the dataset is not at hand."
    found = standing(contents.source.data_dir, contents.about["dataset"], "test", contents.run)
    if not found.models:
        return "No opening for another model is on record in this data folder."
    if not found.place:
        models = f"{found.models} other model{'s' * (found.models > 1)}"
        return f"In this data folder it was opened for {models}, not for this one."
    if found.models == 1:
        return "In this data folder it was opened for no other model."
    return f"In this data folder this is {found}: whoever takes the best of them has chosen on it."


def _accuracy(contents: RunContents, entry: dict[str, Any]) -> str:
    """What an opening found, of the model that speaks for the run; empty where its results are gone."""
    try:
        folder = results_folder(
            contents.run, entry["split"], entry.get("tta", "none"), entry.get("dataset"), entry.get("classes")
        )
        result = read_json(folder / "result.json")
        accuracy = next(iter(result["models"].values()))["accuracy"]
        interval = spell_interval("accuracy", result["interval_95"]["accuracy"])
        return f"{spell_metric('accuracy', accuracy)} ({interval})"
    except (UserError, KeyError, TypeError, StopIteration):
        return ""


def reproduce_section(contents: RunContents) -> Section:
    """The commands that make the dataset and the run again."""
    name, kind, dataset = contents.run.path.resolve().name, contents.about["kind"], contents.about["dataset"]
    html = paragraph("From the folder that holds the run, into a new one:")
    again = f"fer-tl {kind} --config {shlex.quote(f'{name}/config.yaml')} --run-dir {shlex.quote(f'{name}-again')}"
    html += command(again)
    html += paragraph("Or without its files, with --data-dir where the dataset is elsewhere:")
    html += command(" ".join(["fer-tl", kind, *map(shlex.quote, flags(contents.experiment))]))
    building = build_arguments(dataset, contents.source.manifest if contents.source else None)
    if building != dataset:  # which is drawn where it is missing
        html += paragraph(
            f"The dataset is made by the command below; it is the same if its fingerprint is "
            f"{contents.about['fingerprint'][:12]}, which the run checks. {_options(contents.source)}"
        )
        html += command(f"fer-tl build {building}")
    html += paragraph(
        "On a CPU the same versions give the same predictions to the last bit; other hardware and other versions give "
        "others within the intervals. Every figure here is computed from predictions.npz of each part."
    )
    return Section("How to reproduce", html)


def _options(source: RunDataset | None) -> str:
    """With what options the dataset was built, as far as its manifest tells."""
    plain = ("kind", "name", "sha256")
    options = {key: value for key, value in source.manifest.source.items() if key not in plain} if source else {}
    if not options:
        return ""
    return f"It was built with {', '.join(f'{key} {value}' for key, value in options.items())}."


def flags(experiment: Experiment) -> list[str]:
    """The settings that are not the defaults, as words of a command line; no places on the machine."""
    defaults = flatten(to_dict(Experiment()))
    words = []
    for name, value in flatten(to_dict(experiment)).items():
        if name not in PLACES and value != defaults[name]:
            spelled = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else spell_setting(value)
            words += [f"--{name.replace('_', '-')}", spelled]
    return words
