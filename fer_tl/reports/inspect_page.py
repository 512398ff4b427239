"""A page that shows people what is in a dataset, before they train on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fer_tl.core.archive_members import describe_passed_over
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_atomically, write_text
from fer_tl.core.randomness import example_keys, uniform
from fer_tl.data.examples import KEPT, Example
from fer_tl.data.survey import Cluster, Survey, survey
from fer_tl.reports.figures import save_figure
from fer_tl.reports.inspect_figures import looks_figure, sizes_figure
from fer_tl.reports.inspect_tables import (
    class_table,
    cluster_text,
    duplicates_text,
    fact_note,
    fact_table,
    inspection_text,
    looks_table,
    scope_text,
    sizes_table,
)
from fer_tl.reports.page import (
    Section,
    Tile,
    abreast,
    figure,
    gallery,
    montage,
    page,
    paragraph,
    subheading,
    table,
)

PAGE = "index.html"
_TITLE = "What is in"
_SAMPLES = 24  # a class
_ODD = 12  # of each kind of odd image
_EMPTY = 24  # of those that show no face
_CLUSTERS = 12  # of each kind
_MEMBERS = 12  # of a cluster; also the columns of a montage
_STEMS = ("grid-*", "clusters", "conflicts", "near", "blank", "tones", "flat", "dark", "bright", "brightness", "sizes")


def write_inspection(name: str, data_dir: str | Path, out: Path) -> str:
    """Write ``index.html``, which holds all it shows, and its pictures beside it as PNG; returns the terminal's text.

    Args:
        name: ``fer2013``, ``toyfaces``, ``folder/mine``.
        data_dir: folder that holds the built datasets.
        out: folder to write to, made if need be; an earlier inspection there is replaced.

    Raises:
        UserError: a dataset that cannot be read, see ``survey``, or a page of someone else in the folder.
    """
    is_ours = _is_ours(out / PAGE)
    found = survey(name, data_dir)
    if is_ours:
        # Of classes that are gone, or of duplicates where there are none any more.
        for path in [path for stem in _STEMS for kind in ("png", "pdf") for path in out.glob(f"{stem}.{kind}")]:
            path.unlink()
    sections = [
        _counts_section(found),
        _samples_section(found, out),
        _duplicates_section(found, out),
        _odd_section(found, out),
        _looks_section(found, out),
        _sizes_section(found, out),
    ]
    if found.manifest.warnings:
        sections.append(Section("Warnings of the build", "".join(map(paragraph, found.manifest.warnings))))
    write_text(out / PAGE, page(f"{_TITLE} {found.manifest.dataset}", sections, paragraph(scope_text(found))))
    return inspection_text(found)


def _is_ours(path: Path) -> bool:
    """Whether there is a page of an earlier inspection; one of someone else is refused."""
    if path.parent.is_file():
        raise UserError(f"{path.parent} is a file, not a folder: choose another --out")
    if not path.exists():
        return False
    if f"<title>{_TITLE}" not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"{path} is no inspection and would be overwritten: choose another --out")
    return True


def _counts_section(found: Survey) -> Section:
    html = table(class_table(found), "Images in the records by class and split.")
    html += table(fact_table(found), f"Images by what the build and this inspection know of them ({fact_note(found)}).")
    if found.manifest.skipped:
        html += paragraph(f"The build has skipped {found.manifest.skipped:,} examples that could not be used.")
    if told := describe_passed_over(found.manifest.passed_over):
        html += paragraph(told)
    return Section("Counts", html)


def _samples_section(found: Survey, out: Path) -> Section:
    html = paragraph(f"Up to {_SAMPLES} images of each class, drawn at random once: the same ones at every inspection.")
    taken: set[str] = set()
    for number, name in enumerate(found.manifest.class_names):
        tiles = [Tile(found.images[identity], alt=f"{name}: {identity}") for identity in found.sample(name, _SAMPLES)]
        html += subheading(name) + (gallery(tiles) if tiles else paragraph("There is none."))
        stem = re.sub(r"[^\w-]+", "-", name.lower()).strip("-") or "class"
        stem = f"{stem}-{number}" if stem in taken else stem  # "a b" and "a+b" are two classes
        taken.add(stem)
        _write_montage(out / f"grid-{stem}.png", _in_rows(tiles))
    return Section("Samples", html)


def _duplicates_section(found: Survey, out: Path) -> Section:
    def shown(cluster: Cluster) -> list[Example]:
        return [m for m in cluster.members if m.kept == KEPT and m.split in found.open_splits]

    largest = [cluster for cluster in found.clusters if shown(cluster)]
    conflicts = [cluster for cluster in largest if len({member.class_name for member in cluster.members}) > 1]
    near = [c for c in largest if len(shown(c)) > 1 and all(member.copy == "near" for member in c.members)]
    drawn = uniform(example_keys(np.array([cluster.members[0].id for cluster in near], str)), "inspect")
    kinds = {
        "clusters": ("The largest clusters", largest),
        "conflicts": ("The largest clusters with different labels", conflicts),
        # The largest ones are seen above; whether they are copies is seen best on a fair sample.
        "near": ("Clusters without exact copies, drawn at random once", [near[i] for i in np.argsort(drawn)]),
    }
    html = paragraph(duplicates_text(found))
    for stem, (heading, clusters) in kinds.items():
        if clusters:
            rows = [_captioned(shown(cluster), found) for cluster in clusters[:_CLUSTERS]]
            galleries = [
                gallery(row[:_MEMBERS], cluster_text(cluster, len(row[_MEMBERS:])))
                for cluster, row in zip(clusters, rows, strict=False)
            ]
            html += subheading(heading) + paragraph(f"{len(rows)} of {len(clusters):,} that have images to show.")
            html += abreast(galleries)
            _write_montage(out / f"{stem}.png", [row[:_MEMBERS] for row in rows])
    return Section("Duplicates", html)


def _odd_section(found: Survey, out: Path) -> Section:
    looks = found.looks
    empty = [*sorted(found.ids[looks.is_blank].tolist()), *sorted(found.ids[looks.is_nearly_blank].tolist())]
    kinds = {
        "blank": (f"Blank or nearly so: {len(empty):,} images", empty[:_EMPTY]),
        "tones": ("Fewest tones: drawings, signs, text", found.lowest(looks.entropy, _EMPTY)),
        "flat": ("Lowest contrast", found.lowest(looks.contrast, _ODD)),
        "dark": ("Darkest", found.lowest(looks.brightness, _ODD)),
        "bright": ("Brightest", found.lowest(-looks.brightness, _ODD)),
    }
    html = paragraph(
        "The ends of some scales: images that teach a model nothing, or something wrong, beside good ones. All of them "
        "are in the records."
    )
    for stem, (heading, ids) in kinds.items():
        if ids:
            tiles = _captioned([found.by_id[identity] for identity in ids], found)
            html += subheading(heading) + gallery(tiles)
            _write_montage(out / f"{stem}.png", _in_rows(tiles))
    return Section("Odd images", html)


def _looks_section(found: Survey, out: Path) -> Section:
    path = out / "brightness.png"
    save_figure(looks_figure(found), path)
    caption = "Bar: from quartile to quartile, with the median. Line: from the 1st to the 99th percentile."
    alt = "Brightness and contrast of the images of each class and split; their medians are in the table below."
    html = figure(path.read_bytes(), alt, caption)
    html += table(looks_table(found), "Medians of brightness (mean grey, 0 to 255) and contrast (standard deviation).")
    return Section("Brightness and contrast", html)


def _sizes_section(found: Survey, out: Path) -> Section:
    height, width, _ = found.manifest.image_shape
    stored = f"Images in the records are {height} × {width} pixels."
    sizes = np.array([(e.height, e.width) for e in found.examples if e.height and e.width]).reshape(-1, 2)  # [M, 2]
    if not len(sizes):
        return Section("Sizes", paragraph(f"{stored} What they were before is not known."))
    if len(np.unique(sizes, axis=0)) == 1:
        before = f"{sizes[0, 0]} × {sizes[0, 1]}"
        return Section("Sizes", paragraph(f"{stored} Before, all were {before} pixels."))
    path = out / "sizes.png"
    save_figure(sizes_figure(sizes.min(axis=1), min(height, width)), path)
    html = paragraph(f"{stored} Smaller pictures were enlarged, and have less detail than their size tells.")
    html += figure(path.read_bytes(), "Histogram of the shorter sides of the pictures before they were resized.")
    html += table(sizes_table(sizes), "Sizes before resizing, of all splits, after cropping to a box if there was one.")
    return Section("Sizes", html)


def _captioned(examples: Iterable[Example], found: Survey) -> list[Tile]:
    return [Tile(found.images[e.id], f"{e.id}\n{e.class_name}, {e.split}") for e in examples]


def _in_rows(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    return [tiles[start : start + _MEMBERS] for start in range(0, len(tiles), _MEMBERS)]


def _write_montage(path: Path, rows: Sequence[Sequence[Tile]]) -> None:
    if rows:
        png = montage(rows)
        write_atomically(path, lambda temporary: temporary.write_bytes(png))
