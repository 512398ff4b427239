"""The JAX engine's loss is the TensorFlow engine's, step by step, from the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import twenty_steps


def test_both_engines_have_the_same_losses_over_20_steps_and_the_same_answers():
    pytest.importorskip("jax")
    (other,) = {"tensorflow", "jax"} - {keras.backend.backend()}
    command, environment = [sys.executable, twenty_steps.__file__], {**os.environ, "KERAS_BACKEND": other}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as done:
        here = twenty_steps.train()
        out, err = done.communicate()
    assert done.returncode == 0, err
    assert len(here[0]) == 20 and np.ptp(here[0]) > 0.01
    for mine, theirs in zip(here, json.loads(out.splitlines()[-1]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4)
