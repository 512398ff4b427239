"""Pictures that arrive on stdin, one after the other."""

from __future__ import annotations

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.inference.predict.piped import read_stdin

RANDOM = np.random.default_rng(0)
NOISE = Image.fromarray(RANDOM.integers(0, 256, (40, 30, 3)).astype(np.uint8))


def encoded(level: int = 128, form: str = "JPEG") -> bytes:
    return saved(Image.new("RGB", (24, 16), (level, level, level)), form)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


FRAMES = [NOISE.quantize(64), NOISE.transpose(Image.Transpose.ROTATE_180).quantize(16)]
FILES = {
    "JPEG": saved(NOISE, "JPEG"),
    "PNG": saved(NOISE, "PNG"),
    "GIF": saved(FRAMES[0], "GIF"),
    "GIF, animated": saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "WebP": saved(NOISE, "WEBP"),
    "BMP": saved(NOISE, "BMP"),
    "PPM": saved(NOISE, "PPM"),
    "PPM with a comment": saved(NOISE, "PPM").replace(b"P6\n", b"P6\n# 9 9 9\n"),
    "PGM": saved(NOISE.convert("L"), "PPM"),
    "PBM": saved(NOISE.convert("1"), "PPM"),
}


def split(*files: bytes) -> list[bytes]:
    return [each.data for each in read_stdin(io.BytesIO(b"".join(files)))]


def problems(*files: bytes) -> dict[str, str]:
    """{id: what is wrong with it, "" for a picture that can be read}."""
    found = {}
    for each in read_stdin(io.BytesIO(b"".join(files))):
        try:
            each.read(3)
            found[each.id] = ""
        except UserError as error:
            found[each.id] = str(error)
    return found


def test_stdin_is_one_image_or_jpeg_files_one_after_the_other():
    (one,) = read_stdin(io.BytesIO(encoded(form="PNG")))
    assert one.id == "stdin" and one.read(3).image.size == (24, 16)
    inner = encoded(40)  # an end-of-image marker inside a segment, as thumbnails have
    with_thumbnail = encoded(200)[:2] + b"\xff\xe2" + struct.pack(">H", len(inner) + 2) + inner + encoded(200)[2:]
    noisy = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(
        noisy, "JPEG", quality=100, restart_marker_blocks=2
    )
    files = [with_thumbnail, noisy.getvalue(), encoded(90)]
    stream = io.BytesIO(b"".join(files))
    pictures = read_stdin(stream)
    assert next(pictures).data == files[0] and stream.tell() == len(files[0])  # nothing is waited for
    assert [each.data for each in pictures] == files[1:]
    with pytest.raises(UserError, match="nothing arrived on stdin"):
        next(read_stdin(io.BytesIO()))
    with pytest.raises(UserError, match="truncated"):
        next(read_stdin(io.BytesIO(noisy.getvalue()[:-400]))).read(3)


def test_a_jpeg_file_that_is_cut_short_on_stdin_costs_no_other_one():
    one, other = encoded(10), encoded(200)
    found = [*read_stdin(io.BytesIO(one + one[:-5] + other))]
    assert [each.data for each in found] == [one, one[:-5], other]


def test_pictures_of_any_kind_follow_each_other():
    assert split(*FILES.values()) == [*FILES.values()]


@pytest.mark.parametrize("kind", FILES)
def test_a_picture_ends_where_its_file_ends(kind: str):
    data = FILES[kind]
    assert split(data) == [data]
    assert split(data, b"\r\n", data, bytes(99), data) == [data] * 3  # line ends, and zeros that fill a file up


@pytest.mark.parametrize("form", ["TIFF", "BMP"])
def test_one_that_does_not_say_where_it_ends_may_be_the_last(form: str):
    data = saved(NOISE, form)
    if form == "BMP":
        data = data[:2] + bytes(4) + data[6:]  # some programs leave its length out
    assert split(data) == [data]
    assert problems(FILES["PNG"], data) == {"stdin-0": "", "stdin-1": ""}


def test_several_of_which_only_the_first_can_be_found_are_said():
    data = saved(NOISE, "TIFF")
    found = problems(data, data)
    assert found["stdin"] == "" and "stdin may be several pictures, of which the first was read" in found["stdin-1"]


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (b"--frame\r\nContent-Type: image/jpeg", "text, not a picture"),
        (b"%PDF-1.4", "a PDF document"),
        (b"\x01\x02\x03", "not an image that can be read"),
    ],
)
def test_what_ends_the_pictures_is_said_with_its_place(after: bytes, what: str):
    one, other = FILES["JPEG"], FILES["PNG"]
    found = problems(one, other, after)
    assert list(found) == ["stdin-0", "stdin-1", "stdin-2"] and found["stdin-0"] == found["stdin-1"] == ""
    assert found["stdin-2"].startswith(f"stdin-2 (from byte {len(one) + len(other):,} to the end) is {what}")


def test_a_png_file_that_is_cut_short_costs_no_other_one():
    data = FILES["PNG"]
    found = problems(data[: len(data) // 2], data, FILES["JPEG"])
    assert list(found.values())[1:] == ["", ""] and "stdin-0 is truncated" in found["stdin-0"]


def test_a_length_that_cannot_be_is_no_reason_to_wait_for_it():
    data = bytearray(FILES["PNG"])
    data[33:37] = b"\x7f\xff\xff\xff"  # of the second chunk
    assert all(problems(bytes(data), FILES["JPEG"]).values())
    huge = b"P6 99999999 99999999 255\n"
    assert "pixels" in problems(huge + bytes(9))["stdin"]


def test_a_picture_is_handed_out_before_the_next_one_arrives():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as other_end:
        pictures = read_stdin(stream)
        for data in (FILES["JPEG"], FILES["PNG"], FILES["GIF"], FILES["WebP"], FILES["PPM"]):
            other_end.write(data)
            assert next(pictures).data == data
        other_end.write(b"no picture")  # and the end of what is none is not waited for
        assert next(pictures).id == "stdin-5" and not [*pictures]


def test_what_follows_a_picture_that_does_not_say_where_it_ends_is_not_passed_over() -> None:
    """JPEG, TIFF, PNG: the PNG cannot be told from the end of the TIFF file, and that is said."""
    found = list(read_stdin(io.BytesIO(encoded() + encoded(form="TIFF") + encoded(form="PNG"))))
    assert len(found) == 3 and "may be several pictures, of which the first was read" in found[2].problem
    assert len(list(read_stdin(io.BytesIO(encoded() + encoded(form="TIFF"))))) == 2
