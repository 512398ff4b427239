"""A trained run as a function from faces to expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_tl.core.errors import UserError
from fer_tl.core.say import Say, say_line
from fer_tl.evaluation.calibration import Scaling, choose_scaling
from fer_tl.faces.cutting import to_square
from fer_tl.faces.opening import convert_image, open_file
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.choose_models import choose_parts, open_run
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import check_part
from fer_tl.runs.predictions import softmax

if TYPE_CHECKING:
    from PIL import Image

# Of one call of the network: larger ones gain nothing on a CPU (MobileNetV2 at 96 px: 104 images/s alone, 334 in
# batches of 8, 560 of 64).
BATCH = 64

PRECISIONS = ("float32", "bfloat16", "auto")


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
            of the cases on images like those of the training; 1 where there are no images to fit it to.
        recipe: how faces are cut for it.
        calibration: a sentence on what it was fitted to, or why the probabilities are not calibrated.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    parts: tuple[str, ...]
    temperature: float
    _networks: tuple[Callable[[np.ndarray], np.ndarray], ...] = field(repr=False)
    recipe: FaceRecipe = field(default_factory=FaceRecipe)
    calibration: str = ""

    def predict(self, images: np.ndarray | Iterable[np.ndarray | Image.Image | Path | str]) -> Answers:
        """The expressions of faces.

        Args:
            images: pictures that show a face and little else, as the training's do; no face is looked for here. Files;
                Pillow images of any mode; or uint8 arrays ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` (red, green, blue)
                or ``[H, W, 4]`` (and opacity), 0..255, of any size. They become the model's input as the training's
                pictures did, see ``recipe`` and ``fer_tl.faces.opening``. An array ``[N, H, W, C]`` is N of them.

        Raises:
            UserError: naming the one that is not such an image.
        """
        if isinstance(images, np.ndarray) and images.ndim < 4:
            images = [images]
        if isinstance(images, str | Path):
            images = [images]
        side, _, channels = self.image_shape
        opened = (_opened(image, channels, self.recipe.bits, i) for i, image in enumerate(images))
        pixels = [to_square(image, side, self.recipe.fit) for image in opened]
        return self.answer(np.stack(pixels) if pixels else np.empty((0, *self.image_shape), np.uint8))

    def answer(self, pixels: np.ndarray) -> Answers:
        """The same for images as the model takes them: uint8 ``[N, H, W, C]`` of ``image_shape``."""
        if not len(pixels):
            return Answers((), np.empty((0, len(self.class_names)), np.float32))
        batches = [pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH)]
        probabilities = np.concatenate([self._average(batch) for batch in batches])  # [N, K]
        return Answers(tuple(self.class_names[k] for k in probabilities.argmax(axis=1)), probabilities)

    @property
    def outcome(self) -> str:
        """What trials of precisions have shown, a line for each network that had one; "" before the first images."""
        return "\n".join(filter(None, (getattr(network, "outcome", "") for network in self._networks)))

    def _average(self, batch: np.ndarray) -> np.ndarray:
        found = [softmax(network(batch) / self.temperature) for network in self._networks]  # P of [B, K]
        return np.mean(found, axis=0).astype(np.float32)


def load(
    run_dir: Path | str | None = None,
    fold: int | str | None = None,
    brief: bool = False,
    precision: str = "float32",
    say: Say = say_line,
) -> ExpressionModel:
    """Open a trained run to use it on new faces.

    Args:
        run_dir: folder of a run, with at least one part that is trained; None for the network that ships with fer-tl.
        fold: of a cross validation, whose model answers: its number, or "all" for the average of the probabilities of
            all folds, which is more often right and costs as many times more. By default the first that is trained.
        brief: for a few images only: BatchNorm is not folded into the convolutions, which takes 0.8 s and saves a
            fifth of the time of each later call (MobileNetV2, two cores). Answers differ by rounding.
        precision: that the networks compute in: "float32", "bfloat16", or "auto", which tries on the first images
            whether bfloat16 is faster here and moves no probability by more than 0.01.
        say: told which network ships, where that one answers.

    Raises:
        UserError: no run, nothing trained, no such fold or precision, or a file that is not what the training wrote.
    """
    check_precision(precision)
    chosen = choose(run_dir, fold, say)
    run, parts, scaling = chosen.run, chosen.parts, chosen.scaling
    names, temperature = run.read_run("class_names")["class_names"], scaling.temperature

    from fer_tl.inference.compiled import open_network

    networks = [open_network(run.part(part) / "model.keras", brief, precision, temperature) for part in parts]
    for part, network in zip(parts, networks, strict=True):
        if network.class_names != networks[0].class_names or sorted(network.class_names) != sorted(names):
            raise UserError(f"{run.part(part) / 'model.keras'} knows other classes than the run: it is of another one")
    first, calls = networks[0], tuple(network.logits for network in networks)
    return ExpressionModel(first.class_names, first.image_shape, parts, temperature, calls, chosen.recipe, scaling.note)


class Chosen(NamedTuple):
    """Which models answer, and how; without the models themselves.

    Attributes:
        run: that they are of.
        parts: of the run, whose models are averaged.
        scaling: what their logits are divided by.
        recipe: how faces are cut for them.
    """

    run: RunFolder
    parts: tuple[str, ...]
    scaling: Scaling
    recipe: FaceRecipe


def choose(run_dir: Path | str | None, fold: int | str | None, say: Say) -> Chosen:
    """What ``load`` loads; no framework is imported for it.

    Raises:
        UserError: as ``load``, but for what is in the files of models.
    """
    run = open_run(run_dir, say)
    parts = choose_parts(run, fold)
    for part in parts:
        check_part(run.part(part), ("model.keras", "predictions.npz"))
    return Chosen(run, tuple(parts), choose_scaling(run, parts), common_recipe(run, parts))


def check_precision(precision: str) -> None:
    """Refuse what is none.

    Raises:
        UserError: with those that there are.
    """
    if precision not in PRECISIONS:
        raise UserError(f"'precision' should be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, but is {precision!r}")


def common_recipe(run: RunFolder, parts: Iterable[str]) -> FaceRecipe:
    """How faces are cut for the models of some parts.

    Raises:
        UserError: the models were trained on images that were made otherwise, so they cannot answer for the same ones.
    """
    recipes = {part: run.model_recipe(part) for part in parts}
    (first, recipe), *others = recipes.items()
    for part, other in others:
        if other != recipe:
            raise UserError(
                f"{run.part(part) / 'model.keras'} takes faces that are cut otherwise than those of {first} "
                f"({other}, not {recipe}): it is of another run"
            )
    return recipe


def _opened(image: np.ndarray | Image.Image | Path | str, channels: int, bits: int | None, index: int) -> Image.Image:
    """An image in the mode that the model takes, at its own size."""
    if isinstance(image, str | Path):
        return open_file(Path(image), channels, bits).image
    return convert_image(image, channels, f"image {index}", bits)
