"""How much leakage is worth: the same model cross-validated with random folds and with folds that keep groups whole.

usage: python benchmarks/leakage.py OUT [--seeds 2] -- --config liu_3conv --data-dir DATA --epochs 8

What follows `--` are options of `fer-tl cv`. The runs go to OUT/seed-N-random and OUT/seed-N-grouped; the same command
continues where it was interrupted, and only reports what is done. Both arms train on the same images; folds, weights
and order are drawn anew for each seed. Groups are copies, faces of one photo, and persons where the build knows them;
`draw_persons.py` draws faces of persons.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_tl.cli import parse
from fer_tl.commands.cv import cross_validate
from fer_tl.core.config import Experiment
from fer_tl.core.options import from_flat
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.folds import read_folds
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_fold_predictions

RESAMPLES = 5000
ARMS = {"random": False, "grouped": True}


def main() -> None:
    """Train what is not done, then print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    given = [*sys.argv[1:], "--"]
    middle = given.index("--")
    arguments = parser.parse_args(given[:middle])
    values = parse(["cv", *given[middle + 1 : -1]])[1]
    values.pop("config")
    experiment = from_flat(values)
    if experiment.repeats > 1:
        raise SystemExit("--seeds repeats both arms here, not --repeats")
    for seed in range(arguments.seeds):
        for arm, grouped in ARMS.items():
            place = str(arguments.out / f"seed-{seed}-{arm}")
            cross_validate(replace(experiment, seed=seed, group_folds=grouped, run_dir=place), _brief)
    report(experiment, arguments.out, arguments.seeds)


def report(experiment: Experiment, out: Path, seeds: int) -> None:
    """Print accuracies of both arms and their difference: of all images, of those that leak, and of the others."""
    dataset = load_dataset(experiment.data, experiment.data_dir, "train")
    right = {arm: np.stack([read_right(out / f"seed-{seed}-{arm}", dataset) for seed in range(seeds)]) for arm in ARMS}
    leaks = np.stack([find_leaks(out / f"seed-{seed}-random", dataset) for seed in range(seeds)])  # [S, N]
    print(f"\n{experiment.backbone} on {dataset.name}, {len(dataset):,} images, {seeds} seeds")
    rows = {
        "all images": np.ones_like(leaks),
        "one of the group in another random fold": leaks,
        "none of the group in another fold": ~leaks,
    }
    groups, sizes = np.unique(dataset.groups, return_counts=True)
    print(f"{len(groups):,} groups of {sizes.min():,} to {sizes.max():,} images")
    print("| out of fold | images | random folds | grouped folds | difference (95 %) |")
    print("|---|---:|---:|---:|---:|")
    for name, chosen in rows.items():
        if not chosen.any():  # of a few persons with many images each, some are in every random fold
            continue
        random, grouped = (100 * right[arm][chosen].mean() for arm in ARMS)
        low, high = difference_interval(right["random"] - right["grouped"], chosen, dataset.groups)
        number = chosen.sum() / seeds
        print(
            f"| {name} | {number:,.0f} | {random:.1f} % | {grouped:.1f} % | "
            f"{random - grouped:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}) |"
        )
    for seed in range(seeds):
        pair = [100 * right[arm][seed].mean() for arm in ARMS]
        print(f"seed {seed}: random {pair[0]:.2f} %, grouped {pair[1]:.2f} %, {pair[0] - pair[1]:+.2f} points")


def read_right(run_dir: Path, dataset: Dataset) -> np.ndarray:
    """Whether each image was answered rightly out of fold, float64 [N], in the order of the dataset."""
    folds = load_fold_predictions(RunFolder(run_dir), dataset.ids)
    found = {
        str(name): float(answer == label)
        for fold in folds
        for name, answer, label in zip(fold.ids, fold.logits.argmax(axis=1), fold.labels, strict=True)
    }
    return np.array([found[str(name)] for name in dataset.ids])


def find_leaks(run_dir: Path, dataset: Dataset) -> np.ndarray:
    """Whether an image has another of its group in a fold that its model was trained on, bool [N]."""
    assigned = read_folds(run_dir / "folds.csv", dataset.ids)
    member_of = np.unique(dataset.groups, return_inverse=True)[1]  # [N]
    table = np.zeros((member_of.max() + 1, assigned.max() + 1), dtype=np.int64)  # [G, F]
    np.add.at(table, (member_of, assigned), 1)
    return np.asarray(table.sum(axis=1)[member_of] > table[member_of, assigned])


def difference_interval(difference: np.ndarray, chosen: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap of a mean paired difference [S, N] over the chosen ones, resampling groups.

    It holds for other images; how much another training would differ is what the seeds show.
    """
    member_of = np.unique(groups, return_inverse=True)[1]  # [N]
    sums = np.bincount(member_of, (difference * chosen).sum(axis=0))  # [G]
    sizes = np.bincount(member_of, chosen.sum(axis=0))  # [G]
    rng = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(sums), len(sums))
        means.append(sums[drawn].sum() / max(sizes[drawn].sum(), 1))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _brief(line: str) -> None:
    if "\n" not in line:
        print(line, flush=True)


if __name__ == "__main__":
    main()
