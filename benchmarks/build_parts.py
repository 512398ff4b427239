"""How much faster a dataset is built by several processes than by one, and that the bytes are the same.

usage: python benchmarks/build_parts.py [--count 20000] [--jobs 2] [--turns 3]

Drawn faces, which are drawn, hashed and encoded as they are read: in one piece and in parts by turns, each by a process
of its own, so both pay for the import of TensorFlow. Processor time is that of all processes of a build.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def main() -> None:
    """Print a line for each build, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="for the datasets")
    arguments = parser.parse_args()
    ways = {"one piece": [], f"--jobs {arguments.jobs}": ["--jobs", str(arguments.jobs)]}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    bytes_of = set()
    print(f"{arguments.count:,} faces, {os.cpu_count()} cores")
    print("| | seconds | processor seconds | load before |\n| --- | ---: | ---: | ---: |", flush=True)
    for _ in range(arguments.turns):
        for way, options in ways.items():
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                load, start, cpu = os.getloadavg()[0], time.perf_counter(), children_cpu()
                build(arguments.count, Path(folder), options)
                took = time.perf_counter() - start
                bytes_of.add(digest(Path(folder)))
            seconds[way].append(took)
            print(f"| {way} | {took:.1f} | {children_cpu() - cpu:.1f} | {load:.1f} |", flush=True)
    one, several = (median(found) for found in seconds.values())
    same = "the same bytes" if len(bytes_of) == 1 else "OTHER BYTES"
    print(f"{one / several:.2f} times as fast by the medians, {same}")


def build(count: int, folder: Path, options: list[str]) -> None:
    """Build so many drawn faces in a process."""
    command = [sys.executable, "-m", "fer_tl", "build", "toyfaces", "--count", str(count), "--data-dir", str(folder)]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def children_cpu() -> float:
    """Seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def digest(folder: Path) -> str:
    """Of all files in a folder and their names."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
