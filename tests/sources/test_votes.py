"""FER+'s votes become the labels of its authors' rule, or shares; what is not a vote is named."""

from __future__ import annotations

import numpy as np
import pytest

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.votes import COLUMNS, MODES, check_mode, decide, describe_left_out, read_votes

# neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF
CASES = {
    "all agree": ([0, 10, 0, 0, 0, 0, 0, 0, 0, 0], "happy", {"happy": 1}),
    "more than half": ([4, 0, 0, 0, 6, 0, 0, 0, 0, 0], "angry", {"angry": 0.6, "neutral": 0.4}),
    "half is no majority": ([0, 0, 0, 4, 0, 0, 4, 0, 0, 0], "no majority", {"fear": 0.5, "sad": 0.5}),
    "half because of others": ([4, 0, 0, 2, 0, 0, 0, 0, 2, 0], "no majority", {"neutral": 2 / 3, "sad": 1 / 3}),
    "single votes go": ([5, 1, 1, 1, 1, 0, 0, 1, 0, 0], "neutral", {"neutral": 1}),
    "a majority once they are gone": ([1, 1, 4, 1, 1, 1, 1, 0, 0, 0], "surprise", {"surprise": 1}),
    "only single votes": ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "no majority", "no majority"),
    "two single votes": ([1, 0, 0, 1, 0, 0, 0, 0, 0, 0], "no majority", "no majority"),
    "one-hot": ([0, 0, 0, 0, 0, 1, 0, 0, 0, 0], "disgust", {"disgust": 1}),
    "one-hot, not a face": ([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "not a face", "not a face"),
    "shares": ([0, 0, 0.7, 0, 0, 0, 0.301, 0, 0, 0], "surprise", {"surprise": 0.7 / 1.001, "fear": 0.301 / 1.001}),
    "contempt wins": ([3, 0, 0, 0, 0, 0, 0, 7, 0, 0], "contempt", "contempt"),
    "contempt does not win": ([7, 0, 0, 0, 0, 0, 0, 3, 0, 0], "neutral", {"neutral": 1}),
    "unknown leads": ([3, 3, 0, 0, 0, 0, 0, 0, 4, 0], "no majority", "unknown"),
    "unknown is as many": ([0, 5, 0, 0, 0, 0, 0, 0, 5, 0], "no majority", "unknown"),
    "no votes": ([0] * 10, "no majority", "no majority"),
}


@pytest.mark.parametrize(("votes", "majority", "soft"), CASES.values(), ids=CASES)
def test_votes_by_hand(votes: list[float], majority: str, soft: str | dict[str, float]) -> None:
    row = read_votes([str(vote) for vote in votes], "row")
    verdict = decide(row, "majority")
    assert (verdict.reason or CLASS_NAMES[verdict.label or 0]) == majority
    assert verdict.targets is None and (verdict.label is None) == bool(verdict.reason)
    verdict = decide(row, "soft")
    if isinstance(soft, str):
        assert (verdict.label, verdict.targets, verdict.reason) == (None, None, soft)
    else:
        assert verdict.targets is not None and verdict.targets.dtype == np.float32
        np.testing.assert_allclose(verdict.targets, [soft.get(name, 0) for name in CLASS_NAMES], rtol=1e-6)
        assert verdict.label == verdict.targets.argmax() and not verdict.reason
    np.testing.assert_array_equal(row, votes)  # deciding leaves the votes as they are


def test_random_votes_keep_what_both_rules_promise() -> None:
    rng = np.random.default_rng(0)
    kept = 0
    for votes in rng.multinomial(10, rng.dirichlet(np.full(10, 0.3), 2000)).astype(float):
        hard, soft = decide(votes, "majority"), decide(votes, "soft")
        if soft.targets is not None:
            assert soft.targets.sum() == pytest.approx(1, abs=1e-6) and soft.targets.argmax() == soft.label
        if hard.label is not None:
            assert hard.label == soft.label  # a majority is also the largest share
            kept += 1
        elif hard.reason != "no majority":
            assert soft.reason == hard.reason
    assert kept > 500


@pytest.mark.parametrize("text", ["-1", "", "two", "nan", "inf", "1,5"])
def test_what_is_no_vote_is_named(text: str) -> None:
    cells = ["0"] * 10
    cells[COLUMNS.index("fear")] = text
    with pytest.raises(UserError, match=f"new.csv, row 7: fear is '{text}'"):
        read_votes(cells, "new.csv, row 7")


@pytest.mark.parametrize("count", [0, 9, 11])
def test_another_number_of_votes_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=rf"row 7: {count} votes, not 10 \(neutral, happiness"):
        read_votes(["1"] * count, "row 7")


def test_a_mode_that_does_not_exist() -> None:
    with pytest.raises(UserError, match="'mean', not one of majority, soft"):
        check_mode("mean")


def test_what_is_left_out_is_one_line_with_the_rule() -> None:
    line = describe_left_out({"unknown": 399, "no majority": 4567, "contempt": 0}, "majority")
    assert "more than half" in line and "4,966 images left out (399 unknown, 4,567 no majority)." in line
    assert "\n" not in line and "contempt" not in line
    for mode in MODES:
        assert "0 images left out." in describe_left_out({}, mode)


def test_votes_are_kept_as_they_were_given_if_there_are_several() -> None:
    found = decide(np.array([0, 6, 0, 1, 0, 0, 3, 0, 0, 0.0]), "majority").measures
    assert {name: votes for name, votes in found.items() if votes} == {
        "votes_happiness": 6, "votes_sadness": 1, "votes_fear": 3,
    }  # fmt: skip
    assert len(found) == 10 and "votes_nf" in found
    assert decide(np.array([0, 0.7, 0, 0.3, 0, 0, 0, 0, 0, 0]), "soft").measures == {}
