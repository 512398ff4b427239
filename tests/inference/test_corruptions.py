"""Corruptions grow with their severity, are the same for every run, and leave an image an image."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawn_faces import drawn_face

from fer_tl.core.errors import UserError
from fer_tl.inference.stress.corruptions import CORRUPTIONS, SEVERITIES, find_corruptions

KINDS = pytest.mark.parametrize("kind", CORRUPTIONS.values(), ids=list(CORRUPTIONS))
FACE = np.asarray(drawn_face(3).resize((48, 48)))
GREY = np.asarray(drawn_face(3).resize((48, 48)).convert("L"))[..., np.newaxis]


@KINDS
def test_each_severity_takes_an_image_farther_from_what_it_was(kind):
    for image in (FACE, GREY):
        changed = [kind.apply(image, severity, "a") for severity in SEVERITIES]
        assert all(each.dtype == np.uint8 and each.shape == image.shape for each in changed)
        far = [float(np.abs(each.astype(float) - image).mean()) for each in changed]
        assert far[0] > 0
        assert all(a < b for a, b in itertools.pairwise(far)), far


@KINDS
def test_what_is_drawn_depends_on_the_image_alone(kind):
    once, again = (kind.apply(FACE, 3, "a") for _ in range(2))
    assert np.array_equal(once, again)
    others = [kind.apply(FACE, 3, f"b{i}") for i in range(8)]
    is_drawn = any(not np.array_equal(once, other) for other in others)
    assert is_drawn == (kind.name in ("noise", "brightness", "rotation"))


@KINDS
def test_grey_that_is_stored_as_colours_stays_grey(kind):
    changed = kind.apply(GREY.repeat(3, axis=2), 4, "a").astype(int)
    assert np.ptp(changed, axis=2).max() <= (1 if kind.name == "jpeg" else 0)


@pytest.mark.parametrize("name", ["blur", "eyes", "mouth", "small", "rotation"])
def test_a_severity_hides_as_much_of_a_large_face(name):
    large = np.asarray(drawn_face(3).resize((144, 144)))
    small = np.asarray(drawn_face(3).resize((48, 48)))
    far = [
        np.abs(CORRUPTIONS[name].apply(image, 4, "a").astype(float) - image).mean() / image.std()
        for image in (small, large)
    ]
    assert 0.75 < far[1] / far[0] < 1.33, far


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("blurr", "there is no corruption 'blurr'; did you mean 'blur'"),
        ("", "no corruption ''"),
        ("eyes,eyes", "twice"),
    ],
)
def test_corruptions_that_are_none_are_refused(names, said):
    with pytest.raises(UserError, match=said):
        find_corruptions(names)
