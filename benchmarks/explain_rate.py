"""Images a second that a model is explained at, by method, after loading and compiling.

usage: python benchmarks/explain_rate.py RUN [--images 64] [--repeats 5] [--fold 0]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np

from fer_tl.core.quiet import import_tensorflow
from fer_tl.inference.explain.methods import METHODS
from fer_tl.runs.folder import RunFolder


def main() -> None:
    """Print a row for each method: the median rate, and the slowest and fastest of the repeats."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run with a model; its images are noise here, which costs the same")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fold", type=int, default=0)
    arguments = parser.parse_args()
    import_tensorflow()
    from fer_tl.inference.explain.explain import compute_maps
    from fer_tl.inference.explain.gradients import GradientModel
    from fer_tl.runs.saved_model import load_model

    run = RunFolder(arguments.run)
    began = time.perf_counter()
    loaded, _ = load_model(run.part(run.parts[arguments.fold]) / "model.keras")
    model = GradientModel(loaded)
    shape = loaded.input_shape[1:]
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, *shape)).astype(np.uint8)
    print(f"{loaded.name} on {'x'.join(map(str, shape))}: loaded in {time.perf_counter() - began:.1f} s\n")
    print("| method | images | first call, s | images/s | slowest | fastest |")
    print("|---|---:|---:|---:|---:|---:|")
    for method in METHODS:
        began = time.perf_counter()
        compute_maps(model, images[:1], np.array([-1]), [method])
        first = time.perf_counter() - began
        # SmoothGrad takes 48 gradients an image.
        count = max(1, arguments.images // 8) if method == "smoothgrad" else arguments.images
        rates = []
        for _ in range(arguments.repeats):
            began = time.perf_counter()
            compute_maps(model, images[:count], np.full(count, -1), [method])
            rates.append(count / (time.perf_counter() - began))
        print(
            f"| {METHODS[method]} | {count} | {first:.1f} | {median(rates):.1f} | {min(rates):.1f} | {max(rates):.1f} |"
        )


if __name__ == "__main__":
    main()
