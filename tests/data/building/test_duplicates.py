"""Duplicates: copies are found however they were made and wherever they are, and nothing else is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_tl.data.building import clusters, crowding
from fer_tl.data.building import duplicates as module
from fer_tl.data.building.duplicates import Duplicates, find_duplicates
from fer_tl.data.building.pairs import aligned_correlation
from fer_tl.data.building.sketches import content_box, sketch
from tests.drawn_faces import PLAIN, SETTINGS, faces_in, laboratory

SIZE = 64


def textures(count: int, seed: int = 0, width: int = SIZE) -> np.ndarray:
    """Clouds, different from each other at every scale, as photographs are: uint8 ``[count, 64, width, 1]``."""
    rng = np.random.default_rng(seed)
    clouds = np.zeros((count, SIZE, width))
    for cell in (16, 8, 4, 2):
        grid = rng.normal(size=(count, SIZE // cell + 1, width // cell + 1))
        for cloud, values in zip(clouds, grid, strict=True):
            cloud += cell * np.asarray(Image.fromarray(values).resize((width, SIZE), Image.Resampling.BICUBIC))
    clouds *= 40 / clouds.std(axis=(1, 2), keepdims=True)
    return np.clip(clouds + 128, 0, 255).astype(np.uint8)[..., None]


def search(images: np.ndarray | list[np.ndarray]) -> Duplicates:
    return find_duplicates(
        [hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        np.stack([sketch(image) for image in images]),
        images.__getitem__,
    )


def together(found: Duplicates) -> set[frozenset[int]]:
    """The rows of every cluster of more than one."""
    members = [frozenset(np.flatnonzero(found.clusters == row).tolist()) for row in np.unique(found.clusters)]
    return {rows for rows in members if len(rows) > 1}


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def resized(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """A part of the image at the image's size."""
    picture = Image.fromarray(image[:, :, 0]).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box)
    return np.asarray(picture)[..., None]


def small_and_back(image: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(image[:, :, 0]).resize((40, 40), Image.Resampling.BILINEAR)
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC))[..., None]


def marked(image: np.ndarray) -> np.ndarray:
    """With white stripes that let half of the image through."""
    image = image.copy()
    for top in (30, 36):
        image[top : top + 3, 10:50] = image[top : top + 3, 10:50] // 2 + 127
    return image


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rescaled": small_and_back,
    "compressed": lambda image: as_jpeg(image, 15),
    "darker": lambda image: (image * 0.5).astype(np.uint8),
    "paler": lambda image: (image * 0.3 + 170).astype(np.uint8),
    "gamma": lambda image: (255 * (image / 255) ** 2).astype(np.uint8),
    "marked": marked,
    "mirrored": lambda image: image[:, ::-1],
    "moved": lambda image: resized(image, (3, 2, SIZE, SIZE - 1)),
    "cropped": lambda image: resized(image, (2, 2, SIZE - 2, SIZE - 2)),
    "mirrored, cropped, compressed": lambda image: as_jpeg(resized(image[:, ::-1], (2, 1, SIZE - 1, SIZE - 1)), 40),
}


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """Different images: uint8 ``[1030, 64, 64, 1]``."""
    return textures(1030)


@pytest.mark.parametrize("kind", COPIES)
def test_near_copies_are_found_and_nothing_else(crowd: np.ndarray, kind: str) -> None:
    images = list(crowd[:300])
    for row in range(20):
        images.append(COPIES[kind](images[10 * row]))
    found = search(images)
    assert together(found) == {frozenset({10 * row, 300 + row}) for row in range(20)}
    assert not found.exact.any()


def test_alike_light_and_layout_make_no_copies() -> None:
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    head = 150 * np.exp(-((x / 0.6) ** 2) - (y / 0.8) ** 2)  # light in the middle, dark around
    faces = np.clip(head[..., None] + 0.5 * (textures(200, seed=4) - 128.0) + 50, 0, 255).astype(np.uint8)
    pixels = faces.reshape(len(faces), -1)
    assert np.median(np.corrcoef(pixels)) > 0.75
    assert np.max(np.corrcoef(pixels) - np.eye(len(faces))) > 0.85
    copies = [COPIES["mirrored, cropped, compressed"](face) for face in faces[:20]]
    assert together(search([*faces, *copies])) == {frozenset({row, 200 + row}) for row in range(20)}


@pytest.mark.parametrize("setting", SETTINGS)
def test_unlike_faces_stay_apart_and_their_copies_are_found_whatever_all_images_share(setting: str) -> None:
    faces = faces_in(setting, 100)
    copies = [face[:, ::-1] for face in faces[:5]] + [as_jpeg(face, 60) for face in faces[5:10]]
    expected = {frozenset({row, 100 + row}) for row in range(10)}
    assert together(search([*faces, *copies])) == expected


@pytest.mark.parametrize("setting", ["green ground", "light from above", "light from the right"])
def test_faces_whose_sketches_are_alike_are_compared_at_full_size(setting: str) -> None:
    faces = faces_in(setting, 300)
    assert together(search(faces)) == set()
    box = (0.03 * 72, 0.03 * 72, 0.97 * 72, 0.97 * 72)
    copies = [Image.fromarray(face).resize((72, 72), Image.Resampling.BICUBIC, box) for face in faces[:20]]
    images = [*faces[:100], *(np.asarray(copy)[:, ::-1] for copy in copies)]
    expected = together(search(images))
    assert len(expected) >= 15 and expected <= {frozenset({row, 100 + row}) for row in range(20)}
    order = np.random.default_rng(0).permutation(len(images))
    mixed = search([images[row] for row in order])
    assert {frozenset(order[list(rows)].tolist()) for rows in together(mixed)} == expected


def test_of_drawings_before_one_colour_each_at_most_three_in_a_thousand_are_joined() -> None:
    faces = faces_in(PLAIN, 420)
    assert sum(map(len, together(search(faces)))) <= 420 * 0.003
    copies = [face[:, ::-1] for face in faces[:10]] + [as_jpeg(face, 40) for face in faces[10:20]]
    assert together(search([*faces[:200], *copies])) == {frozenset({row, 200 + row}) for row in range(20)}


def test_no_image_is_compared_with_more_than_the_most_alike(
    compared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many look alike, and what was limited is said; the copies are among the most alike."""
    faces = faces_in(PLAIN, 150)
    images = [*faces, *(as_jpeg(face, 60) for face in faces[:15])]
    expected = {frozenset({row, 150 + row}) for row in range(15)}
    whole = search(images)
    assert together(whole) == expected and whole.limited == 0
    compared.clear()
    for name in (module, crowding):
        monkeypatch.setattr(name, "MOST", 3)
    limited = search(images)
    assert together(limited) == expected and limited.limited > 50
    assert sum(compared) <= 3 * len(images)
    order = np.random.default_rng(0).permutation(len(images))
    mixed = search([images[row] for row in order])
    assert {frozenset(order[list(rows)].tolist()) for rows in together(mixed)} == expected
    assert mixed.limited == limited.limited


def test_the_most_alike_of_each_are_those_of_a_sorted_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    signatures = rng.normal(size=36) + rng.normal(size=(300, 36))
    signatures = np.rint(4000 * signatures / np.linalg.norm(signatures, axis=1, keepdims=True)).astype(np.float32)
    even, odd = signatures[:, :18], signatures[:, 18:]
    scores = even @ even.T + np.abs(odd @ odd.T)
    np.fill_diagonal(scores, np.inf)  # itself is in no list
    least = float(np.quantile(scores, 0.8))
    for name, value in (("MOST", 10), ("_COLUMNS", 64), ("_WAITING", 500)):
        monkeypatch.setattr(crowding, name, value)
    needed, number = crowding.most_alike(even, odd, slice(100, 200), least)
    own = scores[100:200]
    assert (number == (own >= least).sum(axis=1) - 1).all()
    np.testing.assert_array_equal(needed, np.maximum(np.sort(own, axis=1)[:, -11], least).astype(np.float32))


def test_no_two_expressions_of_a_laboratory_and_no_two_persons_are_copies() -> None:
    images, names = laboratory(8, 3)
    found = search([*images, *(np.clip(image.astype(int) + 20, 0, 255).astype(np.uint8) for image in images[:30:3])])
    assert found.one_scene
    shown = [*names, *names[:30:3]]
    assert all(len({shown[row] for row in rows}) == 1 for rows in together(found))
    assert all(found.clusters[len(images) + copy] == found.clusters[3 * copy] for copy in range(10))


def test_clusters_do_not_grow_from_one_picture_into_another(crowd: np.ndarray) -> None:
    """Each image fades into the next one: neighbours are copies, the ends have nothing in common."""
    first, second, third = crowd[:3].astype(float)
    steps = np.linspace(0, 1, 8)
    fades = [((1 - share) * first + share * second).astype(np.uint8) for share in steps]
    fades += [((1 - share) * second + share * third).astype(np.uint8) for share in steps[1:]]
    assert all(together(search([a, b])) == {frozenset({0, 1})} for a, b in pairwise(fades))
    images = [*crowd[10:30], *fades]
    order = np.random.default_rng(0).permutation(len(images))
    expected = together(search(images))
    assert len(expected) > 1 and not any({20, 34} <= rows for rows in expected)
    mixed = search([images[row] for row in order])
    assert {frozenset(order[list(rows)].tolist()) for rows in together(mixed)} == expected


@pytest.mark.parametrize(("ground", "quality"), [(0, 0), (255, 0), (0, 40), (255, 30)])
def test_bars_are_no_content(ground: int, quality: int) -> None:
    content = textures(1)[0][:, 8:56]
    padded = np.full((SIZE, SIZE, 1), ground, np.uint8)
    padded[:, 8:56] = content
    lying = padded.transpose(1, 0, 2)
    for image, box in ((padded, (8, 0, 56, 64)), (lying, (0, 8, 64, 56))):
        stored = as_jpeg(image, quality) if quality else image
        found = np.array(content_box(stored[:, :, 0]))
        assert np.abs(found - box).max() <= 1 and (quality or tuple(found) == box)
    assert together(search([content, padded])) == {frozenset({0, 1})}


def test_what_ends_in_no_straight_line_on_both_sides_is_content() -> None:
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    head = np.where((x / 0.6) ** 2 + (y / 0.8) ** 2 < 1, 90, 255).astype(np.uint8)
    one_sided = textures(1)[0][:, :, 0].copy()
    one_sided[:9] = 0
    uneven = one_sided.copy()
    uneven[-4:] = 0
    for image in (head, one_sided, uneven, np.zeros((SIZE, SIZE), np.uint8), textures(1)[0][:, :, 0]):
        assert content_box(image) == (0, 0, SIZE, SIZE)


def test_the_best_position_is_found_and_compared_where_sketches_overlap() -> None:
    """Against a plain computation, for noise and for sketches that are parts of one picture."""
    rng = np.random.default_rng(0)
    picture = rng.integers(1, 256, (36, 36), dtype=np.uint8)
    parts = [(a, b) for a in range(5) for b in range(5)]
    first = np.stack([*rng.integers(1, 256, (20, 32, 32), dtype=np.uint8), *[picture[2:34, 2:34]] * 25])
    second = np.stack(
        [*rng.integers(1, 256, (20, 32, 32), dtype=np.uint8), *(picture[a:, b:][:32, :32] for a, b in parts)]
    )
    expected = np.full(45, -1.0)
    for down, across in ((a - 2, b - 2) for a, b in parts):
        here = slice(max(0, down), 32 + min(0, down)), slice(max(0, across), 32 + min(0, across))
        there = slice(max(0, -down), 32 + min(0, -down)), slice(max(0, -across), 32 + min(0, -across))
        at = [np.corrcoef(a[here].ravel(), b[there].ravel())[0, 1] for a, b in zip(first, second, strict=True)]
        expected = np.maximum(expected, at)
    found = aligned_correlation(first, second)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[20:], 1, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found, aligned_correlation(second, first))


def test_exact_copies_are_told_from_near_ones(crowd: np.ndarray) -> None:
    images = [*crowd[:30], crowd[7], crowd[21], crowd[7], as_jpeg(crowd[21], 50)]
    found = search(images)
    assert together(found) == {frozenset({7, 30, 32}), frozenset({21, 31, 33})}
    assert np.flatnonzero(found.exact).tolist() == [7, 21, 30, 31, 32]
    assert found.clusters[[7, 21, 30, 31, 32, 33]].tolist() == [7, 21, 7, 21, 7, 21]
    alone = np.delete(np.arange(30), [7, 21])
    assert (found.clusters[alone] == alone).all()


@pytest.mark.parametrize("count", [511, 512, 513, 1024, 1025])
def test_copies_are_found_across_the_edges_of_blocks(crowd: np.ndarray, count: int) -> None:
    images = crowd[:count].copy()
    pairs = [(0, count - 1), (255, 256), (508, 257), (count - 2, 3)]
    for original, copy in pairs:
        images[copy] = COPIES["mirrored"](COPIES["compressed"](images[original]))
    assert together(search(images)) == {frozenset(pair) for pair in pairs}


def test_what_is_together_does_not_depend_on_the_order(crowd: np.ndarray) -> None:
    images = np.stack([*crowd[:600], *(copy(crowd[9]) for copy in COPIES.values()), crowd[5], crowd[9]])
    expected = together(search(images))
    assert len(expected) == 2
    order = np.random.default_rng(1).permutation(len(images))
    found = search(images[order])
    assert {frozenset(order[list(rows)].tolist()) for rows in together(found)} == expected
    # The first row of a cluster is its name.
    assert all(found.clusters[row] == min(rows) for rows in together(found) for row in rows)


def test_copies_of_copies_are_together(crowd: np.ndarray) -> None:
    wide = textures(1, seed=3, width=SIZE + 12)[0]
    chain = [wide[:, left : left + SIZE] for left in range(0, 13, 3)]
    assert together(search([chain[0], chain[-1]])) == set()
    assert together(search([*crowd[:20], *chain])) == {frozenset(range(20, 25))}


def test_images_without_contrast_are_exact_copies_or_none() -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((SIZE, SIZE, 1), level, np.uint8) for level in (0, 90, 255, 90)]
    noise = [np.clip(rng.normal(90, 1, (SIZE, SIZE, 1)), 0, 255).astype(np.uint8) for _ in range(200)]
    found = search([*flat, *(as_jpeg(image, 30) for image in noise)])
    exact = np.flatnonzero(found.exact).tolist()
    assert {1, 3} <= set(exact)
    # Compressed noise may come out flat, and so equal. What differs is not a near copy.
    assert set().union(*together(found)) == set(exact)
    faint = 128 + (textures(1)[0] - 128.0) * 0.15  # a standard deviation of 6
    assert together(search([*flat, faint.astype(np.uint8), COPIES["mirrored"](faint.astype(np.uint8))])) == {
        frozenset({1, 3}),
        frozenset({4, 5}),
    }


class Read:
    """Sketches that count how many of them are read."""

    def __init__(self, sketches: np.ndarray) -> None:
        self._sketches = sketches
        self.count = 0

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.count += len(rows)
        return self._sketches[rows]


def test_exact_copies_are_compared_once(crowd: np.ndarray) -> None:
    read = Read(np.repeat([sketch(crowd[0]), sketch(crowd[1])], 1000, axis=0))
    found = find_duplicates(["a"] * 1000 + ["b"] * 1000, read)
    assert together(found) == {frozenset(range(1000)), frozenset(range(1000, 2000))}
    assert read.count == 2


def test_a_large_cluster_is_merged_before_all_its_pairs_are_compared(
    crowd: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Read(np.stack([sketch(crowd[0])] * 600))
    monkeypatch.setattr(clusters, "EDGES", 100)
    found = find_duplicates([str(row) for row in range(600)], read)
    assert together(found) == {frozenset(range(600))}
    assert not found.exact.any()
    assert read.count < 20_000  # of 360,000 for all pairs


def test_sketches_may_lie_in_a_file(crowd: np.ndarray, tmp_path: Path) -> None:
    images = [*crowd[:40], COPIES["mirrored"](crowd[3])]
    np.save(tmp_path / "sketches.npy", np.stack([sketch(image) for image in images]))
    mapped = np.load(tmp_path / "sketches.npy", mmap_mode="r")
    assert together(find_duplicates([str(row) for row in range(41)], mapped)) == {frozenset({3, 40})}


def test_the_sketch_of_a_mirrored_image_is_the_mirrored_sketch(crowd: np.ndarray) -> None:
    for image in crowd[:20]:
        difference = sketch(image[:, ::-1]).astype(int) - sketch(image)[:, ::-1]
        assert np.abs(difference).max() <= 1  # the sketch's grey levels are rounded


@pytest.mark.parametrize(("height", "width", "channels"), [(48, 48, 1), (96, 96, 3), (20, 90, 3), (8, 8, 1)])
def test_a_sketch_has_one_shape_whatever_the_image_is(height: int, width: int, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    made = sketch(image)
    assert made.shape == (32, 32) and made.dtype == np.uint8
    assert (made != made[0, 0]).any()
    image[:, :, 0] = 0  # the other channels count as well
    assert (sketch(image) != 128).any() == (channels == 3)


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(crowd: np.ndarray, count: int) -> None:
    found = find_duplicates(["a"] * count, np.zeros((count, 32, 32), np.uint8))
    assert found.clusters.tolist() == list(range(count)) and found.clusters.dtype == np.int64
    assert found.exact.tolist() == [False] * count
