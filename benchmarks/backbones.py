"""A whole training step of every backbone by turns: fer-tl in float32 and bfloat16, Keras's own `fit`, PyTorch, and
the step of fer-tl on constant pixels, its limit.

usage: python benchmarks/backbones.py [--backbones mobilenetv2,vgg16] [--rounds 5] [--torch PYTHON]

All systems of a backbone are started, each in a process of its own, and then train by turns; medians of the rounds.
PYTHON is one that has torch, torchvision and timm. With all backbones the table is written to
benchmarks/results/backbones.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.environment import describe_environment
from fer_tl.models.backbones import BACKBONES

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "backbones.md"
BATCH = 64
SECONDS = 2.0
# The name of the same network elsewhere: torchvision's, or timm's where that has "timm/" in front.
TORCH = {
    "mobilenetv2": "mobilenet_v2",
    "efficientnetb0": "efficientnet_b0",
    "vgg16": "vgg16",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "inceptionv3": "timm/inception_v3",
}
# In the order of the table's columns.
SYSTEMS = ("keras", "float32", "mixed_bfloat16", "torch float32", "torch bfloat16")


class Worker:
    """A process that has built a network and trains it for a while whenever it is told to."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(f"{self._process.args!r} ended")

    def ask(self, what: str) -> dict[str, Any]:
        """``what`` is a word that the worker knows: see ``backbones_worker.serve``."""
        assert self._process.stdin is not None
        print(f"{what} {SECONDS}", file=self._process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        """Close it."""
        self._process.communicate()


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default=",".join(BACKBONES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", help="a Python that has torch, torchvision and timm")
    arguments = parser.parse_args()
    names = arguments.backbones.split(",")
    rows, about = [], {}
    for name in names:
        began = time.perf_counter()
        rates, about = measure(name, arguments.rounds, arguments.torch)
        rows.append(row(name, rates))
        print(f"{time.perf_counter() - began:.0f} s: {rows[-1]}", file=sys.stderr, flush=True)
    text = report(rows, arguments.rounds, arguments.torch, about)
    print(text)
    if names == list(BACKBONES):
        RESULTS.write_text(text, encoding="utf-8")


def measure(name: str, rounds: int, torch: str | None) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Images a second of each system in each round, and versions of what is not fer-tl's."""
    ours = [sys.executable, str(HERE / "backbones_worker.py"), name]
    # Without instructions for bfloat16 a step in it takes seconds, and nobody trains like that.
    halves = "bfloat16" in describe_environment("")["processor_features"]
    commands = {system: [*ours, system] for system in ("float32", *(["mixed_bfloat16"] * halves), "keras")}
    if torch:
        network = TORCH.get(name) or _layers(name)
        theirs = [torch, str(HERE / "backbones_torch.py"), network, str(BACKBONES[name].default_size)]
        commands |= {f"torch {kind}": [*theirs, kind] for kind in ("float32", *(["bfloat16"] * halves))}
    workers = {system: Worker(command) for system, command in commands.items()}
    asked = {system: (system, "train") for system in workers} | {"limit": ("float32", "limit")}
    rates: dict[str, list[float]] = {system: [] for system in asked}
    for _ in range(rounds):
        for system, (process, what) in asked.items():
            rates[system].append(workers[process].ask(what)["rate"])
    versions = {key: value for worker in workers.values() for key, value in worker.about.get("versions", {}).items()}
    for worker in workers.values():
        worker.end()
    return rates, versions


def _layers(name: str) -> str:
    """A file that tells PyTorch the layers of a network that only fer-tl has."""
    command = [sys.executable, str(HERE / "backbones_worker.py"), name, "layers"]
    path = Path(tempfile.gettempdir()) / f"layers-of-{name}.json"
    path.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout, encoding="utf-8")
    return str(path)


def row(name: str, rates: dict[str, list[float]]) -> str:
    """A line of the table."""
    median = {system: float(np.median(found)) for system, found in rates.items()}
    best = max(median["float32"], median.get("mixed_bfloat16", 0.0))
    peers = [median[system] for system in ("torch float32", "torch bfloat16") if system in median]
    spread = max((max(found) - min(found)) / median[system] for system, found in rates.items())
    cells = [
        name,
        str(BACKBONES[name].default_size),
        *(f"{median[system]:,.0f}" if system in median else "–" for system in SYSTEMS),
        f"{median['float32'] / median['keras']:.2f} ×",
        f"{best / median['keras']:.2f} ×",
        f"{best / max(peers):.2f} ×" if peers else "–",
        f"{median['float32'] / median['limit']:.1%}".replace("%", " %"),
        f"{spread:.0%}".replace("%", " %"),
    ]
    return f"| {' | '.join(cells)} |"


def report(rows: list[str], rounds: int, torch: str | None, versions: dict[str, str]) -> str:
    """The whole page."""
    about = describe_environment("")
    spelled = ", ".join(f"{name} {version}" for name, version in (about["versions"] | versions).items())
    lines = [
        "# A training step of every backbone\n",
        f"    python benchmarks/backbones.py --rounds {rounds}{' --torch PYTHON' if torch else ''}\n",
        f"{about['date'][:10]}; {about['processor']} ({about['processor_features']}), {about['cores']} cores;",
        f"{spelled}.",
        f"Images a second of whole steps, batch {BATCH}: all layers learn, from random weights, on grey images of",
        "48x48 that the model resizes to its side. Systems took turns; medians of the rounds.\n",
        "| backbone | side | Keras `fit` | fer-tl float32 | fer-tl bfloat16 | PyTorch float32 | PyTorch bfloat16 "
        "| float32 to Keras | the faster to Keras | the faster to PyTorch | of the limit | spread |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        "- **fer-tl**: planning, gathering, augmentation (rotation, zoom, shift, mirroring), Adam; `--precision auto`",
        "  takes the faster one.",
        "- **Keras**: the same network, its own BatchNorm, `fit` with Adam on one constant batch, no augmentation;",
        "  `jit_compile` as Keras chooses.",
        "- **PyTorch**: torchvision's network of this name (timm's InceptionV3) with 7 classes, where there is none",
        "  fer-tl's rebuilt layer by layer; `channels_last`, Adam, one constant batch; bfloat16 by `autocast`.",
        "- **limit**: fer-tl's float32 step on constant pixels, in the same process as fer-tl float32.",
        "- spread: the largest difference between rounds of one system, as a share of its median.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
