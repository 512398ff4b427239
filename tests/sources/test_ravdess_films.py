"""Films of RAVDESS: each chosen frame is that of its number, and a film is one group of one person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.directory import dataset_directory
from fer_tl.data.examples import read_examples
from fer_tl.sources.findings import Part
from fer_tl.sources.ravdess.choosing import Choice
from fer_tl.sources.ravdess.reader import open_ravdess
from fer_tl.sources.records import UnusableExamples

FRAMES, SIDE = 24, 32


def write_film(path: Path, seed: int, frames: int = FRAMES) -> None:
    """A film of a texture, whose upper half is as bright as the number of the frame says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texture = (
        np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    )
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (SIDE, SIDE))
    for number in range(frames):
        texture[: SIDE // 2] = 10 * number
        writer.write(texture)
    writer.release()


def film_set(root: Path, actors: range = range(1, 4), emotions: tuple[int, ...] = (1, 2, 3)) -> Path:
    for actor in actors:
        for emotion in emotions:
            write_film(root / f"Actor_{actor:02d}/01-01-{emotion:02d}-01-02-01-{actor:02d}.mp4", 10 * actor + emotion)
    return root


def test_frames_are_those_of_their_numbers(tmp_path: Path) -> None:
    source = open_ravdess(film_set(tmp_path / "set"), SIDE)
    found = {record.id: record for record in source.records()}
    assert len(found) == source.total() == 3 * 3 * 2 and source.image_shape == (SIDE, SIDE, 3)
    assert source.class_names == ("happy", "neutral", "calm")
    for number in (7, 22):  # the middles of 0 to 14 and of 15 on
        record = found[f"01-01-03-01-02-01-02#{number}"]
        assert abs(float(record.image[: SIDE // 2 - 4].mean()) - 10 * number) < 5
        assert (record.label, record.person, record.split) == (0, "Actor_02", None)
        assert record.group == "01-01-03-01-02-01-02"
    again = open_ravdess(tmp_path / "set", SIDE, frames=3, channels=1)
    assert [record.id.partition("#")[2] for record in again.records()][:3] == ["4", "12", "20"]
    assert again.image_shape == (SIDE, SIDE, 1) and again.options["frames"] == "3"


def test_which_films_are_read(tmp_path: Path) -> None:
    root = film_set(tmp_path / "set")
    for name in ("Actor_02/02-01-03-01-02-01-02.mp4", "Actor_02/03-01-03-01-02-01-02.mp4"):  # without sound, or picture
        (root / name).write_bytes((root / "Actor_02/01-01-03-01-02-01-02.mp4").read_bytes())
    source = open_ravdess(root, SIDE)
    assert source.total() == 3 * 3 * 2
    assert {why: len(names) for why, names in source.passed_over.items() if names} == {
        "films of recordings without sound that are there with sound": 1,
        "films whose names do not tell expression and person": 1,
    }


def test_films_are_divided_among_parts(tmp_path: Path) -> None:
    root = film_set(tmp_path / "set")
    whole = [record.id for record in open_ravdess(root, SIDE).records()]
    found = []
    for number in range(1, 5):
        source = open_ravdess(root, SIDE)
        source.part = Part(number, 4)
        of_part = [record.id for record in source.records()]
        assert len(of_part) == source.total() > 0
        found += of_part
    assert found == whole


def test_what_is_no_film_is_named(tmp_path: Path) -> None:
    root = film_set(tmp_path / "set")
    (root / "Actor_01/01-01-01-01-02-01-01.mp4").write_bytes(b"no film")
    (root / "Actor_01/01-01-02-01-02-01-01.mp4").write_bytes(b"")
    source = open_ravdess(root, SIDE)
    with pytest.raises(UnusableExamples, match=r"2 of 16 examples.*not a film that OpenCV can read.*is empty"):
        [*source.records()]
    source.on_error = "skip"
    assert len([*source.records()]) == 14 and len(source.skipped()) == 2


def test_a_class_of_one_actor_is_refused(tmp_path: Path) -> None:
    root = film_set(film_set(tmp_path / "set"), range(1, 2), (4,))
    with pytest.raises(UserError, match=r"all 1 images of 'sad' are of one person \(Actor_01\)"):
        open_ravdess(root, SIDE)


def test_a_build_keeps_persons_together(tmp_path: Path) -> None:
    root = film_set(tmp_path / "set", range(1, 7))
    build("ravdess", root, tmp_path, image_size=SIDE, every=12, duplicates="keep", say=lambda line: None)
    examples = read_examples(dataset_directory(tmp_path, "ravdess"))
    assert len(examples) == 6 * 3 * 2
    assert all(one.group == f"Actor_{one.id.partition('#')[0][-2:]}" for one in examples)
    assert len({one.group for one in examples if one.split == "test"}) in (1, 2)


@pytest.mark.parametrize(
    ("choice", "number", "places"),
    [
        (Choice(), 4, [0, 1, 2, 3]),
        (Choice(every=5), 13, [2, 7, 12]),
        (Choice(every=15), 3, [1]),
        (Choice(every=15), 0, []),
        (Choice(frames=3), 12, [2, 6, 10]),
        (Choice(frames=3), 2, [0, 1]),
    ],
)
def test_the_middles_of_equal_parts_are_taken(choice: Choice, number: int, places: list[int]) -> None:
    assert choice.of(number) == places
