"""Explain a model's answers: Grad-CAM, saliency and SmoothGrad of any class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from fer_tl.core.progress import Clock
from fer_tl.core.randomness import key_of
from fer_tl.core.say import Say, say_line
from fer_tl.evaluation.calibration import choose_scaling
from fer_tl.inference.explain.gradients import GradientModel
from fer_tl.inference.explain.maps import grad_cam, saliency
from fer_tl.inference.explain.methods import SAMPLES, SPREAD
from fer_tl.inference.explain.pictures import Picture
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import softmax
from fer_tl.runs.saved_model import load_model

BATCH = 16  # images a step


@dataclass(frozen=True, eq=False)
class Explanation:
    """What an answer depends on.

    Attributes:
        picture: the image.
        probabilities: of the run's classes by name, 0..1, by the model that explains, scaled as ``predict`` scales
            them.
        predicted: the answer: of the saved predictions where there are some, else the most probable class.
        explained: the class that the maps are of.
        maps: by method: Grad-CAM's float32 ``[h, w]`` at the size of the layer's map, the others ``[H, W]`` at that of
            the image; 0 or more, in units of the logit (Grad-CAM), and of the logit a pixel value.
    """

    picture: Picture
    probabilities: dict[str, float]
    predicted: str
    explained: str
    maps: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Explained:
    """Explanations of a run's answers.

    Attributes:
        explanations: in the order of the images, one or more.
        methods: of ``fer_tl.inference.explain.methods.METHODS``; the maps of each explanation.
        layer: whose features Grad-CAM looked at.
        map_size: height and width of its map.
        larger: the last layer of the model whose map is larger than one pixel, None if there is none.
    """

    explanations: tuple[Explanation, ...]
    methods: tuple[str, ...]
    layer: str
    map_size: tuple[int, int]
    larger: str | None


def explain_pictures(
    run: RunFolder,
    pictures: Sequence[Picture],
    methods: Sequence[str],
    layer: str | None = None,
    class_name: str | None = None,
    say: Say = say_line,
) -> Explained:
    """Ask the models of a run what their answers depend on.

    Args:
        run: whose parts the pictures name; TensorFlow is imported.
        pictures: one or more.
        methods: of ``fer_tl.inference.explain.methods.METHODS``.
        layer: for Grad-CAM; None for the last convolution's.
        class_name: of the run, to explain it in place of the predicted one.
        say: prints a line for each model.

    Raises:
        UserError: a damaged model, or no such layer.
    """
    model: GradientModel | None = None
    names: tuple[str, ...] = ()
    found: dict[int, Explanation] = {}
    order = sorted(range(len(pictures)), key=lambda row: run.parts.index(pictures[row].part))
    for part, group in groupby(order, key=lambda row: pictures[row].part):
        path = run.part(part) / "model.keras"
        if model is None:
            loaded, names = load_model(path)
            model = GradientModel(loaded, layer)
        else:
            model.take_weights(path)
        rows, clock = list(group), Clock()
        asked = [pictures[row] for row in rows]
        scaling = choose_scaling(run, [part])
        made = _explain(model, asked, names, methods, class_name, run.read_experiment().seed, scaling.temperature)
        found |= dict(zip(rows, made, strict=True))
        say(f"{part}: {len(rows)} image{'s' if len(rows) > 1 else ''} explained in {clock.lap():.1f} s")
    assert model is not None
    explanations = tuple(found[row] for row in range(len(pictures)))
    return Explained(explanations, tuple(methods), model.layer, model.map_size, model.larger)


def _explain(
    model: GradientModel,
    pictures: Sequence[Picture],
    names: tuple[str, ...],
    methods: Sequence[str],
    class_name: str | None,
    seed: int,
    temperature: float,
) -> list[Explanation]:
    images = np.stack([picture.pixels for picture in pictures])  # [N, H, W, C]
    wanted = [class_name or picture.predicted for picture in pictures]
    classes = np.array([names.index(name) if name else -1 for name in wanted], dtype=np.int64)
    logits, maps = compute_maps(model, images, classes, methods, seed)
    probabilities = softmax(logits / temperature)  # [N, K]
    answers = [names[k] for k in logits.argmax(axis=1)]
    return [
        Explanation(
            picture=picture,
            probabilities=dict(zip(names, probabilities[row].tolist(), strict=True)),
            predicted=picture.predicted or answers[row],
            explained=wanted[row] or answers[row],
            maps={method: maps[method][row] for method in methods},
        )
        for row, picture in enumerate(pictures)
    ]


def compute_maps(
    model: GradientModel, images: np.ndarray, classes: np.ndarray, methods: Sequence[str], seed: int = 0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Maps of one class an image.

    Args:
        model: to ask.
        images: uint8 ``[N, H, W, C]``.
        classes: int64 ``[N]``, columns of the logits; -1 for the largest.
        methods: of ``fer_tl.inference.explain.methods.METHODS``, one or more.
        seed: of SmoothGrad's noise.

    Returns:
        Logits float32 ``[N, K]``; and maps by method, float32 ``[N, h, w]`` for Grad-CAM, else ``[N, H, W]``.
    """
    logits: list[np.ndarray] = []
    found: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for start in range(0, len(images), BATCH):
        batch, asked = images[start : start + BATCH], classes[start : start + BATCH]
        if "gradcam" in methods:
            answers, features, gradients = model.at_features(batch, asked)
            found["gradcam"].append(grad_cam(features, gradients))
        if "saliency" in methods or "gradcam" not in methods:
            answers, gradients = model.at_pixels(batch, asked)
            if "saliency" in methods:
                found["saliency"].append(saliency(gradients))
        if "smoothgrad" in methods:
            asked = np.where(asked < 0, answers.argmax(axis=1), asked)
            found["smoothgrad"].append(
                np.stack(
                    [
                        saliency(smooth_gradient(model, image, int(k), seed)[None])[0]
                        for image, k in zip(batch, asked, strict=True)
                    ]
                )
            )
        logits.append(answers)
    return np.concatenate(logits), {method: np.concatenate(parts) for method, parts in found.items()}


def smooth_gradient(
    model: GradientModel, image: np.ndarray, k: int, seed: int, samples: int = SAMPLES, spread: float = SPREAD
) -> np.ndarray:
    """SmoothGrad: the mean gradient over noisy copies of an image (Smilkov et al., "SmoothGrad: removing noise by
    adding noise", 2017, arXiv 1706.03825, section 3).

    The mean is of the gradients as they are, as in the paper's equation; the paper takes its absolute value only to
    show it (section 3.2), so gradients that change their sign from copy to copy cancel. Noisy pixels are not clipped.

    Args:
        model: to ask.
        image: uint8 ``[H, W, C]``.
        k: the class.
        seed: the noise depends on it and on the image alone.
        samples: noisy copies.
        spread: standard deviation of the noise over the range of the image's pixels.

    Returns:
        float32 ``[H, W, C]``.
    """
    # Philox counts instead of remembering (Salmon et al., SC 2011), so a key is all its state.
    random = np.random.Generator(np.random.Philox(key=key_of("smoothgrad", seed, image.tobytes())))
    sigma = np.float32(spread * float(np.ptp(image)))
    total = np.zeros(image.shape, np.float64)
    for start in range(0, samples, BATCH):
        count = min(BATCH, samples - start)
        noise = random.standard_normal((count, *image.shape), dtype=np.float32)
        _, gradients = model.at_pixels(image + sigma * noise, np.full(count, k, np.int64))
        total += gradients.sum(axis=0)
    return (total / samples).astype(np.float32)
