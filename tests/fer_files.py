"""Small FER-2013 files in every shape, for the tests of the readers and of the build."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.sources.records import Source

USAGE = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
Face = tuple[str, int, np.ndarray]  # split, label, uint8 [48, 48]


def make_faces(count: int = 28, splits: tuple[str, ...] = ("train", "validation", "test")) -> list[Face]:
    """Noise with labels 0..6 in turn; each split has every class if `count` is 7 for each split or more."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    return [(splits[i // 7 % len(splits)], i % 7, pixels[i]) for i in range(count)]


def csv_text(
    faces: list[Face],
    header: str = "emotion,pixels,Usage",
    usage: Callable[[str], str] = USAGE.__getitem__,
    emotion: Callable[[int], str] = str,
    space: str = " ",
    end: str = "\n",
) -> str:
    """A CSV with the columns of `header` in its order; unknown columns hold the row's number."""
    lines = [header]
    for index, (split, label, pixels) in enumerate(faces):
        cells = {"emotion": emotion(label), "pixels": space.join(map(str, pixels.ravel())), "usage": usage(split)}
        lines.append(",".join(cells.get(name.strip().lower(), str(index)) for name in header.split(",")))
    return end.join(lines) + end


def png(pixels: np.ndarray, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def image_files(faces: list[Face], path: str = "{split}/{name}/{usage}_{index}.png") -> dict[str, bytes]:
    """Files by name; `path` may use split, usage, name, label and index."""
    return {
        path.format(split=split, usage=USAGE[split], name=CLASS_NAMES[label], label=label, index=index): png(pixels)
        for index, (split, label, pixels) in enumerate(faces)
    }


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(zip_bytes(files))
    return path


def zip_bytes(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tar_bytes(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def read_faces(source: Source) -> list[tuple[str, str, int, bytes]]:
    """Everything a source gives: (split, id, label, pixels), sorted by id."""
    found = [(record.split, record.id, record.label, record.image.tobytes()) for record in source.records()]
    assert len(found) == source.total()
    return sorted(found, key=lambda row: row[1])


def content(source: Source) -> list[tuple[str, int, bytes]]:
    """Split, label and pixels of everything a source gives, sorted."""
    return sorted((split, label, pixels) for split, _, label, pixels in read_faces(source))


def expected(faces: list[Face]) -> list[tuple[str, int, bytes]]:
    return sorted((split, label, pixels.tobytes()) for split, label, pixels in faces)
