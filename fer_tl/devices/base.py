"""What devices have in common, whichever framework computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

import numpy as np

from fer_tl.core.framework import is_installed

# A worker that dies closes its connections, and is missed at once; one whose machine or network fails goes silent.
# TensorFlow's 10 s are too short for a machine that is busy.
SECONDS_WITHOUT_HEARTBEAT = 30
# Workers have met when they register: the others are moments away.
SECONDS_TO_REGISTER = 30


class Devices(ABC):
    """Devices that train one model together.

    Attributes:
        replicas: how many there are, over all workers.
        workers: processes that train together.
        worker: which of them this is; 0 is the chief, which writes the run.
    """

    replicas: int
    workers: int = 1
    worker: int = 0

    @abstractmethod
    def scope(self) -> AbstractContextManager[object]:
        """What the variables of models and optimizers must be made in."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """``CPU``, ``GPU`` or ``TPU``."""

    @abstractmethod
    def describe(self) -> str:
        """One line on what they are."""

    @abstractmethod
    def share(self, numbers: np.ndarray) -> np.ndarray:
        """The chief's int64 ``[N]``, on every worker; all of them must call this at the same point."""


def may_have_tpu(name: str) -> bool:
    """Whether ``--strategy`` asks for a TPU, or for any and this may be a machine that has one."""
    return name == "tpu" or (name == "auto" and is_installed("libtpu"))


def lost_text(name: str) -> str:
    """What is said of a worker that is gone."""
    return (
        f"{name} stopped responding; restart all workers with the same command: the run continues from its "
        "last checkpoint"
    )
