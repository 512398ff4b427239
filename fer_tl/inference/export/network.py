"""A trained model as one file for other programs: raw pixels in, calibrated probabilities and class names out."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_tl.core.quiet import silence
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.export.formats import CLASS_NAMES, INPUT, LABELS, OUTPUT, Format
from fer_tl.inference.export.int8_weights import round_weights
from fer_tl.models.folding import fold_batch_norm
from fer_tl.runs.saved_model import compute_in_float32, load_model, save_model

# Of the ONNX standard: of the end of 2022, so that runtimes of the last years read it. tf2onnx writes up to this one.
OPSET = 18


def build_network(paths: Sequence[Path], temperature: float, calibration: np.ndarray | None = None) -> keras.Model:
    """The model to export: that of a part, or the mean of the probabilities of several.

    BatchNorm is folded into the convolutions, and all is float32 whatever it was trained in. All layers are Keras's
    own.

    Args:
        paths: of ``model.keras`` files of the same classes.
        temperature: what the logits are divided by before the softmax.
        calibration: uint8 ``[N, H, W, C]``, images of the training, where int8 is exported: the weights are rounded to
            it, see ``round_weights``; None for floats.

    Returns:
        From uint8 ``image`` ``[B, H, W, C]``, 0..255, to float32 ``probabilities`` ``[B, K]``.

    Raises:
        UserError: a file that is missing, damaged, or not written by fer-tl.
    """
    models = [_load(path, calibration) for path in paths]
    images = keras.Input(models[0].input_shape[1:], dtype="uint8", name=INPUT)
    # A cast: Keras has no other layer for it.
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(images)
    last = len(models) == 1
    found = []
    for number, model in enumerate(models):
        start = "" if last else f"model{number}_"
        # training=False is stored in the file: nobody puts dropout to work by leaving it out of a call.
        logits = keras.Model(model.input, model.output, name=f"{start}network")(pixels, training=False)  # [B, K]
        scaled = keras.layers.Rescaling(1 / temperature, dtype="float32", name=f"{start}temperature")(logits)
        found.append(keras.layers.Softmax(dtype="float32", name=f"{start}{OUTPUT}")(scaled))
    output = found[0] if last else keras.layers.Average(dtype="float32", name=OUTPUT)(found)
    return keras.Model(images, output, name="expressions")


def _load(path: Path, calibration: np.ndarray | None) -> keras.Model:
    model, _ = load_model(path)
    compute_in_float32(model)
    plain = exchange_layers(fold_batch_norm(model))
    if calibration is not None:
        round_weights(plain, calibration)
    return plain


def write_model(
    network: keras.Model,
    class_names: tuple[str, ...],
    chosen: Format,
    folder: Path,
    recipe: FaceRecipe,
    calibration: np.ndarray | None = None,
) -> Path:
    """Write a network in a format, with its class names inside.

    Args:
        network: from ``build_network``.
        class_names: K, in the order of its output.
        chosen: the format.
        folder: that it is written to, under the format's name for it.
        recipe: how faces are cut for it, which the Keras format keeps.
        calibration: uint8 ``[N, H, W, C]``, images whose activations set the ranges of int8 numbers; None for floats.

    Returns:
        The file, or the folder of a SavedModel.
    """
    path = folder / chosen.file
    with silence():
        if chosen.name == "keras":
            save_model(network, class_names, path, recipe)
        else:
            _WRITERS[chosen.name](network, class_names, path, calibration)
    return path


def _write_saved_model(network: keras.Model, class_names: tuple[str, ...], path: Path, _: np.ndarray | None) -> None:
    module = _module(network)
    names = tf.function(lambda: {CLASS_NAMES: tf.constant(class_names)}, input_signature=[], autograph=False)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve, CLASS_NAMES: names})


def _write_tflite(
    network: keras.Model, class_names: tuple[str, ...], path: Path, calibration: np.ndarray | None
) -> None:
    _write_saved_model(network, class_names, path.with_suffix(""), None)  # its signature names input and output
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path.with_suffix("")), signature_keys=["serving_default"])
    if calibration is not None:
        # What has no int8 kernel stays float; none of the registry's backbones has such an operation.
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
    path.write_bytes(converter.convert())
    shutil.rmtree(path.with_suffix(""))
    # Behind the model, where TensorFlow Lite's own metadata tools pack the files that go with it.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(LABELS), "".join(f"{name}\n" for name in class_names))


def _write_onnx(network: keras.Model, class_names: tuple[str, ...], path: Path, calibration: np.ndarray | None) -> None:
    import onnx
    import tf2onnx

    serve = _module(network).serve
    model, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=OPSET)
    onnx.helper.set_model_props(model, {CLASS_NAMES: json.dumps(list(class_names))})
    onnx.save(model, str(path))
    if calibration is not None:
        from fer_tl.inference.export.quantize import quantize_onnx

        quantize_onnx(path, calibration)


def _module(network: keras.Model) -> Any:
    """The network as a TensorFlow module whose method ``serve`` names its input and output."""
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    module.serve = tf.function(
        lambda image: {OUTPUT: network(image, training=False)},
        input_signature=[tf.TensorSpec([None, *network.input_shape[1:]], tf.uint8, name=INPUT)],
        autograph=False,
    )
    return module


_Writer = Callable[[keras.Model, tuple[str, ...], Path, np.ndarray | None], None]
_WRITERS: dict[str, _Writer] = {
    "savedmodel": _write_saved_model,
    "tflite": _write_tflite,
    "onnx": _write_onnx,
}


_SWAP = "rgb_to_bgr"  # of fer_tl.models.pixels


def exchange_layers(model: keras.Model) -> keras.Model:
    """The same function without what tf2onnx 1.17 cannot convert.

    It makes inputs of a ``Normalization``'s mean and variance, which are tensors of no graph: a ``Rescaling`` takes its
    place. It crops the wrong axis where columns are cropped of channels-first images, which is how a model puts
    channels in another order: a convolution with ones and zeros does it instead, exactly.

    Args:
        model: functional, in inference mode. It is left as it is.

    Returns:
        A new model, or the same where there is nothing to exchange.
    """
    if not any(_is_exchanged(layer) for layer in model.layers):
        return model

    def call(layer: Any, *given: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.Cropping2D) and layer.data_format == "channels_first":
            return given[0]
        return layer(given[0][0]) if layer.name == _SWAP else layer(*given, **options)

    plain = keras.models.clone_model(model, clone_function=_exchange, call_function=call)
    for layer in model.layers:
        if layer.weights and not _is_exchanged(layer):
            plain.get_layer(layer.name).set_weights(layer.get_weights())
        elif layer.name == _SWAP:
            plain.get_layer(_SWAP).set_weights([np.eye(3)[None, None, ::-1]])  # [1, 1, 3, 3], from c to 2 - c
    return plain


def _is_exchanged(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Normalization) or layer.name == _SWAP


def _exchange(layer: Any) -> Any:
    if layer.name == _SWAP:
        return keras.layers.Conv2D(3, 1, use_bias=False, dtype="float32", name=_SWAP)
    if not isinstance(layer, keras.layers.Normalization):
        return layer.__class__.from_config(layer.get_config())
    mean, variance = (np.asarray(each, np.float64).ravel() for each in (layer.mean, layer.variance))  # [C]
    factor = 1 / np.maximum(np.sqrt(variance), keras.backend.epsilon())
    return keras.layers.Rescaling(factor.tolist(), offset=(-mean * factor).tolist(), dtype="float32", name=layer.name)


# uint8 [B, H, W, C], 0..255, to float32 [B, K].
Runner = Callable[[np.ndarray], np.ndarray]


def open_exported(path: Path, chosen: Format) -> Runner:
    """The model of an export, on as many threads as ``chosen.threads`` says."""
    with silence():
        return _OPENERS[chosen.name](path)


def _open_keras(path: Path) -> Runner:
    import keras
    import tensorflow as tf

    model = keras.models.load_model(path)
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]
    call = tf.function(lambda images: model(images), signature, autograph=False)
    return lambda images: call(tf.constant(images)).numpy()


def _open_saved_model(path: Path) -> Runner:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    call = loaded.signatures["serving_default"]

    def run(images: np.ndarray, keep: Any = loaded) -> np.ndarray:  # its functions work only while it is there
        return np.asarray(call(**{INPUT: tf.constant(images)})[OUTPUT])

    return run


def _open_tflite(path: Path) -> Runner:
    import tensorflow as tf

    model = tf.lite.Interpreter(str(path), num_threads=1)
    call = model.get_signature_runner("serving_default")
    shape = model.get_input_details()[0]["shape"]  # of one image
    call(**{INPUT: np.zeros(shape, np.uint8)})  # the first call announces what it computes with
    return lambda images: np.asarray(call(**{INPUT: images})[OUTPUT])


def _open_onnx(path: Path) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0])


_OPENERS: dict[str, Callable[[Path], Runner]] = {
    "keras": _open_keras,
    "savedmodel": _open_saved_model,
    "tflite": _open_tflite,
    "onnx": _open_onnx,
}
