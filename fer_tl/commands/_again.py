"""The settings of a finished run for another training of the whole of it, for the commands that train it again."""

from __future__ import annotations

from dataclasses import replace

from fer_tl.core.config import Experiment
from fer_tl.runs.folder import RunFolder


def settings_again(source: RunFolder) -> Experiment:
    """What a run was trained by: in the precision that a trial chose for it, all folds, on this machine alone where
    there were several, and told to no tracker that might be missing here."""
    experiment = source.read_experiment()
    precision = source.precision(experiment.precision)
    whole = replace(
        experiment,
        precision=precision,  # type: ignore[arg-type]
        fold=None,
        worker=None,
        track=Experiment().track,
    )
    return replace(whole, strategy="auto", workers=None, cluster_secret=None) if experiment.workers else whole
