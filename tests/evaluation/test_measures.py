"""A mistake in the record of a measure is one line that names it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.evaluation import measures
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.measures import MEASURES, Measure
from fer_tl.runs.predictions import Predictions

N = 20
LOGITS = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
PREDICTIONS = Predictions(np.array([f"{i:02}" for i in range(N)]), np.arange(N) % 3, LOGITS, ("a", "b", "c"))

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no formula": ({}, "needs one of of_counts and of_examples"),
    "two": ({"of_counts": len, "of_examples": len}, "needs one of of_counts and of_examples, and not both"),
    "counts to one": ({"of_counts": np.sum}, "of_counts of the measure 'odd' gives an array [], not an array [1]"),
    "counts by class": ({"of_counts": lambda c: c.sum(axis=1)}, "gives an array [1, 3], not an array [1]"),
    "one of examples": ({"of_examples": lambda p: p.logits.mean()}, "an array [], not an array [20] or [F, 20]"),
    "rows first": ({"of_examples": lambda p: p.logits}, "an array [20, 3], not an array [20] or [F, 20]"),
    "means to one": (
        {"of_examples": lambda p: p.logits.T, "of_means": np.sum},
        "of_means of the measure 'odd' gives an array [], not an array [1]",
    ),
    "exact of many": ({"of_counts": np.sum, "exact": lambda p: p.logits}, "an array [20, 3], not a number"),
    "typing error": ({"of_examples": lambda p: p.logit}, "of_examples of the measure 'odd' fails: AttributeError: "),
    "not a number": ({"of_examples": lambda p: p.logits[:, 0] * np.nan}, "'odd' is nan for predictions that are all"),
}

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"
CODE = next(block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "Measure(" in block)


def test_the_measure_of_the_docs_is_what_it_says() -> None:
    measure = eval(CODE, {"Measure": Measure, "np": np})
    assert measure.name == "top3_accuracy" and measure.value(PREDICTIONS) == 1  # of three classes
    logits = np.array([[4, 3, 2, 1], [4, 3, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1]], np.float32)
    four = Predictions(PREDICTIONS.ids[:4], np.array([2, 3, 2, 3]), logits, ("a", "b", "c", "d"))
    assert measure.value(four) == 0.5


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_a_mistake_names_the_measure_and_the_formula(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        Measure("odd", "odd", "odd", **given).value(PREDICTIONS)
    assert "'odd'" in str(caught.value) and "\n" not in str(caught.value)


def test_what_raises_is_told_with_its_line() -> None:
    with pytest.raises(UserError, match=rf"{re.escape(__file__)}, line \d+\)$"):
        Measure("odd", "odd", "odd", of_examples=lambda predictions: predictions.logit).value(PREDICTIONS)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given",
    [
        {"of_counts": lambda confusions: confusions.sum(axis=(1, 2))[:1]},
        {"of_examples": lambda predictions: predictions.logits[:, 0], "of_means": lambda means: means[:1, 0]},
    ],
)
def test_intervals_check_many_resamples(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> None:
    """What is right for one matrix may not be for many."""
    monkeypatch.setitem(MEASURES, "odd", odd := Measure("odd", "odd", "odd", **given))
    assert np.isfinite(odd.value(PREDICTIONS))
    with pytest.raises(UserError, match=r"of the measure 'odd' gives an array \[1\], not an array \[50\]"):
        bootstrap_intervals(PREDICTIONS, PREDICTIONS.ids, resamples=50)


def test_two_of_one_name_are_refused() -> None:
    one = Measure("odd", "odd", "odd", of_examples=len)
    with pytest.raises(UserError, match="two measures 'odd'"):
        measures._by_name([*MEASURES.values(), one, Measure("odd", "other", "other", of_examples=len)])
