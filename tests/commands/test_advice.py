"""What a message advises works: classes to leave out, copies that are none, and what a library says to its end."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.errors import UserError, one_line
from fer_tl.data.folds import make_folds
from fer_tl.data.merging import parse_classes
from fer_tl.data.splits import draw_split

NAMES = ("happy", "sad", "fear")


def refusal(labels: list[int], groups: list[str], folds: int = 3) -> str:
    ids = np.array([f"i{index}" for index in range(len(labels))])
    with pytest.raises(UserError) as refused:
        make_folds(ids, np.array(labels), np.array(groups), NAMES, folds, 0)
    return str(refused.value)


@pytest.mark.parametrize("rare", [0, 1, 2])
def test_a_class_with_too_few_images_can_be_left_out_as_it_is_said(rare: int) -> None:
    labels = [0] * 5 + [1] * 5 + [2] * rare
    message = refusal(labels, [str(index) for index in range(len(labels))])
    advised = re.search(r"--classes '(\[.*\])'$", message)
    assert advised is not None and "'fear'" in message and "--duplicates" not in message
    items = [name.strip() for name in advised[1].strip("[]").split(",")]
    assert parse_classes(items, NAMES).names == ("happy", "sad")


def test_groups_that_were_merged_are_said_with_the_option_that_keeps_images_apart() -> None:
    message = refusal([0] * 5 + [1] * 5 + [2] * 6, [str(i) for i in range(10)] + ["a", "a", "a", "a", "a", "b"])
    assert "class 'fear' has 2 (6 images, of which copies" in message and "--duplicates keep" in message
    one = refusal([0] * 5 + [1] * 5 + [2] * 6, [str(i) for i in range(10)] + ["a"] * 6)
    assert "single group of images (6 images, " in one and "--duplicates keep" in one
    ids = np.array([f"i{i}" for i in range(16)])
    with pytest.raises(UserError, match=r"too few for an 80:20 split.*--duplicates keep"):
        draw_split(ids, np.array([0] * 10 + [2] * 6), np.array([*"0123456789", *"aaaabb"]), NAMES, 0)


def test_nothing_is_advised_that_leaves_one_class() -> None:
    assert "--classes" not in refusal([0] * 5 + [1] + [2], [str(index) for index in range(7)])


def test_a_long_message_keeps_its_end_where_the_shapes_are() -> None:
    shapes = "expected (3, 3, 3, 64), received (3, 3, 1, 64)"
    said = one_line(ValueError("what was tried " * 80 + "\n" + shapes))
    assert said.endswith(shapes) and said.startswith("what was tried") and " ... " in said and len(said) < 620
    assert one_line(ValueError("short\n message")) == "short message"


def test_weights_of_another_shape_are_told_with_the_shapes(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    from fer_tl.models.backbones import find_backbone
    from fer_tl.models.weights import load_weights

    def net(width: int):  # as many layers, and of such names, as a backbone may have
        names = [f"stage_{index}_of_a_network_with_long_names_of_layers" for index in range(30)]
        return keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(width, name=name) for name in names)])

    path = tmp_path / "w.weights.h5"
    net(3).save_weights(path)
    with pytest.raises(UserError, match=r"\(4, 3\)") as refused:
        load_weights(net(5), path, find_backbone("mobilenetv2"))
    assert "(4, 5)" in str(refused.value) and "\n" not in str(refused.value)
