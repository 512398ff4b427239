"""Every file that FER-2013 circulates as reads as the same faces; everything else gets one clear line."""

from __future__ import annotations

import bz2
import gzip
import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fer_files import (
    Face,
    content,
    csv_text,
    expected,
    image_files,
    make_faces,
    png,
    read_faces,
    tar_bytes,
    write_folder,
    write_zip,
    zip_bytes,
)
from PIL import Image

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.csv_pixels import parse_pixels
from fer_tl.sources.fer2013.labels import OFFICIAL_COUNTS, count_warnings
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.label_orders import LABEL_ORDERS

FACES = make_faces()
TRAIN_ONLY = make_faces(7, ("train",))
TEXT = csv_text(FACES)
CSV = TEXT.encode()


def check(path: Path, faces: list[Face] = FACES, labels: str | None = None) -> None:
    with closing(open_source(path, labels)) as source:
        assert content(source) == expected(faces)


def refuse(path: Path, labels: str | None = None) -> str:
    """The message of the error that reading everything ends in."""
    with pytest.raises(UserError) as caught, closing(open_source(path, labels)) as source:
        read_faces(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


TEXTS = {
    "official": TEXT,
    "icml": csv_text(FACES, "emotion, Usage, pixels"),
    "upper-case header": csv_text(FACES, "EMOTION,Pixels,USAGE"),
    "byte order mark": "\ufeff" + TEXT,
    "crlf": csv_text(FACES, end="\r\n"),
    "cr only": csv_text(FACES, end="\r"),
    "no line end": TEXT.rstrip("\n"),
    "index column": csv_text(FACES, "Unnamed: 0,emotion,pixels,Usage"),
    "nameless column": csv_text(FACES, ",emotion,pixels,Usage"),
    "split names": csv_text(FACES, usage=lambda split: split),
    "short split names": csv_text(FACES, usage=lambda split: {"validation": "Val"}.get(split, split.upper())),
    "snake case": csv_text(FACES, usage={"train": "train", "validation": "public_test", "test": "private_test"}.get),
    "class names": csv_text(FACES, emotion=CLASS_NAMES.__getitem__),
    "other names": csv_text(FACES, emotion=["Anger", "Disgusted", "af", "joy", "SAD", "suprise", "normal"].__getitem__),
    "floats": csv_text(FACES, emotion=lambda label: f"{label}.0"),
    "tabs": csv_text(FACES, space="\t"),
    "blank cells at the end": TEXT.replace("\n", ",\n").replace("Usage,", "Usage"),
    "double spaces": csv_text(FACES, space="  "),
    "semicolons": TEXT.replace(",", ";"),
    "empty lines": TEXT.replace("\n", "\n\n"),
    "trailing NUL": TEXT + "\0\0\0",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_csv_reads_the_same(tmp_path: Path, text: str) -> None:
    (tmp_path / "fer2013.csv").write_bytes(text.encode())
    check(tmp_path / "fer2013.csv")


def test_utf_16_from_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_bytes(TEXT.encode("utf-16"))
    check(tmp_path / "fer2013.csv")


PACKED = {
    "fer2013.csv.gz": gzip.compress(CSV),
    "fer2013.csv.bz2": bz2.compress(CSV),
    "fer2013.tar": tar_bytes({"fer2013/README": b"read", "fer2013/fer2013.csv": CSV, "fer2013/fer2013.bib": b"@"}),
    "fer2013.tar.gz": tar_bytes({"fer2013/fer2013.csv": CSV, "fer2013/README": b"read"}, "w:gz"),
    "archive.zip": zip_bytes({"fer2013.csv": CSV}),
    "tar-called.csv": tar_bytes({"fer2013/fer2013.csv": CSV}),
    "tar-gz-called.csv": tar_bytes({"fer2013/fer2013.csv": CSV}, "w:gz"),
    "fer2013": CSV,
    "zip-of-tar.zip": zip_bytes({"x/fer2013.tar.gz": tar_bytes({"fer2013/fer2013.csv": CSV}, "w:gz")}),
    "fer2013.tar.gz.zip": zip_bytes({"fer2013.csv.zip": zip_bytes({"fer2013.csv": CSV})}),
    "mac.zip": zip_bytes({"fer2013.csv": CSV, "__MACOSX/._fer2013.csv": b"\0\5\x16\7", ".DS_Store": b"\0"}),
    "images.tar.gz": tar_bytes(image_files(FACES), "w:gz"),
    "images.zip": zip_bytes(image_files(FACES)),
    "images-in-images.zip": zip_bytes({"archive.zip": zip_bytes(image_files(FACES)), "README.md": b"read"}),
    "windows.zip": zip_bytes({name.replace("/", "\\"): data for name, data in image_files(FACES).items()}),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("in_folder", [False, True], ids=["file", "folder"])
def test_every_packing_reads_the_same(tmp_path: Path, name: str, in_folder: bool) -> None:
    (tmp_path / name).write_bytes(PACKED[name])
    check(tmp_path if in_folder else tmp_path / name)


LAYOUTS = {
    "kaggle": "{split}/{name}/{usage}_{index}.png",
    "official prefixes win over folders": "train/{name}/{usage}_{index}.png",
    "official prefixes without splits": "{name}/{usage}_{index}.png",
    "any case": "{name}/{usage}_{index}.PNG",
    "numbers repeat no stem": "{split}/{name}/{index}.png",
    "nested": "images/images/{split}/{name}/{index}.png",
    "nested twice": "{split}/{split}/{name}/im{index}.png",
    "numbered": "data/{split}/{label}/{index}.png",
    "fer plus folder names": "FER2013{split}/{name}/{index}.png",
    "digit prefix": "fer2013/{split}/{label}{name}/{index}.png",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_every_folder_layout_reads_the_same(tmp_path: Path, layout: str, packed: bool) -> None:
    files = image_files(FACES, layout)
    check(write_zip(tmp_path / "f.zip", files) if packed else write_folder(tmp_path, files))


def test_official_names_for_some_images_only_are_refused(tmp_path: Path) -> None:
    files = image_files(FACES, "test/{name}/{usage}_{index}.png")
    root = write_folder(tmp_path, {**files, "test/sad/mine.png": png(FACES[0][2])})
    assert_says(refuse(root), r"1 of 29 images .*test/sad/mine\.png.*remove or rename")


def test_words_for_splits_in_folders(tmp_path: Path) -> None:
    words = {"train": "Training", "validation": "val", "test": "TESTING"}
    files = {
        words[split] + "/" + CLASS_NAMES[y] + f"/{i}.png": png(pixels) for i, (split, y, pixels) in enumerate(FACES)
    }
    check(write_folder(tmp_path, files))


def test_aliases_in_folders(tmp_path: Path) -> None:
    names = ["Anger", "disgusted", "fearful", "happiness", "sadness", "suprise", "7normal"]
    check(write_folder(tmp_path, {f"{s}/{names[y]}/{i}.png": png(x) for i, (s, y, x) in enumerate(FACES)}))


def test_without_splits_all_is_train_and_that_is_said(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "faces", image_files(TRAIN_ONLY, "data/{name}/{index}.png"))
    check(root, TRAIN_ONLY)
    assert any("all images go to train" in note for note in open_source(root).notes)


def test_junk_is_passed_over(tmp_path: Path) -> None:
    junk = ["Thumbs.db", "train/.DS_Store", "train/angry/._x.png", "__MACOSX/train/angry/x.png", "README.md", "x.txt"]
    check(write_folder(tmp_path, {**image_files(FACES), **dict.fromkeys(junk, b"junk")}))


def test_precedence(tmp_path: Path) -> None:
    other = csv_text(make_faces(7, ("train",))).encode()
    folder = write_folder(tmp_path, {"icml_face_data.csv": CSV, "train.csv": other, "train/angry/1.png": b"no image"})
    check(folder)
    write_folder(tmp_path, {"deep/fer2013.csv": other, "fer2013new.csv": b"x", "test.csv": b"pixels\n1 2\n"})
    check(folder, make_faces(7, ("train",)))


def test_one_csv_for_each_split(tmp_path: Path) -> None:
    names = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
    for split, name in names.items():
        (tmp_path / name).write_text(csv_text([face for face in FACES if face[0] == split], "emotion,pixels"))
    check(tmp_path)
    ids = [identity for _, identity, _, _ in read_faces(open_source(tmp_path))]
    assert len(set(ids)) == len(FACES)


def test_unlabelled_test_csv_beside_train_csv_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(csv_text(TRAIN_ONLY, "emotion,pixels"))
    (tmp_path / "test.csv").write_text("pixels\n" + " ".join(["0"] * 2304) + "\n")
    check(tmp_path, TRAIN_ONLY)
    assert any("test.csv" in note and "no labels" in note for note in open_source(tmp_path).notes)


@pytest.mark.parametrize(
    ("name", "split"), [("train", "train"), ("val", "validation"), ("test", "test"), ("x", "train")]
)
def test_without_usage_the_file_name_is_the_split(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / f"{name}.csv").write_text(csv_text(TRAIN_ONLY, "emotion,pixels"))
    check(tmp_path / f"{name}.csv", [(split, label, pixels) for _, label, pixels in TRAIN_ONLY])
    assert any("no Usage" in note for note in open_source(tmp_path / f"{name}.csv").notes)


def test_csv_ids_are_row_numbers(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text(TEXT)
    rows = read_faces(open_source(tmp_path / "fer2013.csv"))
    assert [row[1] for row in rows] == [f"{index:05d}" for index in range(len(FACES))]
    assert [row[0] for row in rows] == [split for split, _, _ in FACES]


def test_image_ids_are_stems_or_paths_where_stems_repeat(tmp_path: Path) -> None:
    pixels = FACES[0][2]
    names = ["top/train/angry/1.png", "top/train/happy/1.png", "top/train/happy/2.png"]
    write_folder(tmp_path / "a", {name: png(pixels) for name in names})
    write_zip(tmp_path / "b.zip", {"elsewhere/" + name: png(pixels) for name in names})
    for path in (tmp_path / "a", tmp_path / "b.zip"):
        assert [row[1] for row in read_faces(open_source(path))] == ["2", "angry/1.png", "happy/1.png"]


def test_raf_numbers_need_a_word(tmp_path: Path) -> None:
    pixels = FACES[0][2]
    root = write_folder(tmp_path, {f"train/{n}/train_{n}_aligned.png": png(pixels + n) for n in range(1, 8)})
    assert "--labels raf" in refuse(root)
    assert "--labels fer (FER-2013, ExpW) does not have: it has 0 to 6" in refuse(root, "fer")
    raf = [CLASS_NAMES.index(name) for name in LABEL_ORDERS["raf"].names]
    check(root, [("train", raf[n - 1], pixels + n) for n in range(1, 8)], "raf")


def test_numbers_1_to_6_are_not_guessed(tmp_path: Path) -> None:
    pixels = FACES[0][2]
    root = write_folder(tmp_path, {f"{n}/{n}.png": png(pixels + n) for n in range(1, 7)})
    assert "--labels fer" in refuse(root)
    check(root, [("train", n, pixels + n) for n in range(1, 7)], "fer")


@pytest.mark.parametrize("kind", ["csv", "images"])
def test_contempt_is_left_out_and_counted(tmp_path: Path, kind: str) -> None:
    names = [*CLASS_NAMES, "contempt"]
    faces = [*TRAIN_ONLY, ("train", 7, FACES[20][2])]
    if kind == "csv":
        path = tmp_path / "train.csv"
        path.write_text(csv_text(faces, emotion=names.__getitem__))
    else:
        path = write_folder(tmp_path, {f"train/{names[y]}/{i}.png": png(x) for i, (_, y, x) in enumerate(faces)})
    source = open_source(path)
    assert content(source) == expected(TRAIN_ONLY)
    assert any("1 row of contempt" in line or "1 image of contempt" in line for line in source.warnings())


def test_other_sizes_and_colours_are_converted_and_counted(tmp_path: Path) -> None:
    grey = FACES[0][2]
    smooth = np.tile(np.linspace(0, 255, 96).round().astype(np.uint8), (96, 1))
    write_folder(tmp_path, {"train/sad/grey.png": png(grey), "train/sad/big.png": png(smooth)})
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "train/sad/rgb.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "train/sad/deep.png")
    source = open_source(tmp_path)
    rows = {identity: np.frombuffer(data, np.uint8) for _, identity, _, data in read_faces(source)}
    for name in ("grey", "rgb", "deep"):
        np.testing.assert_array_equal(rows[name], grey.ravel(), err_msg=name)
    np.testing.assert_allclose(rows["big"].reshape(48, 48)[24], np.linspace(1.3, 253.7, 48), atol=1.5)
    assert any(line.startswith("3 images not stored as 48x48 grey") for line in source.warnings())


def test_flat_images_are_counted(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text(csv_text([*FACES, ("train", 0, np.zeros((48, 48), np.uint8))]))
    source = open_source(tmp_path)
    assert len(read_faces(source)) == len(FACES) + 1
    assert any("1 image is one flat colour" in line for line in source.warnings())


def test_counts_are_compared_with_the_official_ones() -> None:
    official = {split: dict(zip(CLASS_NAMES, row, strict=True)) for split, row in OFFICIAL_COUNTS.items()}
    assert {split: sum(row.values()) for split, row in official.items()} == {
        "train": 28709,
        "validation": 3589,
        "test": 3589,
    }
    assert count_warnings(official, whole=False) == []
    assert count_warnings({"train": official["train"]}, whole=False) == []
    one_less = {**official, "test": {**official["test"], "fear": 527}}
    (line,) = count_warnings(one_less, whole=False)
    assert "test has 3,588 images, official 3,589 (fear 527 for 528)" in line
    together = {name: sum(row[name] for row in official.values()) for name in CLASS_NAMES}
    assert count_warnings({"train": together}, whole=True) == []


def test_the_hash_is_of_what_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", image_files(FACES))
    before = open_source(tmp_path / "a").sha256()
    (tmp_path / "a" / "notes.txt").write_text("x")
    assert open_source(tmp_path / "a").sha256() == before
    victim = next((tmp_path / "a").rglob("*.png"))
    victim.write_bytes(png(FACES[3][2]))
    assert open_source(tmp_path / "a").sha256() != before


ROW = " ".join(["7"] * 2304)
LONG, SHORT = ROW + " 7", ROW[:-2]
BAD_ROWS = {
    "too few": (SHORT, "2,303 pixel values"),
    "too many": (LONG, "2,305 pixel values"),
    "none": ("", "no pixels"),
    "blank": ("  ", "no pixels"),
    "too bright": (ROW[:-1] + "256", r"pixel 2,304 of 2,304 \(counted from 1\) is '256'"),
    "huge": ("4294967303" + ROW[1:], "pixel 1 .* is '4294967303'"),
    "negative": ("-1" + ROW[1:], "pixel 1 .* is '-1'"),
    "fraction": ("7 7.5" + ROW[3:], "pixel 2 .* is '7.5'"),
    "word": (ROW[:-1] + "x", "pixel 2,304 .* is 'x'"),
    "garbage behind": (ROW + " end", "2,305 pixel values"),
    "other digits": ("\u0667" + ROW[1:], "pixel 1 of"),
}


@pytest.mark.parametrize(("text", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_pixels_are_read_strictly(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_pixels(text, "f.csv, row 1")


def test_pixels_are_read_exactly() -> None:
    values = np.random.default_rng(1).integers(0, 256, 2304)
    np.testing.assert_array_equal(parse_pixels(" ".join(map(str, values)), ""), values.astype(np.uint8))


def with_row(number: int, old: str, new: str) -> str:
    """The official text with something in one data row (counted from 1) replaced."""
    lines = TEXT.split("\n")
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new, 1)
    return "\n".join(lines)


BAD_TEXTS = {
    "unknown emotion": (with_row(5, "4,", "9,"), r"fer2013\.csv.*, row 5 \(line 6\): unknown emotion '9'"),
    "RAF's 7": (with_row(5, "4,", "7,"), r"classes \(0, 1, .* 7\), whose meaning is a guess.*--labels ckplus"),
    "unknown class": (with_row(5, "4,", "bored,"), "row 5 .*unknown emotion 'bored'"),
    "unknown Usage": (with_row(3, "Training", "Train ing now"), "row 3 .*unknown Usage 'Train ing now'"),
    "cut in the pixels": (TEXT[: len(TEXT) - 3000], r"row 28 \(line 29\): 2 of 3 columns, [\d,]+ pixel values"),
    "cut in the Usage": (TEXT[:-5], "row 28 .*unknown Usage"),
    "cut after Private": (TEXT[: TEXT.index("PrivateTest") + 7], "row 15 .*unknown Usage 'Private'"),
    "cut to another word for it": (
        TEXT + TEXT.split("\n")[1].replace("Training", "Train"),
        "row 29 .*'Train'.*truncated",
    ),
    "cut after emotion": (TEXT.rsplit(",", 2)[0], "row 28 .*1 of 3 columns"),
    "surplus cell": (with_row(5, "4,", "4,9,"), r"row 5 \(line 6\): 4 cells for the 3 columns"),
    "surplus cell at the end": (TEXT.rstrip("\n") + ",x\n", r"row 28 \(line 29\): 4 cells for the 3 columns"),
    "surplus with an index": (
        csv_text(FACES, "Unnamed: 0,emotion,pixels,Usage").replace("Training\n", "Training,1\n", 1),
        "row 1 .*5 cells for the 4 columns",
    ),
    "bad pixel": (with_row(2, ",", ",300 "), "row 2 .*2,305 pixel values"),
    "no emotion": ("pixels\n" + ROW, "no emotion column"),
    "no pixels": ("emotion,Usage\n0,Training", "no column pixels"),
    "no header": (TEXT.split("\n", 1)[1], "has no header, its first line is data: put the line emotion,pixels,Usage"),
    "header only": ("emotion,pixels,Usage\n", "no rows"),
    "FER+ votes": ("Usage,Image name,neutral,happiness,contempt,unknown,NF\n", r"votes of FER\+"),
    "FER+ labels": ('fer0.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\n', r"votes of FER\+"),
    "git-LFS": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "web page": ("\n<!DOCTYPE html><html>", "web page"),
    "empty": ("", "empty"),
    "NULs only": ("\0" * 4096, "empty"),
    "open quote": (TEXT.replace("\n3,", '\n"3,', 1) * 3, "not a CSV row|columns"),
}


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize(("text", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_bad_csv_files_are_told_apart(tmp_path: Path, text: str, message: str, folder: bool) -> None:
    (tmp_path / "fer2013.csv").write_text(text)
    assert_says(refuse(tmp_path if folder else tmp_path / "fer2013.csv"), message)


BAD_FILES = {
    "zip truncated": ("f.zip", PACKED["images.zip"][:-100], "damaged or truncated"),
    "gz truncated": ("f.csv.gz", PACKED["fer2013.csv.gz"][:-1000], "damaged or truncated"),
    "tar truncated": ("f.tar", PACKED["fer2013.tar"][:150_000], "damaged or truncated"),
    "tar.gz truncated": ("f.tar.gz", PACKED["fer2013.tar.gz"][:-1000], "damaged or truncated"),
    "empty zip": ("f.zip", zip_bytes({}), "holds no FER-2013"),
    "zip of text": ("f.zip", zip_bytes({"a.txt": b"x"}), "holds no FER-2013"),
    "two archives": ("f.zip", zip_bytes({"a.zip": zip_bytes({}), "b.zip": zip_bytes({})}), "holds no FER-2013"),
    "several CSVs": ("f.zip", zip_bytes({"a.csv": CSV, "b.csv": CSV}), "a.csv, b.csv"),
    "FER+ table in a folder": (
        "f.zip",
        zip_bytes({"x/fer2013new.csv": b"Image name,contempt,NF\n"}),
        r"votes of FER\+",
    ),
    "binary": ("f.csv", bytes(range(1, 256)) * 20, "not a CSV"),
    "7-Zip": ("f.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100), "7-Zip"),
    "HDF5": ("data.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "unknown class": ("f.zip", zip_bytes({"train/bored/1.png": png(FACES[0][2])}), "'bored'"),
    "no class folder": ("f.zip", zip_bytes({"1.png": png(FACES[0][2])}), "no folder"),
    "split for some": (
        "f.zip",
        zip_bytes({"train/sad/1.png": png(FACES[0][2]), "sad/2.png": png(FACES[1][2])}),
        "sad/2.png .*no split's folder",
    ),
    "broken image": ("f.zip", zip_bytes({"train/sad/1.png": b"not a png"}), "train/sad/1.png.*text, not a picture"),
    "cut image": (
        "f.zip",
        zip_bytes({"train/sad/1.png": png(FACES[0][2])[:900]}),
        "train/sad/1.png.*is truncated",
    ),
    "LFS image": ("f.zip", zip_bytes({"train/sad/1.jpg": b"version https://git-lfs.github.com"}), "git lfs pull"),
    "numbers 0 to 7": ("f.zip", zip_bytes({f"{n}/{n}.png": png(FACES[0][2]) for n in range(8)}), "--labels affectnet"),
}


@pytest.mark.parametrize(("name", "data", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_told_apart(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert_says(refuse(tmp_path / name), message)


def test_a_source_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"f\xe9r.csv")
    path.write_bytes(CSV)
    assert_says(refuse(path), r"f\\xe9r\.csv.*UTF-8")
    name = os.fsdecode(b"train/sad/\xe9.png")
    (tmp_path / "f.tar").write_bytes(tar_bytes({"x.tar": tar_bytes({name: png(FACES[0][2])})}))
    assert_says(refuse(tmp_path / "f.tar"), r"train/sad/\\xe9\.png.*UTF-8")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in refuse(tmp_path / "none.csv")


def assert_says(text: str, pattern: str) -> None:
    with pytest.raises(UserError, match=pattern):
        raise UserError(text)


@pytest.mark.skipif("FER_TL_REAL_DATA" not in os.environ, reason="needs FER_TL_REAL_DATA")
def test_the_real_zip() -> None:
    with closing(open_source(Path(os.environ["FER_TL_REAL_DATA"]) / "fer2013-images.zip")) as source:
        counts = source.counts()
        assert tuple(counts["train"].values()) == OFFICIAL_COUNTS["train"]
        assert tuple(counts["validation"].values()) == OFFICIAL_COUNTS["validation"]
        for _, record in zip(range(400), source.records(), strict=False):
            assert record.image.shape == (48, 48, 1)
            assert record.id.startswith({"train": "Training_", "validation": "PublicTest_"}[str(record.split)])
        assert count_warnings(counts, whole=False) == []
