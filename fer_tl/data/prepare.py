"""Runs a TFDS builder: quietly, with our progress line, and with errors that reach the user."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.errors import UserError
from fer_tl.quiet import import_tensorflow

if TYPE_CHECKING:
    from fer_tl.data.manifest import Tally
    from tfrecords_builder.records import Record, Source


def prepare(
    name: str, config: str, source: Source, place: Path, shards: int, tally: Tally, total: int
) -> tuple[Path, str]:
    """Writes all splits of a source as TFRecords.

    Args:
        name: the builder's package below `tfrecords_builder`.
        config: its configuration, "" for none.
        source: what to read.
        place: TFDS's data folder, an empty one.
        shards: files for each split, at most the examples of the smallest one.
        tally: gets every example.
        total: number of examples, for the progress line.

    Returns:
        The directory that was filled and the builder's version.

    Raises:
        UserError: the source has an example that cannot be used.
    """
    import_tensorflow()
    import tensorflow_datasets as tfds

    arguments: dict[str, Any] = {"source": source, "data_dir": place}
    if config:
        arguments["config"] = tfds.core.BuilderConfig(name=config)
    options = tfds.download.DownloadConfig(num_shards=shards, try_download_gcs=False)
    tfds.disable_progress_bar()
    with _Progress(total) as progress:

        def observe(record: Record) -> None:
            tally.add(record.split, record.id, record.group, record.label, record.image)
            progress.step()

        try:
            with contextlib.redirect_stdout(io.StringIO()), _absl_quiet():  # TFDS prints a banner and warns of configs
                module = importlib.import_module(f"tfrecords_builder.{name}.{name}_dataset_builder")
                builder = module.Builder(observe=observe, **arguments)
                builder.download_and_prepare(download_config=options, download_dir=place / "downloads")
        except Exception as error:
            _raise_user_error(error)
            raise
    return Path(builder.data_dir), str(builder.version)


def _raise_user_error(error: BaseException) -> None:
    """Raises the `UserError` that TFDS has wrapped, if there is one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            raise UserError(str(cause)) from error
        cause = cause.__cause__ or cause.__context__


@contextlib.contextmanager
def _absl_quiet() -> Iterator[None]:
    """Lets absl, through which TFDS logs, tell errors only."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


class _Progress:
    """Tells examples written and their rate on stderr: one line rewritten, or one each 10 s without a terminal."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._next = self._start + (0.2 if self._terminal else 10.0)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal and self._done:
            sys.stderr.write("\n")

    def step(self) -> None:
        """Counts one example."""
        self._done += 1
        now = time.monotonic()
        if now < self._next and self._done < self._total:
            return
        self._next = now + (0.2 if self._terminal else 10.0)
        rate = self._done / max(now - self._start, 1e-9)
        line = f"{self._done:,} of {self._total:,} examples, {rate:,.0f}/s"
        sys.stderr.write(f"\r{line}  " if self._terminal else f"{line}\n")
        sys.stderr.flush()
