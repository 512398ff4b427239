"""Print a finished run as Markdown for ``benchmarks/results``: its table, command, date, versions and hardware.

usage: python benchmarks/record_run.py RUN COMMAND
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fer_tl.core.files import read_json
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import read_seconds


def main() -> None:
    """Print the record; the first of its environments stands for the run, others are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("command", help="what was typed, without folders of this machine")
    arguments = parser.parse_args()
    run = RunFolder(arguments.run)
    about, environments = run.read_run(), read_json(run.path / "environment.json")
    first = environments[0]
    results = [read_json(run.part(name) / "result.json") for name in run.parts]
    versions = ", ".join(f"{name} {number}" for name, number in first["versions"].items())
    # Headings one level down: a file of results holds several runs.
    table = (run.path / "table.md").read_text(encoding="utf-8").strip().replace("\n## ", "\n### ")
    print(f"#{table}\n\n```\n{arguments.command}\n```\n")
    print(f"{first['date'][:10]}; {first['processor']}, {first['cores']} cores; {versions}.")
    minutes = ", ".join(f"{read_seconds(run.part(name)) / 60:.0f}" for name in run.parts)
    print(f"Minutes: {minutes}. Epochs: {', '.join(str(result['epochs']) for result in results)}.")
    print(f"Start: weights {first.get('weights', '?')}, kernels {first.get('kernel_checksum', 'not recorded')}.")
    print(f"Data: {about['dataset']}, {about['images']:,} images, fingerprint {about['fingerprint'][:12]}.")
    if len(environments) > 1:
        print(f"Continued {len(environments) - 1} times, last on {environments[-1]['date'][:10]}.")


if __name__ == "__main__":
    main()
