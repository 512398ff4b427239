"""How many labelled faces of ExpW detectors find, and what margin and alignment are worth to the network that ships.

usage: python benchmarks/face_detection.py EXPW_ZIP [--photos 200] [--detector NAME ...] [--model YUNET.onnx]
       [--accuracy] [--write FILE]
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

from fer_tl.faces.boxes import Box, Detector, Face, overlap
from fer_tl.faces.detection import open_detector
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.predict.find_faces import cut_faces
from fer_tl.inference.predictor import load

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # of label.lst, by number
MARGINS = (-0.1, 0.0, 0.1, 0.2, 0.3, 0.4)
FOUND = 0.5  # IoU from which a labelled box is found
SAME = 0.4  # IoU from which two detectors mean one face

Labelled = list[tuple[Box, str]]
Photos = list[tuple[np.ndarray, Labelled]]


def main() -> None:
    """Print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expw", type=Path, help="zip of photos with label/label.lst")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--detector", action="append", default=[], help="a name, NAME,fast for videos, or a function")
    parser.add_argument("--model", type=Path, help="YuNet's model")
    parser.add_argument("--accuracy", action="store_true", help="also accuracy by margin and alignment")
    parser.add_argument("--write", type=Path, help="also write the tables to this file")
    arguments = parser.parse_args()
    photos = read_photos(arguments.expw, arguments.photos)
    found, spent = {}, {}
    for name in arguments.detector or ["haar", "mtcnn"]:
        base, _, fast = name.partition(",")
        detector = open_detector(base, arguments.model if base == "yunet" else None, fast=bool(fast))
        found[name], spent[name] = find(detector, photos)
        print(name, flush=True)
    lines = detection(photos, found, spent)
    if arguments.accuracy:
        lines += ["", *accuracy(photos, found)]
    print("\n".join(lines))
    if arguments.write:
        arguments.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_photos(path: Path, count: int) -> Photos:
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


def find(detector: Detector, photos: Photos) -> tuple[list[list[Face]], float]:
    """The faces of each photo, and milliseconds of the processor a photo, without those of the first call."""
    detector.find(photos[0][0])
    began = time.process_time()
    faces = [detector.find(image) for image, _ in photos]
    return faces, 1000 * (time.process_time() - began) / len(photos)


def match(labelled: Labelled, faces: list[Face]) -> list[Face | None]:
    """The face that was found for each labelled one, None where no box is near enough."""
    nearest = [max(faces, key=lambda face, box=box: overlap(face.box, box), default=None) for box, _ in labelled]
    return [
        face if face is not None and overlap(face.box, box) >= FOUND else None
        for face, (box, _) in zip(nearest, labelled, strict=True)
    ]


def detection(photos: Photos, found: dict[str, list[list[Face]]], spent: dict[str, float]) -> list[str]:
    """One row a detector: shares of labelled faces found, other boxes and how many of all are likely faces, time."""
    lines = [
        "| detector | found | of those of 48 px or more | other boxes a photo | precision | with eyes | ms a photo |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, faces in found.items():
        pairs, others, likely, boxes, eyes = [], 0, 0, 0, 0
        for index, (_, labelled) in enumerate(photos):
            kept = match(labelled, faces[index])
            pairs += [(box, face is not None) for (box, _), face in zip(labelled, kept, strict=True)]
            rest = [face for face in faces[index] if face not in kept]
            seconds = [found[other][index] for other in found if kind(other) != kind(name) and "," not in other]
            likely += sum(sum(seen(face, second) for second in seconds) >= 2 for face in rest)
            others, boxes = others + len(rest), boxes + len(faces[index])
            eyes += sum(face.tilt is not None for face in faces[index])
        large = [there for box, there in pairs if box.bottom - box.top >= 48]
        cells = [
            f"{np.mean([there for _, there in pairs]):.1%}", f"{np.mean(large):.1%}", f"{others / len(photos):.2f}",
            f"{(boxes - others + likely) / boxes:.0%}", f"{eyes / boxes:.0%}", f"{spent[name]:.0f}",
        ]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def kind(name: str) -> str:
    """Of detectors that are alike, one name: two sets of the same weights are no two witnesses."""
    return name.rpartition(":")[2].partition(",")[0]


def seen(face: Face, faces: list[Face]) -> bool:
    """Whether another detector has a face in this place."""
    return any(overlap(face.box, other.box) >= SAME for other in faces)


def accuracy(photos: Photos, found: dict[str, list[list[Face]]]) -> list[str]:
    """Accuracy of the network that ships on labelled faces that all detectors found, by margin, aligned or not."""
    model = load()
    kept = {
        name: [match(labelled, faces[i]) for i, (_, labelled) in enumerate(photos)] for name, faces in found.items()
    }
    rows: dict[str, list[tuple[np.ndarray, Face, str]]] = defaultdict(list)
    for i, (image, labelled) in enumerate(photos):
        for k, (box, label) in enumerate(labelled):
            mine = {name: faces[i][k] for name, faces in kept.items()}
            if all(mine.values()):
                rows["labelled boxes"].append((image, Face(box, 1.0), label))
                for name, face in mine.items():
                    rows[name].append((image, face, label))
    lines = [
        f"Accuracy in per cent on {len(rows['labelled boxes']):,} labelled faces, by the margin on each side of a box.",
        "",
        "| boxes | " + " | ".join(f"{margin:g}" for margin in MARGINS) + " |",
        "|---|" + "---:|" * len(MARGINS),
    ]
    for name, cut in rows.items():
        for align in (False, True)[: 1 + any(face.tilt is not None for _, face, _ in cut)]:
            cells = []
            for margin in MARGINS:
                recipe = FaceRecipe(margin=margin, cutter="boxes", align=align)
                crops = [cut_faces(image, [face], model.image_shape, recipe) for image, face, _ in cut]
                labels = model.answer(np.concatenate(crops)).labels
                right = np.mean([answer == label for answer, (_, _, label) in zip(labels, cut, strict=True)])
                cells.append(f"{100 * right:.1f}")
            lines.append(f"| {name}{', aligned' * align} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
