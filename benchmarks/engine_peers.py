"""What `engine.py` compares with: Keras's own way, and the legacy ImageDataGenerator; the model is ours in both."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine_task import (
    AUGMENT,
    BATCH,
    SIDE,
    SIDES,
    Task,
    fit_experiment,
    given_task,
    images_per_second,
    memory_mb,
    peak_mb,
)

from fer_tl.core.quiet import import_tensorflow
from fer_tl.models.classifier import build_classifier
from fer_tl.models.resolve import resolve_model
from fer_tl.models.weights import find_weights
from fer_tl.training.stages import set_trainable

WARM_STEPS = 5  # the first ones find the prefetched batches ready
HELD_OUT = 0.25
CORES = os.cpu_count() or 1


def main() -> None:
    """Measure what is asked and print it as JSON."""
    task = given_task()
    import_tensorflow()
    import keras  # noqa: F401

    print("\n" + json.dumps(measure_input(task) if task.what == "input" else measure_fit(task)), flush=True)
    os._exit(0)  # threads of a `fit` that was stopped midway may wait for ever


def random_layers() -> list[Any]:
    """The five layers of Keras that do what ``AUGMENT`` says."""
    from keras import layers

    shift, zoom, nearest = AUGMENT.shift, (-AUGMENT.zoom, AUGMENT.zoom), "nearest"
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(AUGMENT.rotation / 360, fill_mode=nearest),
        layers.RandomTranslation(shift, shift, fill_mode=nearest),
        layers.RandomZoom(zoom, zoom, fill_mode=nearest),
        layers.RandomShear(math.tan(math.radians(AUGMENT.shear)), 0.0, fill_mode=nearest),
    ]


def open_keras(folder: str, side: int, colour: str = "grayscale") -> tuple[Any, Any]:
    """Training and held-out images as ``image_dataset_from_directory`` gives them: parallel reading and prefetch."""
    import keras

    opened = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="int",
        color_mode=colour,
        image_size=(side, side),
        batch_size=BATCH,
        validation_split=HELD_OUT,
        subset="both",
        seed=0,
        verbose=False,
    )
    return opened[0], opened[1]


def open_generator(folder: str, side: int, colour: str = "grayscale") -> tuple[Any, Any]:
    """The same as the ``flow_from_directory`` of ImageDataGenerator gives them, made in a thread for each core."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    augmented = ImageDataGenerator(
        rotation_range=AUGMENT.rotation,
        shear_range=AUGMENT.shear,
        zoom_range=AUGMENT.zoom,
        width_shift_range=AUGMENT.shift,
        height_shift_range=AUGMENT.shift,
        horizontal_flip=AUGMENT.flip,
        validation_split=HELD_OUT,
    )
    plain = ImageDataGenerator(validation_split=HELD_OUT)

    def flow(generator: Any, subset: str) -> Any:
        batches = generator.flow_from_directory(
            folder,
            target_size=(side, side),
            color_mode=colour,
            class_mode="sparse",
            batch_size=BATCH,
            subset=subset,
            shuffle=subset == "training",
        )
        batches.workers = CORES  # its default is 1, and 3/4 of the speed
        return batches

    return flow(augmented, "training"), flow(plain, "validation")


OPEN: dict[str, Callable[..., tuple[Any, Any]]] = {"keras": open_keras, "generator": open_generator}


def measure_input(task: Task) -> dict[str, float]:
    """Augmented images a second by side; of Keras's own way also with three channels, its default."""
    found = {str(side): images_per_second(input_call(task, side, "grayscale"), task.seconds) for side in SIDES}
    if task.system == "keras":
        found |= {f"{side} rgb": images_per_second(input_call(task, side, "rgb"), task.seconds) for side in SIDES}
    return found


def input_call(task: Task, side: int, colour: str) -> Callable[[], int]:
    """A call that makes one augmented batch and returns its length."""
    import keras
    import tensorflow as tf

    training, _ = OPEN[task.system](task.folder, side, colour)
    if task.system == "generator":
        pool = ThreadPoolExecutor(CORES)
        several = [step % len(training) for step in range(4 * CORES)]
        return lambda: sum(len(labels) for _, labels in pool.map(training.__getitem__, several))
    augment = keras.Sequential(random_layers())
    # As in a model: in its graph, while the next batches are read.
    run = tf.function(lambda images: augment(images, training=True))
    batches = iter(training.repeat())
    return lambda: len(run(next(batches)[0]).numpy())


def compile_model(task: Task) -> Any:
    """A new model as for every fold: augmentation (Keras's way), backbone, head and optimizer of the experiment."""
    import keras

    experiment = fit_experiment(frozen=task.what == "frozen")
    weights_file = find_weights(resolve_model(experiment), experiment.weights)
    classifier = build_classifier(experiment, (SIDE, SIDE, 1), 7, weights_file)
    set_trainable(classifier, experiment.unfreeze, experiment)
    model = classifier.model
    if task.system == "keras":
        images = x = keras.Input((SIDE, SIDE, 1))
        for layer in random_layers():
            x = layer(x)
        model = keras.Model(images, model(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(experiment.optimizer.rate), loss, metrics=["accuracy"])
    return model


def measure_fit(task: Task) -> dict[str, float]:
    """Train and evaluate for a while, then begin a second fold with a new model.

    Returns:
        ``start``: seconds from the command to the first step; ``fold``: seconds that a further fold costs besides its
        steps; ``train`` and ``evaluate``: images/s; ``memory``: MB at the peak over those after the imports.
    """
    idle = memory_mb()
    ticks = make_ticks(task.seconds)
    first, _ = begin_fold(task, ticks)
    start = time.time() - task.began - (time.perf_counter() - first)
    rates = {"train": rate(ticks.train), "evaluate": rate(ticks.test)}
    ticks = make_ticks(0.0)
    began = time.perf_counter()
    first, evaluation = begin_fold(task, ticks)
    return {"start": start, "fold": first - began + evaluation, **rates, "memory": peak_mb() - idle}


def begin_fold(task: Task, ticks: Any) -> tuple[float, float]:
    """Open the data, make a new model, train and evaluate until ``ticks`` stops both.

    Returns:
        When the first step was done, and how long the first step of evaluation took.
    """
    training, held_out = OPEN[task.system](task.folder, SIDE)
    model = compile_model(task)
    model.fit(training, epochs=100, callbacks=[ticks], verbose=0)
    began = time.perf_counter()
    model.evaluate(held_out, callbacks=[ticks], verbose=0)
    return ticks.train[0], ticks.test[0] - began


def make_ticks(seconds: float) -> Any:
    """A callback that notes when steps end, and stops after ``seconds`` of those that count."""
    import keras

    class Ticks(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.train: list[float] = []
            self.test: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = self._enough(self.train)

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_evaluating = self._enough(self.test)

        def _enough(self, ends: list[float]) -> bool:
            ends.append(time.perf_counter())
            return not seconds or (len(ends) > WARM_STEPS + 1 and ends[-1] - ends[WARM_STEPS] > seconds)

    return Ticks()


def rate(ends: list[float]) -> float:
    """Images a second between the ends of steps."""
    counted = ends[min(WARM_STEPS, len(ends) - 2) :]
    return BATCH * (len(counted) - 1) / (counted[-1] - counted[0])


if __name__ == "__main__":
    main()
