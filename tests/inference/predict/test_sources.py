"""Which pictures a source means, and what is refused before it is decoded."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.faces.opening import open_image
from fer_tl.inference.predict.sources import find_pictures, is_stream


def encoded(level: int = 128, form: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (24, 16), (level, level, level)).save(stream, form, **options)
    return stream.getvalue()


def png_that_says(width: int, height: int) -> bytes:
    """A few hundred bytes that would be decoded to an image of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_folders_patterns_and_files_name_pictures_as_the_builders_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/2.jpg", "a/1.PNG", "a/deep/1.jpg", "a/.3.jpg", "b.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(encoded())
    Path("a/notes.txt").write_text("none")
    Path("odd").write_bytes(encoded(form="PNG"))
    found = find_pictures(["a", "b.jpg", "odd"])
    assert found is not None
    assert [str(each.path) for each in found] == ["a/1.PNG", "a/2.jpg", "a/deep/1.jpg", "b.jpg", "odd"]
    assert [each.id for each in found] == ["a/1.PNG", "2", "a/deep/1.jpg", "b", "odd"]
    assert [str(each.path) for each in find_pictures(["a/*.jpg"]) or []] == ["a/2.jpg"]
    Path("film.mp4").write_bytes(b"no picture")
    assert find_pictures(["film.mp4"]) is None
    for sources, message in (
        (["nowhere.jpg"], "nowhere.jpg does not exist: give pictures, a folder"),
        (["*.gif"], "no picture matches"),
        (["a", "film.mp4"], "film.mp4 is not a picture: give a video alone"),
    ):
        with pytest.raises(UserError, match=message):
            find_pictures(sources)
    Path("empty").mkdir()
    with pytest.raises(UserError, match="empty holds no picture"):
        find_pictures(["empty"])
    assert is_stream("0") and is_stream("rtsp://camera/1") and not is_stream("0.jpg") and not is_stream("c:/photo.jpg")


@pytest.mark.parametrize(("width", "height"), [(20_000, 10_000), (12_000, 9_000), (100_000, 60_000)])
def test_a_picture_that_says_it_is_huge_is_refused_by_its_header(width: int, height: int):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match=r"bomb\.png says that it has .* pixels: at most 89 million are decoded"):
            open_image(png_that_says(width, height), 3, "bomb.png")


def test_pictures_are_turned_as_exif_says_and_damaged_ones_are_named():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_image(encoded(exif=exif), 3, "x").image.size == (16, 24)
    with pytest.raises(UserError, match=r"cut\.jpg is truncated"):
        open_image(encoded(form="PNG")[:60], 3, "cut.jpg")
    with pytest.raises(UserError, match=r"text\.jpg is text, not a picture"):
        open_image(b"hello", 3, "text.jpg")
