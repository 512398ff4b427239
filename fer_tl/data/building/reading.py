"""Reads a part of a source into a folder: what costs of a build, and can be done anywhere."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.progress import CountProgress
from fer_tl.data.building.grouping import PhotoWriter, digest_pixels
from fer_tl.data.building.image_buffer import SpoolWriter
from fer_tl.data.building.rows import RowWriter
from fer_tl.data.records.stream import decode_stored
from fer_tl.data.tones import Tones
from fer_tl.sources.check import checked_records
from fer_tl.sources.findings import Findings
from fer_tl.sources.records import Source


@dataclass(frozen=True)
class ReadPart:
    """A part of a source that was read.

    Attributes:
        place: the folder of its files.
        findings: what was found out besides.
        image_shape: (H, W, C).
        count: of the examples.
    """

    place: Path
    findings: Findings
    image_shape: tuple[int, int, int]
    count: int


def read_part(source: Source, place: Path, encoding: str, photographs: bool) -> ReadPart:
    """Read the examples of ``source.part``.

    Args:
        source: where it is from.
        place: an empty folder.
        encoding: "png" or "jpeg", how the records will hold the images.
        photographs: whether to keep what copies are told by.

    Raises:
        UserError: the source cannot be read, or hands out what it may not.
        UnusableExamples: some cannot be used, and none may be left out.
    """
    tones, (height, width, channels) = Tones(), source.image_shape
    with (
        closing(SpoolWriter(place, encoding, photographs)) as spool,
        closing(RowWriter(place, lossy=encoding != "png")) as rows,
        closing(PhotoWriter(place)) as photos,
        CountProgress(source.total(), "examples read") as progress,
    ):
        for record in checked_records(source):
            encoded = spool.add(record.image)
            pixels = digest_pixels(record.image)
            stored = pixels if encoding == "png" else digest_pixels(decode_stored(encoded, (height, width, channels)))
            tones.add(record.image)
            if photographs:
                photos.add(record, rows.count)
            rows.add(record, pixels, stored, spool.end)
            progress.step()
    found = source.findings + Findings(tones.counts)
    return ReadPart(place, found, (height, width, channels), rows.count)
