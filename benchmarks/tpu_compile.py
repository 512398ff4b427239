"""What a TPU would run: the training, prediction and feature steps of backbones, compiled for chips that are not here.

usage: python benchmarks/tpu_compile.py [--backbones facevgg ...] [--chips v5e-1 v5e-8 v6e-1] [--batch-size 128]
           [--precision mixed_bfloat16] [--kinds train predict features] [--write FILE] [--text FOLDER]

`make tpu` installs what it needs and runs it. libtpu compiles ahead of time for a topology that is named; nothing is
executed, so no rate is measured. The steps are those of the engine of `fer-tl cv`, with the default augmentation,
on the 26,534 training images of FER-2013 in its memory (zeros: their values do not matter). A loop over steps counts as
one.

Memory is what the compiler reports: arguments (the dataset, weights, optimizer) and temporary arrays, of one chip. The
batch that fits is extrapolated from the temporary memory of one batch, and not compiled. FLOPs and bytes are XLA's own
count. Bytes of augmentation are those of `prepare` compiled by itself, by products as on a TPU, and by the gathers that
other devices use.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import os
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

# libtpu asks a server of the cloud for the chip it is on, and locks it, unless told otherwise.
os.environ |= {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}

import jax
import numpy as np
from jax.experimental import topologies

from fer_tl.augment.resampling import by_gathers, by_products
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.config import Experiment
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.devices.jax_devices import JaxDevices
from fer_tl.engines.jax_engine import Body, JaxEngine
from fer_tl.training.session import Session

IMAGES, SIDE = 26_534, 48
SIDES = {"mobilenetv2": 96, "efficientnetb0": 96, "inceptionv3": 96}
KINDS = ("train", "predict", "features")


@dataclass(frozen=True)
class Chip:
    """A topology by the name that libtpu knows, and the memory of one of its chips in bytes, from the documentation of
    Cloud TPU."""

    topology: str
    memory: float
    options: dict[str, Any]


CHIPS = {
    "v5e-1": Chip("v5e:1x1", 16e9, {"chips_per_host_bounds": (1, 1, 1)}),  # Colab
    "v5e-8": Chip("v5e:2x4", 16e9, {}),  # Kaggle
    "v6e-1": Chip("v6e:1x1", 32e9, {"chips_per_host_bounds": (1, 1, 1)}),
}


class Ahead(Exception):
    """Carries a program that was lowered out of the engine, in place of running it."""

    def __init__(self, lowered: Any) -> None:
        super().__init__()
        self.lowered = lowered


class DescribedDevices(JaxDevices):
    """Chips that are only described: arrays on them have a shape and a place, and no values."""

    def put(self, values: Any, sharding: Any) -> Any:
        return jax.ShapeDtypeStruct(np.shape(values), values.dtype, sharding=sharding)


class AheadEngine(JaxEngine):
    """The engine up to where it would run."""

    def _repeated(self, body: Body) -> Any:
        compiled = super()._repeated(body)

        def run(*given: Any) -> Any:
            raise Ahead(compiled.lower(*given))  # type: ignore[attr-defined]

        return run


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of one step on one chip; bytes, operations and seconds."""

    arguments: float
    temporary: float
    flops: float
    moved: float
    collectives: int
    seconds: float


def main() -> None:
    """Print and write one row for each backbone, chip and kind of step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["facevgg", "shallow_cnn", "mobilenetv2", "efficientnetb0"])
    parser.add_argument("--chips", nargs="+", default=list(CHIPS), choices=list(CHIPS))
    parser.add_argument("--kinds", nargs="+", default=["train"], choices=KINDS)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--text", type=Path, help="folder for the compiled programs")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "libtpu", "keras"))
    lines = [
        f"{datetime.date.today()}; {versions}; Python {sys.version.split()[0]}; batch {options.batch_size} over all "
        f"chips, {options.precision}.",
        "",
        "| backbone | side | chip | step | arguments | temporary | batch that fits | GFLOP | moved | of it augmentation"
        " | augmentation by gathers | all-reduces | compiled in |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    for backbone in options.backbones:
        for chip in options.chips:
            for kind in options.kinds:
                lines.append(row(backbone, chip, kind, options))
                print(lines[-1], flush=True)
                if options.write:  # a compilation may take ten minutes: what is there is kept
                    options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(backbone: str, chip: str, kind: str, options: argparse.Namespace) -> str:
    """Compile one step; a failure is named in its place."""
    side = SIDES.get(backbone, SIDE)
    try:
        topology = topologies.get_topology_desc(
            platform="tpu", topology_name=CHIPS[chip].topology, **CHIPS[chip].options
        )
        devices = DescribedDevices(list(topology.devices))
        experiment = load_experiment(
            backbone=backbone, weights="none", image_size=side, batch_size=options.batch_size,
            precision=options.precision, strategy="cpu",
        )  # fmt: skip
        text = options.text / f"{backbone}-{chip}-{kind}.txt" if options.text else None
        found = compile_step(lower_step(experiment, devices, kind), text)
        ways = (by_products, by_gathers) if kind != "predict" else ()
        moved = [bytes_of_resampling(way, devices, options.batch_size, side) for way in ways]
    except Exception as error:  # whatever a compiler raises is a result
        said = " ".join(str(error).split())[:160]
        return f"| {backbone} | {side} | {chip} | {kind} | {type(error).__name__}: {said} |"
    fits = options.batch_size * (CHIPS[chip].memory - found.arguments) / max(found.temporary, 1)
    shares = [f"{moved[0] / found.moved:.1%}", f"{moved[1] / 1e6:,.0f} MB"] if moved else ["", ""]
    cells = [
        backbone,
        side,
        chip,
        kind,
        f"{found.arguments / 1e6:,.0f} MB",
        f"{found.temporary / 1e6:,.0f} MB",
        f"{fits:,.0f}",
        f"{found.flops / 1e9:,.1f}",
        f"{found.moved / 1e6:,.0f} MB",
        *shares,
        found.collectives,
        f"{found.seconds:.0f} s",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def lower_step(experiment: Experiment, devices: DescribedDevices, kind: str) -> Any:
    """The program of one step as the engine makes it, for devices that are not here."""
    ids = np.array([f"image-{number}" for number in range(IMAGES)])
    images = np.zeros((IMAGES, SIDE, SIDE, 1), np.uint8)
    labels = np.arange(IMAGES) % len(CLASS_NAMES)
    dataset = Dataset("zeros", np.full(IMAGES, "train"), images, labels, ids, ids, CLASS_NAMES, "0" * 64)
    session = Session(experiment, dataset, None)
    session.engine = AheadEngine(devices, session.model, images, labels, experiment.batch_size)
    rows = np.arange(experiment.batch_size)
    try:
        if kind == "train":
            compiled = session.start(session.stages[-1])
            plan = session.plan(rows, session.keys[rows], np.ones(len(rows)), np.full(1, 1e-4), 0, 0, 1, offsets=None)
            compiled.train(plan, 0, 1)
        else:
            session.engine.predict(rows, None if kind == "predict" else np.array([1, 0, 0, 0, 1, 0], np.float32))
    except Ahead as ahead:
        return ahead.lowered
    raise AssertionError("the engine ran")


def compile_step(lowered: Any, write: Path | None = None) -> Compiled:
    """Compile a program, write its text if asked for, and read what the compiler says of it."""
    began = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - began
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis()
    text = compiled.as_text()
    if write:
        write.parent.mkdir(parents=True, exist_ok=True)
        write.write_text(text, encoding="utf-8")
    reduces = sum(" all-reduce(" in line or " all-reduce-start(" in line for line in text.splitlines())
    return Compiled(
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        costs["flops"],
        costs["bytes accessed"],
        reduces,
        seconds,
    )


def bytes_of_resampling(way: Any, devices: DescribedDevices, batch_size: int, side: int) -> float:
    """What one way of resampling moves for the part of a batch that one chip has."""
    size = batch_size // devices.replicas
    one = DescribedDevices(list(devices.mesh.devices.flat)[:1])
    images = jax.ShapeDtypeStruct((size, SIDE, SIDE, 1), np.uint8, sharding=one.replicated)
    transforms = jax.ShapeDtypeStruct((size, 6), np.float32, sharding=one.replicated)
    lowered = jax.jit(functools.partial(way, side=(side, side))).lower(images, transforms)
    return float(lowered.compile().cost_analysis()["bytes accessed"])


if __name__ == "__main__":
    main()
