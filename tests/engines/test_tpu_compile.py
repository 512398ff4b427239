"""The engine's training step compiles for a TPU, where the compiler is installed (the extra ``jax-tpu``)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = ["--backbones", "liu_3conv", "--chips", "v5e-1", "--kinds", "train", "--batch-size", "8"]


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
def test_a_step_compiles_for_a_chip_that_is_not_here(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "tpu_compile.py"), *OPTIONS, "--write", str(tmp_path / "tpu.md")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    cells = (tmp_path / "tpu.md").read_text().splitlines()[-1].strip("| ").split(" | ")
    assert cells[:4] == ["liu_3conv", "48", "v5e-1", "train"]
    assert cells[4].endswith(" MB"), cells  # else what the compiler refuses
    assert float(cells[9].rstrip("%")) < 10  # augmentation's share of the bytes that a step moves
