"""Runs ``fer-tl`` commands in children of a process that has imported everything, so that each starts at once.

Reads lists of arguments as lines of JSON; for each prints the child's process number and, at its end, its status.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.append(str(Path(__file__).parents[1]))

import keras
import tensorflow as tf
import thin_network

from fer_tl import cli
from fer_tl.commands import cv
from fer_tl.devices import tensorflow_devices
from fer_tl.engines import tensorflow_engine
from fer_tl.models.backbones import BACKBONES
from fer_tl.reports import run_report
from fer_tl.training import fold_checkpoints, loop, session, train_parts

assert keras and tf and cv and train_parts and session and tensorflow_devices and tensorflow_engine

# A run of seconds shall be as full of checkpoints as a real one of hours.
fold_checkpoints.WRITING_SHARE = 1.0
loop.SECONDS_PER_CHECKPOINT = 0.1
loop.SECONDS_PER_CALL = 0.05
BACKBONES["shallow_cnn"] = replace(BACKBONES["shallow_cnn"], build=thin_network.build, features=16)

# Pictures, which have tests of their own, are half of such a run.
run_report.save_figure = lambda figure, path: None


def main() -> None:
    """Until the end of the input."""
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                os.dup2(2, 1)
                status = cli.main(json.loads(line))
                sys.stdout.flush()
            finally:
                os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
