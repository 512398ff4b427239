"""What of a folder or archive is read, what is not and is counted, and what is refused because it is hostile."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fer_files import csv_text, make_faces, png, tar_bytes, write_folder, write_zip, zip_bytes

from fer_tl.core.archive_members import describe_passed_over, summarize_passed_over
from fer_tl.core.archives import open_files
from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.directory import dataset_directory
from fer_tl.data.manifest import read_manifest
from fer_tl.inference.predict.sources import find_pictures
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.folder.reader import open_folder
from fer_tl.sources.images import find_images, is_image
from fer_tl.sources.records import Source

FACES = [png(np.random.default_rng(i).integers(0, 256, (20, 20), dtype=np.uint8)) for i in range(12)]
TWO = {"a/1.png": FACES[0], "b/2.png": FACES[1]}


def ids(source: Source) -> list[str]:
    return sorted(record.id for record in source.records())


def tar_of(path: Path, files: dict[str, bytes], links: dict[str, tuple[bytes, str]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, (kind, target) in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return path


def test_links_in_a_tar_are_followed_inside_it_and_the_others_are_counted(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "x.tar",
        {"f/a/0.png": FACES[0], "pool/1.bin": FACES[1], "f/b/2.png": FACES[2], "pool/more/3.bin": FACES[3]},
        {
            "f/a/hard.png": (tarfile.LNKTYPE, "pool/1.bin"),
            "f/b/soft.png": (tarfile.SYMTYPE, "../../pool/1.bin"),
            "f/b/chain.png": (tarfile.SYMTYPE, "soft.png"),
            "f/c": (tarfile.SYMTYPE, "../pool/more"),
            "f/a/0.png": (tarfile.LNKTYPE, "f/a/0.png"),  # the same file given to tar twice
            "f/a/out.png": (tarfile.SYMTYPE, "../../../etc/passwd"),
            "f/a/root.png": (tarfile.SYMTYPE, "/etc/passwd"),
            "f/a/gone.png": (tarfile.SYMTYPE, "nowhere.png"),
            "f/a/loop1.png": (tarfile.SYMTYPE, "loop2.png"),
            "f/a/loop2.png": (tarfile.SYMTYPE, "loop1.png"),
            "f/a/pipe.png": (tarfile.FIFOTYPE, ""),
            "f/a/disk.png": (tarfile.BLKTYPE, ""),
        },
    )
    source = open_folder(path, 20)
    found = {record.id: record for record in source.records()}
    assert sorted(found) == ["0", "2", "3", "chain", "hard", "soft"]
    assert source.class_names == ("a", "b", "c")
    for name in ("hard", "soft", "chain"):
        np.testing.assert_array_equal(found[name].image, found["hard"].image)
    assert not np.array_equal(found["hard"].image, found["0"].image)
    assert {why: len(names) for why, names in source.passed_over.items()} == {
        "links that lead nowhere or out of it": 5,
        "devices, pipes and the like": 2,
    }


def test_links_in_a_zip_are_followed_inside_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in TWO.items():
            archive.writestr(name, data)
        for name, target in (("b/3.png", "../a/1.png"), ("b/out.png", "../../1.png")):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, target)
    source = open_folder(tmp_path / "x.zip", 20)
    assert ids(source) == ["1", "2", "3"]
    assert list(source.passed_over.values()) == [["b/out.png"]]


@pytest.mark.parametrize("packed", ["zip", "tar"])
def test_two_members_of_one_name_are_refused(tmp_path: Path, packed: str) -> None:
    path = tmp_path / f"x.{packed}"
    files = TWO | {"./a/1.png": FACES[2], "/b/2.png": FACES[3]}
    path.write_bytes(zip_bytes(files) if packed == "zip" else tar_bytes(files))
    with pytest.raises(UserError, match=r"two members of one name, a/1\.png, and 1 more names.*give the folder"):
        open_folder(path, 20)


def test_junk_of_the_system_may_be_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(tar_bytes(TWO | {".DS_Store": b"1", "./.DS_Store": b"2"}))
    assert ids(open_folder(path, 20)) == ["1", "2"]


def test_images_are_known_by_their_content_and_the_rest_is_counted_once(tmp_path: Path) -> None:
    files = TWO | {
        "a/none": FACES[2], "a/3.jpg_large": FACES[3], "b/4.png.1": FACES[4], "b/5.jpg ": FACES[5], "b/6.tga": FACES[6],
        "b/notes.txt": b"x", "a/film": b"\0\0\0\x20ftypmp42" + bytes(30), "more.zip": zip_bytes(TWO),
        "a/.hidden.png": FACES[7], ".DS_Store": b"x", "a/Thumbs.db": b"x", "b/._2.png": b"x",
        ".ipynb_checkpoints/z.png": FACES[8], "__MACOSX/a/._1.png": b"x", "readme": b"x",
    }  # fmt: skip
    folder = open_folder(write_folder(tmp_path / "r", files), 20)
    packed = open_folder(write_zip(tmp_path / "r.zip", files), 20)
    for source in (folder, packed):
        assert ids(source) == ["1", "2", "3", "4.png", "5", "6", "none"]
        assert source.passed_over == {
            "hidden files": ["a/.hidden.png"],
            "files that are not images": ["a/film", "b/notes.txt", "readme"],
            "archives inside, to be unpacked": ["more.zip"],
        }


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "jpeg2000"])
def test_the_first_bytes_tell_an_image(kind: str) -> None:
    assert is_image(png(np.zeros((9, 9, 3), np.uint8), kind)[:32])
    assert is_image(b"\0\0\0\x20ftypavif") and is_image(b"\0\0\0\x20ftypheic")
    assert not is_image(b"BMW is a maker of cars, not an image") and not is_image(b"")


def test_names_with_roots_dots_and_backslashes_are_plain_paths(tmp_path: Path) -> None:
    names = ["/a/1.png", "./a/2.png", "b\\3.png", "../../b/4.png", "x/../b/5.png"]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in zip(names, FACES, strict=False):
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, data)
    source = open_folder(tmp_path / "x.zip", 20)
    assert source.counts() == {"train": {"a": 2, "b": 3}} and not source.passed_over


def test_a_hidden_folder_around_everything_is_looked_into(tmp_path: Path) -> None:
    source = open_folder(write_zip(tmp_path / "x.zip", {f".data/{name}": data for name, data in TWO.items()}), 20)
    assert source.counts() == {"train": {"a": 1, "b": 1}}
    with pytest.raises(UserError, match=r"holds no images.*2 hidden files \(\.data/a/1\.png, \.data/b/2\.png\)"):
        open_folder(write_folder(tmp_path / "r", {f".data/{n}": d for n, d in TWO.items()} | {"readme.txt": b"x"}), 20)


def test_archives_inside_are_named_where_there_is_nothing_else(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"train.zip": zip_bytes(TWO), "test.zip": zip_bytes(TWO)})
    with pytest.raises(UserError, match=r"holds no images.*2 archives inside, to be unpacked \(test\.zip, train\.zip"):
        open_folder(path, 20)


def test_pipes_sockets_and_dead_links_of_a_folder_hang_nothing(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "r", TWO)
    os.mkfifo(root / "a" / "pipe.png")
    os.symlink("/dev/zero", root / "a" / "zero.png")
    os.symlink("gone.png", root / "a" / "dead.png")
    os.symlink("loop.png", root / "a" / "loop.png")
    os.symlink(root / "a", root / "b" / "again")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(root)  # a socket's path is short
        try:
            bound.bind("sock.png")
        finally:
            os.chdir(here)
        source = open_folder(root, 20)
        passed: dict[str, list[str]] = {}
        pictures = find_pictures([str(root)], passed)
        matched: dict[str, list[str]] = {}
        assert [each.id for each in find_pictures([f"{root}/a/*.png"], matched) or []] == ["1"]
    assert ids(source) == ["1", "2"] == [each.id for each in pictures or []]
    expected = {
        "devices, pipes and the like": {"sock.png", "a/pipe.png", "a/zero.png"},
        "links that lead nowhere or out of it": {"a/dead.png", "a/loop.png"},
        "folders that are read under another name": {"b/again"},
    }
    assert {why: set(names) for why, names in source.passed_over.items()} == expected
    assert {w: {n.removeprefix(f"{root}/") for n in names} for w, names in passed.items() if names} == expected
    assert {why: len(names) for why, names in matched.items()} == {
        "devices, pipes and the like": 2, "links that lead nowhere or out of it": 2,
    }  # fmt: skip
    for open_any in (open_folder, lambda path, size: open_source(path)):
        with pytest.raises(UserError, match="is a device or a pipe"):
            open_any(root / "a" / "pipe.png", 20)


def test_predict_finds_pictures_as_a_build_does(tmp_path: Path) -> None:
    files = {"p0.png": FACES[0], "noending": FACES[1], "film.mp4": b"x", "notes.txt": b"x", "sub/.DS_Store": b"x"}
    root = write_folder(tmp_path / "r", files)
    passed: dict[str, list[str]] = {}
    assert [each.id for each in find_pictures([str(root)], passed) or []] == ["noending", "p0"]
    assert {why: names for why, names in passed.items() if names} == {
        "files that are not images": [str(root / "notes.txt")],
        "videos, which are given alone": [str(root / "film.mp4")],
    }
    with pytest.raises(UserError, match=r"holds no picture.*1 videos, which are given alone \(.*film\.mp4"):
        find_pictures([str(write_folder(tmp_path / "films", {"film.mp4": b"x"}))])


def bomb(size: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", FACES[0])
        with archive.open("a/2.png", "w", force_zip64=True) as member:
            for _ in range(size >> 20):
                member.write(bytes(1 << 20))
    return stream.getvalue()


def test_an_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fer_tl.core.archive_members._HARMLESS", 1 << 20)
    data = bomb(32 << 20)
    (tmp_path / "x.zip").write_bytes(data)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(tar_bytes({"a/1.png": bytes(32 << 20)})))
    (tmp_path / "in.zip").write_bytes(zip_bytes({"fer2013.zip": data}))
    for name in ("x.zip", "x.tar.gz"):
        with pytest.raises(UserError, match=rf"{name} unpacks to more than .* GB"):
            open_folder(tmp_path / name, 20)
    with pytest.raises(UserError, match=r"fer2013\.zip unpacks to more than"):
        open_source(tmp_path / "in.zip")


def test_a_sparse_member_of_a_tar_says_what_it_likes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a/1.png")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0",
                        "GNU.sparse.size": str(10**13), "GNU.sparse.realsize": str(10**13)}  # fmt: skip
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(UserError, match="unpacks to more than"):
        open_folder(tmp_path / "x.tar", 20)


def test_a_file_of_more_bytes_than_an_image_can_have_is_an_unusable_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fer_tl.core.archives.MOST_BYTES", 1 << 20)
    root = write_folder(tmp_path / "r", TWO | {"b/big.png": FACES[2] + bytes(1 << 20)})
    with pytest.raises(UserError, match=r"1 of 3 .*b/big\.png: has more than 1 MB"):
        ids(open_folder(root, 20))


@pytest.mark.parametrize("place", ["offset", "size", "extra"])
def test_a_zip_whose_directory_lies_is_one_line(tmp_path: Path, place: str) -> None:
    data = bytearray(bomb(0))
    central = data.rindex(b"PK\x01\x02")
    if place == "offset":
        data[central + 42 : central + 46] = b"\xf0\xff\xff\xff"
    elif place == "size":
        data[central + 20 : central + 28] = b"\xff\xff\xff\xff" * 2  # "see the zip64 entry", of which there is none
    else:
        data[-6:-2] = b"\xf0\xff\xff\x7f"  # where the directory begins
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(UserError) as refused:
        ids(open_folder(tmp_path / "x.zip", 20))
    assert "\n" not in str(refused.value)


def test_what_is_passed_over_is_told_by_the_build_and_stays_known(tmp_path: Path) -> None:
    files = {f"{c}/{c}{i}.png": FACES[i + 5 * (c == "b")] for c in "ab" for i in range(5)}
    root = write_folder(tmp_path / "mine", files | {"notes.txt": b"x", "a/one.pdf": b"x"})
    lines: list[str] = []
    build("folder", root, tmp_path / "data", image_size=20, say=lines.append)
    assert [line for line in lines if "Passed over" in line] == [
        "Passed over: 2 files that are not images (a/one.pdf, notes.txt)."
    ]
    manifest = read_manifest(dataset_directory(tmp_path / "data", "folder/mine"))
    assert manifest.passed_over == {"files that are not images": {"count": 2, "first": ["a/one.pdf", "notes.txt"]}}
    from fer_tl.data.survey import survey
    from fer_tl.reports.inspect_tables import inspection_text

    assert "Passed over: 2 files that are not images" in inspection_text(survey("folder/mine", tmp_path / "data"))


def test_what_lies_beside_the_table_of_fer2013_is_counted(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "fer2013.csv").write_text(csv_text(make_faces(28)))
    (tmp_path / "f" / "more.csv").write_text("x")
    assert open_source(tmp_path / "f").passed_over == {"files beside the table": ["more.csv"]}


def test_files_that_end_like_images_are_sorted_out_without_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for index in range(2000):
            archive.writestr(f"{'ab'[index % 2]}/{index}.png", b"")
    files = open_files(tmp_path / "x.zip")
    for method in ("head", "read"):
        monkeypatch.setattr(type(files), method, lambda *given: pytest.fail("opened"))
    assert len(find_images(files)[0]) == 2000


def test_names_with_orders_for_a_terminal_are_spelled_out(tmp_path: Path) -> None:
    files = TWO | {"a/no\n\x1b[31mimage": b"x", "a/bad\n\x1b[31m.png": b"x"}
    source = open_folder(write_folder(tmp_path / "r", files), 20)
    told = describe_passed_over(summarize_passed_over(source.passed_over))
    with pytest.raises(UserError) as refused:
        ids(source)
    for text, name in ((told, r"a/no\n\x1b[31mimage"), (str(refused.value), r"a/bad\n\x1b[31m.png")):
        assert name in text and text.isprintable()
