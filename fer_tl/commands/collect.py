"""Join folds of one cross validation that were trained in several places."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.commands._command import Command
from fer_tl.commands._report_folds import CvResult, report_folds
from fer_tl.core.config_keys import differences, identity
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_atomically, write_json
from fer_tl.core.lock import hold
from fer_tl.core.say import Say, say_line
from fer_tl.data.dataset import group_by_id
from fer_tl.evaluation.run_dataset import find_dataset
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.history import read_history
from fer_tl.runs.part import (
    ENVIRONMENT,
    EVENTS,
    OPENINGS,
    PART_FILES,
    RESULT,
    TIMING,
    check_model,
    check_part,
    read_dated_openings,
    read_environments,
    read_result,
    train_again,
)
from fer_tl.runs.predictions import Predictions, load_fold_predictions, load_predictions
from fer_tl.runs.run_file import refuse_strangers


def collect(
    run_dirs: Sequence[Path | str],
    out: Path | str,
    data_dir: Path | str | None = None,
    say: Say = say_line,
) -> CvResult:
    """Join runs of one experiment, each with some of its folds, into one run with the table that a single run gives.

    Nothing is written before all is checked; a call that was interrupted is continued by the same one.

    Args:
        run_dirs: two or more folders of runs, such as of ``fer-tl cv --fold``.
        out: folder of the whole run; may be one of them.
        data_dir: where the dataset is now, for the groups that the intervals resample; default: where the runs found
            it.
        say: prints a line.

    Raises:
        UserError: fewer than two runs, runs of other settings, data or folds, a fold that is in none of them, that two
            of them trained with other results, or that is damaged, or other files in the folder.
    """
    if isinstance(run_dirs, str | Path):
        raise UserError(f"collect takes a list of run folders, such as [{str(run_dirs)!r}, ...], not a single one")
    target = RunFolder(Path(out))
    runs = _open_runs(run_dirs, target)
    first = runs[0]
    for other in runs[1:]:
        _refuse_other_run(first, other)
    sources, damaged = _choose_sources(runs, target)
    held_out = [load_predictions(run.part(name) / "predictions.npz").ids for name, run in sources.items()]
    ids = np.unique(np.concatenate(held_out))  # of a repeated cross validation each is held out several times
    for run in runs:
        # Checks them against the fold table.
        replaced = damaged if _is_same(run, target) else ()
        load_fold_predictions(run, ids, [name for name in run.done if name not in replaced])
    openings = _join([read_dated_openings(run.path) for run in runs])
    environments = _join([read_environments(run.path, say) for run in runs])
    with hold(target.path, say=say):
        target.start(replace(first.read_experiment(), run_dir=str(target.path)), first.read_run())
        if not (target.path / "folds.csv").is_file():
            _copy(first.path / "folds.csv", target.path / "folds.csv")
        for file, entries in ((ENVIRONMENT, environments), (OPENINGS, openings)):
            if entries:
                write_json(target.path / file, entries)
        for name, run in sources.items():
            say(f"{name}: {run.path}{' instead of the damaged one' if name in damaged else ''}")
            if name in damaged:
                (target.part(name) / RESULT).unlink(missing_ok=True)  # without which it is not done
            _copy_part(run, target, name)
        groups = _find_groups(runs, data_dir)
        from fer_tl.reports.run_report import UNGROUPED

        own = {example_id: example_id for example_id in ids.tolist()}
        return report_folds(target, ids, groups or own, say, "" if groups else UNGROUPED)


def _is_same(run: RunFolder, target: RunFolder) -> bool:
    return run.path.resolve() == target.path.resolve()


def _open_runs(run_dirs: Sequence[Path | str], target: RunFolder) -> list[RunFolder]:
    """The runs that are given, and the one that an earlier call began in the target."""
    runs = [RunFolder(Path(run_dir)) for run_dir in run_dirs]
    if len(runs) < 2:
        raise UserError("fer-tl collect joins two runs or more: fer-tl collect RUN RUN ... --out DIR")
    real = [run.path.resolve() for run in runs]
    for index, path in enumerate(real):
        if path in real[:index]:
            raise UserError(f"{runs[index].path} is given twice")
    refuse_strangers(target.path, "--out")
    begun = all((target.path / file).is_file() for file in ("run.json", "folds.csv"))
    if begun and target.path.resolve() not in real:
        runs.append(target)
    for run in runs:
        kind = run.read_run("class_names")["kind"]
        if kind != "cv":
            raise UserError(f"{run.path} is a run of fer-tl {kind}: only cross validations have folds to collect")
        run.refuse_edited()
    return runs


def _refuse_other_run(first: RunFolder, other: RunFolder) -> None:
    """Make sure that two runs are of the same experiment on the same folds of the same data."""
    both, one, two = f"{other.path} and {first.path}", first.read_run(), other.read_run()
    changed = differences(identity(first.read_experiment()), identity(other.read_experiment()))
    if changed:
        raise UserError(f"{both} are runs with other settings ({'; '.join(changed)}): they are not folds of one")
    if one["fingerprint"] != two["fingerprint"]:
        fingerprints = f"fingerprint {two['fingerprint'][:12]}, {one['fingerprint'][:12]}"
        raise UserError(f"{both} were trained on other builds of '{one['dataset']}' ({fingerprints})")
    for key in ("dataset", "class_names", "parts", "backend", "precision"):
        if one.get(key, two.get(key)) != two.get(key, one.get(key)):  # older runs lack some
            remedy = f": train both with --precision {one[key]}" if key == "precision" else ""
            raise UserError(f"{both} differ in '{key}': {two[key]}, {one[key]}{remedy}")
    tables = [_read_table(run) for run in (first, other)]
    if tables[0] != tables[1]:
        rows = sorted(tables[1] - tables[0]) or sorted(tables[0] - tables[1])
        raise UserError(
            f"{both} have other folds: {len(rows):,} of {len(tables[0]):,} rows of folds.csv differ, such as "
            f"{rows[0]}: copy the file again if one was damaged"
        )
    starts = [_starts(run) for run in (first, other)]
    if starts[0] and starts[1] and starts[0] != starts[1]:
        raise UserError(
            f"{both} started from other weights (kernels {', '.join(sorted(starts[1]))} and "
            f"{', '.join(sorted(starts[0]))}): give both the same file"
        )


def _read_table(run: RunFolder) -> set[str]:
    path = run.path / "folds.csv"
    try:
        return set(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): copy it again, or give the command of {run.path} again"
        ) from None


def _starts(run: RunFolder) -> set[str]:
    """Checksums of the pretrained kernels that a run started from; random ones may differ in their last bits."""
    entries = read_environments(run.path, lambda line: None)  # said where they are joined
    return {entry["kernel_checksum"] for entry in entries if entry.get("weights", "none") != "none"}


def _choose_sources(runs: Sequence[RunFolder], target: RunFolder) -> tuple[dict[str, RunFolder], set[str]]:
    """Where each fold is taken from, by its name; and those of which the target's own is damaged."""
    having = {name: [run for run in runs if run.is_done(name)] for name in runs[0].parts}
    damaged = set()
    for name, found in having.items():
        for run in list(found):
            try:
                _refuse_damaged(run, name)
            except UserError:
                if not _is_same(run, target) or len(found) == 1:
                    raise
                damaged.add(name)
                found.remove(run)
    missing = [name for name, found in having.items() if not found]
    if missing:
        failed = [
            f"{name} failed in {run.path}: {run.failures[name]}"
            for name in missing
            for run in runs
            if name in run.failures
        ]
        reasons = f" ({'; '.join(failed)})" if failed else ""
        raise UserError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} done in none of the runs{reasons}: train "
            f"with the same settings and --fold {missing[0].removeprefix('fold-')}, then collect again"
        )
    for name, (first, *others) in having.items():
        one = load_predictions(first.part(name) / "predictions.npz")
        for run in others:
            if not _same(one, load_predictions(run.part(name) / "predictions.npz")):
                raise UserError(
                    f"{name} of {first.path} and of {run.path} are two trainings with other predictions: move one of "
                    "these two folders away"
                )
    return {name: found[0] for name, found in having.items()}, damaged


def _same(one: Predictions, other: Predictions) -> bool:
    names = ("ids", "labels", "logits")
    equal = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
    return equal and one.class_names == other.class_names


def _refuse_damaged(run: RunFolder, name: str) -> None:
    """Make sure that a part arrived whole.

    Raises:
        UserError: naming the first file that is damaged.
    """
    folder = run.part(name)
    check_part(folder)
    load_predictions(folder / "predictions.npz")
    read_history(folder / "history.csv")
    if "files" not in read_result(folder):  # the model has no checksum of its own
        check_model(folder / "model.keras", f"copy that fold again, or {train_again(folder)}")


def _join(records: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Every entry of all runs once, oldest first."""
    found: list[dict[str, Any]] = []
    for entries in records:
        found += [entry for entry in entries if entry not in found]
    return sorted(found, key=lambda entry: str(entry["date"]))


def _copy_part(run: RunFolder, target: RunFolder, name: str) -> None:
    """Copy a fold; ``result.json`` comes last, without which it is not done."""
    for path in target.leftovers(name):
        path.unlink()
    if not target.is_done(name):
        for file in (TIMING, EVENTS, *PART_FILES):
            if (run.part(name) / file).is_file():  # older runs have less
                _copy(run.part(name) / file, target.part(name) / file)
        for path in target.leftovers(name):  # what is done needs no checkpoint any more
            path.unlink()


def _copy(source: Path, target: Path) -> None:
    write_atomically(target, partial(shutil.copyfile, source))


def _find_groups(runs: Sequence[RunFolder], data_dir: Path | str | None) -> dict[str, str]:
    """The group of each image by its id, empty if the dataset is nowhere."""
    for run in runs:
        try:
            found, _ = find_dataset(run, data_dir, "stream")  # no image is looked at
        except UserError:
            if data_dir:
                raise
            continue
        if found:
            return group_by_id(found.dataset)
    return {}


COMMAND = Command(collect, positional=("run_dirs",))
