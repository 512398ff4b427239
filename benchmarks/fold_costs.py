"""What each further fold of a run costs besides its steps: seconds to its first step, and memory.

usage: python benchmarks/fold_costs.py RUN, with a finished run such as that of
       fer-tl cv --backbone mobilenetv2 --folds 8 --epochs 1 --run-dir RUN
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fer_tl.core.files import read_json
from fer_tl.runs.folder import RunFolder


def main() -> None:
    """Print one line a fold, and how far memory moved between the second fold and the last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = RunFolder(parser.parse_args().run)
    timings = {name: read_json(run.part(name) / "timing.json") for name in run.parts}
    for name, timing in timings.items():
        print(f"{name}: first step after {timing['seconds_to_first_step']:.2f} s, memory {timing['memory_mb']:,} MB")
    memory = [timing["memory_mb"] for timing in timings.values()]
    print(f"memory from the second fold to the last: {memory[1]:,} to {memory[-1]:,} MB, at most {max(memory):,}")


if __name__ == "__main__":
    main()
