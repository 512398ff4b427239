"""Find pretrained weights before Keras is imported; load them strictly afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.downloads import fetch
from fer_tl.core.errors import UserError, one_line
from fer_tl.core.framework import keras_home
from fer_tl.core.saved_models import check_hdf5, check_saved_model
from fer_tl.models import shipped
from fer_tl.models.pixels import STANDARDIZE
from fer_tl.models.record import Backbone, Pretrained
from fer_tl.models.resolve import ModelSpec
from fer_tl.models.starts import given_file


def find_weights(spec: ModelSpec, weights: str, accepted: str | None = None) -> Path | None:
    """The file to start from; None for ``weights="none"``.

    Published weights come from the Keras cache and, if they are not there, from the network into it.

    Args:
        spec: from ``resolve_model``.
        weights: the name of published weights, ``none``, or a file.
        accepted: the licence that the user has accepted, as in ``--accept-licence``.

    Raises:
        UserError: no such file, a licence that is not accepted, a file of other weights than its name says, or one
            that is neither cached nor to be fetched.
    """
    if weights == "none":
        return None
    backbone, published = spec.backbone, spec.pretrained
    named = weights in backbone.pretrained
    given = None if named else _given_file(weights, backbone)
    if spec.consent and spec.consent[0] != accepted:
        licence, terms = spec.consent
        raise UserError(f"the {licence} weights are {terms}; if that is your use, add --accept-licence {licence}")
    if given is None:
        assert published is not None  # resolve_model gives it with the name
        alpha, size = spec.variant.alpha, spec.size
        given = find_cached(published, alpha, size) or _fetch(published, weights, backbone, alpha, size)
    _check_layer_names(given, spec)
    return given


def find_cached(published: Pretrained, alpha: float, size: int) -> Path | None:
    """The file of published weights in the Keras cache; None where it is not."""
    name = published.file_name(alpha, size)
    places = (keras_home() / folder / name for folder in published.cache_folders)
    return next((path for path in places if path.is_file()), None)


def _given_file(weights: str, backbone: Backbone) -> Path:
    path = given_file(weights)
    if not path.is_file():
        ours = [shipped.NAME] if shipped.ships() and shipped.find_shipped().card["backbone"] == backbone.name else []
        known = ", ".join([*backbone.pretrained, *ours, "none"])
        raise UserError(f"weights '{weights}': no such file (use {known}, or a file)")
    if path.suffix not in (".h5", ".keras"):
        raise UserError(f"weights '{weights}' should be a .keras, .h5 or .weights.h5 file of {backbone.name}")
    return path


def _check_layer_names(path: Path, spec: ModelSpec) -> None:
    """Where the layers of a published file are known, refuse other layers under its name, and these under another.

    The name of a file decides the scaling and the licence, so it has to be true.
    """
    known = [weights for weights in spec.backbone.pretrained.values() if weights.layers]
    if not known or path.suffix != ".h5":
        return
    from fer_tl.models.legacy_weights import name_difference, read_layer_names

    try:
        found = read_layer_names(path)
    except Exception as error:  # h5py raises half a dozen types for damaged files
        raise UserError(f"{path} cannot be read as a weights file ({one_line(error)})") from None
    if spec.pretrained and spec.pretrained.layers:
        if difference := name_difference(found, spec.pretrained.layers):
            raise UserError(f"{path} does not hold the weights that its name says: {difference}")
        return
    for weights in known:
        if found == weights.layers:
            name = weights.file_name(spec.variant.alpha, spec.size)
            raise UserError(f"{path} holds the weights of {name}: give it that name, by which their scaling is chosen")


def _fetch(published: Pretrained, weights: str, backbone: Backbone, alpha: float, size: int) -> Path:
    """Download published weights into the Keras cache."""
    name, url = published.file_name(alpha, size), published.url(alpha, size)
    path = keras_home() / published.cache_folders[0] / name

    try:
        fetch(url, path, "md5", published.md5)
    except (OSError, ValueError) as error:
        raise UserError(
            f"the {weights} weights of {backbone.name} are not in {path} and could not be fetched "
            f"({getattr(error, 'reason', error)}): "
            f"put {name} from {url} there, or start without them: --weights none"
        ) from None
    return path


def load_weights(base: Any, path: Path, backbone: Backbone) -> None:
    """Load a file into a freshly built backbone, layer by layer in order, all or nothing.

    Args:
        base: keras.Model of the backbone alone.
        path: legacy ``.h5`` or ``.weights.h5`` file.
        backbone: its record, for the message.

    Raises:
        UserError: it is not a weights file of this architecture, with the first difference.
    """
    from fer_tl.models.legacy_weights import load_legacy

    try:
        if path.suffix == ".keras":
            check_saved_model(path)
        else:
            check_hdf5(path, str(path))
        if path.suffix == ".keras":
            _copy_backbone(base, path)
        elif path.name.endswith(".weights.h5"):
            base.load_weights(str(path))
        else:
            load_legacy(base, path)
        if path.name.endswith(".weights.h5"):
            _check_none_left(base, path)
    except UserError:
        raise
    except Exception as error:  # Keras and h5py raise half a dozen types for files that do not fit
        raise UserError(f"{path} does not hold the weights of {backbone.name}: {one_line(error)}") from None


def _copy_backbone(base: Any, path: Path) -> None:
    """Copy the backbone of a saved model, whose head may be another, layer by layer in order: Keras would count what
    lies in front of it too.

    Raises:
        ValueError: the first layer that is another, or other activations.
    """
    import keras

    inside = [
        layer
        for layer in keras.models.load_model(path, compile=False).layers
        if not layer.name.startswith("head_") and layer.name not in ("logits", STANDARDIZE)
    ]
    saved = [layer for layer in inside if layer.weights]
    mine = [layer for layer in base.layers if layer.weights]
    if len(saved) != len(mine):
        raise ValueError(f"it has {len(saved)} layers with weights, the backbone {len(mine)}")
    for layer, other in zip(mine, saved, strict=True):
        shapes = [[tuple(weight.shape) for weight in each.weights] for each in (layer, other)]
        if type(layer) is not type(other) or shapes[0] != shapes[1]:
            raise ValueError(f"its layer '{other.name}' has arrays of {shapes[1]}, not {shapes[0]}")
        layer.set_weights(other.get_weights())
    asked, there = _activations(base.layers), _activations(inside)
    if asked != there:
        raise ValueError(f"its activations are {', '.join(sorted(there))}, not {', '.join(sorted(asked))}")


def _activations(layers: Iterable[Any]) -> set[str]:
    """The functions that layers apply: kernels that were learnt with one are worth little with another."""
    configs = [layer.get_config() for layer in layers]
    return {str(config["activation"]) for config in configs if config.get("activation", "linear") != "linear"}


def network_checksum(model: Any) -> str:
    """What tells one architecture from another: 16 hexadecimal digits of kinds of layers and shapes of weights."""
    layers = [(type(layer).__name__, [tuple(weight.shape) for weight in layer.weights]) for layer in model.layers]
    return hashlib.sha256(repr(layers).encode()).hexdigest()[:16]


def kernel_checksum(layers: Iterable[Any]) -> str:
    """Which weights Keras layers hold: the first 16 hex digits of the sha256 of their kernels.

    Args:
        layers: in the order of the model, such as ``model.layers``. Of each, the variables with "kernel" in their
            name count, as little-endian float32 in C order; biases and BatchNorm do not.
    """
    import keras

    digest = hashlib.sha256()
    for layer in layers:
        for weight in layer.weights:
            if "kernel" in weight.name:
                digest.update(np.asarray(keras.ops.convert_to_numpy(weight), dtype="<f4").tobytes())
    return digest.hexdigest()[:16]


def _check_none_left(base: Any, path: Path) -> None:
    """Refuse a ``.weights.h5`` file with more arrays than the model: Keras ignores those that it has no layer for."""
    import h5py

    names: list[str] = []
    with h5py.File(path) as file:
        file["layers"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    if len(names) != len(base.weights):
        raise ValueError(f"it holds {len(names)} arrays, the model {len(base.weights)}")
