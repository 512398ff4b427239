"""Class names and the spellings that stand for them."""

from __future__ import annotations

import pytest

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT, canonical_class


@pytest.mark.parametrize("name", CLASS_NAMES)
@pytest.mark.parametrize("dress", ["{}", " {} ", "4{}", "0_{}", "{}.", "06-{}"])
def test_canonical_names_are_known_in_any_dress(name: str, dress: str) -> None:
    assert canonical_class(dress.format(name)) == name
    assert canonical_class(dress.format(name).upper()) == name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("anger", "angry"),
        ("an", "angry"),
        ("ang", "angry"),
        ("disgusted", "disgust"),
        ("di", "disgust"),
        ("Fearful", "fear"),
        ("scared", "fear"),
        ("af", "fear"),
        ("Happiness", "happy"),
        ("joy", "happy"),
        ("ha", "happy"),
        ("sadness", "sad"),
        ("sa", "sad"),
        ("surprised", "surprise"),
        ("suprise", "surprise"),
        ("normal", "neutral"),
        ("calm", None),
        ("ne", "neutral"),
        ("1surprised", "surprise"),
        ("7normal", "neutral"),
        ("contempt", CONTEMPT),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert canonical_class(alias) == name


@pytest.mark.parametrize("name", ["", "0", "6", "unknown", "happyish", "train", "cat"])
def test_other_names_are_not_guessed(name: str) -> None:
    assert canonical_class(name) is None
