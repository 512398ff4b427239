"""A survey of a dataset: what was planted is counted, measured and found, and the test split stays closed."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import planted_dataset as planted
import pytest
from PIL import Image
from planted_dataset import Planted, plant

from fer_tl.core.errors import UserError
from fer_tl.data.examples import Example
from fer_tl.data.looks import measure
from fer_tl.data.manifest import read_manifest
from fer_tl.data.survey import Survey, find_clusters, survey

NAME = "folder/planted"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def found(dataset: Planted) -> Survey:
    return survey(NAME, dataset.data_dir)


def test_counts_are_those_of_the_manifest(dataset: Planted, found: Survey) -> None:
    counts, manifest = found.counts(), read_manifest(dataset.directory)
    assert counts["in the records"] == {split: sum(classes.values()) for split, classes in manifest.counts.items()}
    assert counts["read"] == Counter(split for split, _ in dataset.pixels)
    assert sum(counts["exact copies"].values()) == manifest.duplicates["exact"]
    assert sum(counts["near copies"].values()) == manifest.duplicates["near"]
    assert counts["left out: copy of test"] == {"train": 1, "validation": 0, "test": 0}
    assert len(found.clusters) == manifest.duplicates["clusters"] == 4
    assert len(found.conflicts) == manifest.duplicates["conflicting"]


def test_what_was_planted_is_found(found: Survey) -> None:
    clusters = {tuple(member.id for member in cluster.members) for cluster in found.clusters}
    assert clusters == {planted.EXACT, planted.CONFLICT, planted.NEAR, ("glad-exam-0", planted.DROPPED)}
    assert [tuple(member.id for member in cluster.members) for cluster in found.conflicts] == [planted.CONFLICT]
    assert found.ids[found.looks.is_blank].tolist() == [planted.BLANK]
    assert found.ids[found.looks.is_nearly_blank].tolist() == [planted.NEARLY_BLANK]
    assert found.counts()["blank"] == found.counts()["nearly blank"] == {"train": 1, "validation": 0}


def test_images_go_with_their_ids(dataset: Planted, found: Survey) -> None:
    expected = {key for key in dataset.pixels if key[0] != "test" and key[1] != planted.DROPPED}
    assert {(str(split), str(i)) for split, i in zip(found.splits, found.ids, strict=True)} == expected
    assert set(found.images) == {identity for _, identity in expected}
    for split, identity in expected:
        np.testing.assert_array_equal(found.images[identity], dataset.pixels[split, identity])
    order = found.ids.tolist()
    grey = [dataset.pixels["train", identity] @ [0.299, 0.587, 0.114] for identity in planted.EXACT]
    brightness = [found.looks.brightness[order.index(identity)] for identity in planted.EXACT]
    np.testing.assert_allclose(brightness, [image.mean() for image in grey], atol=0.1)


def test_the_test_split_stays_closed(tmp_path: Path, dataset: Planted) -> None:
    data_dir = Path(shutil.copytree(dataset.data_dir, tmp_path / "data"))
    shutil.rmtree(data_dir / ".cache", ignore_errors=True)
    (records,) = data_dir.glob("folder/planted/*/*-test.tfrecord*")
    records.write_bytes(b"")  # whoever reads it fails
    found = survey(NAME, data_dir)
    assert "test" not in found.splits
    assert found.counts()["read"]["test"] == 3 * planted.TEST_EACH
    assert not {identity for split, identity in dataset.pixels if split == "test"} & set(found.images)


def test_decoded_arrays_need_no_tensorflow(dataset: Planted, found: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorflow", "tensorflow_datasets", "keras"):
        monkeypatch.setitem(sys.modules, name, None)
    np.testing.assert_array_equal(survey(NAME, dataset.data_dir).ids, found.ids)


def test_a_sample_is_fair_and_always_the_same(found: Survey) -> None:
    drawn = found.sample("low", 10)
    assert drawn == found.sample("low", 10) == found.sample("low", 20)[:10]
    assert len(set(drawn)) == 10
    assert drawn != sorted(drawn)
    assert sorted(found.sample("low", 99)) == sorted(found.ids[found.labels == 2].tolist())


def test_the_lowest_are_told_without_those_that_show_nothing(found: Survey) -> None:
    flat = found.lowest(found.looks.contrast, 5)
    assert not {planted.BLANK, planted.NEARLY_BLANK} & set(flat)
    values = dict(zip(found.ids.tolist(), found.looks.contrast, strict=True))
    assert [values[identity] for identity in flat] == sorted(values.values())[2:7]
    assert all(identity.startswith("low") for identity in found.lowest(found.looks.brightness, 20))


@pytest.mark.parametrize("channels", [1, 3])
def test_measures_are_those_of_each_image_alone(channels: int) -> None:
    rng = np.random.default_rng(0)
    # More than a block of 4 MB, so that the borders of blocks are crossed.
    images = rng.integers(0, 256, (1900, 48, 48, channels), dtype=np.uint8) // rng.integers(1, 9, (1900, 1, 1, 1))
    images = images.astype(np.uint8)
    images[7] = 200
    images[8, :24], images[8, 24:] = 0, 255
    looks = measure(images)
    for row in (0, 8, 605, 606, 607, 1819, 1820, 1821, 1899):
        grey = np.asarray(Image.fromarray(images[row].squeeze()).convert("L")).astype(float)
        assert looks.brightness[row] == pytest.approx(grey.mean(), abs=0.6)  # Pillow cuts where we round
        assert looks.contrast[row] == pytest.approx(grey.std(), abs=0.3)
    assert (looks.brightness[7], looks.contrast[7], looks.entropy[7]) == (200, 0, 0)
    assert (looks.brightness[8], looks.contrast[8], looks.entropy[8]) == (127.5, 127.5, 1)
    assert looks.is_blank.sum() == 1
    assert len(measure(images[:0]).contrast) == 0


def test_clusters_come_by_size_then_id() -> None:
    def example(identity: str, cluster: str, split: str = "train", name: str = "sad") -> Example:
        return Example(identity, split, name, identity, cluster, "exact" if cluster else "")

    examples = [example(i, c) for i, c in zip("gfedcba", ("", "d", "b", "d", "a", "b", "a"), strict=True)]
    examples += [example("h", "d", "test", "happy")]
    clusters = find_clusters(examples)
    assert ["".join(member.id for member in cluster.members) for cluster in clusters] == ["dfh", "ac", "be"]
    assert clusters[0].splits == {"train", "test"}
    assert clusters[0].class_names == {"sad", "happy"}


@pytest.mark.parametrize("damage", ["gone", "other"])
def test_a_dataset_without_its_table_of_examples_is_to_be_built_again(
    tmp_path: Path, dataset: Planted, damage: str
) -> None:
    data_dir = Path(shutil.copytree(dataset.data_dir, tmp_path / "data"))
    (table,) = data_dir.glob("folder/planted/*/examples.csv")
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.unlink()
    if damage == "other":
        table.write_text("".join(rows[:-1]), encoding="utf-8")
    with pytest.raises(UserError, match="build") as caught:
        survey(NAME, data_dir)
    assert "examples.csv" in str(caught.value) and "\n" not in str(caught.value)
