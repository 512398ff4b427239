"""Turn FER-2013, ExpW, a folder of images or drawn faces into sharded TFRecords."""

from __future__ import annotations

from typing import Any

from fer_tl.commands._command import Command
from fer_tl.data.building.build import build


def _add_arguments(parser: Any) -> None:
    from fer_tl.sources.label_orders import LABEL_ORDERS

    add = parser.add_argument
    add("name", help="fer2013, expw, folder/NAME (a name of your choice), or toyfaces")
    add(
        "--source", type=str | None, help="the file or folder that you have: CSV, archive, image folders, ExpW's folder"
    )
    add("--data-dir", type=str, default="data", help="folder for built datasets (default: data)")
    add("--duplicates", type=str | None, help="group: copies share a fold, training copies of validation and test "
        "images are left out; drop: also all but one training copy; keep: do not look (default: group)")  # fmt: skip
    add("--accept-copies", action="store_true", help="go on where copies make up so much that a build stops to let you "
        "look at examples of them")  # fmt: skip
    add("--image-size", type=int | None, help="expw, folder: side in pixels of the stored images (default: 96)")
    add("--fit", type=str | None, help="folder: pad, crop or stretch images that are not square (default: pad)")
    add("--channels", type=int | None, help="folder: 1 for grey, 3 for colour (default: 1 if all are stored in grey)")
    add("--bits", type=int | None, help="folder: bits used of images of 16 bits that do not say so, 8 to 16 (default: "
        "16, if values as large occur)")  # fmt: skip
    add("--labels", type=str | None, help=f"fer2013, folder: what numbers mean as classes: {', '.join(LABEL_ORDERS)} "
        "(default: fer2013: its own 0-6 if that is certain)")  # fmt: skip
    add("--ferplus", type=str | None, help="fer2013 as CSV: FER+'s fer2013new.csv, whose votes replace the labels")
    add("--votes", type=str | None, help="--ferplus, cleaned expw: majority, or soft: train on the shares of votes "
        "(default: majority)")  # fmt: skip
    add("--boxes", type=str | None, help="fer2013, folder: CSV of face boxes to crop to, columns id, top, left, "
        "bottom, right in pixels of the original image; id: row number from 0 of a CSV source, else the image's file "
        "name or path in the source; others stay whole")  # fmt: skip
    add("--detector", type=str | None, help="fer2013, folder: haar or yunet: crop each image to the largest face that "
        "is found in it; others stay whole")  # fmt: skip
    add("--detector-model", type=str | None, help="--detector yunet: file of its model (default: fetched once)")
    add("--box-margin", type=float | None, help="what to add on each side of a box, as a fraction of it (default: 0, "
        "with --detector its own)")  # fmt: skip
    add("--min-confidence", type=float | None, help="expw: leave out faces with a lower detector score")
    add("--on-error", type=str | None, help="stop if images, rows or lines cannot be used, and name them, or "
        "skip them, at most 5 % (default: stop)")  # fmt: skip
    add("--splits", type=str | None, help="expw: CSV with columns id and split to use, such as another's examples.csv")
    add("--split-seed", type=int | None, help="expw: seed of the 80:20 split (default: 0)")
    add("--encoding", type=str | None, help="png, or jpeg: a third of the size, not exact (default: png)")
    add("--shards", type=int | None, help="TFRecord files a split (default: 16)")
    add("--overwrite", action="store_true", help="replace a dataset that is built from something else")


COMMAND = Command(build, add_arguments=_add_arguments)
