"""What a saved model was trained on: digests of the images that it, or anything that it comes from, has learnt."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError, one_line
from fer_tl.core.json_files import load_member
from fer_tl.data.digests import WORDS, find_known, is_seen
from fer_tl.models.resolve import ModelSpec, resolve_model
from fer_tl.runs.part import CLASSES_MEMBER

DIGESTS_MEMBER = "fer_tl_trained_on.bin"
"""Of the .keras zip archive: uint64, little endian, `WORDS` an image, in rising order."""
_ABOUT = "trained_on"  # in CLASSES_MEMBER: {"digests": how many, "unknown": names}
_MOST = 1 << 26  # digests: 1 GB

FEW = 0.005
"""Share of images up to which it may be chance that they look like others: it is told, and changes nothing."""


def is_few(known: int, images: int) -> bool:
    """Whether so many of the images may look like others by chance."""
    return known <= max(2, FEW * images)


def _none() -> np.ndarray:
    return np.zeros((0, WORDS), np.uint64)


@dataclass(frozen=True, eq=False)
class Lineage:
    """What a model was trained on, itself and all that it comes from: starts, teachers, ingredients.

    Attributes:
        digests: uint64 ``[M, 2]`` from ``fer_tl.data.digests``, each once, in rising order.
        unknown: names of models among these of which nobody knows what they were trained on.
    """

    digests: np.ndarray = field(default_factory=_none)
    unknown: tuple[str, ...] = ()

    def knows(self, digests: np.ndarray) -> np.ndarray:
        """Which images, by their digests uint64 ``[N, 2]``, are among those that were learnt: bool ``[N]``."""
        return find_known(digests, self.digests) if len(self.digests) else np.zeros(len(digests), bool)


def lineage_of(digests: np.ndarray) -> Lineage:
    """Of a model that learnt the images of these digests, uint64 ``[N, 2]`` in any order."""
    return Lineage(np.unique(digests[is_seen(digests)], axis=0).reshape(-1, WORDS))


def join_lineages(lineages: Iterable[Lineage]) -> Lineage:
    """Of a model that comes from others."""
    found = list(lineages)
    joined = lineage_of(np.concatenate([_none(), *(each.digests for each in found)]))
    return Lineage(joined.digests, tuple(sorted({name for each in found for name in each.unknown})))


def lineage_of_start(spec: ModelSpec, weights_file: Path | None) -> Lineage:
    """Of the weights that a training starts from.

    Published weights have learnt no image of a dataset of expressions; of a file that fer-tl did not write nobody
    knows.

    Args:
        spec: of the model.
        weights_file: from ``fer_tl.models.weights.find_weights``.

    Raises:
        UserError: the record in a model is damaged.
    """
    if weights_file is None or spec.pretrained:
        return Lineage()
    return read_lineage(weights_file, weights_file.name) if spec.start else Lineage(unknown=(weights_file.name,))


def starts_anew(experiment: Experiment) -> bool:
    """Whether a training begins with random or published weights: then it has learnt its own images alone."""
    return experiment.weights == "none" or resolve_model(experiment).pretrained is not None


def write_lineage(archive: zipfile.ZipFile, lineage: Lineage) -> dict[str, object]:
    """Put the digests into a model's archive.

    Returns:
        What its ``CLASSES_MEMBER`` has to say besides.
    """
    archive.writestr(zipfile.ZipInfo(DIGESTS_MEMBER), np.ascontiguousarray(lineage.digests, "<u8").tobytes())
    return {_ABOUT: {"digests": len(lineage.digests), "unknown": list(lineage.unknown)}}


def read_lineage(path: Path, name: str) -> Lineage:
    """What a saved model was trained on.

    Args:
        path: of a ``.keras`` file of fer-tl.
        name: by which it is called where it does not say, as those of before 2026-11-30.

    Raises:
        UserError: the file or its record is damaged.
    """
    try:
        about = load_member(path, CLASSES_MEMBER).get(_ABOUT)
        if about is None:
            return Lineage(unknown=(name,))
        count, unknown = about["digests"], about["unknown"]
        if type(count) is not int or not 0 <= count <= _MOST or not all(isinstance(each, str) for each in unknown):
            raise ValueError("its record of what it was trained on is none")
        with zipfile.ZipFile(path) as archive, archive.open(DIGESTS_MEMBER) as member:
            data = member.read(count * WORDS * 8 + 1)
        if len(data) != count * WORDS * 8:
            raise ValueError(f"{DIGESTS_MEMBER} has another size")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a whole model of fer-tl ({one_line(error)})") from None
    digests = np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, WORDS)
    return Lineage(digests, tuple(str(each)[:80] for each in unknown))
