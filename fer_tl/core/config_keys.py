"""An experiment as keys and values: what its options are called, what makes it another run, and its YAML."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, get_type_hints

from fer_tl.core.config import Experiment

# Where a run is read, written and told of, on what it runs and what its user consents to do not change what it is.
PLACES = (
    "data_dir",
    "run_dir",
    "strategy",
    "workers",
    "cluster_secret",
    "worker",
    "input",
    "fold",
    "jobs",
    "executor",
    "executor_options",
    "seeds",
    "accept_licence",
    "cache_limit",
    "track",
)


Option = tuple[str, Any, Any, str, tuple[float, float] | None]


@functools.cache
def walk(cls: type = Experiment, prefix: str = "") -> tuple[Option, ...]:
    """All options as (dotted name, type, default, help text, limits), groups flattened."""
    hints, found = get_type_hints(cls), list[Option]()
    for item in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[item.name]):
            found += walk(hints[item.name], f"{prefix}{item.name}.")
        else:
            text, limits = item.metadata["help"], item.metadata["limits"]
            found.append((f"{prefix}{item.name}", hints[item.name], item.default, text, limits))
    return tuple(found)


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain nested dictionary, tuples as lists: what is written to ``config.yaml``."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return list(value) if isinstance(value, tuple) else value

    return plain(dataclasses.asdict(experiment))


def alone(experiment: Experiment) -> Experiment:
    """The experiment by one process, whatever trains its folds or others of its runs beside it."""
    return dataclasses.replace(experiment, jobs=None, executor="local", executor_options=None)


def dump_yaml(experiment: Experiment) -> str:
    """The experiment as a YAML file that ``load_experiment`` reads back."""
    import yaml

    return str(yaml.safe_dump(to_dict(experiment), sort_keys=False, default_flow_style=None))


def identity(experiment: Experiment) -> dict[str, Any]:
    """What makes a run this run, by dotted name: all settings but the places. A ``fold_seed`` that is the ``seed``
    anyway is none."""
    found = {key: value for key, value in flatten(to_dict(experiment)).items() if key not in PLACES}
    return found | ({"fold_seed": None} if experiment.fold_seed == experiment.seed else {})


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The settings that two identities do not share, as ``epochs 8 -> 9``."""
    return [f"{key} {before[key]} -> {now[key]}" for key in now if key in before and before[key] != now[key]]


def own_settings(experiment: Experiment) -> dict[str, Any]:
    """Of its identity what is not the default: the same in a later version, which has more options, so that this one's
    folders and checkpoints are found again by it."""
    defaults = identity(Experiment())
    return {key: value for key, value in identity(experiment).items() if value != defaults[key]}


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"head": {"dense": []}}`` to ``{"head.dense": []}``."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
