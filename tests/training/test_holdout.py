"""What early stopping watches is the share of the training images that was asked for, or one line says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset
from fer_tl.runs.folder import RunFolder
from fer_tl.training import cross_validation
from fer_tl.training.train_parts import Part


def watched(holdout: float, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """The parts that a cross validation would train."""
    found: list[Part] = []
    monkeypatch.setattr(cross_validation, "train_parts", lambda *arguments, **named: found.extend(arguments[3]))
    experiment = load_experiment(folds=2, early_stopping=1, holdout=holdout)
    cross_validation.train_folds(experiment, dataset, RunFolder(folder), lambda line: None)
    return found


@pytest.mark.parametrize("holdout", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5])
def test_the_watched_share_is_what_was_asked_for(
    holdout: float, make_faces: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_faces(840)
    for part in watched(holdout, dataset, tmp_path, monkeypatch):
        share = len(part.watched) / (len(part.watched) + len(part.train))
        assert share == pytest.approx(holdout, abs=0.015)
        groups = dataset.groups
        assert not set(groups[part.watched]) & set(groups[part.train])
        assert not set(part.watched) & set(part.held_out)
        assert len(np.unique(dataset.labels[part.watched])) == len(dataset.class_names)


def test_a_share_that_the_groups_of_a_class_do_not_give_is_refused_with_one_that_they_do(
    make_faces: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_faces(84)
    with pytest.raises(UserError, match=r"'holdout' 0\.4 of class .* is not a whole number of its 3 groups") as refused:
        watched(0.4, dataset, tmp_path, monkeypatch)
    advised = float(str(refused.value).split("use --holdout ")[1].split(",")[0])
    assert len(watched(advised, dataset, tmp_path, monkeypatch)) == 2
