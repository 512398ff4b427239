"""What TensorFlow says is passed on, but for its advice on tracing, which does not fit a process with many models."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import small_run
from PIL import Image

from fer_tl.core.quiet import import_tensorflow


def test_many_models_in_one_process_draw_no_warning_and_others_are_heard(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    import_tensorflow()
    import tensorflow as tf

    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    for number in range(8):
        tf.function(lambda x: x + 1, autograph=False)(tf.constant(number))
    assert caplog.text == ""
    tf.get_logger().warning("the disk is full")
    assert "the disk is full" in caplog.text


def test_commands_leave_out_what_they_do_not_use_of_keras():
    program = (
        "import sys; from fer_tl.core import quiet; quiet.leave_out_unused(); quiet.import_tensorflow()\n"
        "print(sorted({'pandas', 'sklearn', 'matplotlib'} & sys.modules.keys()))\n"
        "import sklearn, matplotlib"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.fixture(scope="module")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small_run.make_run("run")
        Image.fromarray(small_run.IMAGES[0, :, :, 0]).save("picture.png")
    return folder


LOUD = """
import os, sys
from fer_tl import cli
from fer_tl.core import quiet
def hook(event, found):
    if event == "import" and found[0].partition(".")[0] in ("keras", "tensorflow"):
        print("loud:", found[0])
        sys.exit(9)
sys.addaudithook(hook)
def quietly(name):
    print("quiet:", name, "oneDNN", os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
    sys.exit(7)
quiet.import_quietly = quietly
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            sys.exit(cli.main(line.split()))
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code)
    print("ended:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
COMMANDS = [
    "train --data folder/own --data-dir data --backbone shallow_cnn --weights none --run-dir new",
    "cv --data folder/own --data-dir data --backbone shallow_cnn --weights none --run-dir new --folds 3",
    "evaluate run",
    "predict run picture.png --faces crop",
    "explain run --errors 2",
    "profile --data folder/own --data-dir data --backbone shallow_cnn --weights none",
    "doctor",
]


@pytest.fixture(scope="module")
def said(made_run: Path) -> dict[str, list[str]]:
    """What each command says up to its first import of a framework, as the child of a process without one."""
    lines: list[list[str]] = [[]]
    for line in run_loud(made_run, COMMANDS, {}):
        lines[-1].append(line)
        if line.startswith("ended: "):
            lines.append([])
    assert lines.pop() == []
    return dict(zip(COMMANDS, lines, strict=True))


def run_loud(folder: Path, commands: list[str], variables: dict[str, str]) -> list[str]:
    """Lines of the commands, with no word on oneDNN in the environment but that of ``variables``."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"} | variables
    text = "".join(f"{command}\n" for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", LOUD], cwd=folder, env=environment, input=text, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_a_command_imports_frameworks_without_their_chatter(command: str, said: dict[str, list[str]]):
    asked = "1" if platform.machine() in ("x86_64", "AMD64") else "None"
    assert said[command][-2:] == [f"quiet: tensorflow oneDNN {asked}", "ended: 7"], said[command]


def test_whoever_wants_no_onednn_gets_none(made_run: Path):
    lines = run_loud(made_run, ["doctor"], {"TF_ENABLE_ONEDNN_OPTS": "0"})
    assert lines[-2:] == ["quiet: tensorflow oneDNN 0", "ended: 7"]
