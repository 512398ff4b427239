"""A sweep: one YAML file that spans a grid of runs, one for each cell."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import flatten, identity
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.option_words import listed
from fer_tl.core.options import flatten_known, from_raw, read_mapping
from fer_tl.models.resolve import default_weights

COMMANDS = ("cv", "train")
# What a cell cannot say: all cells lie whole in the sweep's folder, read the same data folder, run on the same machines
# and are told of in the same places.
SHARED = (
    "run_dir",
    "data_dir",
    "strategy",
    "workers",
    "worker",
    "fold",
    "jobs",
    "executor",
    "executor_options",
    "seeds",
    "track",
)

Axis = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: where it stands on each axis, and what it runs."""

    labels: tuple[str, ...]
    experiment: Experiment

    @property
    def name(self) -> str:
        """Name of its run folder inside the sweep's."""
        return _name(self.labels)


@dataclass(frozen=True)
class Sweep:
    """A grid of runs.

    Attributes:
        name: of the file, without its ending.
        command: ``cv`` or ``train``, what every cell runs.
        axes: names of the axes.
        cells: the product of the axes, the last one changing fastest.
        ensemble: whether the table ends with the soft vote of all cells.
        run_dir: folder of the sweep; each cell's run is a folder in it.
    """

    name: str
    command: Literal["cv", "train"]
    axes: tuple[str, ...]
    cells: tuple[Cell, ...]
    ensemble: bool
    run_dir: Path


def read_sweep(path: Path, overrides: dict[str, Any] | None = None) -> Sweep:
    """Read and check a sweep with all its cells.

    The file is a config file with one more key::

        sweep:
          command: train                  # or cv
          axes:
            activation: [relu, elu]       # an option and its values
            optimizer:                    # or names for several options at once
              plain: {optimizer.name: adam}
              clipped: {optimizer.name: adam, optimizer.clip: 1}
          ensemble: false                 # add the soft vote of all cells

    Args:
        path: the YAML file.
        overrides: values by dotted name that replace those of the file, in every cell.

    Raises:
        UserError: no such file, no sweep in it, an unknown key, a value that no run could use, or two axes (or an axis
            and an override) that set the same option.
    """
    content = read_mapping(path)
    spec = content.pop("sweep", None)
    if spec is None:
        raise UserError(f"{path} has no 'sweep' key, it is a single run: use fer-tl cv or train --config {path}")
    command, axes, ensemble = _read_spec(spec, path)
    base = flatten_known(content, str(path)) | (overrides or {})
    if base.get("fold") is not None:
        raise UserError(f"{path}: a sweep trains all folds of every cell: leave 'fold' out")
    axes = _with_seeds(axes, base, path)
    for name, axis in axes.items():
        for key in sorted({key for values in axis.values() for key in values} & set(overrides or {})):
            raise UserError(f"'{key}' is what the axis '{name}' of {path} varies: leave it out, or change the file")
    cells = []
    for chosen in itertools.product(*(axis.items() for axis in axes.values())):
        settings = {key: value for _, values in chosen for key, value in values.items()}
        labels = tuple(label for label, _ in chosen)
        try:
            cells.append(Cell(labels, _experiment(base | settings)))
        except UserError as error:
            raise UserError(f"{path}, cell {_name(labels)}: {error}") from None
    run_dir = Path(cells[0].experiment.run_dir or _default_folder(path.stem, command, cells))
    placed = tuple(
        replace(cell, experiment=replace(cell.experiment, run_dir=str(run_dir / cell.name))) for cell in cells
    )
    return Sweep(path.stem, command, tuple(axes), placed, ensemble, run_dir)


def _experiment(settings: dict[str, Any]) -> Experiment:
    """Of a cell, whose backbone starts from random weights where nothing names others and none are published."""
    found = from_raw(settings)
    return found if "weights" in settings else replace(found, weights=default_weights(found.backbone)[0])


def _with_seeds(axes: dict[str, Axis], base: dict[str, Any], path: Path) -> dict[str, Axis]:
    """The axes of a sweep, with one more for the option ``seeds``, which is taken out of ``base``."""
    given = base.pop("seeds", None)
    if given is None:
        return axes
    for name, axis in axes.items():
        if any(key in ("seed", "fold_seed") for values in axis.values() for key in values):
            raise UserError(f"{path}: the axis '{name}' sets seeds, and 'seeds' does too: use one of them")
    experiment = from_raw({key: base[key] for key in ("seed", "fold_seed", "fold_table") if key in base})
    return {**axes, "seed": _seed_axis(experiment, given)}


def _seed_axis(experiment: Experiment, given: Any) -> Axis:
    seeds = parse_seeds(given)
    if experiment.seed != Experiment().seed:
        raise UserError(f"'seed' {experiment.seed} is one and 'seeds' are several: use one of them")
    is_given = experiment.fold_table or experiment.fold_seed is not None
    same = {} if is_given else {"fold_seed": seeds[0]}
    return {f"seed-{seed}": {"seed": seed, **same} for seed in seeds}


def parse_seeds(given: Any) -> tuple[int, ...]:
    """The option ``seeds``, as a list or as text such as ``0,1,2``.

    Raises:
        UserError: fewer than two, one of them twice, or what is no seed.
    """
    texts = listed(given)
    seeds = [int(text) if text.isdecimal() and text.isascii() else -1 for text in texts]
    if len(seeds) < 2 or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        shown = given if isinstance(given, str) else ", ".join(texts)
        raise UserError(
            f"'seeds' should be two or more different whole numbers from 0, such as 0,1,2, but is '{shown}'"
        )
    return tuple(seeds)


def grid_of_seeds(experiment: Experiment, command: Literal["cv", "train"]) -> Sweep:
    """The runs of an experiment with ``seeds``, one for each: a sweep along them alone.

    Raises:
        UserError: seeds that cannot be, or a ``fold``, of which each run would train one.
    """
    if experiment.fold is not None:
        raise UserError(f"'fold' {experiment.fold} is of a single run, 'seeds' are several: leave one of them out")
    axis = _seed_axis(experiment, experiment.seeds)
    runs = [replace(experiment, seeds=None, **settings) for settings in axis.values()]
    stem = f"{experiment.data.replace('/', '-')}-{experiment.backbone}-seeds"
    cells = [Cell((label,), run) for label, run in zip(axis, runs, strict=True)]
    run_dir = Path(experiment.run_dir or _default_folder(stem, command, cells))
    placed = (replace(cell, experiment=replace(cell.experiment, run_dir=str(run_dir / cell.name))) for cell in cells)
    return Sweep(stem, command, ("seed",), tuple(placed), False, run_dir)


def _name(labels: tuple[str, ...]) -> str:
    return "-".join(labels)


def _read_spec(spec: Any, path: Path) -> tuple[Literal["cv", "train"], dict[str, Axis], bool]:
    known = ("command", "axes", "ensemble")
    if not isinstance(spec, dict) or not isinstance(spec.get("axes"), dict) or not spec["axes"]:
        raise UserError(f"{path}: 'sweep' needs 'axes', such as axes: {{activation: [relu, elu]}}")
    for key in spec:
        if key not in known:
            raise UserError(f"{path}: unknown key 'sweep.{key}'{suggest(str(key), known)}")
    command, ensemble = spec.get("command"), spec.get("ensemble", False)
    if command not in COMMANDS:
        raise UserError(f"{path}: 'sweep.command' should be one of {', '.join(COMMANDS)}, but is '{command}'")
    if not isinstance(ensemble, bool):
        raise UserError(f"{path}: 'sweep.ensemble' should be true or false, but is '{ensemble}'")
    axes = {str(name): _read_axis(str(name), values, path) for name, values in spec["axes"].items()}
    set_by: dict[str, str] = {}
    for name, axis in axes.items():
        for key in sorted({key for values in axis.values() for key in values}):
            if key in set_by:
                raise UserError(f"{path}: the axes '{set_by[key]}' and '{name}' both set '{key}'")
            if key in SHARED:
                raise UserError(f"{path}: axis '{name}' sets '{key}', which all runs of a sweep share")
            set_by[key] = name
    return command, axes, ensemble


def _read_axis(name: str, values: Any, path: Path) -> Axis:
    """The settings of each cell of an axis, by label."""
    where = f"{path}: sweep axis '{name}'"
    if isinstance(values, list) and values:
        axis = {_label(value): flatten_known({name: value}, where) for value in values}
        if len(axis) < len(values):
            raise UserError(f"{where} holds a value twice")
    elif isinstance(values, dict) and values:
        axis = {}
        for label, settings in values.items():
            if not isinstance(settings, dict):
                raise UserError(f"{where}: '{label}' should hold settings such as {{optimizer.name: sgd}}")
            axis[str(label)] = flatten_known(flatten(settings), f"{where}, '{label}'")
    else:
        raise UserError(f"{where} should be a list of values, or names with settings")
    for label in axis:
        if not re.fullmatch(r"[\w.+]+", label):
            raise UserError(f"{where}: '{label}' cannot name a folder; write the axis as names with settings")
    return axis


def _label(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else "default" if value is None else str(value)


def _default_folder(stem: str, command: str, cells: list[Cell]) -> str:
    settings = json.dumps([command, [[cell.labels, identity(cell.experiment)] for cell in cells]], sort_keys=True)
    return f"runs/{stem}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"
