"""What was planted is found: noise, a darker class, an order by class, voters at odds; and nothing else is."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, store_dataset

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.data.checks.agreement import find_agreement
from fer_tl.data.checks.associations import associate
from fer_tl.data.checks.check import Checks, check_dataset
from fer_tl.data.checks.features import features
from fer_tl.data.checks.order import find_neighbours, look_at_order, natural_order
from fer_tl.data.checks.outliers import find_outliers
from fer_tl.data.examples import Example
from fer_tl.data.survey import survey
from fer_tl.sources.toyfaces.drawing import draw_faces

NUMBER = 420


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, np.ndarray]:
    return draw_faces(NUMBER, 3)


def checked(tmp_path: Path, images: np.ndarray, labels: np.ndarray) -> Checks:
    ids = np.array([f"img_{row}" for row in range(len(images))])
    found = dict.fromkeys(("exact", "near", "clusters", "conflicting"), 0)
    duplicates = {"policy": "keep", "dropped": {}, **found}
    store_dataset(
        tmp_path, "folder/made", CLASS_NAMES, {"train": Stored(images, labels, ids, ids)}, duplicates=duplicates
    )
    return check_dataset(survey("folder/made", tmp_path))


def test_a_clean_set_is_not_accused(tmp_path: Path, faces: tuple[np.ndarray, np.ndarray]) -> None:
    found = checked(tmp_path, *faces)
    assert not found.outliers.is_beyond.any()
    assert not [each for each in found.associations if each.is_found]
    assert [order.is_found for order in found.orders] == [False]
    assert {each.look for each in found.associations} == {"brightness", "contrast", "sharpness", "border"}
    assert found.agreement is None


def test_what_was_planted_is_found(tmp_path: Path, faces: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = faces[0].copy(), faces[1]
    order = np.argsort(labels, kind="stable")  # by class
    images, labels = images[order], labels[order]
    sad = labels == CLASS_NAMES.index("sad")
    images[sad] = images[sad] // 2
    noise = 7
    images[noise] = np.random.default_rng(0).integers(0, 256, images.shape[1:])
    found = checked(tmp_path, images, labels)
    assert np.flatnonzero(found.outliers.is_beyond).tolist() == [noise]
    told = {(each.look, each.class_name): each for each in found.associations if each.is_found}
    assert {name for _, name in told} == {"sad"} and told["brightness", "sad"].share < 0.2
    (row,) = found.orders
    assert row.by_label and row.label_excess > 0.9


def test_bars_are_far_from_faces(faces: tuple[np.ndarray, np.ndarray]) -> None:
    bars = np.broadcast_to((np.arange(48) // 4 % 2 * 200).astype(np.uint8)[:, None, None], (48, 48, 1))
    found = find_outliers(*features([*faces[0], bars]))
    assert found.deviations.argmax() == NUMBER and np.flatnonzero(found.is_beyond).tolist() == [NUMBER]
    assert not find_outliers(*features([*faces[0][:50], bars])).deviations.any()  # too few to tell


def test_the_probability_is_that_of_all_pairs_and_its_interval_covers() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [40, 160])
    values = rng.integers(0, 9, 200).astype(float)  # with ties
    (one, other) = associate({"border": values}, labels, ("a", "b"), np.arange(200).astype(str))
    own, others = values[:40, None], values[None, 40:]
    assert one.share == pytest.approx((own > others).mean() + (own == others).mean() / 2)
    assert one.share + other.share == pytest.approx(1)
    # Ten pictures a person that are alike: 95 % intervals of two comparisons hold in 95 % of the draws.
    held = 0
    groups = np.repeat(np.arange(60), 10).astype(str)
    for _ in range(200):
        drawn = np.repeat(rng.normal(size=60), 10) + rng.normal(size=600) / 3
        pair = associate({"brightness": drawn}, np.repeat([0, 1], 300), ("a", "b"), groups)
        held += all(each.low <= 0.5 <= each.high for each in pair)
    assert held >= 186


def test_a_class_of_few_persons_and_what_never_differs_are_not_judged() -> None:
    labels, groups = np.repeat([0, 1], 100), np.r_[np.repeat("same", 100), np.arange(100).astype(str)]
    assert associate({"size": np.r_[np.zeros(100), np.ones(100)]}, labels, ("a", "b"), groups) == []
    alone = np.arange(200).astype(str)
    assert associate({"size": np.ones(200), "border": np.full(200, np.nan)}, labels, ("a", "b"), alone) == []


def test_the_order_is_that_of_the_numbers_whatever_the_letters() -> None:
    ids = np.array(["happy/b_10.x#3", "sad/a_9", "c_2_1", "none", "happy/d_2_0"])
    assert natural_order(ids).tolist() == [4, 2, 1, 0]


def test_pictures_of_one_sitting_are_found_unless_a_group_holds_them() -> None:
    rng = np.random.default_rng(2)
    ids, labels = np.array([f"{row:04d}" for row in range(600)]), rng.integers(0, 7, 600)
    sitting = np.repeat(np.arange(60), 10)
    values = rng.normal(size=(60, 8))[sitting] + rng.normal(size=(600, 8)) / 5
    neighbours, order = find_neighbours(values, ids), natural_order(ids)
    found = look_at_order("train", order, labels, ids, neighbours)
    assert found and found.by_likeness and not found.by_label and found.likeness > 0.5
    held = look_at_order("train", order, labels, sitting.astype(str), neighbours)
    assert held and not held.is_found
    assert look_at_order("train", order[:20], labels, ids, neighbours) is None


def test_agreement_is_krippendorffs() -> None:
    def example(row: int, **votes: float) -> Example:
        return Example(str(row), "train", "sad", str(row), measures={f"votes_{name}": n for name, n in votes.items()})

    # Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, part C: nominal data, missing values.
    counts = [
        {"one": 3.0}, {"two": 3.0, "three": 1.0}, {"three": 4.0}, {"three": 4.0}, {"two": 4.0},
        {"one": 1.0, "two": 1.0, "three": 1.0, "four": 1.0}, {"four": 4.0}, {"one": 3.0, "two": 1.0}, {"two": 4.0},
        {"five": 3.0}, {"one": 2.0}, {"three": 1.0},
    ]  # fmt: skip
    found = find_agreement([example(row, **votes) for row, votes in enumerate(counts)])
    assert found is not None
    assert found.alpha == pytest.approx(0.743, abs=5e-4)
    assert found.low < found.alpha < found.high <= 1
    assert len(found.ids) == 11  # one voter alone agrees with nobody
    assert found.majority[1] == 0.75 and found.pairwise[1] == 0.5
    assert found.describe_votes(1) == "3 two, 1 three"
    alike = find_agreement([example(row, one=10.0) for row in range(3)])
    assert alike is not None and alike.alpha == 1 and not math.isnan(alike.low)
    assert find_agreement([example(0)]) is None


def test_agreement_of_as_many_voters_everywhere_is_that_of_fleiss() -> None:
    # Of N images with n voters each, 1 - alpha is (1 - kappa) (1 - 1 / (N n)); kappa after Fleiss, 1971.
    votes = np.random.default_rng(4).multinomial(10, (0.5, 0.2, 0.2, 0.1), 30).astype(float)
    votes[:9] = [0, 0, 9, 1]
    each = [{f"votes_{name}": float(n) for name, n in zip("abcd", row, strict=True) if n} for row in votes]
    found = find_agreement([Example(str(row), "train", "sad", str(row), measures=of) for row, of in enumerate(each)])
    agreed, shares = (votes * (votes - 1)).sum(axis=1).mean() / 90, votes.sum(axis=0) / 300
    kappa = (agreed - (shares**2).sum()) / (1 - (shares**2).sum())
    assert found is not None and found.alpha == pytest.approx(1 - (1 - kappa) * (1 - 1 / 300), abs=1e-12)
    assert found.pairwise.mean() == pytest.approx(agreed)
