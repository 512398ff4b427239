"""How the Python API shows itself: what is public, results in a console and a notebook, verbs that take settings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from html_reader import Reader
from small_run import IDS, make_run, store

import fer_tl
from fer_tl import commands
from fer_tl.commands import command_names, load_command
from fer_tl.commands._command import argument_texts
from fer_tl.commands._report_folds import report_folds
from fer_tl.commands._settings import settle
from fer_tl.commands._shown import Scored, Shown
from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError
from fer_tl.data.dataset import Dataset


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> fer_tl.CvResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        run, groups = make_run("run"), dict(zip(IDS.tolist(), IDS.tolist(), strict=True))
        return report_folds(run, IDS, groups, lambda line: None, writes=False)


def test_what_is_public_is_listed_explained_and_imported_when_it_is_used() -> None:
    script = "import fer_tl, sys; dir(fer_tl); sys.exit(not {'numpy', 'sklearn', 'keras'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert dir(fer_tl) == sorted(fer_tl.__all__)
    assert {load_command(name).run.__name__ for name in command_names()} <= set(dir(fer_tl))
    for name in set(dir(fer_tl)) - {"__version__"}:
        found = getattr(fer_tl, name)
        assert len(inspect.getdoc(found) or "") > 40, name
        if inspect.isfunction(found):
            parameters = inspect.signature(found).parameters
            assert all(each.annotation is not inspect.Parameter.empty for each in parameters.values()), name
            assert set(argument_texts(found)) >= set(parameters) - {"say", "experiment", "settings"}, name


def test_every_result_shows_itself_in_a_line() -> None:
    modules = [
        importlib.import_module(f"{commands.__name__}.{each.name}") for each in pkgutil.iter_modules(commands.__path__)
    ]
    kinds = {
        kind
        for module in modules
        for name, kind in vars(module).items()
        if name.endswith("Result") and inspect.isclass(kind) and "text" in kind.__annotations__
    }
    assert len(kinds) > 18
    assert [kind for kind in kinds if kind.__repr__ is not Shown.__repr__ or kind.__str__ is not Shown.__str__] == []


def test_a_cross_validation_in_a_console_and_a_notebook(result: fer_tl.CvResult) -> None:
    pooled, (low, high) = result.summary.pooled, result.summary.intervals["accuracy"]
    assert isinstance(result, Scored) and result.accuracy == pooled.accuracy
    assert repr(result) == (
        f"<CvResult, accuracy {100 * pooled.accuracy:.1f} % (95 % interval {100 * low:.1f}–{100 * high:.1f} %) of 60 "
        "answers in 3 classes, in run; print it for its tables>"
    )
    assert str(result) == result.text
    page = Reader(result._repr_html_())
    assert (
        f"{100 * pooled.accuracy:.1f} %" in page.text
        and "macro" in page.text
        and "3-fold cross validation" in page.text
    )
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["src"].startswith("data:image/png;base64,") and image["alt"]
    axes = result.plot_confusion("mine").axes[0]
    assert axes.get_title() == "mine"
    counts = [int(text.get_text().splitlines()[0]) for text in axes.texts]
    assert counts == pooled.confusion.ravel().tolist()


def test_names_in_a_notebook_are_no_markup(result: fer_tl.CvResult) -> None:
    hostile = replace(result, text="<script>alert(1)</script>\nmore")
    assert "<script>" not in hostile._repr_html_() and "&lt;script&gt;" in hostile._repr_html_()


def test_datasets_show_what_is_in_them(make_faces: Callable[..., Dataset]) -> None:
    faces = replace(make_faces(4), splits=np.repeat(["train", "test"], [3, 1]))
    assert repr(faces).startswith("<Dataset drawn: train 3, test 1 images of 24 x 24 x 1; classes angry, ")


def test_settings_stand_in_place_of_an_experiment_or_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in command_names():
        if (command := load_command(name)).takes_experiment:
            assert "settings" in inspect.signature(command.run).parameters, name
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []
    assert settle(None, {}, lines.append) is None and settle(Experiment(epochs=2), {}, lines.append) == Experiment(
        epochs=2
    )
    assert settle(Experiment(epochs=2), {"head": {"dense": [4]}}, lines.append) == fer_tl.load_experiment(
        epochs=2, head={"dense": [4]}
    )
    assert settle(None, {"data": "FER2013"}, lines.append) == Experiment(data="fer2013")
    store()
    assert lines == [] and settle(None, {"epochs": 3}, lines.append) == Experiment(data="folder/own", epochs=3)
    assert lines == ["data: folder/own; data=NAME takes another"]
    assert settle(None, {"data": "folder/own", "backbone": "pham"}, lines.append).weights == "none"  # type: ignore[union-attr]
    assert lines[1:] == ["weights: none (random), as none are published for pham"]
    asked = settle(None, {"data": "folder/own", "backbone": "pham", "weights": "imagenet"}, lines.append)
    assert asked is not None and asked.weights == "imagenet"  # which the run refuses
    with pytest.raises(UserError, match="unknown option 'epoch'; did you mean 'epochs'"):
        fer_tl.cross_validate(epoch=1)
    with pytest.raises(UserError, match=r"load_experiment\(\.\.\.\), but this is a str"):
        fer_tl.fit("configs/x.yaml", epochs=1)  # type: ignore[arg-type]
