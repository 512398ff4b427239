"""Whether a file, folder or archive is FER-2013, told without reading its images."""

from __future__ import annotations

from collections import Counter

from fer_tl.core.archives import Files
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.sources.fer2013.csv_reader import has_labels, has_pixels
from fer_tl.sources.fer2013.labels import OFFICIAL_COUNTS, class_index
from fer_tl.sources.fer2013.open_source import WHOLE
from fer_tl.sources.images import find_images, image_paths


def recognize(files: Files) -> str:
    """What tells that it is FER-2013; "" if nothing does.

    A table counts by its name or, alone, by its columns; images count if as many of each class are for training as in
    the official file. Published copies without some splits, or with them joined, keep that.
    """
    tables = [name for name in files.names if name.lower().endswith((".csv", ".csv.gz", ".csv.zip", ".tar.gz"))]
    for name in tables:
        base = name.rsplit("/", 1)[-1].lower()
        if base.partition(".")[0] in WHOLE:
            return f"a file called {base}"
    if len(tables) == 1 == len(files.names) and has_pixels(files, tables[0]) and has_labels(files, tables[0]):
        return "columns of emotions and pixels"
    found = Counter(
        class_index(path.folder, None) for path in image_paths(find_images(files)[0]) if path.split in (None, "train")
    )
    if tuple(found[index] for index in range(len(CLASS_NAMES))) == OFFICIAL_COUNTS["train"]:
        return f"the {sum(OFFICIAL_COUNTS['train']):,} training images of FER-2013"
    return ""
