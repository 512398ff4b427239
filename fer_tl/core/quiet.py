"""Import frameworks without a screenful about CPU features and absent GPU drivers, and without what is not used."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Lines of the C++ logger such as "I0000 00:00:1795211484.551862    5025 port.cc:153] ...". TF_CPP_MIN_LOG_LEVEL does
# not hold back what is logged before the logger is initialised, which is while the library loads.
_CHATTER = re.compile(rb"(WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d\d)")

# Keras imports them where they are there, for data frames, scikit-learn's interface and plots of images. No command
# uses these, and they are 2.4 of the 5.3 s that the import of TensorFlow and Keras takes.
_UNUSED = ("matplotlib", "pandas", "sklearn")
_leaves_out_unused = False


def leave_out_unused() -> None:
    """Import Keras without its optional parts from now on, and keep the garbage collector off the objects of libraries,
    which takes 0.5 s while they are imported and 0.4 s at exit. Only in the process of the command line: users of the
    library may need those parts."""
    global _leaves_out_unused
    _leaves_out_unused = True


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices; only what is not its usual chatter reaches stderr."""
    logging.getLogger("tensorflow").addFilter(_no_retracing)
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import_quietly("tensorflow")  # and Keras, which it asks for
    with held_stderr(_is_no_chatter):
        tf = sys.modules["tensorflow"]
        tf.config.list_physical_devices()
        if tf.__version__.startswith("2.20."):
            # It tells of the first compilation by XLA whatever the level.
            tf.function(lambda x: x, jit_compile=True)(0)


def import_quietly(name: str) -> None:
    """Import a module; only what is not the usual chatter of C++ reaches stderr."""
    if name in sys.modules:
        return
    if _leaves_out_unused:
        gc.disable()
    with held_stderr(_is_no_chatter), hidden(_UNUSED if _leaves_out_unused else ()):
        importlib.import_module(name)
    if _leaves_out_unused:
        gc.freeze()
        gc.enable()


def _no_retracing(record: logging.LogRecord) -> bool:
    """Whether a record is none of TensorFlow's advice against tracing often, which it gives from the fifth model of a
    process on: a model has its own trace, and a run of five folds has five models."""
    return "triggered tf.function retracing" not in record.getMessage()


@contextmanager
def hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Let modules that are not imported yet look as if they were not installed."""
    missing = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextmanager
def held_stderr(is_shown: Callable[[bytes, bool], bool]) -> Iterator[None]:
    """Hold back file descriptor 2, which C++ writes to past Python, and show some of its lines afterwards.

    Args:
        is_shown: whether a line is shown; it is told whether an error was raised meanwhile.
    """
    sys.stderr.flush()
    kept, failed = os.dup(2), True
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
                failed = False
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
                held.seek(0)
                for line in held:
                    if is_shown(line, failed):
                        os.write(2, line)
    finally:
        os.close(kept)


def _is_no_chatter(line: bytes, failed: bool) -> bool:
    return not _CHATTER.match(line)


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
