"""Explained answers for people: overlays as pictures and on a page, the maps as arrays, a list as CSV and text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_tl.core.files import write_atomically, write_text
from fer_tl.inference.explain.maps import colour_bar, enlarge, normalize, overlay, peak, place_of_maximum
from fer_tl.inference.explain.methods import METHODS, SAMPLES, SPREAD
from fer_tl.inference.explain.pictures import describe_pictures
from fer_tl.reports.page import Tile, render
from fer_tl.reports.rendering import Table, as_csv, as_text
from fer_tl.sources.images import encode_image

if TYPE_CHECKING:
    from fer_tl.inference.explain.explain import Explained, Explanation

LIST = "explain.csv"
MAPS = "maps.npz"
PAGE = "index.html"
OVERLAYS = "overlays"
# Single pixels stand out so far that the rest would be dark; it is what the paper's authors show SmoothGrad with
# (https://github.com/PAIR-code/saliency, VisualizeImageGrayscale).
_PERCENTILE = {"gradcam": 100.0, "saliency": 99.0, "smoothgrad": 99.0}
_MEANING = {
    "gradcam": "Grad-CAM: bright where the features of a layer speak for the class; what speaks against it is left "
    "dark.",
    "saliency": "Saliency: bright where a small change of a pixel changes the class's logit most, up or down.",
    "smoothgrad": f"SmoothGrad: the same, of the mean gradient over {SAMPLES} copies with noise of "
    f"{100 * SPREAD:.0f} % of the image's range; quieter, and usually easier to read.",
}
_WIDTH = 100  # letters of a line in the terminal
_ROWS = 20  # of the table there


def describe(explained: Explained) -> list[str]:
    """What a reader of the maps must know besides what they mean: a sentence or two each."""
    notes = []
    if "gradcam" in explained.methods:
        (height, width), shape = explained.map_size, explained.explanations[0].picture.pixels.shape
        cell = f"{shape[0] / height:.0f}x{shape[1] / width:.0f}"
        note = f"Grad-CAM looks at layer {explained.layer}, a map of {height}x{width}: a cell is {cell} pixels."
        if explained.map_size == (1, 1):
            other = f": try --layer {explained.larger}" if explained.larger else ""
            note += f" A single cell cannot say where{other}."
        notes.append(note)
    return notes + describe_pictures([each.picture for each in explained.explanations])


def write_explained(explained: Explained, folder: Path, title: str, notes: Sequence[str]) -> str:
    """Write list, maps, overlays and page.

    Args:
        explained: from ``fer_tl.inference.explain.explain.explain_pictures``.
        folder: from ``fer_tl.core.output_folder.choose_folder``.
        title: what was explained.
        notes: a sentence or two each.

    Returns:
        What the terminal shows.
    """
    explanations, methods = explained.explanations, explained.methods
    files = [_file_names(number, each, methods) for number, each in enumerate(explanations, start=1)]
    # First: a folder left by an interruption is then known as one of explanations.
    write_text(folder / LIST, _list_csv(explained, files))
    for stale in (folder / OVERLAYS).glob("*.png"):
        stale.unlink()
    _write_maps(folder / MAPS, explained)
    tiles = []
    for each, names in zip(explanations, files, strict=True):
        drawn = {method: _draw(each, method) for method in methods}
        for method, picture in drawn.items():
            data = encode_image(picture, "png")
            write_atomically(folder / OVERLAYS / names[method], partial(Path.write_bytes, data=data))
        tiles.append(
            [
                Tile(each.picture.shown, "image", alt=f"the image {each.picture.id}"),
                *(Tile(picture, METHODS[method], alt=_alt(each, method)) for method, picture in drawn.items()),
            ]
        )
    write_text(folder / PAGE, _page(explained, title, notes, tiles))
    return _text(explained, folder, title, notes)


def _draw(each: Explanation, method: str) -> np.ndarray:
    """The overlay, uint8 ``[D, D, 3]``."""
    shown = each.picture.shown
    heat = normalize(each.maps[method], _PERCENTILE[method])
    return overlay(shown, enlarge(heat, (shown.shape[0], shown.shape[1])).clip(0, 1))


def _page(explained: Explained, title: str, notes: Sequence[str], tiles: Sequence[Sequence[Tile]]) -> str:
    side = max(each.picture.shown.shape[1] for each in explained.explanations)
    return render(
        "explain.html",
        title,
        notes=notes,
        meanings=[_MEANING[method] for method in explained.methods],
        bar=Tile(colour_bar(16, side), "dark: 0 → bright: most", alt="colours from dark violet over green to yellow"),
        images=list(zip(map(_caption, explained.explanations), tiles, strict=True)),
        side=side,
    )


def _caption(each: Explanation) -> str:
    picture = each.picture
    truth = f"true {picture.label}, " if picture.label else ""
    other = "" if each.explained == each.predicted else f"; maps of {_with_percent(each, each.explained)}"
    return f"{truth}predicted {_with_percent(each, each.predicted)}{other} · {picture.id} · {picture.part}"


def _alt(each: Explanation, method: str) -> str:
    place = place_of_maximum(each.maps[method])
    where = {"nowhere": "0 everywhere", "all alike": "the same everywhere", "centre": "brightest in the centre"}
    return f"{METHODS[method]} for {each.explained}: {where.get(place, f'brightest at the {place}')}"


def _with_percent(each: Explanation, name: str) -> str:
    return f"{name} {100 * each.probabilities[name]:.0f} %"


def _list_csv(explained: Explained, files: Sequence[dict[str, str]]) -> str:
    """One line an image and method; row and column of the maximum are of the map, from 0."""
    header = ["id", "true", "predicted", "p_predicted", "explained", "p_explained", "part", "method", "layer"]
    header += ["map_height", "map_width", "maximum", "row", "column", "place", "file"]
    lines = []
    for each, names in zip(explained.explanations, files, strict=True):
        p, picture = each.probabilities, each.picture
        told = [picture.id, picture.label, each.predicted, p[each.predicted], each.explained, p[each.explained]]
        for method, name in names.items():
            values = each.maps[method]
            layer = explained.layer if method == "gradcam" else ""
            found = [*values.shape, float(values.max()), *peak(values), place_of_maximum(values)]
            lines.append([*told, picture.part, method, layer, *found, f"{OVERLAYS}/{name}"])
    return as_csv([header, *lines])


def _write_maps(path: Path, explained: Explained) -> None:
    """Every map float32 ``[N, h, w]`` by method, with ids, classes, probabilities float64 ``[N, K]``, parts and the
    layer."""
    several = explained.explanations
    arrays: dict[str, Any] = {
        "ids": np.array([each.picture.id for each in several]),
        "true": np.array([each.picture.label for each in several]),
        "predicted": np.array([each.predicted for each in several]),
        "explained": np.array([each.explained for each in several]),
        "parts": np.array([each.picture.part for each in several]),
        "probabilities": np.array([list(each.probabilities.values()) for each in several]),
        "class_names": np.array(list(several[0].probabilities)),
        "layer": np.array(explained.layer),
        **{method: np.stack([each.maps[method] for each in several]) for method in explained.methods},
    }
    write_atomically(path, lambda temporary: np.savez_compressed(temporary, **arrays))


def _text(explained: Explained, folder: Path, title: str, notes: Sequence[str]) -> str:
    header = ["image", "true", "predicted", "explained", "part", *(METHODS[method] for method in explained.methods)]
    rows = [
        [
            each.picture.id,
            each.picture.label or "–",
            _with_percent(each, each.predicted),
            each.explained,
            each.picture.part,
            *(place_of_maximum(each.maps[method]) for method in explained.methods),
        ]
        for each in explained.explanations
    ]
    shown = as_text(Table(header, [rows[:_ROWS]], frozenset(range(len(header))))).rstrip()
    if len(rows) > _ROWS:
        shown += f"\n{len(rows) - _ROWS} further images: {folder / LIST}"
    paragraphs = "\n".join(textwrap.fill(note, _WIDTH) for note in notes)
    ends = f"page: {folder / PAGE}\noverlays: {folder / OVERLAYS}\nmaps: {folder / MAPS}"
    return "\n\n".join([title, paragraphs, f"Where each map is brightest:\n\n{shown}", ends])


def _file_names(number: int, each: Explanation, methods: Sequence[str]) -> dict[str, str]:
    """Names of the overlays by method: the image's number makes them unique, part of its id tells which it is."""
    stem = PurePath(each.picture.id).stem if each.picture.label == "" else each.picture.id
    words = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.")[-40:]
    return {method: "-".join(filter(None, [f"{number:03d}", words, method])) + ".png" for method in methods}
