"""The engine side by side with Keras's own ways, and with the limit that the model sets; every system in processes of
its own, by turns.

usage: python benchmarks/engine.py --source fer2013-images.zip --data-dir DATA [--rows input,training] [--repeats 3]

DATA holds fer2013, built of that archive. With all rows, the tables are also written to benchmarks/results/engine.md.
`--images N` takes N images and no more, to see whether it works.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from engine_report import FROZEN_EPOCHS, TUNING_EPOCHS, Found, report
from engine_task import COUNTS, FOLDS, Task, fit_experiment

from fer_tl.core.config_keys import identity
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest

RESULTS = Path(__file__).parent / "results" / "engine.md"
SECONDS = {"input": 3.0, "fit": 12.0, "frozen": 10.0, "scale": 10.0}
FER_TL = [sys.executable, "-m", "fer_tl"]
SYSTEMS = ("ours", "keras", "generator")
# What is measured together for each row of the table.
NEEDS = {
    "input": ("input",),
    "training": ("fit",),
    "evaluation": ("fit",),
    "tuning": ("fit", "start"),
    "frozen": ("frozen",),
    "memory": ("fit", "frozen"),
    "start": ("fit", "start"),
    "scale": ("scale",),
}

DATA = "fer2013"
IMPORTS = """
from fer_tl.core.quiet import import_tensorflow
import_tensorflow()
import keras, psutil
print(psutil.Process().memory_info().rss / 1e6)
"""


@dataclass(frozen=True)
class Place:
    """Where the images are.

    Attributes:
        folder: class folders of JPEG files.
        data_dir: where the dataset is, with a cache of its own.
        images: that are cross-validated.
        runs: a folder for runs.
    """

    folder: Path
    data_dir: Path
    images: int
    runs: Path


def main() -> None:
    """Measure the rows that are asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="archive with train/<class>/<image>.jpg")
    parser.add_argument("--data-dir", type=Path, required=True, help="where fer2013 is built")
    parser.add_argument("--rows", default=",".join(NEEDS), help=f"of {', '.join(NEEDS)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=0)
    arguments = parser.parse_args()
    rows = arguments.rows.split(",")
    if unknown := set(rows) - set(NEEDS):
        parser.error(f"there are no rows {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as folder:
        place = prepare(Path(folder), arguments.source, arguments.data_dir, arguments.images)
        found = measure(place, list(dict.fromkeys(what for row in rows for what in NEEDS[row])), arguments.repeats)
    given = [f"--rows {arguments.rows}"] * (set(rows) != set(NEEDS)) + [f"--images {arguments.images}"] * bool(
        arguments.images
    )
    typed = " ".join(["python benchmarks/engine.py --source fer2013-images.zip --data-dir DATA", *given])
    text = report(rows, found, place.images, f"{typed} --repeats {arguments.repeats}")
    print(text)
    if set(rows) == set(NEEDS) and not arguments.images:
        RESULTS.write_text(text, encoding="utf-8")


def prepare(folder: Path, source: Path, data_dir: Path, images: int) -> Place:
    """Unpack the training images, and have the dataset of the same images decoded, with a cache of its own."""
    tell("unpacking")
    with zipfile.ZipFile(source) as archive:
        names = [name for name in sorted(archive.namelist()) if name.startswith("train/") and not name.endswith("/")]
        names = names[:: -(-len(names) // images)] if images else names
        for name in names:
            path = folder / "source" / PurePosixPath(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
    built = folder / "data"
    built.mkdir()
    if images:
        cut = ["--source", str(folder / "source"), "--data-dir", str(built)]
        subprocess.run([*FER_TL, "build", DATA, *cut], check=True, stdout=subprocess.DEVNULL)
    else:
        (built / DATA).symlink_to((data_dir / DATA).resolve())
    counts = read_manifest(dataset_directory(built, DATA)).counts["train"]
    load = "import sys; from fer_tl.data.dataset import load_dataset; load_dataset(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", load, DATA, str(built), "train"], check=True)
    (folder / "runs").mkdir()
    return Place(folder / "source" / "train", built, sum(counts.values()), folder / "runs")


def measure(place: Place, wanted: list[str], repeats: int) -> Found:
    """Every system in its turn, ``repeats`` times; the longest runs, and those of scale, less often."""
    found: Found = {}
    began = time.perf_counter()
    for what in wanted:
        times = {"frozen": max(1, repeats - 1), "scale": 1}.get(what, repeats)
        for repeat in range(times):
            for name, system, call in calls(what, place):
                clock = time.perf_counter()
                found.setdefault((name, system), []).append(call())
                passed = time.perf_counter()
                tell(
                    f"{(passed - began) / 60:5.1f} min: {name}, {system}, {repeat + 1} of {times}: "
                    f"{passed - clock:.0f} s, {found[name, system][-1]}"
                )
    return found


def calls(what: str, place: Place) -> list[tuple[str, str, Callable[[], dict[str, float]]]]:
    """What is measured, of which system, and the call that does it in a process of its own."""
    if what == "start":
        return [(what, "ours", lambda: measure_start(place))]
    systems = SYSTEMS if what != "scale" else ("resident", "stream")
    names = [what] if what != "scale" else [f"scale {count}" for count in COUNTS]
    listed: list[tuple[str, str, Callable[[], dict[str, float]]]] = []
    for name in names:
        for system in systems:
            task = Task(name, system, str(place.folder), DATA, str(place.data_dir), SECONDS[what], 0.0)
            if what == "frozen" and system == "ours":
                listed.append((name, system, lambda: measure_frozen(place)))
            else:
                listed.append((name, system, lambda task=task: replace(task, began=time.time()).run()))  # type: ignore[misc]
    return listed


def command(place: Place, frozen: bool, epochs: int) -> list[str]:
    """The command of a cross validation."""
    experiment = fit_experiment(frozen, data=DATA, folds=FOLDS, epochs=epochs)
    given, plain = identity(experiment), identity(type(experiment)())
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value != plain[name]]
    return [*FER_TL, "cv", *options, "--data-dir", str(place.data_dir)]


def measure_start(place: Place) -> dict[str, float]:
    """Seconds from the command of a fine-tuning to its first step; then it is stopped."""
    run_dir, began = place.runs / f"start-{time.time_ns()}", time.perf_counter()
    with subprocess.Popen(
        [*command(place, False, TUNING_EPOCHS), "--run-dir", str(run_dir)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "first step" in line:
                break
        else:
            raise RuntimeError("the run ended before its first step")
        seconds = time.perf_counter() - began
        process.kill()
    return {"start": seconds}


def measure_frozen(place: Place) -> dict[str, float]:
    """Seconds of a whole cross validation of a frozen backbone, by the command; no features are there before."""
    for path in (place.data_dir / ".cache").glob("features-*"):
        shutil.rmtree(path)
    run_dir = place.runs / f"frozen-{time.time_ns()}"
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command(place, True, FROZEN_EPOCHS), "--run-dir", str(run_dir)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("the cross validation failed")
    seconds = time.perf_counter() - began
    idle = float(subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True, text=True).stdout)
    return {"whole": seconds, "memory": usage.ru_maxrss * 1024 / 1e6 - idle}


def tell(line: str) -> None:
    """Print progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
