"""Exported models as functions, opened by the libraries that other programs open them with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.quiet import silence
from fer_tl.inference.export.formats import INPUT, OUTPUT, Format

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
