"""Runs a TFDS builder, quietly."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.errors import UserError
from fer_tl.core.framework import is_installed
from fer_tl.core.quiet import import_tensorflow

if TYPE_CHECKING:
    from fer_tl.data.building.drop_copies import Curated
    from fer_tl.sources.format import Format

_SORTED_IN_MEMORY = 1 << 28


def check_can_prepare() -> None:
    """Refuse to read a source that could not be written.

    Raises:
        UserError: TensorFlow is not installed.
    """
    if not is_installed("tensorflow"):
        raise UserError(
            "building a dataset needs TensorFlow, training on it does not: pip install 'fer-tl[cpu]', or build it on "
            "another machine and copy it"
        )


def prepare(form: Format, config: str, curated: Curated, place: Path, shards: int) -> tuple[Path, str]:
    """Write all splits of a curated source as TFRecords.

    Args:
        form: the format of the dataset.
        config: its configuration, "" for none.
        curated: what to write.
        place: TFDS's data folder, an empty one.
        shards: files for each split, at most the examples of the smallest one.

    Returns:
        The directory that was filled and the builder's version.
    """
    import_tensorflow()
    import tensorflow_datasets as tfds

    arguments: dict[str, Any] = {"curated": curated, "data_dir": place}
    if config:
        arguments["config"] = tfds.core.BuilderConfig(name=config)
    options = tfds.download.DownloadConfig(num_shards=shards, try_download_gcs=False)
    tfds.disable_progress_bar()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        _absl_quiet(),
        _temporary_in(place),
        _sorted_on_disk(),
    ):  # TFDS prints a banner and warns of configs
        from tfrecords_builder.base import builder_of  # the plug for TFDS, on top of this package

        builder = builder_of(form)(**arguments)
        builder.download_and_prepare(download_config=options, download_dir=place / "downloads")
    return Path(builder.data_dir), str(builder.version)


@contextlib.contextmanager
def _sorted_on_disk() -> Iterator[None]:
    """Let TFDS keep a quarter of a gigabyte in memory before it sorts records in files, and not one."""
    from tensorflow_datasets.core import shuffle

    before = shuffle.MAX_MEM_BUFFER_SIZE
    shuffle.MAX_MEM_BUFFER_SIZE = min(before, _SORTED_IN_MEMORY)
    try:
        yield
    finally:
        shuffle.MAX_MEM_BUFFER_SIZE = before


@contextlib.contextmanager
def _temporary_in(place: Path) -> Iterator[None]:
    """Let TFDS make its temporary folders in one that is removed: it leaves one behind for every builder."""
    before = tempfile.tempdir
    tempfile.tempdir = str(place)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _absl_quiet() -> Iterator[None]:
    """Let absl, through which TFDS logs, tell errors only."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
