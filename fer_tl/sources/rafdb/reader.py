"""Opens RAF-DB in any of its layouts."""

from __future__ import annotations

from pathlib import Path

from fer_tl.core.archive_members import describe_passed_over, summarize_passed_over
from fer_tl.core.archives import Files, open_files
from fer_tl.core.errors import UserError
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.images import find_images
from fer_tl.sources.rafdb.class_folders import open_class_folders
from fer_tl.sources.rafdb.listing import find_list, open_list
from fer_tl.sources.rafdb.source import RafSource


def open_rafdb(
    path: Path, image_size: int = DEFAULT_IMAGE_SIZE, labels: str | None = None, images: str | None = None
) -> RafSource:
    """Open RAF-DB: ``list_patition_label.txt`` with aligned or original images, or class folders.

    List and images may lie in any folders of a folder or archive; the list counts where both layouts are there. The
    split is the official one. Images are read in colour.

    Args:
        path: the folder or archive.
        image_size: height and width of the images to hand out, pixels.
        labels: what numbers mean, a key of ``LABEL_ORDERS``; None for RAF-DB's if all of them are there.
        images: "aligned" or "original", of a list; None for aligned if they are there.

    Raises:
        UserError: nothing usable is there, or numbers may mean two things.
    """
    files = open_files(path)
    try:
        return _open(path, files, image_size, labels, images)
    except BaseException:
        files.close()
        raise


def _open(path: Path, files: Files, image_size: int, labels: str | None, images: str | None) -> RafSource:
    name = find_list(files)
    if name is not None:
        return open_list(path, files, name, labels, images, image_size)
    names, passed = find_images(files)
    if not names:
        told = describe_passed_over(summarize_passed_over(passed))
        raise UserError(
            f"{files.label} holds neither list_patition_label.txt nor images: give the folder or archive of RAF-DB "
            "that holds both, or class folders." + (f" {told}" if told else "")
        )
    if images is not None:
        raise UserError(
            f"{files.label} has no list_patition_label.txt, and class folders hold images of one kind: leave --images "
            "out"
        )
    source = open_class_folders(path, files, names, labels, image_size)
    source.passed_over = passed
    return source
