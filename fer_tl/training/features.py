"""Cached features of a frozen backbone: computed once, kept on disk, used by all folds and by later runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from pathlib import Path

import keras
import numpy as np
import psutil

from fer_tl.augment.geometry import draw_transforms
from fer_tl.augment.mixing import draw_erased
from fer_tl.augment.photometry import draw_photometry
from fer_tl.core.checksummed_npz import read_sealed, write_sealed
from fer_tl.core.config import Augment
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError
from fer_tl.core.framework import version_of
from fer_tl.core.progress import Clock, Progress
from fer_tl.core.version import __version__
from fer_tl.data.cache_files import drop_least_used, touch
from fer_tl.data.dataset import Dataset
from fer_tl.engines.base import ALIGNMENT, Engine

# Images whose features are in one file: what a kill costs at most.
ROWS_A_FILE = 1024


class FeatureStore:
    """Features of a dataset's images as they are and of augmented views of them.

    Args:
        model: from pixels ``[B, H, W, C]`` to features ``[B, F]``; nothing in it learns or is random.
        dataset: N images.
        keys: uint64 ``[N]`` from ``example_keys``.
        engine: that predicts with this model.
        cache: folder for the files; None, or one that cannot be written, to keep them in memory only.
        most: bytes of features that are kept there; those that were used longest ago are dropped first, and what takes
            more by itself is not kept.
        devices: that compute, in words.
    """

    def __init__(
        self,
        model: keras.Model,
        dataset: Dataset,
        keys: np.ndarray,
        engine: Engine,
        cache: Path | None,
        most: float = float("inf"),
        devices: str = "",
    ):
        self._dataset = dataset
        self._engine = engine
        self._cache = cache if cache and _is_writable(cache) else None
        self._most = most
        self._keys = keys
        self._source = _digest_source(model, dataset, devices)

    def compute(self, augment: Augment, views: int, seed: int) -> np.ndarray:
        """Features of all images and views; those that were computed before are read.

        Args:
            augment: of the views; what mixes images is not used.
            views: V, how many there are besides the images as they are.
            seed: of the views.

        Returns:
            float32 ``[(1 + V) N, F]``: first the images as they are, then view after view.

        Raises:
            UserError: they would take more than half of the memory that is free.
        """
        count = len(self._dataset)
        width = int(self._engine.model.output_shape[-1])
        needed, free = 4 * (1 + views) * count * width, psutil.virtual_memory().available
        if needed > free / 2:
            raise UserError(
                f"features of {counted(views, 'view')} would take {needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB of "
                "memory that are free: use fewer --views, --head.pooling avg, or --views 0, which computes them anew "
                "every epoch"
            )
        features = _aligned(((1 + views) * count, width))
        progress, clock, computed = Progress(len(features)), Clock(), 0
        progress.line(f"features of {counted(count, 'image')}, as they are and in {counted(views, 'augmented view')}")
        fits = needed <= self._most
        if self._cache and not fits:
            progress.line(
                f"features: {needed / 1e6:,.1f} MB are more than the {self._most / 1e6:,.1f} MB that are kept, so none "
                "of them is (--cache-limit)"
            )
        places = [self._place(augment, view, seed) if fits else None for view in range(1 + views)]
        for view, place in enumerate(places):
            for start in range(0, count, ROWS_A_FILE):
                rows = np.arange(start, min(start + ROWS_A_FILE, count))
                path = place and place / f"{start:09d}.npz"
                part = self._read(path, (len(rows), width), progress) if path else None
                if part is None:
                    part = self._predict(rows, augment, view, seed)
                    computed += len(rows)
                    if path:
                        write_sealed(path, {"features": part})
                    where = f"features of view {view}/{views}, image {rows[-1] + 1}/{count}"
                    progress.step(len(rows), clock.lap(), where)
                else:
                    progress.skip(len(rows))
                    clock.lap()
                features[view * count + rows] = part
            if place:
                touch(place)
        progress.line(
            f"features: {counted(count, 'image')} and {counted(views, 'augmented view')} of each, {computed:,} "
            f"computed now, {len(features) - computed:,} from before, {features.nbytes / 1e6:,.0f} MB"
        )
        self._drop_others([place for place in places if place], progress)
        return features

    def _drop_others(self, places: list[Path], progress: Progress) -> None:
        """Keep no more than there may be; what this run has read is spared."""
        if self._cache is None:
            return
        dropped = drop_least_used(self._cache, self._most, places)
        if dropped:
            size = sum(each.size for each in dropped)
            progress.line(
                f"features: {len(dropped)} views that were used longest ago were dropped from {self._cache}, "
                f"{size / 1e6:,.0f} MB (--cache-limit)"
            )

    def _predict(self, rows: np.ndarray, augment: Augment, view: int, seed: int) -> np.ndarray:
        if not view:
            return self._engine.predict(rows)
        keys, stream = self._keys[rows], ("view", seed, view)
        size, side = self._dataset.image_shape[:2], self._engine.side
        transforms = draw_transforms(augment, keys, size, *stream)
        erased = draw_erased(augment.erase, keys, side, *stream) if augment.erase else None
        photometry = draw_photometry(augment, keys, size, side, *stream)
        return self._engine.predict(rows, transforms, erased, photometry)

    def _place(self, augment: Augment, view: int, seed: int) -> Path | None:
        """Folder of a view's files, by all that decides what is in them."""
        if self._cache is None:
            return None
        drawn = [repr(augment), seed, view] if view else []
        digest = hashlib.sha256(json.dumps([self._source, *drawn]).encode()).hexdigest()[:32]
        return self._cache / f"features-{digest}"

    def _read(self, path: Path, shape: tuple[int, int], progress: Progress) -> np.ndarray | None:
        try:
            part = read_sealed(path)["features"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            progress.line(f"warning: {path} is damaged ({error}): its features are computed again")
            return None
        return part if part.shape == shape else None


def _aligned(shape: tuple[int, int]) -> np.ndarray:
    """A float32 array that the engine can use as it is, without a copy."""
    size = 4 * shape[0] * shape[1]
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def _is_writable(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def _digest_source(model: keras.Model, dataset: Dataset, devices: str) -> str:
    """Of the images, of what is done to them before the backbone, of its weights, and of what computes: SHA-256.

    Other versions, frameworks and kinds of processors compute other last digits, or mean something else by a layer.
    """
    digest = hashlib.sha256()
    versions = {name: version_of(name) for name in ("keras", keras.backend.backend(), "numpy")}
    computes = [__version__, keras.backend.backend(), versions, platform.machine(), devices]
    digest.update(json.dumps(computes, sort_keys=True).encode())
    for layer in model.layers:
        # Less its name, which may count the models that a process has built.
        settings = {key: value for key, value in layer.get_config().items() if key != "name"}
        digest.update(json.dumps([type(layer).__name__, settings], sort_keys=True, default=str).encode())
    for variable in model.weights:  # less the states of random numbers
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
    digest.update(dataset.fingerprint.encode())
    digest.update("\n".join(dataset.ids.tolist()).encode())  # some classes may be left out
    return digest.hexdigest()
