"""How many labelled faces of ExpW the detectors find, and how much around them a model of FER-2013 wants to see.

usage: python benchmarks/face_detection.py EXPW_ZIP RUN [--photos 1000] [--model YUNET.onnx] [--write FILE]
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.faces.boxes import Box, Detector, Face
from fer_tl.faces.detection import open_detector
from fer_tl.inference.predict.find_faces import cut_faces
from fer_tl.inference.predict.smoothing import overlap
from fer_tl.inference.predictor import ExpressionModel, load

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # of label.lst, by number
MARGINS = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
FOUND = 0.5  # IoU from which a labelled box is found

Labelled = list[tuple[Box, str]]


def main() -> None:
    """Print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expw", type=Path, help="zip of photos with label/label.lst")
    parser.add_argument("run", type=Path, help="a run on FER-2013")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--model", type=Path, help="YuNet's model, to measure it too")
    parser.add_argument("--write", type=Path, help="also write the tables to this file")
    arguments = parser.parse_args()
    photos = read_photos(arguments.expw, arguments.photos)
    detectors = {"Haar": open_detector("haar"), "Haar, fast (videos)": open_detector("haar", fast=True)}
    if arguments.model:
        detectors["YuNet"] = open_detector("yunet", arguments.model)
        detectors["YuNet, fast (videos)"] = open_detector("yunet", arguments.model, fast=True)
    faces = sum(len(labelled) for _, labelled in photos)
    lines = [
        "# Face detectors on ExpW",
        "",
        f"{len(photos):,} photos drawn from {arguments.expw.name}, {faces:,} labelled faces. A labelled face is found "
        f"where a detected box has IoU >= {FOUND} with it. Not all faces of a photo are labelled, so the other boxes "
        "are faces and mistakes. Time is that of the processor, one photo at a time. Written by "
        "`benchmarks/face_detection.py`.",
        "",
        "| detector | found | of those of 48 pixels or more | other boxes a photo | ms a photo |",
        "|---|---:|---:|---:|---:|",
    ]
    matched = {}
    for name, detector in detectors.items():
        row, matched[name] = measure(detector, photos)
        lines.append(f"| {name} | {row} |")
    model = load(arguments.run)
    lines += ["", *margins(model, photos, matched, arguments.run.name)]
    print("\n".join(lines))
    if arguments.write:
        arguments.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_photos(path: Path, count: int) -> list[tuple[np.ndarray, Labelled]]:
    """Photos drawn at random, always the same, uint8 ``[H, W, 3]``, with the box and class of each labelled face."""
    labelled: dict[str, Labelled] = defaultdict(list)
    with zipfile.ZipFile(path) as archive:
        for line in archive.read("label/label.lst").decode().splitlines():
            name, _, top, left, right, bottom, _, label = line.split(" ")
            labelled[name].append((Box(int(top), int(left), int(bottom), int(right)), CLASSES[int(label)]))
        names = sorted(labelled)
        photos = []
        for i in np.random.default_rng(0).permutation(len(names))[:count]:
            with Image.open(io.BytesIO(archive.read(f"image/{names[i]}"))) as opened:
                photos.append((np.asarray(opened.convert("RGB")), labelled[names[i]]))
    return photos


def measure(detector: Detector, photos: list[tuple[np.ndarray, Labelled]]) -> tuple[str, list[list[Face | None]]]:
    """The cells of a detector's row, and the face that it found for each labelled one, photo by photo."""
    matched: list[list[Face | None]] = []
    others = 0
    began = time.process_time()
    found = [detector.find(image) for image, _ in photos]
    spent = time.process_time() - began
    for (_, labelled), faces in zip(photos, found, strict=True):
        nearest = [max(faces, key=lambda face, box=box: overlap(face.box, box), default=None) for box, _ in labelled]
        kept = [
            face if face is not None and overlap(face.box, box) >= FOUND else None
            for face, (box, _) in zip(nearest, labelled, strict=True)
        ]
        others += len(faces) - sum(face is not None for face in kept)
        matched.append(kept)
    pairs = [(box, face) for (_, labelled), kept in zip(photos, matched, strict=True)
             for (box, _), face in zip(labelled, kept, strict=True)]  # fmt: skip
    large = [face for box, face in pairs if box.bottom - box.top >= 48]
    share = np.mean([face is not None for _, face in pairs])
    of_large = np.mean([face is not None for face in large])
    cells = f"{share:.1%} | {of_large:.1%} | {others / len(photos):.2f} | {1000 * spent / len(photos):.0f}"
    return cells, matched


def margins(
    model: ExpressionModel,
    photos: list[tuple[np.ndarray, Labelled]],
    matched: dict[str, list[list[Face | None]]],
    run: str,
) -> list[str]:
    """Accuracy on the faces that a detector found, cut by its boxes and by the labelled ones, by margin."""
    lines = [
        f"Accuracy in per cent of {run}, trained on FER-2013, on the labelled faces that each detector found, by the "
        "margin around the box as a fraction of its size. All rows of a detector are about the same faces.",
        "",
        "| boxes | faces | " + " | ".join(f"{margin:g}" for margin in MARGINS) + " |",
        "|---|---:|" + "---:|" * len(MARGINS),
    ]
    for name, faces in matched.items():
        rows: dict[str, list[tuple[np.ndarray, Face, str]]] = {name: [], f"labelled, found by {name}": []}
        for (image, labelled), kept in zip(photos, faces, strict=True):
            for (box, label), face in zip(labelled, kept, strict=True):
                if face is not None:
                    rows[name].append((image, face, label))
                    rows[f"labelled, found by {name}"].append((image, Face(box, 1.0), label))
        for title, cut in rows.items():
            cells = []
            for margin in MARGINS:
                crops = [cut_faces(image, [face], model.image_shape, margin) for image, face, _ in cut]
                labels = model.answer(np.concatenate(crops)).labels
                right = np.mean([answer == label for answer, (_, _, label) in zip(labels, cut, strict=True)])
                cells.append(f"{100 * right:.1f}")
            lines.append(f"| {title} | {len(cut)} | {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
