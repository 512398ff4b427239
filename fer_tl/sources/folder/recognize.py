"""Whether a folder or archive is images in class folders, told without reading them."""

from __future__ import annotations

from fer_tl.core.archives import Files
from fer_tl.sources.images import find_images, image_paths


def recognize(files: Files) -> str:
    """The class folders that tell it; "" if there are not two with images."""
    classes = sorted({path.folder for path in image_paths(find_images(files)[0])} - {""})
    if len(classes) < 2:
        return ""
    return (
        f"images in folders of {len(classes)} classes ({', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''})"
    )
