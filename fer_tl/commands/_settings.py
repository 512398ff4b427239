"""The experiment of a call from Python, which may name settings in place of one, or beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.core.say import Say
from fer_tl.models.resolve import default_weights


def settle(experiment: Experiment | None, settings: Mapping[str, Any], say: Say) -> Experiment | None:
    """The experiment that a call means.

    Args:
        experiment: that was given, if any.
        settings: by name, as ``load_experiment`` takes them; they hold in place of the experiment's. Without an
            experiment and without ``data`` they are of the only dataset of photographs that is built, and without
            ``weights`` a backbone that has no published ones starts from random ones.
        say: prints a line.

    Raises:
        UserError: something else than an experiment, an unknown setting, or a value that no run could use.
    """
    if not settings:
        return experiment
    if experiment is not None and not isinstance(experiment, Experiment):
        raise UserError(
            f"an experiment comes from fer_tl.load_experiment(...), but this is a {type(experiment).__name__}"
        )
    found = load_experiment(experiment, **settings)
    if experiment is None and "weights" not in settings:
        weights, line = default_weights(found.backbone)
        if line:
            found = load_experiment(found, weights=weights)
            say(line)
    if experiment is not None and "data" not in settings:
        return found
    from fer_tl.data.choose_dataset import choose_dataset

    name = choose_dataset(settings.get("data"), found.data_dir, say)
    if "data" not in settings:
        say(f"data: {name}; data=NAME takes another")
    return load_experiment(found, data=name)
