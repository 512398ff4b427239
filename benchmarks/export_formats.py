"""Every backbone of the registry in every format: size, difference to the original, agreement, time for an image.

usage: python benchmarks/export_formats.py [--backbones mobilenetv2 ...] [--images 128] [--side 48]

Weights are random, so answers hang on small differences, and int8 figures are no measure of what int8 costs a trained
model: `fer-tl export --int8` measures that. Each .keras file is also opened by a process that knows Keras alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.quiet import import_tensorflow
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.export.formats import FORMATS
from fer_tl.inference.export.parity import compare_probabilities, run_batched, time_one
from fer_tl.models.backbones import BACKBONES

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
OPEN = "import keras, sys; keras.models.load_model(sys.argv[1]); sys.exit('fer_tl' in sys.modules)"


def main() -> None:
    """Print a row for each backbone and format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--side", type=int, default=48)
    arguments = parser.parse_args()
    import_tensorflow()
    print("| backbone | input | format | MB | max difference | agreement | ms an image |")
    print("|---|---:|---|---:|---:|---:|---:|", flush=True)
    for name in arguments.backbones:
        with tempfile.TemporaryDirectory() as place:
            compare(name, arguments.images, arguments.side, Path(place))


def compare(name: str, count: int, side: int, place: Path) -> None:
    """Export a backbone with random weights in all formats, and compare each with the model as it was built."""
    import keras

    from fer_tl.inference.export.network import build_network, open_exported, write_model
    from fer_tl.models.classifier import build_classifier
    from fer_tl.runs.saved_model import save_model

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = build_classifier(Experiment(backbone=name, weights="none"), (side, side, 1), len(CLASSES), None).model
    rng = np.random.default_rng(0)
    images = patches(count, side, rng)
    settle(model, images)
    save_model(model, CLASSES, place / "original.keras")
    logits = np.concatenate([np.asarray(model(images[i : i + 32], training=False)) for i in range(0, count, 32)])
    temperature = float(logits.std())  # probabilities that are neither 0 nor 1
    original = np.asarray(keras.ops.softmax(logits / temperature))
    for int8 in (False, True):
        network = build_network([place / "original.keras"], temperature, images if int8 else None)
        for chosen in FORMATS.values():
            if int8 and not chosen.int8:
                continue
            folder = place / f"{chosen.name}{int8}"
            folder.mkdir()
            path = write_model(network, CLASSES, chosen, folder, FaceRecipe(), images if int8 else None)
            run = open_exported(path, chosen)
            parity = compare_probabilities(original, run_batched(run, images, np.arange(count)))
            files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
            size = sum(each.stat().st_size for each in files) / 1e6
            print(
                f"| {name} | {side}x{side} | {chosen.name}{' int8' if int8 else ''} | {size:.1f} | "
                f"{parity.difference:.1e} | {100 * parity.agreement:.1f} % | {time_one(run, images[:1]):.1f} |",
                flush=True,
            )
            if chosen.name == "keras":
                subprocess.run([sys.executable, "-c", OPEN, str(path)], check=True, stderr=subprocess.DEVNULL)


def settle(model: object, images: np.ndarray) -> None:
    """Give every BatchNorm the statistics of the images: those of a new model let values fade or explode."""
    import keras

    for layer in model.layers:  # type: ignore[attr-defined]
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images.astype(np.float32), training=True)  # type: ignore[operator]


def patches(count: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Images of coarse patches, uint8 ``[N, side, side, 1]``: of fine noise, a network says the same of all."""
    coarse = rng.integers(0, 256, (count, 6, 6, 1)).astype(np.uint8)
    times = -(-side // 6)
    return coarse.repeat(times, axis=1).repeat(times, axis=2)[:, :side, :side]


if __name__ == "__main__":
    main()
