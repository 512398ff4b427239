"""Another framework's classifier, for ``fer-tl import-predictions``: histograms of gradients by OpenCV and a linear
discriminant analysis by scikit-learn, trained on train; writes probabilities of the validation split.

usage: python benchmarks/hog_lda.py OUT.csv [--data fer2013] [--data-dir data]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fer_tl.data.dataset import load_dataset


def main() -> None:
    """Train, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="fer2013", help="grey images of 48x48")
    parser.add_argument("--data-dir", default="data")
    given = parser.parse_args()
    train, held_out = (load_dataset(given.data, given.data_dir, split) for split in ("train", "validation"))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features(train.images), train.labels)
    with given.out.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", *held_out.class_names])
        for identity, shares in zip(held_out.ids, model.predict_proba(features(held_out.images)), strict=True):
            rows.writerow([identity, *(f"{share:.6f}" for share in shares)])


def features(images: np.ndarray) -> np.ndarray:
    """Histograms of gradients of grey images ``[N, 48, 48, 1]``: float32 ``[N, 900]``."""
    hog = cv2.HOGDescriptor((48, 48), (16, 16), (8, 8), (8, 8), 9)
    return np.stack([hog.compute(np.ascontiguousarray(image[..., 0])).ravel() for image in images])


if __name__ == "__main__":
    main()
