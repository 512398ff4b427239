"""One network of `backbones.py`, by fer-tl or by Keras's own `fit`: built, then trained for a while when told so."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fer_tl.core.framework import import_backend
from fer_tl.core.options import load_experiment
from fer_tl.data.dataset import Dataset

BATCH = 64
SIDE = 48
IMAGES = 1024
CLASSES = tuple("abcdefg")

# Trains so many steps and waits for them.
Run = Callable[[int], object]


def main() -> None:
    """Build what the command line names, then answer."""
    name, system = sys.argv[1:3]
    if system != "keras":  # whose user has no fer-tl that decides for TensorFlow what it computes with
        import_backend()
    if system == "layers":
        print(json.dumps(layers(name)))
        return
    serve({"train": keras_fit(name)} if system == "keras" else ours(name, system))


def ours(name: str, precision: str) -> dict[str, Run]:
    """A step of fer-tl as a run makes it, and the same on constant pixels."""
    from fer_tl.training.epoch_plans import EpochPlans
    from fer_tl.training.session import Session
    from fer_tl.training.step_profile import StepParts

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (IMAGES, SIDE, SIDE, 1)).astype(np.uint8), np.arange(IMAGES) % len(CLASSES)
    ids = np.array([f"{row:04d}" for row in range(IMAGES)])
    dataset = Dataset("random", np.full(IMAGES, "train"), images, labels, ids, ids, CLASSES, "0" * 64)
    experiment = load_experiment(backbone=name, weights="none", batch_size=BATCH, precision=precision)
    session = Session(experiment, dataset, None)
    compiled = session.start(session.stages[-1])
    plans = EpochPlans(session, 0, np.arange(IMAGES))

    def train(steps: int) -> None:
        while steps > 0:
            plan = plans.plan(compiled, 0, 1)
            compiled.train(plan, 0, min(steps, len(plan)))
            steps -= len(plan)

    return {"train": train, "limit": StepParts(session, compiled).model}


def keras_fit(name: str) -> Run:
    """Keras's own training of the same network, on a constant batch."""
    import keras
    import tensorflow as tf

    from fer_tl.models.classifier import build_classifier
    from fer_tl.training.stages import set_trainable

    experiment = load_experiment(backbone=name, weights="none", batch_size=BATCH)
    classifier = build_classifier(experiment, (SIDE, SIDE, 1), len(CLASSES), None)
    set_trainable(classifier, "all", experiment)
    model = classifier.model
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(experiment.optimizer.rate), loss, metrics=["accuracy"])
    pixels = np.random.default_rng(0).uniform(0, 255, (BATCH, SIDE, SIDE, 1)).astype(np.float32)
    batches = tf.data.Dataset.from_tensors((pixels, np.arange(BATCH) % len(CLASSES))).cache().repeat().prefetch(2)
    return lambda steps: model.fit(batches, steps_per_epoch=steps, verbose=0)


def layers(name: str) -> dict[str, Any]:
    """The same network for another framework: see ``backbones_torch.Layers``."""
    from fer_tl.models.classifier import build_classifier

    model = build_classifier(load_experiment(backbone=name, weights="none"), (SIDE, SIDE, 1), len(CLASSES), None).model
    found = []
    for layer in model.get_config()["layers"]:
        sources = [tensor["config"] for node in layer["inbound_nodes"] for tensor in _tensors(node["args"])]
        shape = sources[0]["shape"][1:] if sources else []
        names = [source["keras_history"][0] for source in sources]
        found.append(
            {
                "name": layer["name"],
                "kind": layer["class_name"],
                "settings": {key: value for key, value in layer["config"].items() if not isinstance(value, dict)},
                "shape": shape,
                "from": names,
            }
        )
    learned = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {"channels": 1, "parameters": learned, "layers": found}


def _tensors(arguments: Any) -> Iterator[dict[str, Any]]:
    if isinstance(arguments, dict):
        yield arguments
    else:
        for argument in arguments:
            yield from _tensors(argument)


def serve(runs: dict[str, Run]) -> None:
    """Answer lines such as ``train 2.0``, which asks for the rate over some 2 seconds, until they end."""
    for run in runs.values():
        run(2)
    seconds: dict[str, float] = {}
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        what, asked = line.split()
        if what not in seconds:
            seconds[what] = _time(runs[what], 2) / 2
        steps = max(2, round(float(asked) / seconds[what]))
        seconds[what] = _time(runs[what], steps) / steps
        print(json.dumps({"rate": BATCH / seconds[what]}), flush=True)


def _time(run: Run, steps: int) -> float:
    began = time.perf_counter()
    run(steps)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
