"""JAFFE, KDEF and RAVDESS: expression and person are what the published names say, and other files are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fer_files import write_folder, write_zip
from laboratory_files import jaffe_files, kdef_files, picture, ravdess_files

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.jaffe.reader import open_jaffe
from fer_tl.sources.kdef.reader import open_kdef
from fer_tl.sources.portraits import STRANGE
from fer_tl.sources.ravdess.reader import open_ravdess
from fer_tl.sources.records import Source


def told(source: Source) -> dict[str, tuple[str, str]]:
    """{id: class and person}."""
    return {record.id: (source.class_names[record.label], record.person) for record in source.records()}


def numbers(source: Source) -> dict[str, int]:
    """How many files are passed over, by the reason."""
    return {why: len(names) for why, names in source.passed_over.items() if names}


@pytest.mark.parametrize("packed", [False, True])
def test_jaffe_is_read_from_its_names(tmp_path: Path, packed: bool) -> None:
    files = jaffe_files() | {"jaffe/README": b"See the paper.", "jaffe/montage.png": picture(9)}
    source = open_jaffe(write_zip(tmp_path / "j.zip", files) if packed else write_folder(tmp_path, files), 24)
    found = told(source)
    assert source.class_names == CLASS_NAMES and len(found) == 21
    assert found["KA.AN1.1"] == ("angry", "KA") and found["KL.FE1.10"] == ("fear", "KL")
    assert found["KM.NE1.21"] == ("neutral", "KM")
    assert {record.split for record in source.records()} == {"train"}  # ten persons are too few for a test split
    assert source.image_shape == (24, 24, 1)
    assert numbers(source) == {"files that are not images": 1, STRANGE: 1}


def test_copies_of_jaffe_with_other_endings_and_in_class_folders_are_read(tmp_path: Path) -> None:
    files = {f"{n % 2}/{Path(name).stem}.jpg".lower(): data for n, (name, data) in enumerate(jaffe_files().items())}
    assert told(open_jaffe(write_folder(tmp_path, files), 24))["ka.an1.1"] == ("angry", "KA")


def test_a_person_of_kdef_is_the_same_in_both_sessions(tmp_path: Path) -> None:
    source = open_kdef(write_folder(tmp_path, kdef_files()), 24)
    found = told(source)
    assert len(found) == 2 * 6 * 7 * 5 and source.class_names == CLASS_NAMES
    assert {person for _, person in found.values()} == {"F01", "F02", "F03", "M01", "M02", "M03"}
    assert found["AF01AFS"] == found["BF01AFFL"] == ("fear", "F01") and found["BM03SUHR"] == ("surprise", "M03")
    assert {record.split for record in source.records()} == {None}


@pytest.mark.parametrize(("angles", "share"), [("all", 5), ("half", 3), ("frontal", 1)])
def test_angles_of_kdef_are_chosen_and_the_others_counted(tmp_path: Path, angles: str, share: int) -> None:
    files = kdef_files(persons=1) | {"AKDEF/AFAFS.JPG": picture(9)}  # an averaged face, of nobody
    source = open_kdef(write_folder(tmp_path, files), 24, angles=angles)
    assert len(told(source)) == 28 * share == source.total()
    others = {"images from other angles": 28 * (5 - share)} if share < 5 else {}
    assert numbers(source) == {STRANGE: 1, **others}


def test_emotion_and_actor_of_ravdess_come_from_the_recording(tmp_path: Path) -> None:
    files = ravdess_files() | {"01-01-05-02-01-02-07_12.png": picture(8), "x/01-02-04-01-01-01-08-0003.png": picture(9)}
    source = open_ravdess(write_folder(tmp_path, files), 24)
    found = told(source)
    assert source.class_names == (*CLASS_NAMES, "calm") and len(found) == 3 * 8 * 4 + 2
    labels = {identity.split("-")[2]: label for identity, (label, _) in found.items()}
    assert labels == {
        "01": "neutral",
        "02": "calm",
        "03": "happy",
        "04": "sad",
        "05": "angry",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    }
    assert found["Actor_24/01-01-08-01-02-01-24/frame4.png"] == ("surprise", "Actor_24")
    assert found["01-01-05-02-01-02-07_12"][1] == "Actor_07" and found["01-02-04-01-01-01-08-0003"][1] == "Actor_08"
    assert any(
        "--classes '[angry, disgust, fear, happy, sad, surprise, neutral=neutral+calm]'" in n for n in source.notes
    )


def test_frames_of_a_recording_are_evenly_spread_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    source = open_ravdess(write_folder(tmp_path, ravdess_files(frames=12)), 24, frames=3)
    taken = [record.id.rpartition("/")[2] for record in source.records() if "Actor_01/01-01-01-" in record.id]
    assert taken == ["frame3.png", "frame7.png", "frame11.png"]  # the middles of 1 to 4, 5 to 8 and 9 to 12
    assert numbers(source) == {"frames that --frames leaves out": 3 * 8 * 9} and source.options["frames"] == "3"
    short = open_ravdess(write_folder(tmp_path / "short", ravdess_files(frames=2)), 24, frames=3)
    assert short.total() == 3 * 8 * 2


def test_one_of_so_many_frames_is_the_middle_of_as_many(tmp_path: Path) -> None:
    source = open_ravdess(write_folder(tmp_path, ravdess_files(frames=12)), 24, every=5)
    taken = [record.id.rpartition("/")[2] for record in source.records() if "Actor_01/01-01-01-" in record.id]
    assert taken == ["frame3.png", "frame8.png"] and source.options["every"] == "5"
    assert numbers(source) == {"frames that --every leaves out": 3 * 8 * 10}
    with pytest.raises(UserError, match=r"--frames says how many .* and --every how far apart: use one of them"):
        open_ravdess(tmp_path, 24, frames=3, every=5)


def test_a_recording_that_is_there_with_and_without_sound_is_read_once(tmp_path: Path) -> None:
    files = ravdess_files() | ravdess_files(actors=(2, 3), modality=2)
    source = open_ravdess(write_folder(tmp_path, files), 24)
    assert source.total() == 4 * 8 * 4
    assert numbers(source) == {"frames of recordings without sound that are there with sound": 8 * 4}


ONE = {"KA.HA1.1.png": picture(1), "KL.HA1.2.png": picture(2), "KA.SA1.3.png": picture(3), "KA.SA2.4.png": picture(4)}


@pytest.mark.parametrize(
    ("opened", "files", "message"),
    [
        (open_jaffe, {"a/1.png": picture(1)}, r"holds no image called like KA\.AN1\.39\.tiff.*Passed over: 1 images"),
        (open_jaffe, {"a.txt": b"x"}, "no image called like KA.*1 files that are not images"),
        (open_jaffe, {"KA.HA1.1.png": picture(1)}, r"has one class only \(happy\)"),
        (open_jaffe, ONE, r"all 2 images of 'sad' are of one person \(KA\).*add other persons' images of 'sad'"),
        (open_kdef, {"AF01ANX.JPG": picture(1)}, "no image called like AF01ANS.JPG"),
        (open_ravdess, {"Actor_01/03-01-06-01-02-01-01.png": picture(1)}, "no image called like Actor_12/01-01-06"),
        (open_ravdess, {"Actor_01/01-01-06-01-02-01-01.mp4": b"film"}, r"has one class only \(fear\)"),
    ],
)
def test_what_is_no_such_set_is_one_line(
    tmp_path: Path, opened: Callable[..., Source], files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        opened(write_folder(tmp_path / "set", files), 24)
    assert "\n" not in str(caught.value)


def test_a_folder_that_contradicts_a_name_is_told(tmp_path: Path) -> None:
    names = {("happy/" if ".HA" in name else "x/") + name[6:]: data for name, data in jaffe_files().items()}
    assert not open_jaffe(write_folder(tmp_path / "right", names), 24).notes
    wrong = {name.replace("x/", "sadness/") if ".AN" in name else name: data for name, data in names.items()}
    source = open_jaffe(write_folder(tmp_path / "wrong", wrong), 24)
    (note,) = source.notes
    assert note.startswith("Warning: 3 images in a folder of another class than the name says, such as sadness/KA")
    assert "KA.AN1.1.tiff (angry): the names count." in note and told(source)["KA.AN1.1"] == ("angry", "KA")


def test_folders_called_like_splits_are_not_believed(tmp_path: Path) -> None:
    files = {f"{('train', 'test')[n % 2]}/{name}": data for n, (name, data) in enumerate(kdef_files(1).items())}
    source = open_kdef(write_folder(tmp_path, files), 24)
    assert {record.split for record in source.records()} == {None}
    assert "Its folders that are called like splits are not used: they may divide persons." in source.notes
