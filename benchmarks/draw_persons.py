"""Drawn faces of persons, whose looks are drawn without regard to their expressions and stay from image to image.

usage: python benchmarks/draw_persons.py OUT [--persons 30] [--images 40] [--seed 7]
       fer-tl build folder/persons --source OUT --group-regex '(P[0-9]+)_' --duplicates keep

OUT gets class folders of PNG files called P007_00312.png: person and number. Features, tones, hair, glasses, and how
far a feature goes with an expression belong to the person; expression, its intensity, pose, light, blur, noise to the
image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.sources.toyfaces.drawing import CLASS_NAMES, draw_faces


def main() -> None:
    """Draw and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--persons", type=int, default=30)
    parser.add_argument("--images", type=int, default=40, help="of each person")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    persons = np.repeat(np.arange(arguments.persons), arguments.images)
    images, labels = draw_faces(len(persons), arguments.seed, persons=persons)
    for name in CLASS_NAMES:
        (arguments.out / name).mkdir(parents=True, exist_ok=True)
    for number, (image, label, person) in enumerate(zip(images, labels.tolist(), persons.tolist(), strict=True)):
        Image.fromarray(image[:, :, 0]).save(arguments.out / CLASS_NAMES[label] / f"P{person:03d}_{number:05d}.png")
    print(f"{len(persons):,} images of {arguments.persons} persons: {arguments.out}")


if __name__ == "__main__":
    main()
