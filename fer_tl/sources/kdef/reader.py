"""KDEF as a source of examples."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.sources.format import DEFAULT_IMAGE_SIZE
from fer_tl.sources.image_source import ImageSource
from fer_tl.sources.kdef.names import tell
from fer_tl.sources.portraits import open_portraits, read_names


def open_kdef(
    path: Path,
    image_size: int = DEFAULT_IMAGE_SIZE,
    fit: str = "pad",
    channels: int | None = None,
    angles: str = "all",
) -> ImageSource:
    """Open KDEF, whatever folders its files lie in; a person is the same in both sessions.

    Args:
        path: the folder or archive.
        image_size: see ``open_portraits``.
        fit: likewise.
        channels: likewise.
        angles: a key of ``names.ANGLES``.

    Raises:
        UserError: see ``open_portraits``.
    """
    return open_portraits(
        path,
        partial(read_names, tell=partial(tell, angles=angles), example="AF01ANS.JPG"),
        CLASS_NAMES,
        image_size=image_size,
        fit=fit,
        channels=channels,
        options={"angles": angles},
    )
