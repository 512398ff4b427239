"""The command: bad input gets one line and exit code 2, before TensorFlow is imported and without leaving anything."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fer_tl
from fer_tl.cli import main, parse
from fer_tl.commands import command_names, load_command
from fer_tl.commands._report_folds import CvResult
from fer_tl.core.config import Experiment, Head
from fer_tl.core.config_keys import walk
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment
from fer_tl.core.say import say_line
from fer_tl.data.building.build import build
from fer_tl.data.directory import dataset_directory
from fer_tl.evaluation.summary import summarize
from fer_tl.models.backbones import find_backbone
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import Predictions

FILES: dict[str, str | bytes] = {
    "key.yaml": "flods: 3",
    "nested.yaml": "head: {dens: [3]}",
    "group.yaml": "optimizer: adam",
    "type.yaml": "folds: many",
    "choice.yaml": "schedule: {kind: cosin}",
    "range.yaml": "optimizer: {rate: .nan}",
    "list.yaml": "- folds: 3",
    "broken.yaml": "head: [",
    "sweep.yaml": "weights: none\nsweep: {command: train, axes: {epoch: [1, 2]}}",
    "cells.yaml": "weights: none\nsweep: {command: train, axes: {image_size: [48, 24]}}",
    "binary.yaml": b"\x89PNG\r\n\x1a\n\xff",
    "date.yaml": "run_dir: 2026-08-01",
    "weights.txt": "no weights",
    "rcmalli_vggface_tf_notop_vgg16.h5": "no weights",
    "file": "not a folder",
    "pointer.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 301072766\n",
    "columns.csv": "emotion,Usage\n0,Training\n",
    "faces.zip": b"PK\x03\x04",
    "half/fer2013/1.0.0/fer2013-train.tfrecord-00000-of-00001": "",
    "halfway/fer2013/1.0.0/manifest.json": "{",
}
# What is given to fer-tl, and what its one line must hold. Folders and files are relative to an empty folder.
CASES: dict[str, tuple[str, str]] = {
    "boxes and detector": ("build fer2013 --source x --boxes b.csv --detector haar", "use one of them"),
    "no detector of a build": ("build fer2013 --source x --detector hair", "did you mean 'haar'?"),
    "eyes of haar": ("build fer2013 --source x --detector haar --align", "give --detector mtcnn or yunet"),
    "align nothing": ("build fer2013 --source x --align", "give --detector mtcnn or yunet"),
    "align to no eyes": ("predict none nowhere.jpg --align --detector haar", "give --detector mtcnn or yunet"),
    "detector of boxes": ("build toyfaces --detector haar", "fer2013, folder"),
    "no such format": ("export none --format tflight", "there is no such format; did you mean 'tflite'?"),
    "int8 of Keras": ("export none --int8", "--int8 does not go with --format keras"),
    "no picture": ("predict none nowhere.jpg", "none does not exist: give pictures, which"),
    "an archive for a film": ("predict faces.zip", "faces.zip is an archive, neither a picture nor a video: unpack"),
    "detector in capitals": ("predict none a.png --detector MTCNN", "no such face detector; did you mean 'mtcnn'?"),
    "split in question": ("ensemble run none --split tset", "validation or test; did you mean 'test'?"),
    "data that is no file": ("cv --weights none --data archiv.zip", "archiv.zip does not exist: give a file"),
    "build of somebody's": ("build mine --source .", "such as folder/mine for images of your own"),
    "no such detector": ("predict none nowhere.jpg --detector harr", "did you mean 'haar'"),
    "a camera among pictures": ("predict 0 a.png", "0 among several sources"),
    "a probability of three": ("predict none a.png --min-confidence 3", "--min-confidence 3: a probability is"),
    "serve nothing": (
        "serve none --port 0 --detector none",
        "give the folder of a run (here: run)",
    ),
    "serve at no port": ("serve none --port 70000", "--port 70000: ports are 0 to 65535"),
    "serve with less than a face": ("serve none --port 0 --margin -1", "--margin -1: give 0 to 2"),
    "serve with no such detector": ("serve none --port 0 --detector har", "did you mean 'haar'?"),
    "unknown command": ("crossvalidate", "there is no command 'crossvalidate'"),
    "near command": ("biuld fer2013", "did you mean 'build'?"),
    "near flag": ("cv --flods 3", "no option --flods; did you mean '--folds'?"),
    "group as flag": ("train --optimizer adam", "--optimizer.name"),
    "flag of another command": ("evaluate RUN --epochs 3", "fer-tl evaluate has no option --epochs"),
    "top flag": ("--version2", "unrecognized arguments: --version2"),
    "stray word": ("cv extra", "extra"),
    "no value": ("cv --folds", "--folds"),
    "choice of a build": ("build fer2013 --source x --duplicates dorp", "no such choice; did you mean 'drop'?"),
    "option of another dataset": ("build fer2013 --source x --min-confidence 40", "--min-confidence is for expw"),
    "folds of nothing": ("folds fer2013 --data-dir none", "fer2013 is not built under none"),
    "workers": ("cv --weights none --workers a:1,b:0", "worker 'b:0' is not HOST:PORT"),
    "one fold": ("folds fer2013 --folds 1", "needs two folds or more"),
    "audit of no run": ("audit none", "give the folder of a run (here: run)"),
    "verify nothing": ("verify fer2013 --data-dir none", "fer2013 is not built under none"),
    "profile of several processes": ("profile --jobs 2", "fer-tl profile has no option --jobs"),
    "profile for a tracker": ("profile --track mlflow", "fer-tl profile has no option --track"),
    "profile of one fold": ("profile --folds 1", "'folds' should be between 2 and 1000, but is 1"),
    "fold of a single model": ("train --weights none --fold 1", "--fold 1 is for fer-tl cv"),
    "fold beyond the last": ("cv --fold 4", "'fold' 4 is not one of the 4 folds"),
    "more epochs than there are": ("train --epochs 3 --stop-after 4", "'stop_after' 4 is more than the 3 epochs"),
    "repetitions of a single model": ("train --weights none --repeats 2", "--repeats 2 is for fer-tl cv"),
    "fold beyond all repetitions": ("cv --repeats 2 --fold 8", "'fold' 8 is not one of the 8 folds of 2 rep"),
    "no repetition": ("folds fer2013 --repeats 0", "--repeats 0: folds are drawn 1 to 100 times"),
    "collect nowhere": ("collect run run2", "fer-tl collect needs --out; fer-tl help collect"),
    "compare one": ("compare run", "a comparison needs two runs"),
    "compare a paper": ("compare run --paper sikc", "did you mean 'sikic'?"),
    "compare nothing": ("compare run none", "give the folder of a run (here: run)"),
    "report nothing": ("report none", "give the folder of a run (here: run)"),
    "report a file": ("report file", "file is a file, not the folder of a run"),
    "report where": ("report run --out page.pdf", "a name that ends in .html"),
    "explain nothing": ("explain run", "nothing to explain"),
    "explain both": ("explain run a.png --errors 2", "give one of them"),
    "explain method": ("explain run --errors 1 --method x", "no such method"),
    "collect one": ("collect run --out all", "fer-tl collect joins two runs or more"),
    "collect one twice": ("collect run ./run --out all", "run is given twice"),
    "collect nothing": ("collect run none --out all", "give the folder of a run (here: run)"),
    "collect into other files": ("collect run none --out half", "half holds other files and is not a run"),
    "no config": ("cv --config", "--config needs a file"),
    "config missing": ("cv --config none.yaml", "there is no config file and no recipe none.yaml"),
    "config a folder": ("cv --config .", "is a folder: give a config file, or the name of a recipe"),
    "config key": ("cv --config key.yaml", "key.yaml: unknown key 'flods'; did you mean 'folds'?"),
    "config nested key": ("train --config=nested.yaml", "'head.dens'; did you mean 'head.dense'?"),
    "config group": ("cv --config group.yaml", "optimizer.name"),
    "config type": ("cv --config type.yaml", "'folds' should be a whole number, but is 'many'"),
    "config choice": ("cv --config choice.yaml", "did you mean 'cosine'?"),
    "config nan": ("cv --config range.yaml", "'optimizer.rate' should be"),
    "config list": ("cv --config list.yaml", "holds a list"),
    "config broken": ("cv --config broken.yaml", "broken.yaml is not valid YAML"),
    "config binary": ("cv --config binary.yaml", "binary.yaml cannot be read"),
    "config date": ("cv --config date.yaml", "'run_dir' holds a date"),
    "config a sweep": (
        "cv --config sweep.yaml",
        "is a sweep over several runs: use fer-tl sweep sweep.yaml",
    ),
    "sweep nothing": ("sweep none.yaml", "there is no config file and no recipe none.yaml"),
    "sweep no sweep": ("sweep type.yaml", "type.yaml has no 'sweep' key"),
    "sweep key": ("sweep sweep.yaml", "sweep axis 'epoch': unknown key 'epoch'; did you mean 'epochs'?"),
    "sweep flag": ("sweep cells.yaml --epoch 3", "fer-tl sweep has no option --epoch; did you mean '--epochs'?"),
    "sweep axis as flag": ("sweep cells.yaml --image-size 64", "'image_size' is what the axis 'image_size'"),
    "sweep cell": ("sweep cells.yaml", "cells.yaml, cell 24: 'image_size' 24 is too small for mobilenetv2"),
    "sweep data": ("sweep cells.yaml --image-size.x 3", "no option --image-size.x"),
    "type": ("cv --folds four", "'folds' should be a whole number, but is 'four'"),
    "range": ("cv --folds 1", "'folds' should be between 2 and 1000, but is 1"),
    "nan": ("cv --optimizer.rate nan", "'optimizer.rate' should be"),
    "choice": ("cv --optimizer.name adm", "did you mean 'adam'?"),
    "list": ("cv --head.dense wide", "a list of numbers"),
    "dropout": ("cv --head.dense [64] --head.dropout [0.1]", "'head.dropout' needs 2 numbers"),
    "backbone": ("cv --backbone mobilenet", "unknown backbone 'mobilenet'; did you mean 'mobilenetv2'?"),
    "input too small": ("cv --image-size 24", "'image_size' 24 is too small for mobilenetv2: it takes 32"),
    "alpha": ("cv --alpha 0.4", "'alpha' 0.4"),
    "no such weights": ("cv --weights none.h5", "weights 'none.h5': no such file"),
    "weights of nobody's": ("cv --weights ~nobody-of-this-name/w.h5", "no such file"),
    "weights no h5": ("cv --weights weights.txt", "weights.txt"),
    "no imagenet weights": ("cv --backbone shallow_cnn --weights imagenet", "use --weights none"),
    "vggface of another": ("cv --weights vggface", "there are no vggface weights for mobilenetv2"),
    "vggface unlicensed": ("cv --backbone vgg16 --weights vggface", "add --accept-licence vggface"),
    "vggface no file": (
        "cv --backbone vgg16 --weights rcmalli_vggface_tf_notop_vgg16.h5 --accept-licence vggface",
        "cannot be read as a weights file",
    ),
    "licence": ("cv --accept-licence vgface", "did you mean 'vggface'?"),
    "models option": ("models --format markdown", "fer-tl models has no option --format"),
    "no cluster": ("cv --weights none --strategy multiworker", "TF_CONFIG"),
    "not built": ("cv --weights none --data fer2013 --data-dir none", "fer-tl build fer2013"),
    "unknown data": ("train --weights none --data fer2031 --data-dir none", "fer2031"),
    "half built": ("cv --weights none --data fer2013 --data-dir half", "half built"),
    "broken manifest": ("train --weights none --data fer2013 --data-dir halfway", "manifest.json"),
    "build what": ("build", "fer-tl build needs NAME"),
    "build unknown": ("build fer --source file", "'fer'"),
    "build no source": ("build fer2013", "--source"),
    "build missing source": ("build fer2013 --source none.csv", "none.csv"),
    "build a pointer": ("build fer2013 --source pointer.csv", "pointer.csv"),
    "build missing columns": ("build fer2013 --source columns.csv", "columns.csv"),
    "build shards": ("build toyfaces --shards many", "'shards' should be a whole number, but is 'many'"),
    "build no shards": ("build toyfaces --shards 0", "shards"),
    "evaluate what": ("evaluate", "fer-tl evaluate needs RUN; fer-tl help evaluate"),
    "evaluate nothing": ("evaluate none", "give the folder of a run (here: run)"),
    "evaluate a file": ("evaluate file", "file/run.json"),
    "evaluate unfinished": ("evaluate run", "run is unfinished (fold-0, fold-1)"),
    "evaluate in what views": ("evaluate run --tta tencrop", "--tta tencrop: no such test-time augmentation; did you"),
    "ensemble what": ("ensemble", "fer-tl ensemble needs RUN"),
    "ensemble of one": ("ensemble run", "an ensemble needs two runs or more"),
    "ensemble of one twice": ("ensemble run ./run", "run is given twice"),
    "ensemble of nothing": ("ensemble none run", "give the folder of a run (here: run)"),
    "ensemble unfinished": ("ensemble run none", "run is unfinished (fold-0, fold-1)"),
    "ensemble on train": ("ensemble run none --split train", "the models were trained on it"),
    "ensemble of views": ("ensemble run none --tta flip", "--tta flip needs --split"),
    "ensemble weighted": ("ensemble run none --weights valid", "no such weighting; did you mean 'validation'?"),
}
NO_WEIGHTS = "cv --backbone efficientnetb0 --image-size 48"
DRIVER = """
import contextlib, io, json, sys
from fer_tl import cli
from fer_tl.cli import main
make, made, results = cli._parser, {}, []  # the parser of a command is the same for all its cases
cli._parser = lambda command, names: made.get(command) or made.setdefault(command, make(command, names))
for case in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(case.split())
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    heavy = sorted({"tensorflow", "keras", "tensorflow_datasets"} & set(sys.modules))
    results.append([code, err.getvalue(), heavy])
print(json.dumps(results))
"""


def run_driver(folder: Path, cases: list[str]) -> list[tuple[Any, str, list[str]]]:
    """Exit code, stderr, and the heavy modules imported so far, of each command line, all in one process."""
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(Path(fer_tl.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        "KERAS_HOME": str(folder / "keras"),
        "https_proxy": "http://127.0.0.1:9",  # nothing listens there: no network, and at once
    }
    environment.pop("TF_CONFIG", None)
    run = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(cases),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return [tuple(result) for result in json.loads(run.stdout)]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, str, list[str]]]:
    """What the command says to each of the cases, and what files they left behind, under "left"."""
    folder = tmp_path_factory.mktemp("cases")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    about = {"kind": "cv", "parts": ["fold-0", "fold-1"], "dataset": "toyfaces", "fingerprint": ""}
    RunFolder(folder / "run").start(Experiment(), about | {"class_names": ["happy"]})
    before = {path for path in folder.rglob("*") if path.is_file()}
    lines = [line for line, _ in CASES.values()]
    results = run_driver(folder, [*lines, NO_WEIGHTS])
    left = {path for path in folder.rglob("*") if path.is_file()} - before
    return dict(zip([*CASES, "no weights"], results, strict=True)) | {"left": (0, str(sorted(left)), [])}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_line_and_code_2_before_tensorflow(answers: dict[str, Any], name: str) -> None:
    code, error, heavy = answers[name]
    assert code == 2, error
    assert error.startswith("fer-tl: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    assert CASES[name][1] in error
    assert "Traceback" not in error
    assert heavy == []


def test_missing_weights_are_one_line_with_file_address_place_and_way_out(answers: dict[str, Any]) -> None:
    code, error, heavy = answers["no weights"]
    weights = find_backbone("efficientnetb0").pretrained["imagenet"]
    name = weights.file_name(1.0, 48)
    assert code == 2
    assert error.count("\n") == 1
    assert heavy == []
    for part in (name, weights.url(1.0, 48), os.path.join("keras", "models", name), "--weights none"):
        assert part in error


def test_bad_input_leaves_no_files(answers: dict[str, Any]) -> None:
    assert answers["left"][1] == "[]"


@pytest.mark.parametrize("command", ["", *command_names()])
def test_help_lists_every_option_and_exits_0(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    expected = {
        "": command_names(),
        "build": ["--source", "--data-dir", "--duplicates", "--splits", "--image-size", "--on-error", "--overwrite"],
        "folds": ["DATASET", "--data-dir", "--folds", "--repeats", "--seed", "--table", "--out"],
        "verify": ["DATASET", "--data-dir"],
        "clean": ["--data-dir", "--keep", "--yes"],
        "collect": ["RUN", "--out", "--data-dir"],
        "evaluate": ["RUN", "--data", "--split", "--data-dir", "--classes", "--tta"],
        "ensemble": ["RUN", "--split", "--tta", "--weights", "--out"],
        "compare": ["RUN", "--split", "--tta", "--data-dir", "--paper", "--unpaired", "--out"],
        "report": ["RUN", "--data-dir", "--top", "--out"],
        "subgroups": ["RUN", "--by", "--table", "--id-column", "--split", "--tta", "--data-dir", "--out"],
        "refit": ["RUN", "--run-dir", "--data-dir"],
        "reproduce": ["RUN", "--run-dir", "--data-dir", "--within"],
        "explain": ["RUN", "IMAGE", "--errors", "--method", "--layer", "--class", "--fold", "--data-dir", "--out"],
        "export": ["RUN", "--format", "--int8", "--fold", "--data-dir", "--out"],
        "predict": ["RUN", "SOURCE", "--faces", "--detector", "--boxes", "--every", "--min-confidence", "--smooth"],
        "serve": ["RUN", "--host", "--port", "--fold", "--detector", "--detector-model", "--margin"],
        "inspect": ["DATASET", "--data-dir", "--out"],
        "audit": ["RUN", "--data-dir", "--top", "--out"],
        "doctor": ["-h,"],
        "models": ["-h,"],
        "sweep": ["FILE", *(f"--{name.replace('_', '-')}" for name, *_ in walk())],
    }.get(command)
    if expected is None:
        of_experiment = ["--config", *(f"--{name.replace('_', '-')}" for name, *_ in walk())]
        expected = of_experiment if load_command(command).takes_experiment else ["-h,"]
    if command == "profile":
        unread = {f"--{name.replace('_', '-')}" for name in load_command(command).without}
        assert not any(f"  {flag} " in text for flag in unread)
        expected = [flag for flag in expected if flag not in unread]
    for word in expected:
        assert f"\n  {word} " in text or f"    {word} " in text, word


@pytest.mark.parametrize(("given", "said"), [([], "cross-validate"), (["--version"], f"fer-tl {fer_tl.__version__}\n")])
def test_no_arguments_are_help_and_the_version_is_ours(
    capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 0
    assert said in capsys.readouterr().out


def test_help_is_quick_because_it_imports_little() -> None:
    code = (
        "import sys\nfrom fer_tl.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'jinja2', 'numpy', 'PIL'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == "[]\n"


def replace_verb(monkeypatch: pytest.MonkeyPatch, command: str, run: Callable[..., Any]) -> None:
    """Let a command call something else."""
    monkeypatch.setattr(f"fer_tl.commands.{command}.COMMAND", replace(load_command(command), run=run))


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: str, command: str = "cv") -> Experiment:
    """The experiment that a command line starts."""
    started: list[Experiment] = []
    replace_verb(monkeypatch, command, started.append)
    assert main([command, *arguments]) == 0
    return started[0]


@pytest.mark.parametrize("command", ["cv", "train"])
def test_without_flags_the_defaults_run(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    assert asked(monkeypatch, command=command) == Experiment()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("form", ["--config FILE", "--config=FILE"])
def test_flags_override_the_file_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool, form: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "folds: 5\nseed: 3\nbatch_size: 8\nhead: {dense: [64], dropout: [0.5, 0.1]}\naugment: {flip: false}\n"
    )
    config = form.replace("FILE", str(path)).split()
    flags = ["--folds", "7", "--batch-size=16", "--head.dense", "[32]", "--schedule.kind", "step"]
    experiment = asked(monkeypatch, *(config + flags if before else flags + config))
    assert (experiment.folds, experiment.batch_size, experiment.schedule.kind) == (7, 16, "step")
    assert experiment.head == Head(dense=(32,), dropout=(0.5, 0.1))
    assert (experiment.seed, experiment.augment.flip) == (3, False)


@pytest.mark.parametrize(
    "text",
    [
        "run_dir: '2024'\ndata: '5'",
        "run_dir: '--odd name, [x]'",
        "weights: none\nunfreeze: none",
        "unfreeze: 5\noptimizer: {rate: 1e-3, nesterov: no}",
        "head: {dense: null, dropout: null}\nimage_size: null",
        "head: {dense: [], dropout: [0.1]}",
        "data: é ü 表情",
    ],
)
def test_a_file_means_the_same_to_the_command_and_to_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    assert asked(monkeypatch, "--config", str(path)) == load_experiment(path)


@pytest.mark.parametrize("name", ["fer2013", "folder/mine", "toyfaces"])
def test_the_command_that_a_message_gives_is_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        dataset_directory(tmp_path, name)
    _, line, _ = str(caught.value).split("`")
    command, values = parse(line.split()[1:])
    assert (command, values["name"], values["data_dir"]) == ("build", name, str(tmp_path))


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_is_one_line_that_says_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int, word: str
) -> None:
    # A shell that starts the tests in its background has Ctrl-C ignored.
    usual = signal.default_int_handler if number == signal.SIGINT else signal.getsignal(number)
    earlier = signal.signal(number, usual)
    replace_verb(monkeypatch, "train", lambda experiment: signal.raise_signal(number))
    replace_verb(monkeypatch, "models", lambda: signal.raise_signal(number))
    try:
        assert main(["train"]) == code
        assert capsys.readouterr().err == (
            f"\nfer-tl: {word}; what is trained is kept; rerun the same command to continue\n"
        )
        assert main(["models"]) == code
        assert capsys.readouterr().err == f"\nfer-tl: {word}; rerun the same command to start again\n"
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, earlier)


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fill(_: Experiment) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/fold-0/model.keras")

    replace_verb(monkeypatch, "cv", fill)
    assert main(["cv"]) == 2
    assert capsys.readouterr().err == (
        "fer-tl: no space left on the disk (run/fold-0/model.keras); fix this, then rerun the same command to "
        "continue\n"
    )


def test_failed_folds_are_code_2_and_one_line_after_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = tuple(
        Predictions(np.array([f"{k}a", f"{k}b"]), np.arange(2), np.eye(2, dtype=np.float32), ("happy", "sad"))
        for k in range(2)
    )
    summary = summarize(folds, {str(i): str(i) for fold in folds for i in fold.ids}, failed={1: "the loss is nan"})
    replace_verb(monkeypatch, "cv", lambda _: CvResult(Path("run"), summary, folds, ""))
    assert main(["cv"]) == 2
    error = capsys.readouterr().err
    assert error == "fer-tl: 1 of 3 folds failed, fold 1: the loss is nan; rerun the same command to retry\n"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``folder/mine``: 8 images of one class, 4 of the other."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, count in (("happy", 8), ("sad", 4)):
        (root / "source" / name).mkdir(parents=True)
        for i in range(count):
            image = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
            image.save(root / "source" / name / f"{name}{i}.png")
    build("folder/mine", root / "source", root, shards=1, image_size=16, say=lambda _: None)
    return root


def refused(capsys: pytest.CaptureFixture[str], data_dir: Path, *arguments: str) -> str:
    """The one line with which ``fer-tl cv`` on ``folder/mine`` is refused."""
    given = ["--data", "folder/mine", "--data-dir", str(data_dir), "--backbone", "shallow_cnn", "--weights", "none"]
    capsys.readouterr()
    assert main(["cv", *given, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_more_folds_than_images_of_a_class_is_refused_and_leaves_no_run(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, data_dir, "--folds", "5", "--run-dir", str(tmp_path / "run"))
    assert "--folds 5" in error
    assert "'sad' has 4" in error
    assert not (tmp_path / "run").exists()


def test_another_run_in_the_folder_is_refused_with_the_difference(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Experiment(data="folder/mine", backbone="shallow_cnn", weights="none", seed=3)
    about = {"kind": "cv", "parts": ["fold-0", "fold-1"], "dataset": "folder/mine", "fingerprint": ""}
    RunFolder(tmp_path / "run").start(there, about)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    error = refused(capsys, data_dir, "--run-dir", str(tmp_path / "run"))
    assert "seed 3 -> 0" in error
    assert "--run-dir" in error
    assert "another build" in refused(capsys, data_dir, "--run-dir", str(tmp_path / "run"), "--seed", "3")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    assert "holds other files" in refused(capsys, data_dir, "--run-dir", str(tmp_path / "mine"))
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_terminal_without_the_table_lines_shows_question_marks() -> None:
    code = "import sys; from fer_tl.cli import main; sys.exit(main(['build', 'folder/─', '--source', 'x']))"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert b"folder/?" in done.stderr
    assert b"Traceback" not in done.stderr


def test_output_that_nobody_reads_ends_without_a_traceback() -> None:
    code = "import sys; from fer_tl.cli import main; sys.exit(main(['build', 'toyfaces', '--data-dir', sys.argv[1]]))"
    read, write = os.pipe()
    os.close(read)
    with tempfile.TemporaryDirectory() as data_dir:
        command = [sys.executable, "-u", "-c", code, data_dir]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr


def test_quiet_shows_results_and_warnings_alone_and_verbose_where_an_error_was_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        for line in ("reading", "Warning: dark images", "table\n-----\n1", "results: run"):
            say_line(line)
        raise UserError("no such run")

    replace_verb(monkeypatch, "models", run)
    shown = {}
    for flag in ("", "--quiet", "-v"):
        assert main(["models", *flag.split()]) == 2
        shown[flag] = capsys.readouterr()
    results = "Warning: dark images\ntable\n-----\n1\nresults: run\n"
    assert (shown[""].out, shown["--quiet"].out) == (f"reading\n{results}", results)
    assert re.sub(r"\[ *\d+\.\d s\] ", "", shown["-v"].out) == shown[""].out != shown["-v"].out
    assert shown[""].err == shown["--quiet"].err == "fer-tl: no such run\n"
    assert "Traceback" in shown["-v"].err and shown["-v"].err.endswith("fer-tl: no such run\n")
