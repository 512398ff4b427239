"""What the engines have in common: a model, images that stay on the devices or are streamed to them, and plans.

An engine knows no model and no dataset. Keras's own ``fit`` is not used: under Keras 3 it fails with several workers
(keras issue 20585), with many steps a call on two devices (19246), and on a last batch smaller than the number of
devices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import keras
import numpy as np

from fer_tl.augment.geometry import compose, scaling
from fer_tl.core.config import Loss
from fer_tl.core.errors import UserError
from fer_tl.devices.base import Devices
from fer_tl.engines.averaging import Followed
from fer_tl.engines.feed import Feed, Images
from fer_tl.engines.plan import EpochPlan, steps_per_epoch

if TYPE_CHECKING:
    from fer_tl.augment.mixing import Mixing
    from fer_tl.augment.photometry import Photometry

# Of each step, float32 [S, 3]: sum over its images of the weighted loss without the penalty on the weights, number of
# right answers (of mixed images: the shares that were right), number of images.
Sums = np.ndarray

# The arrays of a step of which every device takes its own part.
PER_IMAGE = ("rows", "weights", "transforms", "mixing", "erased", "photometry", "pixels", "others")

# Steps of one call of prediction: between two calls an interruption is noticed.
PREDICTED_AT_ONCE = 32

# Steps of one call of training, where no memory limits them.
TRAINED_AT_ONCE = 1024

# Bytes. TensorFlow's kernels abort on arrays whose memory begins elsewhere, and JAX copies them.
ALIGNMENT = 64

Arrays = dict[str, Any]


class Train(Protocol):
    """Runs the steps ``start`` to ``stop`` of a plan, by default all, and returns their ``Sums``."""

    def __call__(self, plan: EpochPlan, start: int = 0, stop: int | None = None) -> Sums: ...


class Engine(ABC):
    """Trains and predicts with one model on some devices.

    Args:
        devices: from ``choose_devices``.
        model: built in their scope; pixels ``[B, H, W, C]`` to logits ``[B, K]``.
        images: uint8 ``[N, H, W, C]``, or features, float32 ``[N, F]``, that are neither resampled nor mixed. An array
            stays on the devices; anything else that gives images by row is streamed, and gives the same numbers.
        labels: int ``[N]``, 0..K-1.
        batch_size: B, images a step over all devices.
        targets: float32 ``[N, K]``, rows that sum to 1, what training aims at; None for the labels. Accuracy is always
            that of the labels.
        parts: in how many parts the images of a training step are computed, one after the other; their gradients are
            added before the one change of the weights. BatchNorm normalizes each part by itself, and each part of a
            device's images by itself under ``tf.distribute``.

    Attributes:
        image_size: height and width of the images; of features, their number and nothing.
        trunk: the model behind its own resizing. What is resampled anyway is brought to the side of the backbone at
            once.
        side: height and width that it takes.

    Raises:
        UserError: the batch does not divide over the devices.
    """

    def __init__(
        self,
        devices: Devices,
        model: keras.Model,
        images: Images,
        labels: np.ndarray,
        batch_size: int,
        targets: np.ndarray | None = None,
        parts: int = 1,
    ):
        self.devices = devices
        self.model = model
        self.batch_size = batch_size
        self.parts = parts
        if batch_size % (devices.replicas * parts):
            what = f"into {parts} parts (--accumulate) for each of" if parts > 1 else "over"
            raise UserError(
                f"'batch_size' {batch_size} does not divide {what} the devices: use a multiple of "
                f"{devices.replicas * parts}"
            )
        self.image_size = cast(tuple[int, int], tuple(images.shape[1:3]))
        self._feed = None if isinstance(images, np.ndarray) else Feed(images, batch_size)
        self._images = self._resident(np.ascontiguousarray(images)) if isinstance(images, np.ndarray) else ()
        self.trunk = _behind_resizing(model)
        self.side = cast(tuple[int, int], tuple(self.trunk.input_shape[1:3]))
        self._labels, self._targets = labels, targets
        self._predict: dict[tuple[str, ...], Callable[[Arrays], np.ndarray]] = {}
        self._seeds = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

    @abstractmethod
    def _resident(self, values: np.ndarray) -> Any:
        """An array on every device."""

    @abstractmethod
    def compile_training(
        self,
        optimizer: Any,
        clip: float,
        loss: Loss,
        averages: Sequence[Followed] = (),
        scales: Sequence[float] = (),
    ) -> Train:
        """Compile training of the variables that are trainable now.

        Args:
            optimizer: built on ``model.trainable_variables``.
            clip: largest global gradient norm, the weight penalty's part included, 0 for none.
            loss: the objective.
            averages: of variables of the model, what follows them with the ``decays`` of the plans.
            scales: of each variable, the part of its step that it takes; none where all take the whole.

        Returns:
            A function that traces at its first call, so the layers must still be as they are now, and never again: all
            plans must have the same arrays in use.
        """

    @abstractmethod
    def _compile_prediction(self, step: Arrays) -> Callable[[Arrays], np.ndarray]:
        """A function from the arrays of some steps, told by name, to logits ``[S, B, K]``; it traces at its first
        call."""

    @abstractmethod
    def ran_out_of_memory(self, error: Exception) -> bool:
        """Whether that is what the framework says by an error."""

    @property
    def steps_at_once(self) -> int:
        """The largest number of steps of one call of training."""
        return self._feed.steps_at_once if self._feed else TRAINED_AT_ONCE

    def _truth(self) -> np.ndarray:
        """Targets and one-hot labels side by side, so that both are gathered and mixed at once: ``[N, 2, K]``."""
        one_hot = np.eye(self.model.output_shape[-1], dtype=np.float32)[self._labels]  # [N, K]
        return np.stack([one_hot if self._targets is None else self._targets, one_hot], 1)

    def _arrays_of(self, plan: EpochPlan, start: int, stop: int) -> Arrays:
        """The arrays of some steps of a plan, with the pixels of streamed images; the first axis is the step."""
        arrays = plan.part(start, stop).arrays()
        if self._feed:
            mixing: Mixing | None = plan.mixing
            rows = [plan.rows] if mixing is None else [plan.rows, mixing.partners]
            arrays |= dict(zip(("pixels", "others"), self._feed.read(rows, start, stop), strict=False))
        return arrays

    def predict(
        self,
        rows: np.ndarray,
        transforms: np.ndarray | None = None,
        erased: np.ndarray | None = None,
        photometry: Photometry | None = None,
    ) -> np.ndarray:
        """Logits of images, in the order of the rows.

        Args:
            rows: int ``[N]``.
            transforms: float32 ``[6]``, one affine map for all images, or ``[N, 6]``, one for each, from pixels of the
                image to pixels of the image, see ``augment.geometry``; None leaves the stored pixels as they are,
                not even resampled.
            erased: with transforms: int32 ``[N, 4]``, boxes to blank, in pixels of ``side``.
            photometry: with transforms: ``[N]``, how light changes.

        Returns:
            float32 ``[N, K]``.
        """
        steps = steps_per_epoch(len(rows), self.batch_size)
        filled = np.resize(np.arange(len(rows)), (steps, self.batch_size))  # [S, B]
        arrays: Arrays = {"rows": rows[filled].astype(np.int32)}
        if transforms is not None:
            moved = compose(np.broadcast_to(transforms, (len(rows), 6)), scaling(self.image_size, self.side))
            arrays["transforms"] = moved[filled]
        if erased is not None:
            arrays["erased"] = erased[filled]
        if photometry is not None:
            arrays["photometry"] = photometry[filled].arrays()
        size = min(PREDICTED_AT_ONCE, self.steps_at_once)
        logits = []
        for start in range(0, steps, size):
            part = _steps(arrays, start, start + size)
            if self._feed:
                part["pixels"] = self._feed.read([arrays["rows"]], start, min(start + size, steps))[0]
            compiled = self._predict.get(tuple(part))
            if compiled is None:
                compiled = self._predict[tuple(part)] = self._compile_prediction(part)
            logits.append(compiled(part))  # [s, B, K]
        return np.concatenate(logits).reshape(steps * self.batch_size, -1)[: len(rows)]  # [N, K]

    def reseed(self, key: int) -> None:
        """Set the state of every dropout layer from a 64-bit key, so that a resumed run draws the same."""
        for index, state in enumerate(self._seeds):
            state.assign(np.array([(key + index) & 0x7FFFFFFF, (key >> 32) & 0x7FFFFFFF], dtype=state.dtype))


def _steps(arrays: Arrays, start: int, stop: int) -> Arrays:
    """Those steps of arrays, nested or not, whose first axis is the step."""
    return cast(Arrays, keras.tree.map_structure(lambda array: array[start:stop], arrays))


def _behind_resizing(model: keras.Model) -> keras.Model:
    """The same model from where its images have the side that its backbone takes."""
    resized = [layer for layer in model.layers if isinstance(layer, keras.layers.Resizing)]
    return keras.Model(resized[0].output, model.output) if resized else model
