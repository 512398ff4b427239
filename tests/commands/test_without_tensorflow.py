"""What works where TensorFlow is not installed: training on JAX, from records or arrays, and all that reads a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stored_dataset import Stored, store_dataset

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.sources.toyfaces.drawing import draw_faces

# An importer that knows no TensorFlow, as on a Colab TPU.
WITHOUT = """
import importlib.abc, sys
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
"""
PROGRAM = """
import pathlib
import fer_tl
import numpy as np
from fer_tl.reports import run_report
draw, run_report.save_figure = run_report.save_figure, lambda figure, path: None  # half of the time of such runs
settings = dict(data="folder/own", data_dir="data", backbone="liu_3conv", weights="none", image_size=12, folds=2)
experiment = fer_tl.load_experiment(**settings, epochs=2, batch_size=16, run_dir="run")
result = fer_tl.cross_validate(experiment)
from fer_tl.engines.jax_engine import JaxEngine
from fer_tl.training import loop
loop.SECONDS_PER_CALL = 0.0  # one step a call
plain, calls = JaxEngine.compile_training, []
def counted(*given):
    train = plain(*given)
    def stopping(plan, start, stop):
        calls.append(start)
        if len(calls) == 6:  # in the second epoch of the first fold
            raise KeyboardInterrupt
        return train(plan, start, stop)
    return stopping
JaxEngine.compile_training = counted
cut = fer_tl.load_experiment(**settings, epochs=2, batch_size=16, run_dir="cut")
try:
    fer_tl.cross_validate(cut)
except KeyboardInterrupt:
    assert len(calls) == 6 and calls[-1] > 0
fer_tl.cross_validate(cut)
same = [pathlib.Path(run, fold, file).read_bytes() for run in ("run", "cut")
        for fold in ("fold-0", "fold-1") for file in ("model.keras", "predictions.npz", "history.csv")]
assert same[:6] == same[6:]
again = fer_tl.cross_validate(experiment)
assert again.summary.pooled.accuracy == result.summary.pooled.accuracy
fer_tl.evaluate("run")
run_report.save_figure = draw
fer_tl.report("run")
fer_tl.explain("run", errors=2, method="gradcam")
labels, probabilities = fer_tl.load("run").predict([np.zeros((20, 30), np.uint8)] * 3)
assert probabilities.shape == (3, 7) and len(labels) == 3
assert not {"tensorflow", "tensorflow_datasets"} & sys.modules.keys()
assert "JAX" in fer_tl.doctor().devices
for verb, given in ((fer_tl.build, ("toyfaces",)), (fer_tl.export, ("run",)), (fer_tl.profile, (experiment,))):
    try:
        verb(*given)
    except fer_tl.UserError as error:
        print("refused:", error)
"""


def run(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"} | environment
    # One device: XLA compiles for four as if for four machines.
    known["XLA_FLAGS"] = known["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program], cwd=folder, env=known, capture_output=True, text=True
    )


def test_a_run_is_trained_resumed_scored_and_explained_on_jax_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    images, labels = draw_faces(140, 1)
    images = images[:, ::4, ::4]  # [N, 12, 12, 1]
    ids = [f"face-{row:03d}" for row in range(140)]
    names = np.array(ids)
    store_dataset(
        Path("data"),
        "folder/own",
        CLASS_NAMES,
        {
            "train": Stored(images[:100], labels[:100], names[:100], names[:100]),
            "test": Stored(images[100:], labels[100:], names[100:], names[100:]),
        },
    )
    done = run(PROGRAM, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Reading toyfaces" not in done.stdout
    assert "building a dataset needs TensorFlow, training on it does not: pip install 'fer-tl[cpu]'" in done.stdout
    assert "refused: an export needs TensorFlow: pip install 'fer-tl[cpu]'" in done.stdout
    assert "refused: a profile takes the steps of TensorFlow apart" in done.stdout


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("tensorflow", "KERAS_BACKEND is tensorflow, which is not installed: pip install 'fer-tl[cpu]'"),
        ("torch", "KERAS_BACKEND is torch: fer-tl trains with tensorflow or jax; set KERAS_BACKEND to one of them"),
    ],
)
def test_a_backend_that_cannot_be_used_is_one_line(tmp_path: Path, backend: str, words: str):
    program = "from fer_tl.cli import main\nsys.exit(main(['cv', '--data', 'toyfaces', '--weights', 'none']))"
    done = run(program, tmp_path, KERAS_BACKEND=backend)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert not [*tmp_path.iterdir()]
