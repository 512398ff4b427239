"""The parameters of the estimator: the settings of a training that make sense for arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import flatten, walk
from fer_tl.core.errors import BadValue, UserError, suggest
from fer_tl.core.options import from_raw
from fer_tl.runs.run_file import ARRAYS

# What is of a dataset on disk, of folds, of several machines, or has a parameter of its own.
_ELSEWHERE = {
    "backbone", "cache_limit", "classes", "cluster_secret", "data", "data_dir", "executor",
    "executor_options", "fold", "fold_seed", "fold_table",
    "folds", "group_folds", "input", "jobs", "repeats", "run_dir", "seed", "seeds", "track", "worker",
    "workers",
}  # fmt: skip


def parameter_of(key: str) -> str:
    """``optimizer.rate`` as scikit-learn spells a parameter of a part: ``optimizer__rate``."""
    return key.replace(".", "__")


DEFAULTS: dict[str, Any] = {
    parameter_of(key): default
    for key, _, default, *_ in walk()
    if key not in _ELSEWHERE and not key.startswith("distill.")
}
"""The settings that are parameters of the estimator, with their defaults."""


def spread(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with those of a group, ``head={"dense": [32]}``, under their own names, ``head__dense``."""
    groups = {name.partition("__")[0] for name in DEFAULTS if "__" in name}
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in groups and isinstance(value, Mapping):
            found |= {parameter_of(key): inner for key, inner in flatten({name: dict(value)}).items()}
        else:
            found[parameter_of(name)] = value
    return found


def refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], kind: type[Exception]) -> None:
    """Raise ``kind`` for a parameter that there is not, with the nearest one."""
    for name in given:
        if name not in known:
            near = suggest(name.replace("__", "."), [each.replace("__", ".") for each in known])
            raise kind(f"Classifier has no parameter '{name}'{parameter_of(near)}")


def add_to_signature(function: Any) -> None:
    """Let a constructor that takes ``**options`` name each of them, for scikit-learn, help() and editors."""
    signature = inspect.signature(function)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(name, keyword, default=default) for name, default in DEFAULTS.items()]
    function.__signature__ = signature.replace(parameters=[*named, *options])


def experiment_of(parameters: Mapping[str, Any], seed: int) -> Experiment:
    """The experiment of an estimator's parameters.

    Args:
        parameters: by name; numbers may be NumPy's, as those of a grid are.
        seed: of weights, order, augmentation and dropout.

    Raises:
        BadValue: a value that no training could use.
    """
    values = {name.replace("__", "."): parameters[name] for name in ("backbone", *DEFAULTS)}
    try:
        if parameters["strategy"] == "multiworker":
            raise UserError("'strategy' multiworker is for fer-tl cv and train: an estimator trains on one machine")
        return from_raw({"data": ARRAYS, "seed": seed, **{key: _plain(value) for key, value in values.items()}})
    except UserError as error:
        raise BadValue(str(error)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
