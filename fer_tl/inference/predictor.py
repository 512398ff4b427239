"""A trained run as a function from faces to expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_tl.errors import UserError
from fer_tl.evaluation.calibration import fit_temperature
from fer_tl.training.part_files import check_part
from fer_tl.training.predictions import softmax
from fer_tl.training.run_folder import RunFolder, load_joined
from tfrecords_builder.images import to_square

if TYPE_CHECKING:
    from PIL import Image

# Of one call of the network: larger ones gain nothing on a CPU (MobileNetV2 at 96 px: 104 images/s alone, 334 in
# batches of 8, 560 of 64).
BATCH = 64


class Answers(NamedTuple):
    """What a model says about N faces.

    Attributes:
        labels: the most probable class of each, N names.
        probabilities: float32 ``[N, K]``, rows sum to 1, columns in the order of the model's ``class_names``.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class ExpressionModel:
    """Models of a run that answer for a face, from ``load``.

    Attributes:
        class_names: the K classes.
        image_shape: height, width and channels of the images that it was trained on.
        parts: of the run, whose models are averaged.
        temperature: what logits are divided by before the softmax, so that a probability of 0.8 is right in about 80 %
            of the cases on images like those of the training; fitted to the run's held-out predictions.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    parts: tuple[str, ...]
    temperature: float
    _networks: tuple[Callable[[np.ndarray], np.ndarray], ...]

    def predict(self, images: np.ndarray | Iterable[np.ndarray | Image.Image | Path | str]) -> Answers:
        """The expressions of faces.

        Args:
            images: pictures that show a face and little else, as the training's do; no face is looked for here. Files;
                Pillow images; or uint8 arrays ``[H, W]``, ``[H, W, 1]`` or ``[H, W, 3]`` (red, green, blue), 0..255, of
                any size. They are padded with black to squares and resized, colours become grey where the model
                takes grey. An array ``[N, H, W, C]`` is N of them.

        Raises:
            UserError: naming the one that is no such image.
        """
        if isinstance(images, np.ndarray) and images.ndim < 4:
            images = [images]
        if isinstance(images, str | Path):
            images = [images]
        side, _, channels = self.image_shape
        pixels = [to_square(_opened(image, channels, i), side, "pad") for i, image in enumerate(images)]
        return self.answer(np.stack(pixels) if pixels else np.empty((0, *self.image_shape), np.uint8))

    def answer(self, pixels: np.ndarray) -> Answers:
        """The same for images as the model takes them: uint8 ``[N, H, W, C]`` of ``image_shape``."""
        if not len(pixels):
            return Answers((), np.empty((0, len(self.class_names)), np.float32))
        batches = [pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH)]
        probabilities = np.concatenate([self._average(batch) for batch in batches])  # [N, K]
        return Answers(tuple(self.class_names[k] for k in probabilities.argmax(axis=1)), probabilities)

    def _average(self, batch: np.ndarray) -> np.ndarray:
        found = [softmax(network(batch) / self.temperature) for network in self._networks]  # P of [B, K]
        return np.mean(found, axis=0).astype(np.float32)


def load(run_dir: Path | str, fold: int | str | None = None, brief: bool = False) -> ExpressionModel:
    """Open a trained run to use it on new faces.

    Args:
        run_dir: folder of a run, with at least one part that is trained.
        fold: of a cross validation, whose model answers: its number, or "all" for the average of the probabilities of
            all folds, which is more often right and costs as many times more. By default the first that is trained.
        brief: for a few images only: BatchNorm is not folded into the convolutions, which takes 0.8 s and saves a
            fifth of the time of each later call (MobileNetV2, two cores). Answers differ by rounding.

    Raises:
        UserError: no run, nothing trained, no such fold, or a file that is not what the training wrote.
    """
    from fer_tl.inference.parts import choose_parts

    run = RunFolder(Path(run_dir))
    parts = choose_parts(run, fold)
    for part in parts:
        check_part(run.part(part), ("model.keras", "predictions.npz"))
    names, temperature = _temperature(run)

    from fer_tl.inference.compiled import open_network

    networks = [open_network(run.part(part) / "model.keras", brief) for part in parts]
    for part, network in zip(parts, networks, strict=True):
        if network.class_names != networks[0].class_names or sorted(network.class_names) != sorted(names):
            raise UserError(f"{run.part(part) / 'model.keras'} knows other classes than the run: it is of another one")
    first = networks[0]
    calls = tuple(network.logits for network in networks)
    return ExpressionModel(first.class_names, first.image_shape, tuple(parts), temperature, calls)


def _temperature(run: RunFolder) -> tuple[tuple[str, ...], float]:
    """The run's class names, and the temperature fitted to the held-out predictions of all parts that are done."""
    found = load_joined(run, run.done)
    return found.class_names, fit_temperature(found.logits, found.labels)


def _opened(image: np.ndarray | Image.Image | Path | str, channels: int, index: int) -> Image.Image:
    """An image in the mode that the model takes, at its own size."""
    from PIL import Image

    from fer_tl.inference.predict.sources import decode_picture

    if isinstance(image, str | Path):
        try:
            data = Path(image).read_bytes()
        except OSError as error:
            raise UserError(f"{image} cannot be read ({error.strerror}): give an image file") from None
        return decode_picture(data, channels, str(image))
    opened = image if isinstance(image, Image.Image) else Image.fromarray(_pixels(image, index))
    mode = "L" if channels == 1 else "RGB"
    return opened if opened.mode == mode else opened.convert(mode)


def _pixels(image: np.ndarray, index: int) -> np.ndarray:
    """uint8 ``[H, W]`` or ``[H, W, 3]`` of what was given."""
    pixels = np.asarray(image)
    grey = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8 or grey.ndim not in (2, 3) or 0 in grey.shape or grey.shape[2:] not in ((), (3,)):
        raise UserError(
            f"image {index} is an array {list(pixels.shape)} of {pixels.dtype}: give uint8 [H, W], [H, W, 1] or "
            "[H, W, 3], pixels 0 to 255"
        )
    return grey
