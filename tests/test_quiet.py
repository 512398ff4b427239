"""What TensorFlow says is passed on, but for its advice on tracing, which does not fit a process with many models."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fer_tl.quiet import import_tensorflow


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
        "import sys; from fer_tl import quiet; quiet.leave_out_unused(); quiet.import_tensorflow()\n"
        "print(sorted({'pandas', 'sklearn', 'matplotlib'} & sys.modules.keys()))\n"
        "import sklearn, matplotlib"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
