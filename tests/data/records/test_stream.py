"""Images that stay in their records: the pixels of the decoded arrays, whoever reads them and in whatever order."""

from __future__ import annotations

import gc
import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image
from stored_dataset import Stored, store_dataset

from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.data.records.stream import StreamedImages
from fer_tl.sources.images import encode_image

CLASSES = ("happy", "sad", "neutral")
NAME = "folder/mine"
ROWS = (
    *(7, -1, np.int64(69)),
    *(slice(3, 60, 2), slice(-3, None), slice(None), slice(9, 9)),
    *(np.array([5, 2, 69, 2, -1]), np.arange(70)[::-1], np.arange(70) % 3 == 0, np.array([], np.int64)),
)


def make(split: str, count: int, shape: tuple[int, int, int] = (8, 6, 3), seed: int = 0) -> Stored:
    """Images of smooth waves, so that JPEG keeps them nearly as they are."""
    rng = np.random.default_rng([seed, count])
    height, width, channels = shape
    y, x = np.mgrid[:height, :width][..., None]
    phases = rng.uniform(0, 6, (count, 1, 1, channels))
    images = 127 + 120 * np.sin(phases + x / 3 + y / 4)
    ids = np.array([f"{split}-{row:03d}" for row in range(count)])
    labels = rng.integers(0, len(CLASSES), count)
    return Stored(images.astype(np.uint8), labels, ids, np.char.add("photo-", labels.astype(str)))


@pytest.fixture(scope="module", params=[("png", 3), ("png", 1), ("jpeg", 3), ("jpeg", 1)], ids=str)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    """The same dataset resident and streamed; images in colour are large enough to be decoded by several threads."""
    encoding, channels = request.param
    data_dir = tmp_path_factory.mktemp("data")
    store_dataset(data_dir, NAME, CLASSES, {"train": make("train", 70, (48, 40, channels))}, 3, encoding)
    return load_dataset(NAME, data_dir), load_dataset(NAME, data_dir, input="stream")


def test_streamed_is_resident_but_for_where_the_pixels_are(pair: tuple[Dataset, Dataset]) -> None:
    resident, streamed = pair
    assert isinstance(resident.images, np.memmap) and isinstance(streamed.images, StreamedImages)
    for field in ("ids", "labels", "groups", "splits"):
        np.testing.assert_array_equal(getattr(streamed, field), getattr(resident, field))
    assert (streamed.fingerprint, streamed.image_shape) == (resident.fingerprint, resident.image_shape)
    assert (streamed.images.shape, streamed.images.dtype) == (resident.images.shape, resident.images.dtype)
    assert (len(streamed.images), streamed.images.nbytes) == (70, resident.images.nbytes)


def test_rows_are_read_as_of_an_array(pair: tuple[Dataset, Dataset]) -> None:
    resident, streamed = (dataset.images for dataset in pair)
    for rows in ROWS:
        found = streamed[rows]
        assert type(found) is np.ndarray and found.dtype == np.uint8
        np.testing.assert_array_equal(found, resident[rows])
        if found.ndim == 4:
            chosen = streamed.select(rows)
            assert chosen.shape == found.shape
            np.testing.assert_array_equal(chosen[:], found)
    with pytest.raises(IndexError):
        streamed[70]


def test_pixels_are_those_of_the_encoded_images(pair: tuple[Dataset, Dataset], request: pytest.FixtureRequest) -> None:
    encoding, channels = request.node.callspec.params["pair"]
    stored = make("train", 70, (48, 40, channels))
    for row, identity in enumerate(stored.ids.tolist()):
        found = pair[1].images[pair[1].ids.tolist().index(identity)]
        decoded = np.asarray(Image.open(io.BytesIO(encode_image(stored.images[row], encoding)))).reshape(found.shape)
        np.testing.assert_array_equal(found, decoded)
        assert np.array_equal(found, stored.images[row]) == (encoding == "png")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    splits = {"train": make("train", 50, seed=1), "validation": make("validation", 30, seed=2)}
    store_dataset(tmp_path / "data", NAME, CLASSES, splits, shards=2)
    return tmp_path / "data"


def test_splits_are_joined(data_dir: Path) -> None:
    both = ("validation", "train")
    resident = load_dataset(NAME, data_dir, both)
    streamed = load_dataset(NAME, data_dir, both, input="stream")
    np.testing.assert_array_equal(streamed.ids, resident.ids)
    np.testing.assert_array_equal(streamed.splits, ["validation"] * 30 + ["train"] * 50)
    rows = np.array([0, 79, 29, 30])
    np.testing.assert_array_equal(streamed.images[rows], resident.images[rows])


def test_streaming_decodes_nothing_to_the_disk_and_indexes_once(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset(NAME, data_dir, input="stream")
    assert not list((data_dir / ".cache").rglob("*.npy*"))

    def forbidden(*given: object) -> None:
        raise AssertionError("indexed again")

    monkeypatch.setattr("fer_tl.data.records.index.read_records", forbidden)
    np.testing.assert_array_equal(load_dataset(NAME, data_dir, input="stream").ids, first.ids)
    resident = load_dataset(NAME, data_dir)
    np.testing.assert_array_equal(resident.images, first.images[:])


@pytest.mark.parametrize(("factor", "kind"), [(4, np.memmap), (3.9, StreamedImages)])
def test_a_quarter_of_the_free_memory_decides(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, factor: float, kind: type
) -> None:
    free = SimpleNamespace(available=int(50 * 8 * 6 * 3 * factor))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert isinstance(load_dataset(NAME, data_dir, input="auto").images, kind)


def test_another_way_of_input_is_refused(data_dir: Path) -> None:
    with pytest.raises(UserError, match="'disk' is none of auto, resident, stream"):
        load_dataset(NAME, data_dir, input="disk")  # type: ignore[arg-type]


def test_many_may_read_at_once(data_dir: Path) -> None:
    images = load_dataset(NAME, data_dir, input="stream").images
    expected = images[:]
    draws = np.random.default_rng(0).integers(0, 50, (40, 64))
    with ThreadPoolExecutor(8) as pool:
        for rows, found in zip(draws, pool.map(images.__getitem__, draws), strict=True):
            np.testing.assert_array_equal(found, expected[rows])


def test_memory_is_that_of_what_is_asked_for(tmp_path: Path) -> None:
    store_dataset(tmp_path, NAME, CLASSES, {"train": make("train", 300, (48, 48, 3))})
    images = load_dataset(NAME, tmp_path, input="stream").images
    rows = np.random.default_rng(0).integers(0, 300, (40, 16))  # 640 images, 4.4 MB
    images[rows[0]]
    tracemalloc.start()
    try:
        for batch in rows:
            images[batch]
        assert tracemalloc.get_traced_memory()[1] < 4 * images[rows[0]].nbytes
    finally:
        tracemalloc.stop()


def test_files_are_closed_when_nobody_needs_the_images(data_dir: Path) -> None:
    gc.collect()
    before = psutil.Process().num_fds()
    images = load_dataset(NAME, data_dir, ("train", "validation"), input="stream").images
    part = images.select(np.array([3]))
    assert psutil.Process().num_fds() == before + 4
    del images
    assert part[:].shape == (1, 8, 6, 3)
    del part
    gc.collect()
    assert psutil.Process().num_fds() == before


def test_a_new_build_does_not_disturb_those_who_read(data_dir: Path, tmp_path: Path) -> None:
    images = load_dataset(NAME, data_dir, input="stream").images
    expected = images[:]
    old = data_dir / "folder/mine"
    old.rename(data_dir / "replaced")
    store_dataset(data_dir, NAME, CLASSES, {"train": make("train", 50, seed=3)}, shards=2)
    np.testing.assert_array_equal(images[:], expected)
    assert not np.array_equal(load_dataset(NAME, data_dir, input="stream").images[:], expected)


def test_damage_during_use_names_the_file(data_dir: Path) -> None:
    dataset = load_dataset(NAME, data_dir, input="stream")
    (shard,) = data_dir.rglob("*-train.tfrecord-00001-*")
    content = shard.read_bytes()
    with shard.open("r+b") as file:
        file.truncate(len(content) // 2)
    with pytest.raises(UserError, match=rf"{shard.name} was changed.*fer-tl verify"):
        dataset.images[:]
    shard.write_bytes(content)
    assert len(dataset.images[:]) == 50
