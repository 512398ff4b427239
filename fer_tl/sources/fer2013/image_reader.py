"""FER-2013 out of image folders, in any of the layouts that circulate."""

from __future__ import annotations

import re

from fer_tl.core.archives import Files
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.counting import counted, fitting
from fer_tl.core.errors import UserError
from fer_tl.sources.csv_pixels import SIZE
from fer_tl.sources.fer2013.labels import CONTEMPT_LABEL, class_index, count_warnings
from fer_tl.sources.folder.classes import refuse_merged
from fer_tl.sources.image_source import CONVERTED, Entry, ImageSource
from fer_tl.sources.images import ImagePath, splits_of
from fer_tl.sources.label_orders import check_numbers, number_of
from fer_tl.sources.origin import Origin
from fer_tl.sources.split_names import canonical_split

_OFFICIAL_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_", re.IGNORECASE)


class FerImageSource(ImageSource):
    """FER-2013 images; the warnings compare their numbers with the official ones."""

    whole = False  # no splits are named, so all three may be in one
    contempt = 0  # images left out

    def warnings(self) -> list[str]:
        lines = super().warnings()
        if converted := self.findings.counts[CONVERTED]:
            lines.append(f"{counted(converted, 'image')} not stored as 48x48 grey: converted.")
        if self.contempt:
            lines.append(f"{counted(self.contempt, 'image')} of contempt left out: FER-2013 has no such class.")
        return lines + count_warnings(self.counts(), self.whole)


def open_images(origin: Origin, files: Files, paths: list[ImagePath], labels: str | None) -> FerImageSource:
    """Find the class and the split of every image.

    If the name of every file begins with Training_, PublicTest_ or PrivateTest_, that is its split, whatever folder it
    lies in: Kaggle's ``test`` folder holds both of FER-2013's test sets.

    Args:
        origin: where the files were found.
        files: the folder or archive that holds the images.
        paths: its images.
        labels: what numbered folders mean, a key of ``LABEL_ORDERS``, or None (FER-2013's if that is certain).

    Raises:
        UserError: a folder that is not a class, numbered folders that may mean two things, or splits for only some
            images (by folder or by file name).
    """
    numbers = {number for path in paths if (number := number_of(path.folder)) is not None}
    check_numbers(numbers, labels, files.label, certain=True)
    official = [_OFFICIAL_NAME.match(path.name.rsplit("/", 1)[-1]) for path in paths]
    strange = [path.name for path, match in zip(paths, official, strict=True) if not match]
    if any(official) and strange:
        raise UserError(
            f"{len(strange):,} of {len(paths):,} images in {files.label} {fitting(len(strange), 'does', 'do')} not "
            f"begin with Training_, PublicTest_ or PrivateTest_ as the others do (first: {strange[0]}): remove or "
            f"rename {fitting(len(strange), 'it', 'them')}"
        )
    if all(official):
        splits = [str(canonical_split(match.group(1))) for match in official if match]
        note: str | None = "Splits are taken from the file names (Training_, PublicTest_, PrivateTest_)."
    else:
        splits, note = splits_of(paths, files.label)
    entries = [
        Entry(path.name, path.id, split, _label(path, files, labels)) for path, split in zip(paths, splits, strict=True)
    ]
    refuse_merged(
        [(split, path.folder) for path, split in zip(paths, splits, strict=True)],
        {path.folder: entry.label for path, entry in zip(paths, entries, strict=True)},
        files.label,
    )
    kept = [entry for entry in entries if entry.label != CONTEMPT_LABEL]
    source = FerImageSource(
        origin,
        files,
        kept,
        class_names=CLASS_NAMES,
        size=SIZE,
        channels=1,
        options={"labels": labels} if labels else {},
        notes=[note] if note else [],
    )
    source.whole = not all(official) and not any(path.split for path in paths)
    source.contempt = len(entries) - len(kept)
    return source


def _label(path: ImagePath, files: Files, labels: str | None) -> int:
    label = class_index(path.folder, labels)
    if label is None:
        folder = repr(path.folder) if path.folder else "no folder"
        raise UserError(
            f"{files.where(path.name)} lies in {folder}, which is none of the classes {', '.join(CLASS_NAMES)}: "
            "rename or remove the folder, or build it as your own classes with `fer-tl build folder`"
        )
    return label
