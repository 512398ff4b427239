"""A saved model says what it was trained on, by itself and by what it comes from; Keras alone still loads it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.runs.lineage import DIGESTS_MEMBER, Lineage, is_few, join_lineages, lineage_of, read_lineage
from fer_tl.runs.saved_model import load_model, save_model

SEEN = np.uint64(1 << 63)


def digests(*numbers: int) -> np.ndarray:
    return np.array([[number, SEEN] for number in numbers], np.uint64).reshape(-1, 2)


def model() -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))


def test_what_was_written_is_read_and_does_not_hinder_keras(tmp_path: Path) -> None:
    nothing_seen = np.zeros((1, 2), np.uint64)
    lineage = lineage_of(np.concatenate([digests(7, 3, 7), nothing_seen]))
    net = model()
    for name in ("one.keras", "same.keras"):
        save_model(net, ("a", "b"), tmp_path / name, lineage=Lineage(lineage.digests, ("old.keras",)))
    found = read_lineage(tmp_path / "one.keras", "one")
    np.testing.assert_array_equal(found.digests, digests(3, 7))
    assert found.unknown == ("old.keras",)
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "same.keras").read_bytes()
    images = np.ones((1, 4, 4, 1), np.float32)
    plain = keras.models.load_model(tmp_path / "one.keras", compile=False)
    for loaded in (plain, load_model(tmp_path / "one.keras")[0]):
        np.testing.assert_array_equal(loaded(images), net(images))


def test_lineages_are_joined() -> None:
    joined = join_lineages([lineage_of(digests(9, 1)), Lineage(digests(1, 4), ("b", "a")), Lineage(unknown=("a",))])
    np.testing.assert_array_equal(joined.digests, digests(1, 4, 9))
    assert joined.unknown == ("a", "b")
    assert not len(join_lineages([]).digests) and join_lineages([]).unknown == ()
    assert not Lineage().knows(digests(1)).any()


def test_a_model_that_does_not_say_is_unknown_by_name(tmp_path: Path) -> None:
    save_model(model(), ("a", "b"), tmp_path / "old.keras")
    found = read_lineage(tmp_path / "old.keras", "runs/old")
    assert found.unknown == ("runs/old",) and not len(found.digests)


@pytest.mark.parametrize(
    "about", [{"digests": 3, "unknown": []}, {"digests": -1, "unknown": []}, {"digests": 2, "unknown": [1]}, [], 5]
)
def test_a_damaged_record_is_one_line(about: object, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fer_tl.json", json.dumps({"trained_on": about}))
        archive.writestr(DIGESTS_MEMBER, digests(1, 2).tobytes())
    with pytest.raises(UserError, match=r"model\.keras is not a whole model of fer-tl \([^\n]*\)$"):
        read_lineage(path, "model")


@pytest.mark.parametrize(("known", "images", "few"), [(2, 10, True), (3, 10, False), (5, 1000, True), (6, 1000, False)])
def test_what_may_be_chance_is_few(known: int, images: int, few: bool) -> None:
    assert is_few(known, images) == few
