"""Gradients of a class's logit at the features of a layer and at the pixels: what explaining asks of a framework."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_tl.core.errors import UserError, one_line, suggest
from fer_tl.core.framework import switch_off_graph_rewriting
from fer_tl.inference.compiled import fill
from fer_tl.runs.saved_model import compute_in_float32

# Images float32 [B, H, W, C] and classes int64 [B] to logits, and features and gradients or gradients alone.
Differentiate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]


class GradientModel:
    """A classifier that can be differentiated, one image independently of the others.

    It computes in float32 whatever it was trained in: gradients of half precision lose what is small (float16 ends at
    6e-8), and their digits. The probabilities can differ from those that were saved in the third digit.

    Args:
        model: from raw pixels ``[B, H, W, C]`` to logits ``[B, K]``, as ``fer_tl.runs.saved_model.load_model``
            gives it; its layers are changed to float32.
        layer: whose features are looked at; None for ``last_convolution``.

    Attributes:
        layer: its name.
        map_size: height and width of its features.
        larger: the last layer whose features are larger than one pixel, None if there is none.

    Raises:
        UserError: no such layer, or one whose output is no map; with those that have one.
    """

    def __init__(self, model: keras.Model, layer: str | None = None) -> None:
        compute_in_float32(model)
        self._model = model
        maps = find_maps(model)
        self.layer = _choose(maps, layer, model)
        features = model.get_layer(self.layer).output
        self.map_size: tuple[int, int] = tuple(features.shape[1:3])
        self.larger = next((name for name, size in reversed(maps.items()) if size != (1, 1)), None)
        compile_gradients = _compile_for_jax if keras.backend.backend() == "jax" else _compile_for_tensorflow
        self._at_features, self._at_pixels = compile_gradients(model, model.get_layer(self.layer))

    def take_weights(self, path: Path) -> None:
        """Become another model of the same run, without compiling anew, which takes longer than loading.

        Args:
            path: of a ``.keras`` file.

        Raises:
            UserError: a damaged file, or a model of other layers.
        """
        try:
            self._model.load_weights(path)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"the weights of {path} cannot be loaded ({one_line(error)})") from None

    def at_features(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits, features of the layer, and the gradient of one logit an image with respect to them.

        Args:
            images: ``[B, H, W, C]``, pixels 0..255.
            classes: int64 ``[B]``, whose logit; -1 for the largest.

        Returns:
            float32 ``[B, K]``, ``[B, h, w, F]`` and ``[B, h, w, F]``.
        """
        logits, features, gradients = self._at_features(images.astype(np.float32), classes)
        return logits, features, gradients

    def at_pixels(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits, and the gradient of one logit an image with respect to its pixels: float32 ``[B, K]`` and
        ``[B, H, W, C]``; arguments as of ``at_features``."""
        logits, gradients = self._at_pixels(images.astype(np.float32), classes)
        return logits, gradients


def _compile_for_tensorflow(model: keras.Model, layer: keras.layers.Layer) -> tuple[Differentiate, Differentiate]:
    """What ``at_features`` and ``at_pixels`` compute."""
    import tensorflow as tf

    both = keras.Model(model.input, [layer.output, model.output])
    signature = [tf.TensorSpec(model.input_shape, tf.float32), tf.TensorSpec([None], tf.int64)]
    switch_off_graph_rewriting()

    def differentiate(images: tf.Tensor, classes: tf.Tensor, at_pixels: bool) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            values, logits = both(images, training=False)  # [B, h, w, F], [B, K]
            asked = tf.where(classes < 0, tf.argmax(logits, axis=1), classes)
            score = tf.gather(logits, asked, axis=1, batch_dims=1)  # [B]
        source = images if at_pixels else values
        found = tape.gradient(score, source, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return (logits, found) if at_pixels else (logits, values, found)

    def compiled(at_pixels: bool) -> Differentiate:
        traced = tf.function(lambda x, k: differentiate(x, k, at_pixels), signature, autograph=False)

        def call(images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(each.numpy() for each in traced(tf.constant(images), tf.constant(classes, tf.int64)))

        return call

    return compiled(False), compiled(True)


def _compile_for_jax(model: keras.Model, layer: keras.layers.Layer) -> tuple[Differentiate, Differentiate]:
    """The same. JAX differentiates functions of their arguments only: the features are told by what is added to them,
    which is nothing."""
    import jax
    from jax import numpy as jnp

    both = keras.Model(model.input, [layer.output, model.output])
    variables = model.variables

    def evaluate(values: Any, images: Any, added: Any, classes: Any) -> Any:
        plain = layer.call
        layer.call = lambda *given, **named: plain(*given, **named) + added
        try:
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                features, logits = both(images, training=False)  # [B, h, w, F], [B, K]
        finally:
            del layer.call
        asked = jnp.where(classes < 0, jnp.argmax(logits, axis=1), classes)
        # Of the batch in all: an image's logit depends on no other image.
        return jnp.sum(jnp.take_along_axis(logits, asked[:, None], axis=1)), (logits, features)

    @jax.jit
    def at_features(values: Any, images: Any, classes: Any) -> Any:
        nothing = jnp.zeros((len(images), *layer.output.shape[1:]))
        found, (logits, features) = jax.grad(evaluate, argnums=2, has_aux=True)(values, images, nothing, classes)
        return logits, features, found

    @jax.jit
    def at_pixels(values: Any, images: Any, classes: Any) -> Any:
        found, (logits, _) = jax.grad(evaluate, argnums=1, has_aux=True)(values, images, 0.0, classes)
        return logits, found

    def called(function: Any) -> Differentiate:
        def call(images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, ...]:
            found = function([v.value for v in variables], fill(images), fill(classes).astype(np.int32))
            return tuple(np.asarray(each)[: len(images)] for each in found)

        return call

    return called(at_features), called(at_pixels)


def find_maps(model: keras.Model) -> dict[str, tuple[int, int]]:
    """The layers of a model whose output is a map ``[B, h, w, F]``, with h and w, from input to output.

    Padded maps are left out, which do not lie on the image, and maps of a single cell, such as those of squeeze and
    excitation; but for the last convolution's, where the images are as small as the network takes them.
    """
    last = last_convolution(model)
    found = {layer.name: tuple(layer.output.shape[1:3]) for layer in model.layers if _has_map(layer)}
    return {name: size for name, size in found.items() if size != (1, 1) or name == last}


def last_convolution(model: keras.Model) -> str | None:
    """The last layer with a map, from whose features Grad-CAM is usually computed: the activation, sum or convolution
    in front of the head, and of a pooling or dropout that the backbone ends with; None if there is none."""
    layers = keras.layers
    passed = (
        layers.MaxPooling2D
        | layers.AveragePooling2D
        | layers.GlobalAveragePooling2D
        | layers.GlobalMaxPooling2D
        | layers.Dropout
    )
    return next((each.name for each in reversed(model.layers) if _has_map(each) and not isinstance(each, passed)), None)


def _has_map(layer: keras.layers.Layer) -> bool:
    others = keras.layers.InputLayer | keras.layers.ZeroPadding2D
    return not isinstance(layer, others) and len(getattr(layer.output, "shape", ())) == 4


def _choose(maps: dict[str, tuple[int, int]], layer: str | None, model: keras.Model) -> str:
    default = last_convolution(model)
    if default is None:
        raise UserError("no layer of the model has a map of features: it is not convolutional, only saliency is of use")
    if layer is None:
        return default
    if layer not in maps:
        is_there = layer in {each.name for each in model.layers}
        near = suggest(layer, maps).partition("; valid are")[0]
        why = "its output is no map." if is_there else f"there is none{near}" if near else "there is none."
        raise UserError(f"--layer {layer}: {why} Valid are: {', '.join(maps)}")
    return layer
