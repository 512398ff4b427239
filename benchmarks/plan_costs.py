"""What 10^5 to 10^9 images cost, step by step, from rates that were measured and programs that were compiled.

usage: python benchmarks/plan_costs.py [--write docs/how-to/plan.md]

Building and the search for copies are extrapolated from what was measured on a processor core, the sizes of files from
a dataset of FER-2013. An epoch is a bound: no H100 and no TPU was at hand. It takes at least as long as the operations
of its steps at the chip's peak rate, and as the bytes that they move at its memory's, whichever is more; both as the
compiler counts them for one v5e with 128 images a step (benchmarks/results/tpu.md). Real epochs take longer; by how
much was not measured.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = tuple(10**power for power in range(5, 10))
BEGIN, END = "<!-- by benchmarks/plan_costs.py -->", "<!-- end -->"

# Measured, images of 48x48 in grey; benchmarks/results/scale.md has the runs.
BUILT_PER_CORE = 1_100  # FER-2013 from its zip, 32,298 images, a core's second
CUT_PER_CORE = 1 / 0.057  # photos searched by MTCNN; benchmarks/results/face-detection.md
COPIES = {100_000: 9.1, 1_000_000: 217.9}  # CPU seconds of the search
BYTES = {"records": 1_900, "while building": 3_300, "in memory of the device": 48 * 48}


@dataclass(frozen=True)
class Accelerator:
    """Peak operations a second in bfloat16 and bytes a second of memory, of one chip, and how many chips.

    Sources: NVIDIA, H100 Tensor Core GPU data sheet (SXM, dense); Google Cloud documentation, TPU v5e.
    """

    name: str
    flops: float
    bytes: float
    chips: int
    memory: float


ACCELERATORS = (
    Accelerator("H100", 989e12, 3.35e12, 1, 80e9),
    Accelerator("v5e-8", 197e12, 819e9, 8, 16e9),
)


def copies_seconds(images: int) -> float:
    """CPU seconds of the search for copies, by the power law through the two sizes that were measured."""
    (small, few), (large, many) = COPIES.items()
    exponent = math.log(many / few) / math.log(large / small)
    return many * (images / large) ** exponent


def compiled_steps(table: str) -> dict[str, tuple[float, float]]:
    """{backbone: (operations, bytes) of one image in a training step}, of the rows for v5e-1 in a table of tpu.md."""
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 13 and cells[2:4] == ["v5e-1", "train"]:
            flops, moved = float(cells[7].replace(",", "")) * 1e9, float(re.sub("[^0-9.]", "", cells[8])) * 1e6
            found[cells[0]] = flops / 128, moved / 128
    return found


def epoch_seconds(step: tuple[float, float], on: Accelerator, images: int) -> float:
    """The least time in which an epoch can be done."""
    flops, moved = step
    return images * max(flops / on.flops, moved / on.bytes) / on.chips


def tell(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("years", 365 * 86_400), ("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 1 else "under 1 s"


def tell_bytes(count: float) -> str:
    """A size in the unit that suits it."""
    unit, size = next((unit, size) for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)) if count >= size)
    return f"{count / size:,.0f} {unit}"


def make_tables(table: str) -> str:
    """Both tables as Markdown.

    Args:
        table: the text of benchmarks/results/tpu.md.
    """
    heads = [f"10^{len(str(images)) - 1} images" for images in IMAGES]
    rows = [
        ["build from faces, one core", *(tell(n / BUILT_PER_CORE) for n in IMAGES)],
        ["find faces in photos by MTCNN, one core", *(tell(n / CUT_PER_CORE) for n in IMAGES)],
        ["search for copies, one core", *(tell(copies_seconds(n)) for n in IMAGES)],
        *([name, *(tell_bytes(n * size) for n in IMAGES)] for name, size in BYTES.items()),
    ]
    steps = compiled_steps(table)
    epochs = [
        [f"{name}, {on.name}", *(tell(epoch_seconds(step, on, n)) for n in IMAGES)]
        for name, step in steps.items()
        for on in ACCELERATORS
    ]
    image = BYTES["in memory of the device"]
    limits = [
        [on.name, f"{0.8 * on.memory / image / 1e6:,.0f} million",
         *(f"{on.chips / max(step[0] / on.flops, step[1] / on.bytes) * image / 1e9:,.1f}" for step in steps.values())]
        for on in ACCELERATORS
    ]  # fmt: skip
    return "\n\n".join(
        [
            _markdown(["step", *heads], rows),
            _markdown(["an epoch takes at least", *heads], epochs),
            _markdown(["chips", "images that stay in memory", *(f"GB/s for {name}" for name in steps)], limits),
        ]
    )


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print the tables, or write them into a page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    tables = make_tables((ROOT / "benchmarks" / "results" / "tpu.md").read_text(encoding="utf-8"))
    if options.write is None:
        print(tables)
        return
    before, _, rest = options.write.read_text(encoding="utf-8").partition(BEGIN)
    options.write.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
