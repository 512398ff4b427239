"""What `engine.py --rows scale` measures: costs of drawn images by their number, in memory or in records."""

from __future__ import annotations

import io
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_ours import plan_of
from engine_task import BATCH, given_task, images_per_second, memory_mb, peak_mb
from PIL import Image

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.options import load_experiment
from fer_tl.core.quiet import import_tensorflow
from fer_tl.data.dataset import Dataset
from fer_tl.data.records.index import index_records
from fer_tl.data.records.stream import StreamedImages

SIDE = 48
DRAWN = 2800  # different images in the records
SHARDS = 16


def main() -> None:
    """Measure what is asked and print it as JSON: seconds for 1,000 images, and MB over those after the imports."""
    task = given_task()
    import_tensorflow()
    from fer_tl.training.session import Session
    from fer_tl.training.step_profile import compile_input

    idle, count = memory_mb(), int(task.what.removeprefix("scale "))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        if task.system == "stream":
            files = write_records(Path(folder), count)
            idle, began = memory_mb(), time.perf_counter()
            dataset = open_records(files)
            found["open"] = (time.perf_counter() - began) * 1000 / count
        else:
            dataset = draw(count)
        settings = {"backbone": "liu_3conv", "weights": "none", "image_size": 24, "batch_size": BATCH}
        session = Session(load_experiment(**settings), dataset, None)
        rows = np.arange(count)
        plan = plan_of(session, rows)
        found["plan"] = 1000 / images_per_second(lambda: len(plan_of(session, rows)) * BATCH, 1.0, warm=1)
        train, size = session.start(session.stages[0]).train, session.engine.steps_at_once
        found["train"] = 1000 / images_per_second(walk(train, plan, size), task.seconds)
        found["memory"] = peak_mb() - idle
        found["input"] = 1000 / images_per_second(
            walk(compile_input(session, dataset.images), plan, size), task.seconds
        )
    print("\n" + json.dumps(found))


def walk(train: Any, plan: Any, most: int) -> Callable[[], int]:
    """A call that runs the next steps of an epoch, over and over, and returns how many images they were."""
    steps = min(most, 64)
    starts = itertools.cycle(range(0, len(plan), steps))

    def run() -> int:
        start = next(starts)
        return int(train(plan, start, min(start + steps, len(plan)))[:, 2].sum())

    return run


def draw(count: int) -> Dataset:
    """Random images in memory."""
    random, images = np.random.default_rng(0), np.empty((count, SIDE, SIDE, 1), np.uint8)
    for start in range(0, count, 1000):
        images[start : start + 1000] = random.integers(0, 256, images[start : start + 1000].shape, np.uint8)
    return as_dataset(images, np.arange(count) % len(CLASS_NAMES))


def as_dataset(images: Any, labels: np.ndarray) -> Dataset:
    """A dataset of these images, each a group by itself."""
    ids = np.array([f"drawn-{row}" for row in range(len(images))])
    return Dataset("drawn", np.full(len(ids), "train"), images, labels, ids, ids, CLASS_NAMES, "0" * 64)


def write_records(folder: Path, count: int) -> list[Path]:
    """Shards of drawn faces, the same ones over and over under other names."""
    import tensorflow as tf

    from fer_tl.sources.toyfaces.drawing import draw_faces

    faces, labels = draw_faces(min(count, DRAWN), 0)  # [n, 48, 48, 1]
    pngs = []
    for face in faces:
        buffer = io.BytesIO()
        Image.fromarray(face[:, :, 0]).save(buffer, "PNG")
        pngs.append(tf.train.Feature(bytes_list=tf.train.BytesList(value=[buffer.getvalue()])))
    classes = [tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])) for label in labels]
    files = [folder / f"drawn-train.tfrecord-{shard:05d}-of-{SHARDS:05d}" for shard in range(SHARDS)]
    for shard, path in enumerate(files):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in range(shard, count, SHARDS):
                name = tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"drawn-{row}".encode()]))
                face = row % len(pngs)
                features = {"image": pngs[face], "label": classes[face], "id": name, "group": name}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return files


def open_records(files: list[Path]) -> Dataset:
    """The dataset in these shards, its images left where they are."""
    index = index_records(files)
    images = StreamedImages(files, index.shards, index.offsets, index.lengths, (SIDE, SIDE, 1))
    return as_dataset(images, index.labels)


if __name__ == "__main__":
    main()
