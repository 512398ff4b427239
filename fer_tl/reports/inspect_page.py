"""A page that shows people what is in a dataset, before they train on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.archive_members import describe_passed_over
from fer_tl.core.counting import counted
from fer_tl.core.files import write_text
from fer_tl.core.output_folder import refuse_other_page
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.core.say import Say, say_line
from fer_tl.data.checks.check import check_dataset
from fer_tl.data.examples import KEPT, Example
from fer_tl.data.survey import Cluster, Survey, survey
from fer_tl.reports.figures import save_figure
from fer_tl.reports.inspect_checks import check_parts, checks_text, outliers_csv
from fer_tl.reports.inspect_figures import looks_figure, sizes_figure
from fer_tl.reports.inspect_tables import (
    class_table,
    cluster_text,
    duplicates_text,
    fact_note,
    fact_table,
    inspection_text,
    looks_table,
    persons_text,
    scope_text,
    sizes_table,
)
from fer_tl.reports.page import Tile, data_uri, render

PAGE = "index.html"
OUTLIERS = "outliers.csv"
_TITLE = "What is in"
_SAMPLES = 24  # a class
_ODD = 12  # of each kind of odd image
_EMPTY = 24  # of those that show no face
_CLUSTERS = 12  # of each kind
_MEMBERS = 12  # of a cluster


def write_inspection(name: str, data_dir: str | Path, out: Path, say: Say = say_line) -> str:
    """Write ``index.html``, which holds all it shows, and figures and ``outliers.csv`` beside it; returns the
    terminal's text.

    Args:
        name: ``fer2013``, ``toyfaces``, ``folder/mine``.
        data_dir: folder that holds the built datasets.
        out: folder to write to, made if need be; an earlier inspection there is replaced.
        say: prints a line.

    Raises:
        UserError: a dataset that cannot be read, see ``survey``, or a page of someone else in the folder.
    """
    refuse_other_page(out / PAGE, f"<title>{_TITLE}", "inspection")
    say(f"reading and measuring the images of {name}")
    found = survey(name, data_dir)
    say(f"comparing {counted(len(found.ids), 'image')} with each other")
    checks = check_dataset(found)
    say("writing the page")
    save_figure(looks_figure(found), out / "brightness.png")
    write_text(out / OUTLIERS, outliers_csv(found, checks))
    html = render(
        "inspect.html",
        f"{_TITLE} {found.manifest.dataset}",
        scope=scope_text(found),
        manifest=found.manifest,
        classes=class_table(found),
        facts=fact_table(found),
        fact_note=fact_note(found),
        passed_over=describe_passed_over(found.manifest.passed_over),
        most_samples=_SAMPLES,
        samples=[
            (name, [Tile(found.images[each], alt=f"{name}: {each}") for each in found.sample(name, _SAMPLES)])
            for name in found.manifest.class_names
        ],
        duplicates=duplicates_text(found),
        persons=persons_text(found),
        clusters=_clusters(found),
        odd=_odd(found),
        brightness=data_uri((out / "brightness.png").read_bytes()),
        looks=looks_table(found),
        outliers_file=OUTLIERS,
        **check_parts(found, checks),
        **_sizes(found, out),
    )
    write_text(out / PAGE, html)
    return f"{inspection_text(found)}\n\n{checks_text(found, checks)}"


def _clusters(found: Survey) -> list[tuple[str, int, list[tuple[str, list[Tile]]]]]:
    """Some clusters of each kind: heading, how many there are, caption and tiles of each that is shown."""

    def shown(cluster: Cluster) -> list[Example]:
        return [m for m in cluster.members if m.kept == KEPT and m.split in found.open_splits]

    largest = [cluster for cluster in found.clusters if shown(cluster)]
    conflicts = [cluster for cluster in largest if len({member.class_name for member in cluster.members}) > 1]
    near = [c for c in largest if len(shown(c)) > 1 and all(member.copy == "near" for member in c.members)]
    drawn = uniform(example_keys(np.array([cluster.members[0].id for cluster in near], str)), "inspect")
    kinds = {
        "The largest clusters": largest,
        "The largest clusters with different labels": conflicts,
        # The largest ones are seen above; whether they are copies is seen best on a fair sample.
        "Clusters without exact copies, drawn at random once": [near[i] for i in np.argsort(drawn)],
    }
    several = []
    for heading, clusters in kinds.items():
        if clusters:
            shown_of = [(cluster, _captioned(shown(cluster), found)) for cluster in clusters[:_CLUSTERS]]
            galleries = [(cluster_text(each, len(tiles[_MEMBERS:])), tiles[:_MEMBERS]) for each, tiles in shown_of]
            several.append((heading, len(clusters), galleries))
    return several


def _odd(found: Survey) -> list[tuple[str, list[Tile]]]:
    looks = found.looks
    empty = [*sorted(found.ids[looks.is_blank].tolist()), *sorted(found.ids[looks.is_nearly_blank].tolist())]
    kinds = {
        f"Blank or nearly so: {counted(len(empty), 'image')}": empty[:_EMPTY],
        "Fewest tones: drawings, signs, text": found.lowest(looks.entropy, _EMPTY),
        "Lowest contrast": found.lowest(looks.contrast, _ODD),
        "Darkest": found.lowest(looks.brightness, _ODD),
        "Brightest": found.lowest(-looks.brightness, _ODD),
    }
    return [(heading, _captioned(map(found.by_id.__getitem__, ids), found)) for heading, ids in kinds.items() if ids]


def _sizes(found: Survey, out: Path) -> dict[str, Any]:
    """What sizes the pictures had before they were resized, and where they differ, a table and a figure of them."""
    before = np.array([(e.height, e.width) for e in found.examples if e.height and e.width]).reshape(-1, 2)  # [M, 2]
    for kind in ("png", "pdf"):
        (out / f"sizes.{kind}").unlink(missing_ok=True)  # of an earlier inspection
    if len(np.unique(before, axis=0)) < 2:
        return {"before": before.tolist(), "sizes": None}
    height, width, _ = found.manifest.image_shape
    save_figure(sizes_figure(before.min(axis=1), min(height, width)), out / "sizes.png")
    picture = data_uri((out / "sizes.png").read_bytes())
    return {"before": before.tolist(), "sizes": sizes_table(before), "sizes_figure": picture}


def _captioned(examples: Iterable[Example], found: Survey) -> list[Tile]:
    return [Tile(found.images[e.id], f"{e.id}\n{e.class_name}, {e.split}") for e in examples]
