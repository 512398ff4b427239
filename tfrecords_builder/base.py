"""The TFDS builder that all datasets here share; each adds its name, version and papers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import writer

from tfrecords_builder.images import encode_png
from tfrecords_builder.records import VERSION, Record, Source


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Writes the records of a `Source` as TFRecords.

    The features are `image` (uint8 [H, W, C], PNG), `label` (index into the class names), `id` and `group` (text).
    TFDS orders the records by a hash of their id, so the files depend on the examples only.

    Args:
        source: what to read; None to read a prepared dataset or to prepare from TFDS's manual folder.
        observe: called with every record that is written.
        kwargs: see `tfds.core.GeneratorBasedBuilder`.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self, *, source: Source | None = None, observe: Callable[[Record], None] = lambda record: None, **kwargs: Any
    ) -> None:
        self._source = source
        self._observe = observe
        super().__init__(**kwargs)

    def default_source(self, manual_dir: str) -> Source:
        """The source to use if none was given; `manual_dir` is TFDS's folder for files fetched by hand."""
        raise NotImplementedError

    def layout(self) -> tuple[tuple[int, int, int], tuple[str, ...]]:
        """Image shape (H, W, C) and class names."""
        if self._source is None:
            raise ValueError(f"{self.name} needs a source: TFDS reads it with `builder_from_directory` once prepared.")
        return self._source.image_shape, self._source.class_names

    def _info(self) -> tfds.core.DatasetInfo:
        shape, class_names = self.layout()
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=shape, dtype=np.uint8, encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=list(class_names)),
                    "id": tfds.features.Text(),
                    "group": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        if self._source is None:
            self._source = self.default_source(str(dl_manager.manual_dir))
        return {split: self._generate_examples(split) for split in self._source.counts()}

    def _example_writer(self) -> writer.ExampleWriter:
        return _StableWriter(self.info.file_format)

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        assert self._source is not None  # `_split_generators` has set it
        for record in self._source.records(split):
            self._observe(record)
            yield (
                record.id,
                {
                    # PNG by Pillow: TFDS's own encoder starts TensorFlow's devices, which would take a GPU's memory.
                    "image": encode_png(record.image),
                    "label": record.label,
                    "id": record.id,
                    "group": record.group,
                },
            )


class _StableWriter(writer.ExampleWriter):
    """Writes the features of a record in one order.

    TFDS 4.9.10 leaves it to protobuf, which orders a map by a hash that differs from process to process.
    """

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        return super().write(path, ((key, _in_order(data)) for key, data in examples))


def _in_order(data: bytes) -> bytes:
    return tf.train.Example.FromString(data).SerializeToString(deterministic=True)
