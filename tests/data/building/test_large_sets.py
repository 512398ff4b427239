"""Large sets: cells lose no copy that all pairs find, join nothing else, and copies by the thousand cost little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_tl.data.building import cells, duplicates, large_sets
from fer_tl.data.building.cells import Cells, Lookers
from fer_tl.data.building.descriptors import UNIT, WAYS, Descriptions
from fer_tl.data.building.duplicates import Duplicates, find_duplicates
from fer_tl.data.building.sketches import COSINES, SKETCH, WEIGHTS
from tests.data.building.test_duplicates import search, together
from tests.drawn_faces import PLAIN, faces_in

COUNT, COPIES = 2000, 300


@pytest.fixture
def in_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any set is a large one, of cells of 50 images."""
    monkeypatch.setattr(duplicates, "EXHAUSTIVE", 0)
    monkeypatch.setattr(cells, "SIZE", 50)


def drawn(count: int, rng: np.random.Generator) -> np.ndarray:
    """Pictures with the spectrum of photographs and much in common: float64 ``[count, 40, 40]`` about 0."""
    position = np.pi * (2 * np.arange(40) + 1) / 80
    waves = np.cos(np.arange(20)[:, None] * position)
    spectrum = 0.4 * rng.normal(size=(20, 20)) + rng.normal(size=(count, 20, 20))
    spectrum /= np.maximum(1, np.hypot(np.arange(20)[:, None], np.arange(20)))
    spectrum[:, 0, 0] = 0
    return waves.T @ spectrum @ waves


def sketches_of(pictures: np.ndarray) -> np.ndarray:
    """Sketches of what is 32 pixels wide in the middle or elsewhere: uint8 ``[B, 32, 32]``."""
    spectrum = COSINES @ pictures @ COSINES.T * WEIGHTS
    shown = COSINES.T @ spectrum @ COSINES
    return np.rint(128 + shown * (127 / np.abs(shown).max(axis=(1, 2), keepdims=True))).astype(np.uint8)


def with_copies(seed: int) -> np.ndarray:
    """Sketches of 2,000 pictures and of 300 copies of the first, each moved by up to a pixel, mirrored or noisy."""
    rng = np.random.default_rng(seed)
    pictures = drawn(COUNT, rng)
    copies = []
    for place, picture in enumerate(pictures[:COPIES]):
        top, left = rng.integers(3, 6, 2) if place % 3 else (4, 4)
        copy = picture[top : top + SKETCH, left : left + SKETCH]
        copy = copy + rng.normal(scale=0.1 * copy.std(), size=copy.shape)
        copies.append(copy[:, ::-1] if place % 2 else copy)
    return sketches_of(np.concatenate([pictures[:, 4:36, 4:36], copies]))


def find(sketches: np.ndarray) -> Duplicates:
    return find_duplicates([f"{row * 7919 % 100_003:06}" for row in range(len(sketches))], sketches)


@pytest.mark.parametrize("seed", range(4))
def test_no_planted_copy_is_lost_that_all_pairs_find_and_nothing_else_is_joined(
    seed: int, request: pytest.FixtureRequest
) -> None:
    sketches = with_copies(seed)
    expected = together(find(sketches))
    assert len(expected & {frozenset({row, COUNT + row}) for row in range(COPIES)}) >= 0.98 * COPIES
    request.getfixturevalue("in_cells")
    assert together(find(sketches)) == expected


def test_what_is_found_depends_neither_on_the_order_nor_on_threads(
    in_cells: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few descriptions are near enough here, so that much is lost, and it has to be the same.
    monkeypatch.setattr(cells, "MARGIN", 0.0)
    monkeypatch.setattr(large_sets, "_ROWS", 300)
    sketches = with_copies(9)
    names = [f"{row * 7919 % 100_003:06}" for row in range(len(sketches))]
    expected = together(find_duplicates(names, sketches))
    assert 0 < len(expected) < COPIES
    for threads in (1, 5):
        monkeypatch.setattr(large_sets.os, "cpu_count", lambda threads=threads: threads)
        order = np.random.default_rng(threads).permutation(len(sketches))
        mixed = find_duplicates([names[row] for row in order], sketches[order])
        assert {frozenset(order[list(rows)].tolist()) for rows in together(mixed)} == expected


def test_copies_of_one_picture_by_the_thousand_are_compared_a_few_times_each(
    in_cells: None, compared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_sets, "FULL", 100)
    rng = np.random.default_rng(0)
    pictures = drawn(4000, rng)[:, 4:36, 4:36]
    same = pictures[0] + rng.normal(scale=0.02 * pictures[0].std(), size=(300, SKETCH, SKETCH))
    blank = np.full((500, SKETCH, SKETCH), 128, np.uint8)
    equal = np.repeat(sketches_of(pictures[1:2]), 150, axis=0)
    found = find(np.concatenate([sketches_of(pictures), sketches_of(same), blank, equal]))
    assert together(found) == {frozenset({0, *range(4000, 4300)}), frozenset({1, *range(4800, 4950)})}
    assert sum(compared) < 5 * 450  # all pairs of them are 56,000


def test_a_set_without_contrast_has_no_near_copies(in_cells: None) -> None:
    found = find(np.full((300, SKETCH, SKETCH), 128, np.uint8))
    assert together(found) == set() and found.limited == 0


def test_files_and_memory_give_the_same(in_cells: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sketches = with_copies(3)
    np.save(tmp_path / "sketches.npy", sketches)
    monkeypatch.setattr(large_sets, "_IN_MEMORY", 1)
    mapped = np.load(tmp_path / "sketches.npy", mmap_mode="r")
    np.testing.assert_array_equal(find(mapped).clusters, find(sketches).clusters)
    assert [path.name for path in tmp_path.iterdir()] == ["sketches.npy"]  # nothing is left behind


def test_of_a_crowded_set_the_most_alike_are_compared_and_the_rest_is_said(
    in_cells: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = faces_in(PLAIN, 150)
    images = [*faces, *(face[:, ::-1] for face in faces[:15])]
    expected = {frozenset({row, 150 + row}) for row in range(15)}
    whole = search(images)
    assert together(whole) == expected and whole.limited == 0
    monkeypatch.setattr(large_sets, "MOST", 3)
    limited = search(images)
    assert together(limited) == expected and 0 < limited.limited < 100


def test_a_mirrored_image_has_the_same_descriptions() -> None:
    sketches = sketches_of(drawn(300, np.random.default_rng(5))[:, 4:36, 4:36])
    descriptions = Descriptions(sketches)
    plain, mirrored = (descriptions.describe(shown).astype(int) for shown in (sketches, sketches[:, :, ::-1]))
    assert plain.shape == (300, WAYS, 64) and (plain[:, 0, descriptions.even] >= 0).all()
    clear = plain[:, 0, descriptions.even] > 3  # the others may be turned either way
    swapped = [0, 1, 2, 4, 3, 6, 5, 8, 7, 9]  # what was cut off on the left is on the right
    assert clear.mean() > 0.8 and np.abs(plain - mirrored[:, swapped])[clear].max() <= 3  # sketches are rounded
    lengths = np.linalg.norm(plain, axis=2)
    np.testing.assert_allclose(lengths, UNIT, rtol=0.1)


def test_a_description_of_a_crop_is_that_of_the_cropped_picture() -> None:
    """The first two pixels are cut off at the top: the second description foresees it."""
    rng = np.random.default_rng(6)
    pictures = drawn(200, rng)[:, 4:36, 4:36]
    smooth = COSINES.T @ (COSINES @ pictures @ COSINES.T) @ COSINES
    spectrum = COSINES @ smooth @ COSINES.T
    places = (np.arange(SKETCH) + 0.5) * (30 / 32) + 2
    waves = np.cos(np.pi * np.arange(16)[:, None] * places / SKETCH) * np.sqrt(2 / SKETCH)
    waves[0] /= np.sqrt(2)
    cropped = waves.T @ (spectrum * WEIGHTS) @ COSINES
    whole, cut = (np.rint(128 + 127 * shown / np.abs(shown).max(axis=(1, 2), keepdims=True)).astype(np.uint8)
                  for shown in (COSINES.T @ (spectrum * WEIGHTS) @ COSINES, cropped))  # fmt: skip
    descriptions = Descriptions(whole)
    first, second = (descriptions.describe(shown).astype(float) / UNIT for shown in (whole, cut))
    turned = np.where(np.arange(64) < descriptions.even, 1, -1)
    other = second[:, 0]
    foreseen = np.maximum((first[:, 1] * other).sum(axis=1), (first[:, 1] * other * turned).sum(axis=1))
    plain = np.maximum((first[:, 0] * other).sum(axis=1), (first[:, 0] * other * turned).sum(axis=1))
    assert np.quantile(foreseen, 0.05) > 0.95 > np.quantile(plain, 0.95)


def test_lookers_come_back_by_cell_in_the_order_of_their_chunks() -> None:
    rng = np.random.default_rng(7)
    given = [
        (rng.integers(0, 5, size).astype(np.uint16), rng.integers(0, 99, size).astype(np.uint32)) for size in (9, 0, 7)
    ]
    lookers = Lookers(3, 5, None)
    for chunk in (2, 0, 1):
        lookers.add(chunk, *given[chunk])
    lookers.finish()
    for cell in range(5):
        expected = np.concatenate([numbers[codes == cell] for codes, numbers in given])
        np.testing.assert_array_equal(lookers.into(cell), expected)
    lookers.close()


def test_an_image_is_at_home_where_it_is_most_like_the_middle_and_looks_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "SIZE", 20)
    monkeypatch.setattr(cells, "_EACH", WAYS)
    sketches = sketches_of(drawn(400, np.random.default_rng(8))[:, 4:36, 4:36])
    descriptions = Descriptions(sketches)
    ranks = np.random.default_rng(9).permutation(400)
    found = Cells(descriptions.describe(sketches), descriptions.even, ranks)
    codes, numbers = found.settle(0, 400)
    members = found.members()
    assert len(found) > 10 and np.sort(np.concatenate(members)).tolist() == list(range(400))
    assert all((np.diff(ranks[rows]) > 0).all() for rows in members)
    plain = numbers % (2 * WAYS) == 0
    looked = set(zip((numbers[plain] // (2 * WAYS)).tolist(), codes[plain].tolist(), strict=True))
    assert {(int(row), cell) for cell, rows in enumerate(members) for row in rows} <= looked
