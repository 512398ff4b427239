"""How often the interval of the calibration error holds the true one, on drawn answers whose true error is known.

usage: python benchmarks/calibration_intervals.py [--draws 200]

Confidences are drawn evenly from 0.6 to 0.95, and answers are right that much less often: by nothing, 2 or 5 points,
which is the true error. Beside the interval stands the plain one, the quantiles of the resamples.
"""

from __future__ import annotations

import argparse

import numpy as np

from fer_tl.evaluation.intervals import bootstrap_intervals, bootstrap_scores
from fer_tl.evaluation.measures import MEASURES
from fer_tl.runs.predictions import Predictions

NAME = "calibration_error"


def main() -> None:
    """Print a row for each number of images and true error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    print("| images | true error | interval holds it | plain one holds it | plain one holds the estimate |")
    print("|---:|---:|---:|---:|---:|")
    for count in (600, 3589):
        for true in (0.0, 0.02, 0.05):
            found = np.mean([trial(count, true, seed) for seed in range(draws)], axis=0)
            print(f"| {count:,} | {true:.0%} | {' | '.join(f'{share:.0%}' for share in found)} |", flush=True)


def trial(count: int, true: float, seed: int) -> tuple[bool, bool, bool]:
    """Whether the interval holds the true error, the plain one does, and the plain one holds the estimate."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.6, 0.95, count)
    labels = np.where(rng.random(count) < confidence - true, 0, 1)
    logits = np.stack([np.log(confidence / (1 - confidence)), np.zeros(count)], axis=1).astype(np.float32)
    predictions = Predictions(np.arange(count).astype(str), labels, logits, ("a", "b"))
    low, high = bootstrap_intervals(predictions, predictions.ids, [NAME], resamples=400)[NAME]
    below, above = np.quantile(
        bootstrap_scores(predictions, predictions.ids, [NAME], resamples=400)[NAME], [0.025, 0.975]
    )
    value = MEASURES[NAME].value(predictions)
    return low <= true <= high, bool(below <= true <= above), bool(below <= value <= above)


if __name__ == "__main__":
    main()
