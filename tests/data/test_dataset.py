"""A built dataset as arrays: what was put in comes out, quickly the second time, and damage is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_tl.data import dataset as module
from fer_tl.data.build import build
from fer_tl.data.classes import CLASS_NAMES
from fer_tl.data.dataset import Dataset, load_dataset
from fer_tl.errors import UserError
from tfrecords_builder.records import VERSION
from tfrecords_builder.votes import COLUMNS

SIZE = 16
CLASSES = ("angry", "happy", "sad")
COUNTS = {"train": 5, "test": 3}  # images a class


@pytest.fixture(scope="module")
def pixels() -> dict[str, np.ndarray]:
    """Noise by file stem, such as ``train-happy-4``: uint8 [16, 16, 3]."""
    rng = np.random.default_rng(0)
    names = [f"{split}-{name}-{i}" for split, count in COUNTS.items() for name in CLASSES for i in range(count)]
    return {name: rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for name in names}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, pixels: dict[str, np.ndarray]) -> Path:
    """A data folder with ``folder/mine``, never loaded."""
    root = tmp_path_factory.mktemp("built")
    for stem, image in pixels.items():
        split, name, _ = stem.split("-")
        (root / "source" / split / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "source" / split / name / f"{stem}.png")
    build("folder/mine", root / "source", root / "data", shards=2, image_size=SIZE, say=lambda _: None)
    return root / "data"


@pytest.fixture
def data_dir(tmp_path: Path, built: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built, tmp_path / "data"))


def records(data_dir: Path) -> Path:
    return data_dir / "folder" / "mine" / VERSION


def refusal(data_dir: Path, name: str = "folder/mine", split: str | tuple[str, ...] = "train") -> str:
    """The message with which loading is refused; one line."""
    with pytest.raises(UserError) as caught:
        load_dataset(name, data_dir, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(one: Dataset, two: Dataset) -> bool:
    fields = ("images", "labels", "ids", "groups", "splits")
    return all(np.array_equal(getattr(one, field), getattr(two, field)) for field in fields)


def test_arrays_are_the_source(data_dir: Path, pixels: dict[str, np.ndarray]) -> None:
    loaded = load_dataset("folder/mine", data_dir)
    assert loaded.class_names == CLASSES
    assert (loaded.name, loaded.image_shape, len(loaded)) == ("folder/mine", (SIZE, SIZE, 3), 15)
    assert loaded.images.dtype == np.uint8
    assert sorted(loaded.ids.tolist()) == sorted(stem for stem in pixels if stem.startswith("train"))
    for identity, label, image in zip(loaded.ids.tolist(), loaded.labels, loaded.images, strict=True):
        np.testing.assert_array_equal(image, pixels[identity])
        assert identity.split("-")[1] == CLASSES[label]
    np.testing.assert_array_equal(loaded.groups, loaded.ids)
    assert loaded.targets is None


def test_splits_are_joined_in_the_order_asked_for(data_dir: Path) -> None:
    test, train = load_dataset("folder/mine", data_dir, "test"), load_dataset("folder/mine", data_dir, "train")
    both = load_dataset("folder/mine", data_dir, ("test", "train"))
    assert both.splits.tolist() == ["test"] * 9 + ["train"] * 15
    np.testing.assert_array_equal(both.ids, np.concatenate([test.ids, train.ids]))
    np.testing.assert_array_equal(both.images, np.concatenate([test.images, train.images]))
    assert len({both.fingerprint, test.fingerprint, train.fingerprint}) == 3


def test_the_second_load_maps_the_same_arrays_and_decodes_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset("folder/mine", data_dir)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    second = load_dataset("folder/mine", data_dir)
    assert same(first, second)
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    with pytest.raises(ImportError):
        load_dataset("folder/mine", data_dir, "test")


def test_the_second_load_needs_no_tensorflow(data_dir: Path) -> None:
    first = load_dataset("folder/mine", data_dir)
    code = (
        "import sys, fer_tl; loaded = fer_tl.load_dataset('folder/mine', sys.argv[1]); "
        "print(int(loaded.images.sum()), sorted({'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(data_dir)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"{first.images.sum()} []"


def test_shares_of_votes_are_kept_and_old_caches_have_none(tmp_path: Path) -> None:
    votes = {"happy": "0,7,3,0,0,0,0,0,0,0", "sad": "2,0,0,8,0,0,0,0,0,0"}
    rng = np.random.default_rng(0)
    faces, table = "emotion,pixels,Usage\n", f"Usage,Image name,{','.join(COLUMNS)}\n"
    for row in range(12):
        usage, name = ("Training", "PrivateTest")[row // 8], ("happy", "sad")[row % 2]
        faces += f"{CLASS_NAMES.index(name)},{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{usage}\n"
        table += f"{usage},,{votes[name]}\n"
    (tmp_path / "fer2013.csv").write_text(faces)
    (tmp_path / "fer2013new.csv").write_text(table)
    build(
        "fer2013",
        tmp_path / "fer2013.csv",
        tmp_path,
        ferplus=tmp_path / "fer2013new.csv",
        votes="soft",
        say=lambda _: None,
    )
    shares = {"happy": [0, 0, 0, 0.7, 0, 0.3, 0], "sad": [0, 0, 0, 0, 0.8, 0, 0.2]}
    for _ in ("decoded", "kept"):
        loaded = load_dataset("fer2013", tmp_path, ("test", "train"))
        assert loaded.targets is not None and loaded.targets.dtype == np.float32 and len(loaded) == 12
        np.testing.assert_allclose(loaded.targets, [shares[CLASS_NAMES[label]] for label in loaded.labels], rtol=1e-6)
    for file in (tmp_path / ".cache").rglob("examples.npz"):
        with np.load(file) as data:
            np.savez(file, **{name: data[name] for name in data.files if name != "targets"})
    assert load_dataset("fer2013", tmp_path, ("test", "train")).targets is None


def test_a_new_build_is_not_answered_from_the_old_cache(data_dir: Path, tmp_path: Path) -> None:
    first = load_dataset("folder/mine", data_dir)
    for name in ("happy", "sad"):
        (tmp_path / "new" / "train" / name).mkdir(parents=True)
        Image.new("RGB", (SIZE, SIZE), "red").save(tmp_path / "new" / "train" / name / f"{name}.png")
    build("folder/mine", tmp_path / "new", data_dir, image_size=SIZE, overwrite=True, say=lambda _: None)
    second = load_dataset("folder/mine", data_dir)
    assert (len(first), len(second)) == (15, 2)
    assert second.fingerprint != first.fingerprint


def test_decoders_at_the_same_time_do_not_break_each_other(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=60)
    replace = os.replace

    def replace_together(source: Path, target: Path) -> None:
        together.wait()  # both have decoded before either has put its arrays in place
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", replace_together)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: load_dataset("folder/mine", data_dir), range(2))
    assert same(one, two)
    assert len(list((data_dir / ".cache").rglob("images.npy"))) == 1


def test_a_killed_decoder_leaves_nothing_that_is_taken_for_a_cache(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", die)
        with pytest.raises(KeyboardInterrupt):
            load_dataset("folder/mine", data_dir)
    assert len(load_dataset("folder/mine", data_dir)) == 15


DAMAGES = [(file, damage) for file in ("images.npy", "examples.npz") for damage in ("gone", "empty", "short", "other")]


@pytest.mark.parametrize(("file", "damage"), [*DAMAGES, ("examples.npz", "flipped")])  # pixels carry no checksum
def test_a_damaged_cache_is_named(data_dir: Path, file: str, damage: str) -> None:
    load_dataset("folder/mine", data_dir)
    (path,) = (data_dir / ".cache").rglob(file)
    content = path.read_bytes()
    path.unlink()
    middle = len(content) // 2
    damaged = {
        "empty": b"",
        "short": content[:middle],
        "other": b"version https://git-lfs.github.com/spec/v1\n",
        "flipped": content[:90] + bytes(255 - byte for byte in content[90:200]) + content[200:],
    }
    if damage != "gone":
        path.write_bytes(damaged[damage])
    message = refusal(data_dir)
    assert str(path.parent) in message
    assert "delete that folder" in message
    shutil.rmtree(path.parent)
    assert len(load_dataset("folder/mine", data_dir)) == 15


def test_damaged_records_are_named(data_dir: Path) -> None:
    shard = sorted(records(data_dir).glob("*train*"))[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    message = refusal(data_dir)
    assert str(records(data_dir)) in message
    assert "build it again" in message


def test_records_cut_short_are_named(data_dir: Path) -> None:
    shard = sorted(records(data_dir).glob("*train*"))[-1]
    shard.write_bytes(shard.read_bytes()[:-20])
    assert "build it again" in refusal(data_dir)


def test_an_unwritable_cache_is_one_line(data_dir: Path) -> None:
    (data_dir / ".cache").write_text("a file where a folder should be")
    assert str(data_dir / ".cache") in refusal(data_dir)


def test_a_wrong_split_is_named_with_those_there_are(data_dir: Path) -> None:
    message = refusal(data_dir, split=("train", "validation"))
    assert "no split 'validation'" in message
    assert message.endswith("train, test") or message.endswith("test, train")


@pytest.mark.parametrize("missing", ["manifest.json", "features.json", "shard"])
def test_half_built_is_said_with_the_command_to_run(data_dir: Path, missing: str) -> None:
    (sorted(records(data_dir).glob("*tfrecord*"))[0] if missing == "shard" else records(data_dir) / missing).unlink()
    message = refusal(data_dir)
    assert "half built" in message
    assert "fer-tl build" in message


@pytest.mark.parametrize("name", ["fer2013", "folder/other", "folder", "nonsense", "../data", ""])
def test_not_built_is_said_with_what_is(data_dir: Path, name: str) -> None:
    message = refusal(data_dir, name)
    assert "is not built" in message
    assert "folder/mine" in message
