"""Where the figures of a run's report come from: images, data, settings, places, commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import PLACES, flatten, to_dict
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json
from fer_tl.data.directory import build_arguments
from fer_tl.evaluation.mistakes import Confusion, worst_confusions
from fer_tl.evaluation.open_split import results_folder
from fer_tl.evaluation.openings import standing
from fer_tl.evaluation.run_contents import HeldOut, RunContents
from fer_tl.evaluation.run_dataset import RunDataset
from fer_tl.reports.page import Tile
from fer_tl.reports.rendering import Table, per_cent
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
from fer_tl.runs.part import read_dated_openings, read_environments
from fer_tl.runs.refits import OF_ARRAYS
from fer_tl.runs.run_file import ARRAYS, holds_none_out

_PLAIN = ("kind", "name", "sha256")  # of the source of a dataset: all other entries are options it was built with


def unmeasured(contents: RunContents) -> str:
    """What there is to say where nothing was scored: no part is done, or it holds no image out."""
    if contents.refit and contents.is_finished:
        return f"{contents.refit.choice} {contents.refit.estimate}"
    if contents.is_finished and holds_none_out(contents.about):
        return OF_ARRAYS
    return "No part of it is done yet."


def mistakes(contents: RunContents, held_out: HeldOut, top: int) -> dict[str, Any]:
    """Return the most confident mistakes of the most frequent confusions: as captions and tiles if the dataset is at
    hand, else as a table.

    Args:
        contents: of the run.
        held_out: its predictions.
        top: images at most.
    """
    names = held_out.summary.class_names
    confusions = worst_confusions(held_out.predictions, held_out.groups, top)
    several = [(names[c.label], names[c.predicted], m) for c in confusions for m in c.mistakes]
    if contents.source is None:
        rows = [[m.id, label, predicted, per_cent(m.probability)] for label, predicted, m in several]
        header = ["image", "true class", "taken for", "probability"]
        found: Any = Table(header, [rows], left=frozenset({0, 1, 2})) if rows else None
    else:
        images = _images(contents.source, confusions)
        counted = "images" if contents.repeats == 1 else "answers"
        found = [(_heading(confusion, names, counted), _tiles(confusion, names, images)) for confusion in confusions]
    return {"mistakes": found, "mistakes_shown": len(several)}


def _heading(confusion: Confusion, names: Sequence[str], counted: str) -> str:
    return f"{names[confusion.label]} → {names[confusion.predicted]}: {confusion.count:,} {counted}"


def _tiles(confusion: Confusion, names: Sequence[str], images: dict[str, np.ndarray]) -> list[Tile]:
    label, predicted = names[confusion.label], names[confusion.predicted]
    return [
        Tile(
            images[each.id],
            f"{100 * each.probability:.0f}\u00a0% {predicted}\n{each.id}",
            f"{label} taken for {predicted} with {100 * each.probability:.0f} %: {each.id}",
        )
        for each in confusion.mistakes
    ]


def _images(source: RunDataset, confusions: Sequence[Confusion]) -> dict[str, np.ndarray]:
    """Pixels by id; only these are decoded."""
    row_of = {identity: row for row, identity in enumerate(source.dataset.ids.tolist())}
    ids = [mistake.id for confusion in confusions for mistake in confusion.mistakes]
    return dict(zip(ids, source.dataset.images[np.array([row_of[i] for i in ids])], strict=True))


def data_facts(contents: RunContents) -> dict[str, Any]:
    """Return what the images are, and how they lie in the folds."""
    source, held_out = contents.source, contents.held_out
    found: dict[str, Any] = {}
    if source:
        _, sizes = np.unique(source.dataset.groups, return_counts=True)
        found["groups"] = {"images": int(sizes.sum()), "together": int(sizes[sizes > 1].sum()), "groups": len(sizes)}
        counts = source.manifest.counts
        rows = [[name, *(f"{counts[split][name]:,}" for split in counts)] for name in source.manifest.class_names]
        found["splits"] = Table(["class", *counts], [rows])
    if held_out:
        names = [part.name.replace("-", " ") for part in contents.parts]
        first = held_out.summary.repetition_of(held_out.summary.numbers[0])
        found["counts"] = part_counts(held_out, names, first)
        found["counted_repetition"] = first
    return found


def part_counts(held_out: HeldOut, names: Sequence[str], repetition: int) -> Table:
    """Images by class and by the part that held them out, of a single repetition: every other has the same images.

    Args:
        held_out: of the run.
        names: of all parts.
        repetition: from 0; the only one of a run that is not repeated.
    """
    summary = held_out.summary
    rows = np.flatnonzero(held_out.parts // (summary.parts // summary.repeats) == repetition)
    return count_table(held_out.predictions.labels[rows], held_out.parts[rows], summary.class_names, names)


def records(contents: RunContents) -> dict[str, Any]:
    """Return the settings, what the parts took, where, and which splits were opened."""
    changed, same = setting_tables(contents.experiment)
    said: list[str] = []
    entries = read_environments(contents.run.path, said.append)
    return {
        "changed": changed,
        "same": same,
        "parts": part_table(contents.parts),
        "environments": environment_table(entries) if entries else None,
        "is_unreadable": bool(said),
        "test_note": test_note(contents),
        "openings": _openings(contents),
    }


def _openings(contents: RunContents) -> Table:
    rows = [
        [
            spell_date(entry["date"]),
            str(entry.get("dataset", contents.about["dataset"])),
            str(entry.get("split", "")),
            str(entry.get("tta", "none")),
            ", ".join(entry.get("classes") or []),
            f"{entry['images']:,}" if "images" in entry else "",
            _accuracy(contents, entry),
        ]
        for entry in read_dated_openings(contents.run.path)
    ]
    header = ["date", "dataset", "split", "views", "classes", "images", "accuracy as it stands (95 %)"]
    return Table(header, [rows], left=frozenset({0, 1, 2, 3, 4}))


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
        return "For how many other models it was opened is not known, because the dataset is not at hand."
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


def recipes(contents: RunContents) -> dict[str, str]:
    """Return the commands that make the dataset and the run again."""
    name, dataset = contents.run.path.resolve().name, contents.about["dataset"]
    manifest = contents.source.manifest if contents.source else None
    options = {key: value for key, value in manifest.source.items() if key not in _PLAIN} if manifest else {}
    building = build_arguments(dataset, manifest)
    trained = contents.as_trained
    # A trial may choose another one the next time.
    precision = ["--precision", trained.precision] if trained != contents.experiment else []
    again = ["--config", f"{name}/config.yaml", *precision, "--run-dir", f"{name}-again"]
    if soup := contents.about.get("soup"):
        again = [soup["run"], "--out", f"{name}-again"]
    if contents.refit:
        again = [contents.refit.run, "--run-dir", f"{name}-again"]
    of_arrays, is_one = dataset == ARRAYS, contents.about["kind"] in ("cv", "train")
    return {
        "again": shlex.join(["fer-tl", verb(contents), *again]) if not of_arrays else _classifier(contents.as_trained),
        "reproduce": shlex.join(["fer-tl", "reproduce", name]) if is_one and not of_arrays else "",
        "made_by": _made_by(contents),
        "without_files": training_commands(contents, name),
        # Drawn faces are drawn where they are missing.
        "build": f"fer-tl build {building}" if building != dataset and not of_arrays else "",
        "build_options": ", ".join(f"{key} {value}" for key, value in options.items()),
    }


def _made_by(contents: RunContents) -> str:
    """The code that a run was last trained with, such as ``fer-tl 0.1.0, commit 1a2b3c``; "" where nobody knows."""
    entries = read_environments(contents.run.path, lambda line: None)
    versions = entries[-1].get("versions") if entries else None
    version = versions.get("fer-tl") if isinstance(versions, dict) else None
    commit = entries[-1].get("commit") if entries else None
    return f"fer-tl {version}{f', commit {commit}' if commit else ''}" if version else ""


def verb(contents: RunContents) -> str:
    """The command of ``fer-tl`` that trains such a run."""
    return "distill" if contents.experiment.distill.teachers else str(contents.about["kind"])


def training_commands(contents: RunContents, name: str, shared: bool = False) -> str:
    """Lines of a shell that train such a run without its files; those of a soup, its cross validation first.

    Args:
        contents: of the run.
        name: of the folder that a soup goes to.
        shared: whether they are for others, who are not to learn of this machine's folders.
    """
    place: Callable[[str], str] = _without_folders if shared else str
    if contents.refit:
        return shlex.join(["fer-tl", "refit", place(contents.refit.run), "--run-dir", name])
    trained = contents.as_trained
    teachers, table = trained.distill.teachers, trained.fold_table
    trained = replace(
        trained,
        weights=place(trained.weights),
        fold_table=table and place(table),
        distill=replace(trained.distill, teachers=teachers and tuple(map(place, teachers))),
    )
    if contents.about["dataset"] == ARRAYS:
        return _classifier(trained)
    words = flags(trained)
    if soup := contents.about.get("soup"):
        source = place(soup["run"])
        lines = [["fer-tl", "cv", *words, "--run-dir", source], ["fer-tl", "soup", source, "--out", name]]
        return "\n".join(map(shlex.join, lines))
    return shlex.join(["fer-tl", verb(contents), *words])


def _without_folders(path: str) -> str:
    """A path as others may see it: as it was typed where it is below the working folder, else its last name."""
    parts = PurePath(path.replace("\\", "/")).parts
    is_below = parts and not re.match(r"/|~|[A-Za-z]:", parts[0]) and ".." not in parts
    return path if is_below else parts[-1] if parts else path


def _classifier(experiment: Experiment) -> str:
    """The line of Python that trains such a run on arrays."""
    defaults = flatten(to_dict(Experiment()))
    given = [f"{experiment.backbone!r}"]
    for name, value in flatten(to_dict(experiment)).items():
        if name not in (*PLACES, "backbone", "data") and value != defaults[name]:
            given.append(f"{'random_state' if name == 'seed' else name.replace('.', '__')}={value!r}")
    return f"fer_tl.Classifier({', '.join(given)}).fit(images, labels)"


def flags(experiment: Experiment) -> list[str]:
    """The settings that are not the defaults, as words of a command line, teachers first; no places on the machine."""
    defaults = flatten(to_dict(Experiment()))
    words = list(experiment.distill.teachers or ())
    for name, value in flatten(to_dict(experiment)).items():
        if name not in (*PLACES, "distill.teachers") and value != defaults[name]:
            spelled = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else spell_setting(value)
            words += [f"--{name.replace('_', '-')}", spelled]
    return words
