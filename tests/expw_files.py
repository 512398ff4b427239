"""Small ExpW datasets in every layout, for the tests of its source."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from fer_files import png
from PIL import Image

from fer_tl.sources.records import Record, Source
from fer_tl.sources.votes import COLUMNS

HEIGHT, WIDTH = 40, 64
SIZE = 16


def draw(seed: int) -> np.ndarray:
    """Noise: uint8 [40, 64, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


PHOTOS = {f"angry_man_{number}.jpg": draw(number) for number in range(6)}

# The second and fourth are one photo's; no box is the same if its edges are taken in another order.
ROWS = (
    "angry_man_3.jpg 0 5 20 36 21 50.5 6",
    "angry_man_1.jpg 0 2 30 62 34 9.5 3",
    "angry_man_0.jpg 2 10 1 17 26 80 0",
    "angry_man_1.jpg 7 0 3 19 16 40 4",
    "angry_man_2.jpg 0 -4 50 70 16 0.25 5",
)


def expw_files(
    rows: Iterable[str] = ROWS, label: str = "label/label.lst", photo: str = "image/origin/{name}"
) -> dict[str, bytes]:
    """Files by name: the list and all photos, as PNG inside so that their pixels are known."""
    listed = {label: "".join(f"{row}\n" for row in rows).encode()}
    return listed | {photo.format(name=name): png(pixels) for name, pixels in PHOTOS.items()}


def votes_row(name: str, **votes: float) -> str:
    """A row of label_expw.csv; columns that are not given are 0."""
    return ",".join((name, '"(0, 0, 64, 40)"', *(str(votes.get(column, 0)) for column in COLUMNS)))


def cleaned_files(rows: Iterable[str], suffix: str = ".png") -> dict[str, bytes]:
    """Files by name: a vote table, and a crop for every photo, of face 0 of it."""
    listed = {"label_expw.csv": "".join(f"{row}\n" for row in rows).encode()}
    return listed | {
        f"ExpwCleaned/{name.removesuffix('.jpg')}_0{suffix}": png(pixels) for name, pixels in PHOTOS.items()
    }


def encode(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def empty_png(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT", b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def read(source: Source) -> dict[str, Record]:
    return {record.id: record for record in source.records()}


def slice_of(name: str, top: int, left: int, bottom: int, right: int, size: int = SIZE) -> np.ndarray:
    """The pixels of a square box at the size of the records, black outside of the photo: uint8 [size, size, 3]."""
    assert bottom - top == right - left
    around = np.pad(PHOTOS[name], ((WIDTH, WIDTH), (WIDTH, WIDTH), (0, 0)))
    face = around[top + WIDTH : bottom + WIDTH, left + WIDTH : right + WIDTH]
    return np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.LANCZOS))
