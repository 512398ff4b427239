"""Digests tell pictures again that were compressed, resized, coloured or mirrored, and take no others for them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stored_dataset import Stored, store_dataset

from fer_tl.data import dataset as module
from fer_tl.data.dataset import load_dataset
from fer_tl.data.digests import TOLERANCE, digest_images, find_known
from fer_tl.sources.toyfaces.drawing import draw_faces

FACES = draw_faces(300, 5)[0]  # uint8 [300, 48, 48, 1]
OTHERS = draw_faces(300, 6)[0]


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def coloured(image: np.ndarray) -> np.ndarray:
    """In another colour of the same grey, as far as 8 bits can say it."""
    red = image.astype(float) * 0.9
    green = (image - 0.299 * red - 0.114 * image) / 0.587
    return np.rint(np.stack([red, green, image], axis=-1)).clip(0, 255).astype(np.uint8)


WAYS = {
    "as they are": lambda image: image,
    "jpeg": lambda image: jpeg(image, 60),
    "larger": lambda image: jpeg(resized(image, 112), 85),
    "smaller": lambda image: resized(image, 36),
    "and back": lambda image: jpeg(resized(resized(image, 100), 48), 75),
    "in colour": coloured,
    "mirrored": lambda image: image[:, ::-1],
    "lighter": lambda image: (image // 2 + 100).astype(np.uint8),
    "not square": lambda image: np.asarray(Image.fromarray(image).resize((60, 48))),
}


@pytest.mark.parametrize("way", WAYS)
def test_copies_are_found_and_others_are_not(way: str) -> None:
    changed = [WAYS[way](image[..., 0]) for image in FACES]
    copies = np.stack([each if each.ndim == 3 else each[..., None] for each in changed])
    known = digest_images(FACES)
    assert find_known(digest_images(copies), known).mean() > 0.99
    assert not find_known(digest_images(OTHERS), known).any()
    assert not find_known(digest_images(copies), digest_images(OTHERS)).any()


def test_a_picture_between_bars_is_the_picture() -> None:
    framed = np.zeros((20, 48, 64, 1), np.uint8)
    bright = 60 + FACES[:20] // 2
    framed[:, :, 8:56] = bright
    assert find_known(digest_images(framed), digest_images(bright)).all()


def test_a_picture_of_nothing_is_none_of_the_others() -> None:
    blank = np.full((3, 48, 48, 1), 90, np.uint8)
    blank[2] += np.random.default_rng(0).integers(0, 3, (48, 48, 1)).astype(np.uint8)
    assert not digest_images(blank).any()
    assert not find_known(digest_images(blank), digest_images(FACES)).any()
    assert not find_known(digest_images(FACES), digest_images(blank)[:0]).any()


def test_the_search_finds_all_that_differ_in_no_more_signs_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    known = digest_images(FACES)
    flips = rng.integers(0, TOLERANCE + 5, 400)
    queries = known[rng.integers(0, len(known), 400)].copy()
    for row, count in enumerate(flips):
        for bit in rng.choice(126, count, replace=False).tolist():
            queries[row, bit // 64] ^= np.uint64(1 << bit % 64)
    monkeypatch.setattr("fer_tl.data.digests._PAIRS", 50)  # many small pieces
    differing = np.bitwise_count(queries[:, None] ^ known[None]).sum(axis=2).min(axis=1)  # [400]
    found = find_known(queries, known)
    np.testing.assert_array_equal(found, differing <= TOLERANCE)
    assert 0.3 < found.mean() < 0.9


@pytest.mark.parametrize("input", ["resident", "stream"])
def test_they_are_worked_out_once_and_follow_the_rows(
    input: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array([f"face-{row:03d}" for row in range(40)])
    splits = {
        name: Stored(images, np.arange(40) % 2, np.char.add(name, ids), ids)
        for name, images in (("train", FACES[:40]), ("validation", OTHERS[:40]))
    }
    store_dataset(tmp_path, "folder/mine", ("happy", "sad"), splits, shards=3)
    names = ("train", "validation")
    first = load_dataset("folder/mine", tmp_path, names, input, digests=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(first.digests, digest_images(first.images))
    monkeypatch.setattr(module, "digest_images", lambda images: pytest.fail("worked out again"))
    again = load_dataset("folder/mine", tmp_path, names, input, digests=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.digests, first.digests)
    rows = np.array([70, 3, 11])
    np.testing.assert_array_equal(again.select(rows).digests, first.digests[rows])
    assert load_dataset("folder/mine", tmp_path, names, input).loaded_digests is None  # type: ignore[arg-type]
    kept = next(tmp_path.glob(".cache/*train*/digests-1.npy"))
    kept.write_bytes(kept.read_bytes()[:-16])
    with pytest.raises(pytest.fail.Exception, match="worked out again"):
        load_dataset("folder/mine", tmp_path, names, input, digests=True)  # type: ignore[arg-type]
