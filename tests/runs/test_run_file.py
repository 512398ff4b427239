"""What a run's files say is checked: names never lead out of its folder, and what can be computed is not believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hand_made_runs import CLASSES, logits_of, make_run

import fer_tl
from fer_tl.core.errors import UserError
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.runs.folder import RunFolder


def edit(run: Path, **changes: Any) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "name",
    ["../fold-0", "fold-0/../../x", "/tmp", "..", "", "fold-00", "fold-1\n", "fold--1", "fold-٣", "fold-" + "9" * 5000],
)
def test_a_name_that_is_no_part_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not a part of a run: parts are called model, fold-0") as refused:
        RunFolder(tmp_path).part(name)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("kind", ["cv", "train"])
@pytest.mark.parametrize(
    "parts", [["../other/fold-0", "fold-1"], ["fold-1", "fold-0"], ["fold-0"], ["fold-0", "fold-0"], ["model", "model"]]
)
def test_parts_that_training_does_not_make_are_refused_and_nothing_is_touched(
    tmp_path: Path, kind: str, parts: list[str]
) -> None:
    run = make_run(tmp_path / "run", logits_of(1), kind)
    make_run(tmp_path / "other", logits_of(2))
    edit(run, parts=parts)
    before = everything(tmp_path)
    for call in (
        lambda: fer_tl.evaluate(run, split="test", data_dir=tmp_path, say=lambda line: None),
        lambda: fer_tl.collect([run, tmp_path / "other"], out=tmp_path / "out", say=lambda line: None),
        lambda: fer_tl.report(run, say=lambda line: None),
        lambda: fer_tl.compare([run, tmp_path / "other"], say=lambda line: None),
    ):
        with pytest.raises(UserError, match=r"run\.json is damaged \('parts' of fer-tl \w+ should be"):
            call()
    assert everything(tmp_path) == before


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", logits_of(1))
    edit(run, kind="../cv")
    with pytest.raises(UserError, match=r"'kind' is '\.\./cv', not cv, train, soup or refit"):
        RunFolder(run).read_run()


@pytest.mark.parametrize(
    ("key", "value"), [("class_names", ["angry", "sad", "happy"]), ("class_names", [*CLASSES, "x"]), ("images", 99)]
)
def test_what_the_predictions_say_is_not_believed_otherwise(tmp_path: Path, key: str, value: object) -> None:
    run = make_run(tmp_path / "run", logits_of(1))
    edit(run, images=120)
    assert open_contents(RunFolder(run), None).held_out is not None
    edit(run, **{key: value})
    with pytest.raises(UserError, match=rf"run\.json was changed since the run began \('{key}' is "):
        open_contents(RunFolder(run), None)
