"""Images a second at which ``fer-tl evaluate`` predicts a split, beside the model alone on pixels in memory.

Start-up (loading and tracing) is left out of both: each has predicted everything once before it is timed. The seconds
of the processor are compared too, on which other work on the machine bears less than on those of the clock.

usage: python benchmarks/split_rate.py RUN [RUN ...] [--split validation] [--images 3589] [--repeats 7]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from fer_tl.core.environment import describe_environment
from fer_tl.core.framework import import_backend
from fer_tl.runs.folder import RunFolder

BATCH = 256


def main() -> None:
    """Print a row for each run: medians of alternating repeats, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--images", type=int, help="the first of the split alone")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    import_backend()
    print(
        f"{describe_environment('CPU')['processor']}; medians of {arguments.repeats} in turn, split {arguments.split}\n"
    )
    print("| run | images | model alone, images/s | `evaluate`, images/s | ratio (lowest, highest) | by processor |")
    print("|---|---:|---:|---:|---:|---:|")
    for path in arguments.runs:
        print(row(RunFolder(path), arguments.split, arguments.images, arguments.repeats), flush=True)


def row(run: RunFolder, split: str, images: int | None, repeats: int) -> str:
    """Both rates of a run's first model, in turn."""
    import keras
    import tensorflow as tf

    from fer_tl.data.dataset import load_dataset
    from fer_tl.runs.saved_model import load_model, open_predictor

    experiment, path = run.read_experiment(), run.part(run.parts[0]) / "model.keras"
    dataset = load_dataset(experiment.data, experiment.data_dir, split, "auto").select(slice(images))
    model, _ = load_model(path)
    signature = [tf.TensorSpec([None, *dataset.image_shape], tf.uint8)]
    call = tf.function(lambda images: model(images, training=False), signature, autograph=False)
    pixels = [tf.constant(dataset.images[start : start + BATCH]) for start in range(0, len(dataset), BATCH)]
    ours = open_predictor(path, dataset)

    def alone() -> np.ndarray:
        return np.concatenate([call(each).numpy() for each in pixels])

    def evaluate() -> np.ndarray:
        return ours([None])[0]

    assert np.abs(alone() - evaluate()).max() < 1e-2
    taken: dict[Callable[[], np.ndarray], list[tuple[float, float]]] = {alone: [], evaluate: []}
    for number in range(repeats):
        for each in (alone, evaluate) if number % 2 else (evaluate, alone):
            taken[each].append(timed(each))
    keras.backend.clear_session()
    # Of each pair, clock and processor: how much less evaluate takes.
    ratios, work = zip(*((a[0] / b[0], a[1] / b[1]) for a, b in zip(*taken.values(), strict=True)), strict=True)
    rates = [len(dataset) / median(clock for clock, _ in taken[each]) for each in (alone, evaluate)]
    return (
        f"| {run.path.resolve().name} | {len(dataset):,} | {rates[0]:,.0f} | {rates[1]:,.0f} | "
        f"{median(ratios):.0%} ({min(ratios):.0%}, {max(ratios):.0%}) | {median(work):.0%} |"
    )


def timed(call: Callable[[], np.ndarray]) -> tuple[float, float]:
    """Seconds of a call by the clock, and of the processor."""
    began, worked = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - began, time.process_time() - worked


if __name__ == "__main__":
    main()
