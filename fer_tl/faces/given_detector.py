"""A face detector that somebody gives as a function, by itself or as "package.module:function"."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import numpy as np

from fer_tl.core.errors import UserError, raised_where
from fer_tl.faces.boxes import Box, Eyes, Face, largest_first

DetectorFunction = Callable[[np.ndarray], Iterable[Any]]
"""Takes an image, uint8 ``[H, W, 3]``, red, green, blue, 0..255, and gives its faces: ``Face`` each, or numbers in
pixels of the image: top, left, bottom, right, after them the score, or it and the eyes (y and x of each)."""

_LENGTHS = (4, 5, 9)


class GivenDetector:
    """Calls a function and checks what it gives.

    Args:
        function: see ``DetectorFunction``. It is called by one thread at a time.

    Attributes:
        name: "module:function".
        function: as given.
    """

    margin = 0.0

    def __init__(self, function: DetectorFunction) -> None:
        self.name = name_of(function)
        self.function = function
        self._one = threading.Lock()

    def find(self, image: np.ndarray) -> list[Face]:
        """See ``Detector``.

        Raises:
            UserError: the function fails, or gives what are not faces.
        """
        height, width = image.shape[:2]
        try:
            with self._one:
                given = list(self.function(image))
        except Exception as error:  # whatever the code of somebody else raises
            raise UserError(
                f"the detector {self.name} fails on an image of {height:,} rows and {width:,} columns: "
                f"{raised_where(error)}"
            ) from error
        return largest_first([self._face(one) for one in given])

    def _face(self, given: Any) -> Face:
        try:
            flat = [*given.box, given.score, *(given.eyes or ())] if isinstance(given, Face) else list(given)
            numbers = [float(value) for value in flat]
        except (TypeError, ValueError):
            numbers = []
        right = len(numbers) in _LENGTHS and all(map(math.isfinite, numbers))
        if not right or numbers[2] <= numbers[0] or numbers[3] <= numbers[1]:
            raise UserError(
                f"the detector {self.name} gave {str(given)[:80]} for a face: it should give top, left, bottom, right "
                "in pixels (bottom and right the larger ones), then at will its score, and y and x of both eyes"
            )
        eyes = Eyes(*numbers[5:]) if len(numbers) == 9 else None
        return Face(Box(*numbers[:4]), numbers[4] if len(numbers) > 4 else 1.0, eyes)


def import_function(name: str) -> DetectorFunction:
    """A function by "package.module:function", looked for in the folder at hand and among what is installed.

    Raises:
        UserError: there is none, or its module cannot be imported.
    """
    module, _, path = name.partition(":")
    here, before = os.getcwd(), list(sys.path)
    sys.path.insert(0, here)
    try:
        function = reduce(getattr, path.split("."), importlib.import_module(module))
    except Exception as error:  # whatever the code of somebody else raises
        raise UserError(f"--detector {name} cannot be imported: {raised_where(error)}") from error
    finally:
        sys.path[:] = before
    if not callable(function):
        raise UserError(f"--detector {name} is a {type(function).__name__}, not a function of an image")
    return function


def name_of(function: DetectorFunction) -> str:
    """The "module:function" of a function, or of the class of what is called like one."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def code_of(function: DetectorFunction) -> str:
    """The sha256 of the module that has a function, or of the function where that is not a file, "" where neither has a
    source: a dataset that was built with other code is another one."""
    named = function if hasattr(function, "__qualname__") else type(function)
    module = sys.modules.get(named.__module__)
    for thing in (module, named):
        try:
            return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()  # type: ignore[arg-type]
        except (OSError, TypeError):
            continue
    return ""
