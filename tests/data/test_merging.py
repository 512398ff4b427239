"""Merged classes: how they are written, and what becomes of labels, images, votes and probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset
from fer_tl.data.merging import ClassMap, find_class, left_out, merge_dataset, merge_logits, parse_classes, take_classes

RNG = np.random.default_rng(0)
COUNT = 70
LOGITS = RNG.normal(0, 4, (COUNT, 7)).astype(np.float32)
FIVE = ("happy", "surprise", "neutral", "low=sad+fear", "hostile=angry+disgust")
THREE = ("positive=happy", "negative=hostile+low", "other=neutral+surprise")
DIRECT = ("positive=happy", "negative=sad+angry+disgust+fear", "other=surprise+neutral")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Ten images of each of the seven classes, each image's pixels its row, in a memory map; votes of ten people."""
    images = np.lib.format.open_memmap(tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(COUNT, 2, 2, 1))
    images[:] = np.arange(COUNT).reshape(-1, 1, 1, 1)
    labels = np.arange(COUNT) % 7
    votes = RNG.multinomial(9, np.ones(7) / 7, COUNT) + np.eye(7)[labels]
    ids = np.array([f"image-{row}" for row in range(COUNT)])
    groups = np.array([f"photo-{row // 2}" for row in range(COUNT)])
    targets = (votes / 10).astype(np.float32)
    return Dataset("drawn", np.full(COUNT, "train"), images, labels, ids, groups, CLASS_NAMES, "f" * 64, targets)


def softmax(logits: np.ndarray) -> np.ndarray:
    z = np.exp(logits.astype(np.float64))
    return z / z.sum(axis=-1, keepdims=True)


def test_items_are_single_classes_or_sums_in_label_order():
    found = parse_classes(["surprise", "bad = angry + Fear", "happy"], CLASS_NAMES)
    assert found == ClassMap(("surprise", "bad", "happy"), (("surprise",), ("angry", "fear"), ("happy",)))
    assert found.items == ("surprise", "bad=angry+fear", "happy")
    assert found.labels_of(CLASS_NAMES).tolist() == [1, -1, 1, 2, -1, 0, -1]
    assert parse_classes(found.items, CLASS_NAMES) == found


def test_an_expression_is_found_by_any_of_its_names_and_any_other_class_by_its_own():
    assert parse_classes(["anger", "glad=happiness"], CLASS_NAMES) == ClassMap(
        ("angry", "glad"), (("angry",), ("happy",))
    )
    assert find_class("angry", ["Anger", "Contempt"]) == "Anger"
    assert find_class("joy", ["happy", "joy"]) == "joy"
    assert find_class("happiness", ["happy", "joy"]) is None  # which of the two?
    assert find_class("bored", ["Bored"]) is None


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "name two or more in a list such as"),
        (["happy"], "name two or more"),
        ("happy", "name two or more"),
        (["happy", "hapy"], "there is no class 'hapy'; did you mean 'happy'?"),
        (["happy", "bad=sad+zzzz"], "there is no class 'zzzz'; valid are: angry, disgust"),
        (["sad", "bad=angry+sad"], "'sad' is in 'sad' and again in 'bad=angry+sad'"),
        (["sad", "bad=angry+anger"], "'angry' is in 'bad=angry+anger' and again in"),
        (["sad", "x=angry", "x=happy"], "two items are called 'x'"),
        (["sad", "happy=angry", "happy"], "two items are called 'happy'"),
        (["sad", "angry+fear"], "'angry+fear' should be a class or NAME=PART+PART"),
        (["sad", "x="], "'x=' should be"),
        (["sad", "=angry"], "'=angry' should be"),
        (["sad", "x=angry++fear"], "should be a class or"),
        (["sad", ""], "'' should be a class or"),
    ],
)
def test_lists_that_no_run_could_use_are_one_clear_line(items: list[str], said: str):
    with pytest.raises(UserError) as error:
        parse_classes(items, CLASS_NAMES)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_and_votes_are_merged_and_images_stay_the_memory_map(dataset: Dataset):
    merged = merge_dataset(dataset, parse_classes(DIRECT, CLASS_NAMES))
    assert isinstance(merged.images, np.memmap)
    np.testing.assert_array_equal(merged.images, dataset.images)
    assert merged.class_names == ("positive", "negative", "other")
    expected = {"happy": 0, "surprise": 2, "neutral": 2}
    assert merged.labels.tolist() == [expected.get(CLASS_NAMES[label], 1) for label in dataset.labels]
    votes = dataset.targets
    assert votes is not None and merged.targets is not None
    np.testing.assert_allclose(merged.targets[:, 1], votes[:, [0, 1, 2, 4]].sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(merged.targets.sum(axis=1), 1, atol=1e-6)
    assert merged.targets.dtype == np.float32
    assert merge_dataset(replace(dataset, targets=None), parse_classes(DIRECT, CLASS_NAMES)).targets is None


def test_classes_that_no_item_names_are_left_out_with_their_images(dataset: Dataset):
    lines: list[str] = []
    merged = take_classes(dataset, ["sad", "up=happy+surprise"], lines.append)
    assert lines == ["classes: sad, up=happy+surprise; images left out: 10 of angry, 10 of disgust, 10 of fear, "
                     "10 of neutral"]  # fmt: skip
    kept = [row for row in range(COUNT) if CLASS_NAMES[row % 7] in ("sad", "happy", "surprise")]
    assert merged.images[:, 0, 0, 0].tolist() == kept
    assert merged.ids.tolist() == dataset.ids[kept].tolist()
    assert merged.groups.tolist() == dataset.groups[kept].tolist()
    assert len(merged) == len(merged.splits) == 30
    assert merged.targets is not None
    np.testing.assert_allclose(merged.targets.sum(axis=1), 1, atol=1e-6)
    shares = np.asarray(dataset.targets)[kept]
    np.testing.assert_allclose(merged.targets[:, 0], shares[:, 4] / shares[:, [3, 4, 5]].sum(axis=1), atol=1e-6)
    assert left_out(merged, ClassMap(("sad", "up"), (("sad",), ("up",)))) == ""
    assert take_classes(dataset, None, lines.append) is dataset


@pytest.mark.parametrize("items", [("calm=neutral", "happy", "sad"), CLASS_NAMES])
def test_images_that_are_streamed_stay_in_their_records(items: tuple[str, ...], dataset: Dataset):
    class Streamed:
        def __init__(self, images: np.ndarray):
            self.images = images

        def select(self, rows: slice | np.ndarray) -> Streamed:
            return Streamed(self.images[rows])

    merged = [
        merge_dataset(replace(dataset, images=images), parse_classes(items, dataset.class_names))
        for images in (dataset.images, Streamed(dataset.images))
    ]
    assert isinstance(merged[1].images, Streamed)
    np.testing.assert_array_equal(merged[0].images, merged[1].images.images)


def test_an_image_without_a_vote_for_what_is_kept_aims_at_its_label(dataset: Dataset):
    targets = np.tile(np.eye(7, dtype=np.float32)[2], (COUNT, 1))  # all for fear
    merged = merge_dataset(replace(dataset, targets=targets), parse_classes(["sad", "happy"], CLASS_NAMES))
    np.testing.assert_array_equal(merged.targets, np.eye(2)[merged.labels])


def test_a_dataset_without_an_image_of_these_classes_is_refused(dataset: Dataset):
    without = replace(dataset, labels=np.zeros(COUNT, np.int64))
    with pytest.raises(UserError, match=r"drawn has no image of sad, up$"):
        take_classes(without, ["sad", "up=happy+surprise"], lambda line: None)


def test_the_fingerprint_tells_maps_and_datasets_apart(dataset: Dataset):
    other = replace(dataset, fingerprint="e" * 64)
    lists = [DIRECT, FIVE, FIVE[::-1], (*FIVE[:4], "angry=angry+disgust"), (*FIVE[:4], "hostile=angry"), FIVE[:4]]
    prints = [
        merge_dataset(d, parse_classes(items, CLASS_NAMES)).fingerprint for d in (dataset, other) for items in lists
    ]
    assert len({*prints, dataset.fingerprint, other.fingerprint}) == 14
    turned = merge_dataset(dataset, parse_classes((*FIVE[:4], "hostile=disgust+angry"), CLASS_NAMES))
    assert turned.fingerprint == prints[1]


def test_merged_probabilities_are_the_sums_of_their_parts():
    merged = merge_logits(LOGITS, CLASS_NAMES, parse_classes(DIRECT, CLASS_NAMES))
    p = softmax(LOGITS)
    assert merged.dtype == np.float32
    expected = np.stack([p[:, 3], p[:, [0, 1, 2, 4]].sum(axis=1), p[:, [5, 6]].sum(axis=1)], axis=1)
    np.testing.assert_allclose(softmax(merged), expected, atol=1e-6)
    stacked = merge_logits(np.stack([LOGITS, LOGITS[::-1]]), CLASS_NAMES, parse_classes(DIRECT, CLASS_NAMES))
    np.testing.assert_array_equal(stacked, [merged, merged[::-1]])


def test_probabilities_of_classes_kept_sum_to_1_even_where_nothing_is_left_of_them():
    logits = LOGITS.copy()
    logits[:, 0] = 5000  # certain to be angry
    merged = merge_logits(logits, CLASS_NAMES, parse_classes(["sad", "up=happy+surprise"], CLASS_NAMES))
    p = softmax(LOGITS[:, [4, 3, 5]])
    np.testing.assert_allclose(softmax(merged), np.stack([p[:, 0], p[:, 1:].sum(axis=1)], axis=1), atol=1e-6)


def test_seven_to_three_is_seven_to_five_to_three(dataset: Dataset):
    five, direct = parse_classes(FIVE, CLASS_NAMES), parse_classes(DIRECT, CLASS_NAMES)
    three = parse_classes(THREE, five.names)
    steps = merge_logits(merge_logits(LOGITS, CLASS_NAMES, five), five.names, three)
    np.testing.assert_allclose(steps, merge_logits(LOGITS, CLASS_NAMES, direct), atol=1e-5)
    one, two = merge_dataset(dataset, direct), merge_dataset(merge_dataset(dataset, five), three)
    np.testing.assert_array_equal(two.labels, one.labels)
    np.testing.assert_allclose(np.asarray(two.targets), np.asarray(one.targets), atol=1e-6)


def test_a_map_that_merges_nothing_only_reorders():
    names = CLASS_NAMES[::-1]
    merged = merge_logits(LOGITS, CLASS_NAMES, parse_classes(names, CLASS_NAMES))
    np.testing.assert_array_equal(merged, LOGITS[:, ::-1])
    broken = merge_logits(np.full((2, 7), np.nan, np.float32), CLASS_NAMES, parse_classes(DIRECT, CLASS_NAMES))
    assert np.isnan(broken).all()  # a diverged training stays visible
