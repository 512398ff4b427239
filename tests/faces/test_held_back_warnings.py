"""Warnings held back in several threads at once."""

from __future__ import annotations

import warnings

import pytest

from fer_tl.faces.decoder_warnings import no_warnings


def test_threads_that_overlap_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    first, second = no_warnings(), no_warnings()  # as two threads enter and leave
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    warnings.warn("held back while one is inside", stacklevel=1)
    second.__exit__(None, None, None)
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="told"):
        warnings.warn("told", stacklevel=1)


def test_an_error_inside_ends_the_silence():
    before = list(warnings.filters)
    with pytest.raises(ValueError, match="inside"), no_warnings():
        raise ValueError("inside")
    assert list(warnings.filters) == before
