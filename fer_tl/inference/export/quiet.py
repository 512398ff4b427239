"""Converters and interpreters without their progress reports, advice and announcements."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fer_tl.core.quiet import held_stderr

# By the beginning of the message, each with the version that says it.
_ANNOUNCEMENTS = (
    r"\s*Warning: tf.lite.Interpreter is deprecated",  # TensorFlow 2.21; setup.cfg ends before it is gone
    "__array__ implementation doesn't accept a copy keyword",  # Keras 3.15, at every save
)


@contextmanager
def silence() -> Iterator[None]:
    """Hold back what libraries log and write to file descriptor 2; a failure still raises, and shows what they said.

    Converters are C++ that writes there past Python. What Python prints to ``sys.stderr`` meanwhile is not shown
    either: nothing of fer-tl should be printed inside.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with held_stderr(lambda line, failed: failed), warnings.catch_warnings():
            for message in _ANNOUNCEMENTS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logging.disable(before)
