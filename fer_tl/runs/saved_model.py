"""Saved fold models: Keras files that carry their class names."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_tl.core.errors import UserError, one_line
from fer_tl.core.files import write_atomically
from fer_tl.core.json_files import load_member
from fer_tl.core.saved_models import check_saved_model
from fer_tl.data.dataset import Dataset
from fer_tl.devices.choose import choose_devices, require_devices
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.models.costs import Uncounted, count_costs
from fer_tl.runs.lineage import Lineage, write_lineage
from fer_tl.runs.part import CLASSES_MEMBER


def save_model(
    model: keras.Model,
    class_names: tuple[str, ...],
    path: Path,
    recipe: FaceRecipe | None = None,
    consent: str | None = None,
    lineage: Lineage | None = None,
) -> None:
    """Save a model without its optimizer, with its class names, how faces are cut for it, what it costs and what it was
    trained on in the same file, atomically.

    The same model and weights give the same bytes: the dates and memory addresses that Keras writes into the archive
    are left out.
    """

    def write(temporary: Path) -> None:
        saved = temporary.with_name(f"{temporary.stem}.dated.keras")
        try:
            keras.Model(model.input, model.output, name=model.name).save(saved)
            with zipfile.ZipFile(saved) as dated, zipfile.ZipFile(temporary, "w") as archive:
                for name in dated.namelist():
                    with dated.open(name) as source, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as copy:
                        if name == "metadata.json":
                            copy.write(json.dumps({"keras_version": keras.__version__}).encode())
                        elif name == "config.json":
                            copy.write(_renumbered(source.read()))
                        else:
                            shutil.copyfileobj(source, copy)
                about: dict[str, Any] = {"class_names": list(class_names)}
                about |= {"faces": recipe.to_dict()} if recipe else {}
                about |= {"consent": consent} if consent else {}  # to the licence of the weights that it comes from
                with contextlib.suppress(Uncounted):
                    about["costs"] = asdict(count_costs(model))
                about |= write_lineage(archive, lineage) if lineage else {}
                archive.writestr(zipfile.ZipInfo(CLASSES_MEMBER), json.dumps(about))
        finally:
            saved.unlink(missing_ok=True)

    write_atomically(path, write)


def _renumbered(config: bytes) -> bytes:
    """A model's configuration in which objects that layers share are numbered, not told by their memory address."""
    numbers: dict[bytes, int] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode()

    return re.sub(rb'("shared_object_id": )(\d+)', number, config)


def load_model(path: Path) -> tuple[keras.Model, tuple[str, ...]]:
    """Load what ``save_model`` wrote.

    Raises:
        UserError: missing, damaged, or not written by fer-tl; or there is nothing to compute on.
    """
    require_devices()
    try:
        class_names = tuple(load_member(path, CLASSES_MEMBER)["class_names"])
        check_saved_model(path)
        return keras.models.load_model(path, compile=False), class_names
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be loaded as a model of fer-tl ({one_line(error)})") from None


def compute_in_float32(model: keras.Model) -> None:
    """Change a model's layers to float32, whatever they were trained in."""
    for layer in model.layers:
        layer.dtype_policy = "float32"


def compute_in_bfloat16(model: keras.Model) -> None:
    """Change a model's layers to bfloat16, from its first kernel to its last one, which stays float32 as the scaling of
    the pixels does: 0..255 does not fit into 8 bits, and close answers have to be told apart. Weights stay float32."""
    weighted = [index for index, layer in enumerate(model.layers) if hasattr(layer, "kernel")]
    for layer in model.layers[weighted[0] : weighted[-1]] if weighted else []:
        layer.dtype_policy = "mixed_bfloat16"


def predict_saved(
    path: Path,
    dataset: Dataset,
    views: Sequence[np.ndarray | None] = (None,),
    batch_size: int = 256,
    strategy: str = "auto",
) -> np.ndarray:
    """Logits of a saved model: float32 ``[V, N, K]``, columns in the order of the dataset's classes.

    Args:
        path: from ``save_model``.
        dataset: what to predict.
        views: V affine maps float32 ``[6]``, each applied to every image, see ``fer_tl.augment.geometry``; None for the
            images as they are.
        batch_size: images a step and device, at most.
        strategy: as ``--strategy``.

    Raises:
        UserError: the model knows other classes than the dataset, or takes images of another size.
    """
    return open_predictor(path, dataset, batch_size, strategy)(views)


def open_predictor(
    path: Path, dataset: Dataset, batch_size: int = 256, strategy: str = "auto"
) -> Callable[[Sequence[np.ndarray | None]], np.ndarray]:
    """A function from views to logits, see ``predict_saved``, whose first call of a kind of view compiles."""
    from fer_tl.engines.choose import choose_engine

    devices = choose_devices(strategy)
    with devices.scope():
        model, class_names = load_model(path)
    if sorted(class_names) != sorted(dataset.class_names):
        theirs = ", ".join(dataset.class_names)
        raise UserError(f"{path} knows the classes {', '.join(class_names)}, but {dataset.name} has {theirs}")
    if model.input_shape[1:] != dataset.image_shape:
        ours, theirs = ("x".join(map(str, shape)) for shape in (model.input_shape[1:], dataset.image_shape))
        raise UserError(f"{path} takes images of {ours}, but those of {dataset.name} are {theirs}: build them alike")
    each = even_batch(-(-len(dataset) // devices.replicas), batch_size) * devices.replicas
    engine = choose_engine()(devices, model, dataset.images, dataset.labels, each)
    columns = [class_names.index(name) for name in dataset.class_names]
    rows = np.arange(len(dataset))
    return lambda views: np.stack([engine.predict(rows, view) for view in views])[:, :, columns]  # [V, N, K]


def even_batch(images: int, most: int) -> int:
    """Images a step, at most ``most``, so that as many steps as there must be are all nearly full: the last one of
    3,589 images in steps of 256 would be 98 % padding."""
    return -(-images // max(1, -(-images // most)))
