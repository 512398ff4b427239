"""How much exact twins across folds flatter a cross validation: its accuracy with and without images that have one.

usage: python benchmarks/twin_effect.py RUN --data-dir DATA
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from pathlib import Path

import numpy as np

from fer_tl.data.dataset import load_dataset
from fer_tl.data.folds import read_folds
from fer_tl.training.run_folder import RunFolder, load_predictions


def main() -> None:
    """Print three accuracies: all out-of-fold images, those with an exact twin in a training fold, and the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", default="data")
    arguments = parser.parse_args()
    run = RunFolder(arguments.run)
    dataset = load_dataset(run.read_run()["dataset"], arguments.data_dir, "train")
    folds_of_image = defaultdict(set)
    digests = [hashlib.sha256(image.tobytes()).digest() for image in dataset.images]
    for fold, digest in zip(read_folds(run.path / "folds.csv", dataset.ids), digests, strict=True):
        folds_of_image[digest].add(int(fold))
    has_twin = {str(n): len(folds_of_image[d]) > 1 for n, d in zip(dataset.ids, digests, strict=True)}
    right, twin = [], []
    for part in run.parts:
        predictions = load_predictions(run.part(part) / "predictions.npz")
        right.append(predictions.logits.argmax(axis=1) == predictions.labels)
        twin.append(np.array([has_twin[str(name)] for name in predictions.ids]))
    answers, twins = np.concatenate(right), np.concatenate(twin)
    for text, chosen in (
        ("all images", np.ones_like(twins)),
        ("with an exact twin in another fold", twins),
        ("without", ~twins),
    ):
        print(f"{text}: {chosen.sum():,} images, accuracy {answers[chosen].mean():.4f}")


if __name__ == "__main__":
    main()
