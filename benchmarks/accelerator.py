"""What a device does with each backbone: the rate of a step on constant data, which is the limit, and end to end.

usage: KERAS_BACKEND=jax python benchmarks/accelerator.py [--backbones mobilenetv2 ...] [--batch-size 256]
           [--precision mixed_bfloat16] [--seconds 10] [--write FILE]

Images are random, 48x48 grey as those of FER-2013, N of them resident; weights are random too: neither changes how
long a step takes. Limit: the same images in every step, not augmented. End to end: the engine as `fer-tl cv` runs it,
with the default augmentation. Share of the matrix rate: the multiplications and additions of the step (three times
those of the forward pass, one for the answers and two for the gradients) against what the device does in a product of
two bfloat16 matrices of 8192 (of 1024 on a CPU), measured here. The time of a cross validation is that of its training
steps at the end-to-end rate, a little less than `fer-tl cv` takes, which also scores and writes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from fer_tl.core.framework import import_backend

SIDE, CLASSES, REPEATS = 48, 7, 3
SIDES = {"mobilenetv2": 96, "efficientnetb0": 96, "inceptionv3": 96}  # others take the images as they are
FOLDS, IMAGES_A_FOLD, EPOCHS = 4, 20_618, 20  # FER-2013 without copies of the other splits: 27,491 training images


def main() -> None:
    """Print one row a backbone."""
    from fer_tl.models.backbones import BACKBONES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="*", default=[*BACKBONES])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement, about")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    backend = import_backend()
    from fer_tl.devices.choose import choose_devices

    devices = choose_devices("auto")
    peak = matrix_rate("CPU" in devices.describe())
    lines = [
        "# Training on a device",
        "",
        f"{devices.describe()}, backend {backend}, batch {options.batch_size}, {options.precision}. A product of two "
        f"bfloat16 matrices runs at {peak / 1e12:.2f} TFLOP/s. Written by `benchmarks/accelerator.py`.",
        "",
        "| backbone | side | limit, images/s | end to end, images/s | share of the limit | of the matrix rate | "
        f"first step, s | {FOLDS} folds of {EPOCHS} epochs | memory, GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    for name in options.backbones:
        lines.append(row(name, options, devices, peak))
        print(lines[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(name: str, options: argparse.Namespace, devices: Any, peak: float) -> str:
    """Measure a backbone: both rates in turn, so that what else the machine does falls on both."""
    from fer_tl.core.config import Augment

    side = SIDES.get(name, SIDE)
    session, compiled = build(name, side, options)
    began = time.perf_counter()
    still = plan_of(session, options, Augment(rotation=0.0, zoom=0.0, shift=0.0, flip=False), constant=True)
    compiled(still, 0, 1)
    first = time.perf_counter() - began
    moving = plan_of(session, options, Augment(), constant=False)
    steps = steps_for(compiled, moving, options.seconds)
    limits, rates = [], []
    for _ in range(REPEATS):
        limits.append(rate(compiled, still, steps, options.batch_size))
        rates.append(rate(compiled, moving, steps, options.batch_size))
    limit, end_to_end = median(limits), median(rates)
    flops = 3 * 2 * multiplications(session.model)
    hours = FOLDS * EPOCHS * IMAGES_A_FOLD / end_to_end / 3600
    return (
        f"| {name} | {side} | {limit:,.0f} | {end_to_end:,.0f} | {end_to_end / limit:.1%} | "
        f"{flops * end_to_end / peak:.1%} | {first:.1f} | {hours:.2f} h | {memory(devices):.1f} |"
    )


def build(name: str, side: int, options: argparse.Namespace) -> tuple[Any, Any]:
    """A session on random images, and its compiled training."""
    from fer_tl.core.classes import CLASS_NAMES
    from fer_tl.core.options import load_experiment
    from fer_tl.data.dataset import Dataset
    from fer_tl.training.session import Session

    rng = np.random.default_rng(0)
    count = options.images
    ids = np.array([f"image-{row}" for row in range(count)])
    images = rng.integers(0, 256, (count, SIDE, SIDE, 1)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, count)
    dataset = Dataset("random", np.full(count, "train"), images, labels, ids, ids, CLASS_NAMES, "0" * 64)
    experiment = load_experiment(
        backbone=name, weights="none", image_size=side, batch_size=options.batch_size, precision=options.precision
    )
    session = Session(experiment, dataset, None)
    compiled = session.start(session.stages[-1])
    return session, compiled.train


def plan_of(session: Any, options: argparse.Namespace, augment: Any, constant: bool) -> Any:
    """Steps over all images; with ``constant`` the same images in each, resampled by the same map."""
    from dataclasses import replace

    session.augment = augment
    rows = np.arange(len(session.dataset))
    steps = -(-len(rows) // options.batch_size)
    plan = session.plan(rows, session.keys, np.ones(len(rows)), np.full(steps, 1e-4), 0, 0, 1, offsets=None)
    if constant:
        plan = replace(plan, rows=np.broadcast_to(plan.rows[:1], plan.rows.shape).copy())
    return plan


def steps_for(compiled: Any, plan: Any, seconds: float) -> int:
    """How many steps of a plan take about so long, by one step that is compiled already."""
    compiled(plan, 0, 1)
    began = time.perf_counter()
    compiled(plan, 0, 1)
    return int(np.clip(seconds / REPEATS / (time.perf_counter() - began), 1, len(plan)))


def rate(compiled: Any, plan: Any, steps: int, batch_size: int) -> float:
    """Images a second."""
    began = time.perf_counter()
    compiled(plan, 0, steps)
    return steps * batch_size / (time.perf_counter() - began)


def multiplications(model: Any) -> float:
    """Of the forward pass of one image."""
    import tempfile

    from fer_tl.models.costs import read_costs
    from fer_tl.runs.saved_model import save_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        save_model(model, tuple("abcdefg"), path)
        return float(read_costs(path).macs)


def matrix_rate(on_cpu: bool) -> float:
    """Floating-point operations a second of a product of two bfloat16 matrices."""
    import keras

    size = 1024 if on_cpu else 8192
    one = keras.ops.cast(np.random.default_rng(0).normal(size=(size, size)), "bfloat16")
    product = one
    np.asarray(keras.ops.cast(keras.ops.matmul(one, product), "float32"))
    began, times = time.perf_counter(), 10
    for _ in range(times):
        product = keras.ops.matmul(one, product) * keras.ops.cast(1 / size, "bfloat16")
    np.asarray(keras.ops.cast(product, "float32"))
    return times * 2 * size**3 / (time.perf_counter() - began)


def memory(devices: Any) -> float:
    """GB at the device's peak, or resident in the process where the device does not tell."""
    if hasattr(devices, "mesh"):
        told = devices.mesh.devices.flat[0].memory_stats() or {}
        if "peak_bytes_in_use" in told:
            return float(told["peak_bytes_in_use"]) / 1e9
    elif "GPU" in devices.describe():
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 1e9
    return psutil.Process().memory_info().rss / 1e9


if __name__ == "__main__":
    main()
