"""A script that builds a small dataset, cross-validates and sweeps on it, and predicts on it in two parts, in
the current folder, as one process or over a cluster; usage: build_and_train.py IMAGES none|ray|slurm"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fer_tl

SMALL: dict[str, Any] = {"data": "folder/drawn", "data_dir": "data", "backbone": "shallow_cnn", "alpha": 0.1}
SMALL |= {"weights": "none", "image_size": 16, "batch_size": 16, "epochs": 2, "folds": 2}
FOLDS = [Path("runs/cv/fold-0"), Path("runs/cv/fold-1")]
KILLED = "killed the node of one of two folds"
GRID = """{head}
sweep:
  command: train
  axes:
    loss.smoothing: [0, 0.1]
"""


@contextlib.contextmanager
def two_nodes() -> Iterator[str]:
    """A Ray cluster of two nodes of one core; one is killed while both folds are in work. Gives its address."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            if all(fold.exists() for fold in FOLDS) and not any((fold / "predictions.npz").exists() for fold in FOLDS):
                cluster.remove_node(node, allow_graceful=False)
                print(KILLED, flush=True)
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield cluster.address
    finally:
        over.set()
        killer.join()
        cluster.shutdown()


def main(images: str, executor: str) -> None:
    """Build, cross-validate, sweep and predict."""
    with two_nodes() if executor == "ray" else contextlib.nullcontext("") as address:
        over: dict[str, Any] = {}
        if executor != "none":
            options = [f"address={address}", "num_cpus=1"] if executor == "ray" else ["cluster=local"]
            over = {"jobs": 2, "executor": executor, "executor_options": options}
        fer_tl.build("folder/drawn", images, "data", image_size=16, **over)
        fer_tl.cross_validate(fer_tl.load_experiment(**SMALL, run_dir="runs/cv", **over))
        Path("grid.yaml").write_text(GRID.format(head="\n".join(f"{key}: {value}" for key, value in SMALL.items())))
        fer_tl.sweep("grid.yaml", run_dir="runs/grid", **over)
        fer_tl.predict("runs/cv", [images] * 13, faces="crop", save="csv,pictures", out="predicted", **over)


if __name__ == "__main__":
    main(*sys.argv[1:])
