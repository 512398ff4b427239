"""Import TensorFlow without its screenful about CPU features and absent GPU drivers."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Lines of the C++ logger such as "I0000 00:00:1795211484.551862    5025 port.cc:153] ...". TF_CPP_MIN_LOG_LEVEL does
# not hold back what is logged before the logger is initialised, which is while the library loads.
_CHATTER = re.compile(rb"(WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d\d)")


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices; only what is not its usual chatter reaches stderr."""
    logging.getLogger("tensorflow").addFilter(_no_retracing)
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _filtered_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


def _no_retracing(record: logging.LogRecord) -> bool:
    """Whether a record is none of TensorFlow's advice against tracing often, which it gives from the fifth model of a
    process on: a model has its own trace, and a run of five folds has five models."""
    return "triggered tf.function retracing" not in record.getMessage()


@contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Hold back file descriptor 2, which C++ writes to, and print what is not chatter afterwards."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                held.seek(0)
                for line in held:
                    if not _CHATTER.match(line):
                        os.write(2, line)
    finally:
        os.close(kept)
