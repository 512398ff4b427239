"""Pictures and videos predicted on: what is found, written and said, and what is refused.

The model tells how bright a face is, and the detector finds bright squares, so that what should be found is known."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fer_tl.commands.predict import PredictResult, predict
from fer_tl.core.errors import UserError
from fer_tl.faces.box_table import read_box_table
from fer_tl.faces.boxes import Box, Face
from fer_tl.faces.films import VideoFrame, VideoReader
from fer_tl.inference.predict import outputs
from fer_tl.inference.predictor import ExpressionModel

NAMES = ("dim", "bright")
SIDE = 8
DIM, BRIGHT, UNCLEAR = 80, 240, 165


def brightness(pixels: np.ndarray) -> np.ndarray:
    """Logits ``[B, 2]`` that are equal at 165, and far apart 40 levels from there."""
    level = pixels.reshape(len(pixels), -1).mean(axis=1) - 165
    return np.stack([-level, level], axis=1).astype(np.float32) / 20


class BrightSquares:
    """Finds what is brighter than 60, one face for each run of columns."""

    name, margin = "squares", 0.0

    def find(self, image: np.ndarray) -> list[Face]:
        there = (image[..., 0] > 60).any(axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(int), [0]])))
        faces = []
        for left, right in edges.reshape(-1, 2):
            rows = np.flatnonzero((image[:, left:right, 0] > 60).any(axis=1))
            if right - left > 4:
                faces.append(Face(Box(rows[0], left, rows[-1] + 1, right), 1.0))
        return sorted(faces, key=lambda face: face.box.left - face.box.right)


@pytest.fixture(autouse=True)
def _stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/run.json").touch()
    model = ExpressionModel(NAMES, (SIDE, SIDE, 1), ("model",), 1.0, (brightness,))
    monkeypatch.setattr("fer_tl.inference.predictor.load", lambda *given, **named: model)
    monkeypatch.setattr("fer_tl.faces.detection.open_detector", lambda *given, **named: BrightSquares())


def scene(*faces: tuple[int, int, int], height: int = 48, width: int = 96) -> np.ndarray:
    """Squares of (left, side, level) from row 8 on, on black."""
    image = np.zeros((height, width, 3), np.uint8)
    for left, side, level in faces:
        image[8 : 8 + side, left : left + side] = level
    return image


def save(name: str, image: np.ndarray) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(name)
    return name


def ask(source: str | list[str], **options: Any) -> tuple[PredictResult, list[dict[str, str]]]:
    """The result, and the rows of its table."""
    result = predict("run", source, say=lambda line: None, **options)
    assert result.out_dir is not None
    with (result.out_dir / "faces.csv").open(newline="") as stream:
        return result, list(csv.DictReader(stream))


def test_every_face_of_a_picture_has_a_row_and_a_picture_without_one_has_a_blank_one():
    save("photos/two.png", scene((4, 16, DIM), (40, 24, BRIGHT)))
    save("photos/none.png", scene())
    save("photos/sub/one.png", scene((10, 12, BRIGHT)))
    result, rows = ask("photos", save="csv,jsonl,pictures")
    assert [(row["id"], row["label"], row["top"], row["left"], row["bottom"], row["right"]) for row in rows] == [
        ("none", "", "", "", "", ""),
        ("one", "bright", "8", "10", "20", "22"),
        ("two", "bright", "8", "40", "32", "64"),
        ("two", "dim", "8", "4", "24", "20"),
    ]
    assert float(rows[2]["p_bright"]) > 0.99 and float(rows[2]["p_bright"]) + float(rows[2]["p_dim"]) == 1
    assert rows[0]["p_dim"] == rows[0]["score"] == rows[0]["frame"] == rows[0]["time"] == ""
    assert (result.pictures, result.faces, result.without_face, result.unreadable) == (3, 3, 1, 0)
    assert "3 pictures: 3 faces (bright 2, dim 1), 1 without a face" in result.text
    assert "none: no face found" in result.text and "two: bright 100%, rows 8 to 32, columns 40 to 64" in result.text
    lines = [json.loads(line) for line in Path("run/predict/faces.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == [None, "bright", "bright", "dim"] and lines[0]["top"] is None
    assert lines[3]["right"] == 20 and lines[3]["probabilities"]["dim"] == pytest.approx(float(rows[3]["p_dim"]))
    for name, faces in (("none", 0), ("one", 1), ("two", 2)):
        with Image.open(f"run/predict/pictures/{name}.jpg") as drawn:
            coloured = np.ptp(np.asarray(drawn).astype(int), axis=2) > 60
            assert coloured.any() == bool(faces) and drawn.width == 3 * 96
    assert not list(Path("photos").rglob("*.jpg")) and not list(Path("run").rglob(".*"))


def test_the_table_can_be_given_to_build_and_to_predict_again():
    save("photos/two.png", scene((4, 16, DIM), (40, 24, BRIGHT)))
    save("photos/none.png", scene())
    first, rows = ask("photos", largest=True)
    assert [row["left"] for row in rows] == ["", "40"]
    table = read_box_table(Path("run/predict/faces.csv"))
    assert [(row.name, row.box) for row in table.rows] == [("none", None), ("two", Box(8, 40, 32, 64))]
    again, boxed = ask("photos", boxes="run/predict/faces.csv", out="again")
    assert [row["label"] for row in boxed] == [row["label"] for row in rows] and again.without_face == 1
    assert first.pictures == again.pictures
    save("photos/other.png", scene())
    with pytest.raises(UserError, match="none of its 2 ids is a picture's"):
        ask("photos/other.png", boxes="run/predict/faces.csv")


def test_crops_are_faces_and_a_margin_is_cut_with_them():
    save("crops/a.png", np.full((20, 20, 3), BRIGHT, np.uint8))
    save("crops/b.png", np.full((5, 5, 3), DIM, np.uint8))
    result, rows = ask("crops", faces="crop")
    assert [(row["label"], row["bottom"]) for row in rows] == [("bright", "20"), ("dim", "5")]
    assert not (result.out_dir / "pictures").exists()
    save("face.png", scene((20, 20, BRIGHT)))
    close, wide = (float(ask("face.png", margin=margin)[1][0]["p_bright"]) for margin in (0.0, 0.4))
    assert close > 0.99 and wide < 0.1  # the black around it is seen


def test_a_face_that_is_not_sure_enough_has_no_label():
    save("unclear.png", scene((10, 16, UNCLEAR), (40, 20, BRIGHT)))
    result, rows = ask("unclear.png", min_confidence=0.9)
    assert [row["label"] for row in rows] == ["bright", ""] and float(rows[1]["p_dim"]) == pytest.approx(0.5, abs=0.05)
    assert "unsure (at most 5" in result.text and "(bright 1, unsure 1)" in result.text


def test_a_damaged_picture_is_listed_and_the_others_done_and_nothing_is_written_if_all_are():
    save("photos/good.png", scene((10, 16, BRIGHT)))
    Path("photos/bad.jpg").write_bytes(b"\xff\xd8 cut")
    result, rows = ask("photos")
    assert [row["id"] for row in rows] == ["good"] and result.unreadable == 1
    assert "not read: photos/bad.jpg is not an image" in result.text
    with pytest.raises(UserError, match=r"photos/bad\.jpg is not an image"):
        ask("photos/bad.jpg", out="nothing")
    assert not list(Path("nothing").glob("*"))


def test_an_earlier_prediction_is_replaced_whole_and_other_files_never(monkeypatch: pytest.MonkeyPatch):
    save("a.png", scene((10, 16, BRIGHT)))
    save("b.png", scene((10, 16, BRIGHT)))
    ask("a.png", out="out", save="csv,jsonl,pictures")
    before = Path("out/faces.csv").read_text()

    def fail(*given: object) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("fer_tl.inference.predict.outputs.PictureFolder.write", fail)
        with pytest.raises(OSError, match="disk"):
            ask("b.png", out="out")
    assert Path("out/faces.csv").read_text() == before and not list(Path("out").glob(".*"))
    ask("b.png", out="out", save="csv,pictures")
    assert sorted(path.name for path in Path("out").rglob("*")) == ["b.jpg", "faces.csv", "pictures", "predict.json"]
    with pytest.raises(UserError, match=r"out/pictures/b\.jpg lies in out, whose files are replaced"):
        ask("out/pictures/b.jpg", out="out")
    with pytest.raises(UserError, match="holds other files and is no prediction"):
        ask("a.png", out=".")


def test_stdin_to_stdout_is_json_lines_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    data = io.BytesIO()
    Image.fromarray(scene((10, 20, BRIGHT))).save(data, "JPEG")

    class Stdin:
        buffer = io.BytesIO(data.getvalue() * 3)

    monkeypatch.setattr(sys, "stdin", Stdin)
    result = predict("run", "-", out="-")
    out, err = capsys.readouterr()
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["stdin-0", "stdin-1", "stdin-2"]
    assert result.out_dir is None and "3 pictures: 3 faces (bright 3)" in err and os.listdir("run") == ["run.json"]


def test_what_ends_the_pictures_on_stdin_is_said(monkeypatch: pytest.MonkeyPatch):
    data = io.BytesIO()
    for form in ("PNG", "JPEG"):
        Image.fromarray(scene((10, 20, BRIGHT))).save(data, form)
    end = data.tell()
    data.write(b"--frame and what a camera sends between its pictures")

    class Stdin:
        buffer = io.BytesIO(data.getvalue())

    monkeypatch.setattr(sys, "stdin", Stdin)
    result, rows = ask("-", save="csv")
    assert [row["id"] for row in rows] == ["stdin-0", "stdin-1"] and result.unreadable == 1
    assert f"not read: stdin-2 (from byte {end} to the end) is text, not a picture" in result.text


def test_faces_of_one_tone_are_counted():
    save("black.png", np.full((20, 20, 3), 3, np.uint8))
    save("white.png", np.full((20, 20, 3), 252, np.uint8))
    save("face.png", scene((10, 20, BRIGHT)))
    result, rows = ask(["black.png", "white.png", "face.png"], faces="crop", save="csv")
    assert len(rows) == 3 and "2 faces are nearly black, white or of one tone" in result.text
    assert "one tone" not in ask("face.png", faces="crop", save="csv")[0].text


@pytest.mark.parametrize("faces", ["detect", "crop"])
@pytest.mark.parametrize("form", ["gif", "webp", "tiff", "png"])
def test_several_frames_or_pages_of_a_picture_are_said(form: str, faces: str):
    pages = [Image.fromarray(scene((10, 20, level))) for level in (BRIGHT, DIM, DIM)]
    pages[0].save(f"moving.{form}", save_all=True, append_images=pages[1:])
    save("one.png", scene((10, 20, BRIGHT)))
    result, rows = ask([f"moving.{form}", "one.png"], faces=faces, save="csv")
    assert "1 picture has several frames or pages: the first of each was taken" in result.text
    assert len(rows) == 2 and rows[0]["label"] == rows[1]["label"]
    assert "frames" not in ask("one.png", faces=faces, save="csv")[0].text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faces": "all"}, "--faces all: not known"),
        ({"faces": "crop", "detector": "haar"}, "--detector is for faces that are cut out"),
        ({"faces": "crop", "margin": 0.1}, "--margin is for faces that are cut out"),
        ({"detector": "harr"}, "--detector harr: no such face detector; did you mean 'haar'"),
        ({"detector": "haar", "boxes": "b.csv"}, "--detector and --boxes: the boxes take the detector's place"),
        ({"every": 0}, "--every 0: give 1 or more"),
        ({"every": 2}, r"--every is for videos: a\.png is none"),
        ({"smooth": 1.0}, r"--smooth is for videos: a\.png is none"),
        ({"smooth": -1.0}, "--smooth -1: give seconds"),
        ({"min_confidence": 1.5}, r"--min-confidence 1\.5: a probability"),
        ({"margin": 9.0}, "--margin 9: give 0 to 2"),
        ({"save": "xml"}, "--save xml: no such output"),
        ({"save": "csv", "out": "-"}, "--save is for a folder"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_opened(options: dict[str, Any], message: str):
    save("a.png", scene())
    with pytest.raises(UserError, match=message):
        predict("run", "a.png", **options)
    assert os.listdir("run") == ["run.json"]


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_an_animated_picture_that_is_given_alone_is_a_film(form: str):
    pytest.importorskip("cv2")
    pages = [Image.fromarray(scene((10, 20, level))) for level in (BRIGHT, BRIGHT, DIM, DIM)]
    times = [40, 200, 40, 200]
    pages[1].putpixel((0, 0), (1, 2, 3))  # equal frames would be stored as one
    pages[3].putpixel((0, 0), (1, 2, 3))
    pages[0].save(f"moving.{form}", save_all=True, append_images=pages[1:], duration=times, lossless=True)
    result, rows = ask(f"moving.{form}", save="csv")
    assert [row["label"] for row in rows] == ["bright", "bright", "dim", "dim"] and "4 frames:" in result.text
    assert [float(row["time"]) for row in rows] == pytest.approx([0, 0.04, 0.24, 0.28])
    assert {row["face"] for row in rows} == {"1"} and {row["id"] for row in rows} == {"moving"}
    assert [row["frame"] for row in ask(f"moving.{form}", save="csv", every=2)[1]] == ["0", "2"]
    if form == "gif":
        data = Path("moving.gif").read_bytes()
        Path("moving.gif").write_bytes(data[: len(data) * 3 // 5])
        cut, rows = ask("moving.gif", save="csv")
        assert 0 < len(rows) < 4 and "damaged" in cut.text


FRAMES, RATE = 24, 10.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright face for a second, none for a fifth, then a dim one."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (96, 64))
    for number in range(FRAMES):
        faces = [(30, 32, BRIGHT)] if number < 10 else [] if number < 12 else [(30, 32, DIM)]
        writer.write(scene(*faces, height=64))
    writer.release()
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    cv2 = pytest.importorskip("cv2")
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            assert capture.get(cv2.CAP_PROP_FPS) == RATE
            return frames
        frames.append(frame)


def framed(frame: np.ndarray) -> bool:
    return bool((np.ptp(frame.astype(int), axis=2) > 60).any())


def test_each_frame_of_a_video_has_its_rows_and_its_boxes(film: Path):
    result, rows = ask(str(film))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES)) and {row["id"] for row in rows} == {"film"}
    np.testing.assert_allclose([float(row["time"]) for row in rows], np.arange(FRAMES) / RATE, atol=0.002)
    assert [row["label"] for row in rows] == ["bright"] * 10 + [""] * 2 + ["dim"] * 12
    assert [row["face"] for row in rows] == ["1"] * 10 + [""] * 2 + ["1"] * 12  # gone for a fifth of a second
    assert (result.pictures, result.faces, result.without_face) == (FRAMES, 22, 2) and "24 frames:" in result.text
    drawn = frames_of(Path("run/predict/annotated.mp4"))
    assert [framed(frame) for frame in drawn] == [True] * 10 + [False] * 2 + [True] * 12
    assert drawn[0].shape == (64, 96, 3)
    blue, _, red = np.moveaxis(drawn[0].astype(int), 2, 0)
    assert (blue - red).max() > 60 > (red - blue).max()  # the second class is blue, the first orange
    blue, _, red = np.moveaxis(drawn[-1].astype(int), 2, 0)
    assert (red - blue).max() > 60


def test_every_nth_frame_is_analysed_and_its_boxes_stay(film: Path):
    result, rows = ask(str(film), every=5)
    assert [int(row["frame"]) for row in rows] == [0, 5, 10, 15, 20] and result.pictures == 5
    drawn = frames_of(Path("run/predict/annotated.mp4"))
    assert [framed(frame) for frame in drawn] == [True] * 10 + [False] * 5 + [True] * 9
    table, fewer = ask(str(film), every=5, save="csv")
    assert fewer == rows and not (table.out_dir / "annotated.mp4").exists()


def test_smoothing_follows_the_clock_and_not_the_frames(film: Path):
    """The last bright answer is of 0.9 s, or of 0.8 s where each second frame is analysed."""
    for every, last_bright in ((1, 0.9), (2, 0.8)):
        _, rows = ask(str(film), smooth=2.0, every=every, save="csv")
        gone = float(rows[-1]["time"]) - last_bright
        assert float(rows[-1]["p_bright"]) == pytest.approx(np.exp(-gone / 2.0), abs=0.01)
    _, rows = ask(str(film), save="csv")
    assert float(rows[-1]["p_bright"]) < 0.01


def test_a_video_that_is_cut_short_is_done_as_far_as_it_goes(film: Path, monkeypatch: pytest.MonkeyPatch):
    class Counted(VideoReader):
        def __init__(self, source: str, live: bool) -> None:
            super().__init__(source, live)
            self.frames = 300  # as its header says

    monkeypatch.setattr("fer_tl.faces.films.VideoReader", Counted)
    result, rows = ask(str(film), save="csv")
    assert len(rows) == FRAMES and "film.mp4 is truncated or damaged: 24 of its 300 frames could be read" in result.text
    Path("half.mp4").write_bytes(film.read_bytes()[: film.stat().st_size // 2])  # without its index
    with pytest.raises(UserError, match=r"half\.mp4 is neither a picture nor a video .* truncated"):
        ask("half.mp4")


def test_behind_a_damaged_frame_the_film_goes_on_with_its_own_times(film: Path, monkeypatch: pytest.MonkeyPatch):
    cv2 = pytest.importorskip("cv2")
    plain = {int(row["frame"]): row for row in ask(str(film), save="csv")[1]}
    capture, asked = cv2.VideoCapture, []

    class Damaged:
        """Two frames in a row cannot be read, and one cannot be decoded."""

        def __init__(self, source: str) -> None:
            self._film = capture(source)

        def grab(self) -> bool:
            asked.append(1)
            there = bool(self._film.grab())
            return there and len(asked) not in (6, 7)

        def retrieve(self) -> tuple[bool, np.ndarray | None]:
            return (False, None) if len(asked) == 12 else self._film.retrieve()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._film, name)

    monkeypatch.setattr(cv2, "VideoCapture", Damaged)
    result, rows = ask(str(film), save="csv")
    found = {int(row["frame"]): row for row in rows}
    assert set(plain) - set(found) == {5, 6, 11}
    for number, row in found.items():
        assert row["time"] == plain[number]["time"] and row["label"] == plain[number]["label"]
    assert f"3 of the {FRAMES} frames of" in result.text and "are damaged and were passed over" in result.text


def test_a_camera_ended_with_ctrl_c_leaves_whole_files(film: Path, monkeypatch: pytest.MonkeyPatch):
    class Camera(VideoReader):
        def __init__(self, source: str, live: bool) -> None:
            assert source == "0" and live
            super().__init__(str(film), False)

        def read(self, wanted: Callable[[int], bool]) -> Iterator[VideoFrame]:
            for frame in super().read(wanted):
                if frame.number == 7:
                    raise KeyboardInterrupt
                yield frame

    monkeypatch.setattr("fer_tl.faces.films.VideoReader", Camera)
    result, rows = ask("0")
    assert [int(row["frame"]) for row in rows] == list(range(7)) and result.pictures == 7
    assert len(frames_of(Path("run/predict/annotated.mp4"))) == 7 and not list(Path("run").rglob(".*"))


def test_without_a_camera_there_is_one_line(capfd: pytest.CaptureFixture[str]):
    pytest.importorskip("cv2")
    with pytest.raises(UserError, match="there is no camera 87"):
        predict("run", "87")
    assert capfd.readouterr().err == ""


def test_streams_and_stdin_stand_alone():
    save("a.png", scene())
    for sources in (["0", "a.png"], ["a.png", "-"], ["rtsp://camera", "a.png"]):
        with pytest.raises(UserError, match="among several sources: give it alone"):
            predict("run", sources)


def test_a_full_disk_leaves_nothing_and_the_same_command_goes_through_afterwards(monkeypatch: pytest.MonkeyPatch):
    save("photos/one.png", scene((10, 12, BRIGHT)))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(outputs.PictureFolder, "write", lambda *given: (_ for _ in ()).throw(full))
        patch.setattr(outputs.CsvTable, "write", lambda *given: None)
        close = outputs.ExitStack.close
        patch.setattr(outputs.ExitStack, "close", lambda stack: (close(stack), (_ for _ in ()).throw(full)))
        with pytest.raises(OSError, match="No space left"):
            ask("photos", out="out")
    assert [*Path("out").iterdir()] == []
    Path("out/.123.pictures").mkdir()  # what a kill leaves
    assert len(ask("photos", out="out")[1]) == 1
    assert not [*Path("out").glob(".*")]


def test_a_picture_as_thin_as_a_line_is_drawn_and_does_not_stop_the_others():
    save("photos/thin.png", np.zeros((1, 5000, 3), np.uint8))
    save("photos/wide.png", np.zeros((1, 66_000, 3), np.uint8))
    save("photos/one.png", scene((10, 12, BRIGHT)))
    result, rows = ask("photos")
    assert [row["label"] for row in rows] == ["bright", ""]
    assert "wide.png says that it is 66,000 x 1 pixels" in result.problems[0]
    assert len([*(result.out_dir or Path()).rglob("*.jpg")]) == 2


def test_pictures_with_names_that_are_stems_of_others_have_ids_of_their_own():
    for name in ("same.jpg", "same.png", "same.jpg.png"):
        save(f"photos/{name}", scene((10, 12, BRIGHT)))
    result, rows = ask("photos")
    assert len({row["id"] for row in rows}) == 3
    assert len([*(result.out_dir or Path()).rglob("*.jpg")]) == 3


def test_what_is_passed_over_in_a_folder_is_told_once():
    save("photos/one.png", scene((10, 12, BRIGHT)))
    Path("photos/notes.txt").write_text("x")
    Path("photos/film.mp4").write_bytes(b"x")
    os.mkfifo("photos/pipe.png")
    result, rows = ask("photos", save="csv")
    assert [row["id"] for row in rows] == ["one"]
    (told,) = [line for line in result.text.splitlines() if "Passed over" in line]
    assert "1 files that are not images (photos/notes.txt)" in told and "photos/pipe.png" in told
    assert "1 videos, which are given alone (photos/film.mp4)" in told
