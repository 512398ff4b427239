"""Looks at what the search for copies would do to a dataset before it is done: where that is much, a person decides."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_atomically
from fer_tl.data.examples import KEPT, Example

LARGE = 0.01
"""Share of a dataset's images from which a cluster of different images is suspicious: FER-2013's largest has 0.0006,
that of ExpW's subset 0.003."""

MOST_LOST = 0.10
"""Share of a class's training images that may be left out as copies of validation and test, see
``Format.most_lost``."""

MIXED = 0.10
"""Share of a dataset's images that may be in clusters with different labels: 0.03 of FER-2013's and ExpW's are."""

FEW = 10
"""Images up to which nothing is suspicious: a share of a small dataset says little."""

_ROWS, _COLUMNS, _SIDE, _LINE = 12, 8, 96, 14  # of the sheet of examples; the last two in pixels


def suspicions(
    examples: Sequence[Example],
    pixels: Sequence[bytes | str] | np.ndarray,
    most_lost: float = MOST_LOST,
    known: Sequence[object] | np.ndarray = (),
) -> tuple[list[str], list[list[int]]]:
    """What is too much to be done without a look.

    Args:
        examples: of the whole dataset, with clusters and what is left out.
        pixels: a hash of each one's pixels: copies that are equal need no look.
        most_lost: see ``MOST_LOST``.
        known: the group of each as the source or the user gave it: frames of one person look alike, and a cluster
            within one such group joins nothing that was not joined. Empty if each image is alone.

    Returns:
        What was found, in words, and the rows of the clusters that it is about; both empty if nothing was.
    """
    clusters: Mapping[str, list[int]] = defaultdict(list)
    for row, example in enumerate(examples):
        if example.cluster:
            clusters[example.cluster].append(row)
    clusters = {
        name: rows
        for name, rows in clusters.items()
        if not len(known) or len({known[row] for row in rows}) > 1 or any(examples[row].kept != KEPT for row in rows)
    }
    reasons, shown = [], []
    different = {name: len({pixels[row] for row in rows}) for name, rows in clusters.items()}
    for name, rows in sorted(clusters.items(), key=lambda item: -different[item[0]]):
        labels = Counter(examples[row].class_name for row in rows)
        mixed = labels.most_common(1)[0][1] < len(rows) / 2
        if different[name] > max(FEW, LARGE * len(examples)):
            reasons.append(f"one cluster has {different[name]:,} different images")
            shown.append(rows)
        elif different[name] > FEW and mixed:
            reasons.append(f"one cluster of {different[name]:,} different images has labels of {len(labels)} classes")
            shown.append(rows)
    near = {name: rows for name, rows in clusters.items() if different[name] > 1}
    torn = [rows for rows in near.values() if len({examples[row].class_name for row in rows}) > 1]
    if sum(map(len, torn)) > max(FEW, MIXED * len(examples)):
        reasons.append(f"{sum(map(len, torn)):,} images are in clusters with different labels")
        shown += torn
    training = Counter(example.class_name for example in examples if example.split == "train")
    lost = [row for row, example in enumerate(examples) if example.kept.startswith("copy of ")]
    for name, number in Counter(examples[row].class_name for row in lost).most_common():
        if number > max(FEW, most_lost * training[name]):
            reasons.append(f"{name} loses {number:,} of its {training[name]:,} training images as copies")
            hit = {examples[row].cluster for row in lost if examples[row].class_name == name}
            # Where pixels differ somebody has to look; the others are shown where there is nothing else.
            shown += sorted((clusters[cluster] for cluster in hit), key=lambda rows: len({pixels[r] for r in rows}) < 2)
    return reasons, shown


def refuse_what_is_suspicious(
    examples: Sequence[Example],
    pixels: Sequence[bytes | str] | np.ndarray,
    encoded: Callable[[int], bytes],
    picture: Path,
    most_lost: float = MOST_LOST,
    known: Sequence[object] | np.ndarray = (),
) -> None:
    """Stop a build that would leave out or join more than can be taken for granted.

    Args:
        examples: see ``suspicions``.
        pixels: see there.
        encoded: gives the file of an example's image.
        picture: PNG to write with examples, if there is something to look at.
        most_lost: see ``MOST_LOST``.
        known: see ``suspicions``.

    Raises:
        UserError: the counts, where to look, and the options.
    """
    reasons, shown = suspicions(examples, pixels, most_lost, known)
    if not reasons:
        return
    told = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3:,} more" if len(reasons) > 3 else "")
    where = "look at the images"
    try:
        sheet = draw_sheet(shown, examples, pixels, encoded)
        write_atomically(picture, lambda path: sheet.save(path, format="PNG"))
        where = f"look at {picture}, each row of which is taken for one picture"
    except OSError:
        pass
    raise UserError(
        f"Nothing was built, because so many copies need a look first: {told}. Please {where}; then build again with "
        "--accept-copies if they are copies, or with --duplicates keep if they are not"
    )


def draw_sheet(
    clusters: Sequence[Sequence[int]],
    examples: Sequence[Example],
    pixels: Sequence[bytes | str] | np.ndarray,
    encoded: Callable[[int], bytes],
) -> Image.Image:
    """Some images of some clusters, a cluster a row, each with its split and class."""
    rows = [_choose(cluster, pixels) for cluster in clusters[:_ROWS]]
    sheet = Image.new("RGB", (_COLUMNS * _SIDE, len(rows) * (_SIDE + _LINE)), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for line, chosen in enumerate(rows):
        for column, row in enumerate(chosen):
            with Image.open(io.BytesIO(encoded(row))) as stored:
                tile = stored.convert("RGB").resize((_SIDE - 4, _SIDE - 4))
            x, y = column * _SIDE, line * (_SIDE + _LINE)
            sheet.paste(tile, (x + 2, y + 2))
            # Pillow's own font has Latin letters only.
            text = f"{examples[row].split} {examples[row].class_name}".encode("ascii", "replace").decode()
            draw.text((x + 2, y + _SIDE - 1), text[:15], fill=(0, 0, 0))
    return sheet


def _choose(cluster: Sequence[int], pixels: Sequence[bytes | str] | np.ndarray) -> list[int]:
    """Different images of a cluster, from all over it."""
    first: Mapping[bytes | str, int] = {pixels[row]: row for row in reversed(cluster)}
    rows = sorted(first.values()) if len(first) > 1 else list(cluster)
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _COLUMNS)).round().astype(int))
    return [rows[place] for place in places]
