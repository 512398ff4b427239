"""What weights between those of a network and of the same one trained further are worth, on plain and corrupted images.

usage: python benchmarks/blended_weights.py FIRST.keras SECOND.keras DATASET [--data-dir DATA] [--images 1500]
       [--shares 0 0.2 1]

M. Wortsman et al., Robust fine-tuning of zero-shot models (CVPR 2022): on the way from one to the other, accuracy on
corrupted images may rise before that on plain ones falls. Scored on the validation split, which neither has learnt.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fer_tl.core.framework import import_backend
from fer_tl.data.dataset import load_dataset
from fer_tl.inference.stress.corruptions import CORRUPTIONS

SHARES = (0.0, 0.2, 0.35, 0.5, 0.7, 1.0)
SHOWN = (("noise", 2), ("blur", 3), ("small", 3), ("jpeg", 3))


def main() -> None:
    """Print one row for each share of the second network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs=2, type=Path)
    parser.add_argument("data")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of the second; above 1 beyond it")
    given = parser.parse_args()
    import_backend()
    import keras

    from fer_tl.models.folding import fold_batch_norm
    from fer_tl.runs.saved_model import load_model

    (first, names), (second, others) = map(load_model, given.models)
    if names != others:
        parser.exit(2, "the models know different classes\n")
    dataset = load_dataset(given.data, given.data_dir, "validation")
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[: given.images])
    labels = np.array([names.index(dataset.class_names[label]) for label in dataset.labels[rows]])
    plain = np.asarray(dataset.images[rows])  # [N, H, W, C]
    shown = {"as they are": plain, "mirrored": plain[:, :, ::-1]}
    for name, severity in SHOWN:
        pairs = zip(plain, dataset.ids[rows].tolist(), strict=True)
        shown[f"{name} {severity}"] = np.stack([CORRUPTIONS[name].apply(image, severity, of) for image, of in pairs])
    print(f"| share of {given.models[1].parent.parent.name} | {' | '.join(shown)} |")
    print("|---:|" + "---:|" * len(shown))
    mixed = keras.models.clone_model(first)
    for share in given.shares:
        pairs = zip(first.get_weights(), second.get_weights(), strict=True)
        mixed.set_weights([(1 - share) * one + share * other for one, other in pairs])
        network = fold_batch_norm(mixed)
        answers = (network.predict(each.astype(np.float32), 256, verbose=0).argmax(axis=1) for each in shown.values())
        print(f"| {share:g} | {' | '.join(f'{100 * (each == labels).mean():.1f} %' for each in answers)} |", flush=True)


if __name__ == "__main__":
    main()
