"""The TFDS builder that all datasets here share; each adds its name, version and papers."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import writer

from fer_tl.data.building.drop_copies import Curated
from fer_tl.sources.format import Format
from fer_tl.sources.records import VERSION


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Writes the examples of a curated source as TFRecords.

    The features are ``image`` (uint8 [H, W, C], PNG or JPEG), ``label`` (index into the class names), ``id`` and
    ``group`` (text) and, where the source counts votes, ``targets`` (float32 [K]). TFDS orders the records by a hash of
    their id, so the files depend on the examples only.

    Args:
        curated: what to write; None if TFDS makes the builder to read a prepared dataset.
        kwargs: see ``tfds.core.GeneratorBasedBuilder``.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(self, *, curated: Curated | None = None, **kwargs: Any) -> None:
        self._curated = curated
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        curated = self._curated
        if curated is None:
            raise ValueError(f"build {self.name} with `fer-tl build`; TFDS reads it with `builder_from_directory` then")
        features: dict[str, Any] = {
            "image": tfds.features.Image(shape=curated.image_shape, dtype=np.uint8, encoding_format=curated.encoding),
            "label": tfds.features.ClassLabel(names=list(curated.class_names)),
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
        }
        if curated.has_targets:
            features["targets"] = tfds.features.Tensor(shape=(len(curated.class_names),), dtype=np.float32)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        assert self._curated is not None  # `_info` has refused it
        return {split: self._generate_examples(split) for split in self._curated.counts()}

    def _example_writer(self) -> writer.ExampleWriter:
        return _StableWriter(self.info.file_format)

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        assert self._curated is not None  # `_info` has refused it
        for stored in self._curated.records(split):
            example: dict[str, Any] = {
                # Encoded by Pillow: TFDS's own encoder starts TensorFlow's devices, which would take a GPU's memory.
                "image": stored.encoded,
                "label": stored.label,
                "id": stored.id,
                "group": stored.group,
            }
            if stored.targets is not None:
                example["targets"] = stored.targets
            yield stored.id, example


def builder_of(form: Format) -> type[RecordBuilder]:
    """The TFDS builder of a dataset format: of its package below this one, or made for it where there is none."""
    here = Path(__file__).parent / form.name / f"{form.name}_dataset_builder.py"
    if here.is_file():
        module = importlib.import_module(f"tfrecords_builder.{form.name}.{form.name}_dataset_builder")
        return module.Builder
    members = {"name": form.name, "__doc__": form.summary, "__module__": __name__}
    return types.new_class("Builder", (RecordBuilder,), {"skip_registration": True}, lambda body: body.update(members))


class _StableWriter(writer.ExampleWriter):
    """Writes the features of a record in one order.

    TFDS 4.9.10 leaves it to protobuf, which orders a map by a hash that differs from process to process.
    """

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        return super().write(path, ((key, _in_order(data)) for key, data in examples))


def _in_order(data: bytes) -> bytes:
    return tf.train.Example.FromString(data).SerializeToString(deterministic=True)
