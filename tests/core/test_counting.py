"""Numbers and the words beside them agree."""

from __future__ import annotations

from fer_tl.core.counting import counted, fitting


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(number, "image") for number in (0, 1, 2_432)] == ["0 images", "1 image", "2,432 images"]
    assert [fitting(number, "is", "are") for number in (0, 1, 2)] == ["are", "is", "are"]
