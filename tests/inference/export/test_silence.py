"""What libraries say is held back, unless they fail."""

from __future__ import annotations

import logging
import os

import pytest

from fer_tl.core.quiet import silence


def fail() -> None:
    with silence():
        os.write(2, b"the reason\n")
        raise ValueError("broken")


def test_chatter_is_held_back_and_shown_where_something_fails(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with silence():
        os.write(2, b"chatter")
        logging.getLogger("converter").warning("chatter")
    assert (capfd.readouterr().err, caplog.text) == ("", "")
    with pytest.raises(ValueError, match="broken"):
        fail()
    assert capfd.readouterr().err == "the reason\n"
    logging.getLogger("converter").warning("heard again")
    os.write(2, b"seen again")
    assert "heard again" in caplog.text
    assert "seen again" in capfd.readouterr().err
