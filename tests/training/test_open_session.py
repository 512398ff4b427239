"""A run is trained in the faster precision, keeps it, and the trial leaves no trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.engines.choose import choose_engine
from fer_tl.engines.plan import EpochPlan
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions
from fer_tl.runs.saved_model import load_model
from fer_tl.training import fold_checkpoints, loop, open_session
from fer_tl.training.cross_validation import train_one

ENGINE = choose_engine()

pytestmark = pytest.mark.usefixtures("thin_backbone")


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return replace(make_faces(60, side=16), splits=np.repeat(["train", "validation"], [40, 20]))


def experiment(**options: Any) -> Experiment:
    small = {
        "backbone": "shallow_cnn",
        "weights": "none",
        "alpha": 0.5,
        "image_size": 16,
        "batch_size": 16,
        "epochs": 2,
    }
    return load_experiment(**small, **options)


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Decides which of the two wins, however fast they are here."""
    monkeypatch.setattr(open_session, "processor_features", lambda: ("bfloat16",))
    monkeypatch.setattr(open_session, "SECONDS_PER_ROUND", 0.0)

    def wins(precision: str) -> None:
        monkeypatch.setattr(open_session, "LEAST_GAIN", {"float32": math.inf, "mixed_bfloat16": 0.0}[precision])

    return wins


def train(settings: Experiment, dataset: Dataset, path: Path) -> str:
    lines: list[str] = []
    train_one(settings, dataset, RunFolder(path), lines.append)
    return "\n".join(lines)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_trial_chooses_what_training_by_hand_gives_too(
    precision: str, faces: Dataset, faster: Callable[[str], None], tmp_path: Path
) -> None:
    faster(precision)
    said = train(experiment(precision="auto"), faces, tmp_path / "auto")
    train(experiment(precision=precision), faces, tmp_path / "by-hand")
    assert f"precision: {precision}, tried: " in said and "images/s in float32" in said
    assert RunFolder(tmp_path / "auto").precision("auto") == precision
    recorded = [read_json(tmp_path / name / "environment.json")[0] for name in ("auto", "by-hand")]
    assert recorded[0]["precision"] == precision
    assert recorded[0]["kernel_checksum"] == recorded[1]["kernel_checksum"]  # the weights before the trial
    model, _ = load_model(tmp_path / "auto" / "model" / "model.keras")
    assert model.get_layer("conv1").compute_dtype == precision.removeprefix("mixed_")
    both = [load_predictions(tmp_path / name / "model" / "predictions.npz").logits for name in ("auto", "by-hand")]
    np.testing.assert_array_equal(*both)


def test_a_run_goes_on_in_the_precision_that_it_was_begun_in(
    faces: Dataset, faster: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    save = fold_checkpoints.Keeper.save

    def killing(self: fold_checkpoints.Keeper, at: fold_checkpoints.Position) -> None:
        save(self, at)
        raise Killed

    faster("mixed_bfloat16")
    train(experiment(precision="auto"), faces, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(fold_checkpoints.Keeper, "save", killing)
        patch.setattr(loop, "SECONDS_PER_CHECKPOINT", 0.0)
        patch.setattr(fold_checkpoints, "WRITING_SHARE", math.inf)
        with pytest.raises(Killed):
            train(experiment(precision="auto"), faces, tmp_path / "cut")
    faster("float32")
    said = train(experiment(precision="auto"), faces, tmp_path / "cut")
    assert "precision:" not in said
    both = [load_predictions(tmp_path / name / "model" / "predictions.npz").logits for name in ("whole", "cut")]
    np.testing.assert_array_equal(*both)


def test_what_cannot_win_is_not_tried(faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_session, "LEAST_GAIN", 0.0)
    monkeypatch.setattr(open_session, "processor_features", lambda: ("bfloat16",))
    still = experiment(precision="auto", unfreeze="none", views=0)
    assert "precision: float32, since the backbone does not learn" in train(still, faces, tmp_path / "still")
    monkeypatch.setattr(open_session, "processor_features", lambda: ("AVX2",))
    said = train(experiment(precision="auto", strategy="cpu"), faces, tmp_path / "old")
    assert "precision: float32, since this processor has no instructions for bfloat16" in said


@pytest.mark.parametrize("fitting", [{"float32"}, {"mixed_bfloat16"}, set()], ids=str)
def test_what_does_not_fit_into_memory_is_not_chosen(
    fitting: set[str], faces: Dataset, faster: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_training = ENGINE.compile_training

    def limited(engine: Any, *given: Any) -> Any:
        run = compile_training(engine, *given)
        precision = engine.model.get_layer("conv1").dtype_policy.name

        def train(plan: EpochPlan, *cut: int) -> np.ndarray:
            if precision not in fitting and plan.rows.shape[1] > 4:
                raise MemoryError
            return run(plan, *cut)

        return train

    monkeypatch.setattr(ENGINE, "compile_training", limited)
    monkeypatch.setattr(ENGINE, "ran_out_of_memory", lambda engine, error: isinstance(error, MemoryError))
    faster("mixed_bfloat16" if fitting == {"float32"} else "float32")
    if fitting:
        (only,) = fitting
        assert f"precision: {only}, the only one whose trial fits" in train(
            experiment(precision="auto"), faces, tmp_path / "run"
        )
        return
    with pytest.raises(UserError, match=r"a batch of 16 images does not fit into .+: use --batch-size 4, which does"):
        train(experiment(precision="auto"), faces, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_an_edited_run_is_refused(faces: Dataset, tmp_path: Path) -> None:
    train(experiment(), faces, tmp_path / "run")
    about = read_json(tmp_path / "run" / "run.json")
    write_json(tmp_path / "run" / "run.json", {**about, "precision": "mixed_bfloat16"})
    with pytest.raises(UserError, match="'precision' is 'mixed_bfloat16' in a run of 'float32'"):
        RunFolder(tmp_path / "run").precision("float32")
