"""RAF-DB's images as a source, whichever way their labels came."""

from __future__ import annotations

from fer_tl.sources.image_source import ImageSource
from fer_tl.sources.rafdb.labels import count_warnings


class RafSource(ImageSource):
    """RAF-DB; the warnings compare the numbers of its images with the official ones.

    Attributes:
        original: whether the images are photos, not faces that were aligned.
    """

    kind = "rafdb"
    original = False

    def warnings(self) -> list[str]:
        lines = super().warnings()
        if self.original and self.crop is None:
            lines.append(
                "these are the original images, with what is around each face: --detector or --boxes crops them, or "
                "give the aligned ones."
            )
        return lines + count_warnings(self.counts())
