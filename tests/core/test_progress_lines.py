"""Where output goes to a file, training says where it is every ten seconds."""

from __future__ import annotations

import io

import pytest

from fer_tl.core import progress
from fer_tl.core.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Cell(io.StringIO):
    """The output of a notebook's cell, no terminal."""


Cell.__module__ = "ipykernel.iostream"


def test_without_a_terminal_ten_seconds_of_silence_end_in_a_line(clock: list[float]) -> None:
    out = io.StringIO()
    shown = Progress(1000, out)
    for step in range(30):
        shown.step(10, 3.0, f"fold-0  epoch 1  step {step + 1}/100")
        clock[0] += 3.0
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[2] for line in lines] == [f"step {step}/100" for step in range(5, 30, 4)]
    assert lines[0].endswith("3 images/s, 4 min 45 s left")


def test_any_line_counts_and_a_terminal_has_one_line_that_is_rewritten(clock: list[float]) -> None:
    out, terminal = io.StringIO(), Terminal()
    for shown in (Progress(1000, out), Progress(1000, terminal)):
        for _ in range(4):
            clock[0] += 9.0
            shown.line("epoch")
            shown.step(10, 9.0, "here")
    assert out.getvalue() == "epoch\n" * 4
    clock[0] += 60.0
    shown.step(10, 9.0, "here")
    assert terminal.getvalue().count("\n") == 4


@pytest.mark.parametrize("kind", [Terminal, Cell])
def test_a_line_is_rewritten_five_times_a_second_and_no_more(kind: type[io.StringIO], clock: list[float]) -> None:
    out = kind()
    shown = Progress(1000, out)
    for _ in range(100):
        clock[0] += 0.01
        shown.step(10, 0.01, "here")
    assert 4 <= out.getvalue().count("here") <= 5
    assert "\n" not in out.getvalue()
