"""The formats that a model is exported to, and a few lines of Python that use it in each."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from fer_tl.core.errors import UserError, suggest
from fer_tl.faces.convert import GROUND
from fer_tl.faces.recipe import FaceRecipe

INPUT = "image"
OUTPUT = "probabilities"
LABELS = "labels.txt"
CLASS_NAMES = "class_names"


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Attributes:
        name: as in ``--format``.
        title: as people call it.
        file: name of the model in the folder of the export; a folder itself for a SavedModel.
        packages: that must be importable besides those that training needs.
        int8: whether it can be quantized.
        threads: that it is timed with, in words.
        usage: Python that opens the model and names the most probable class of ``image``.
    """

    name: str
    title: str
    file: str
    packages: tuple[str, ...]
    int8: bool
    threads: str
    usage: str


_KERAS = """\
import json, zipfile, keras
names = json.loads(zipfile.ZipFile("model.keras").read("fer_tl.json"))["class_names"]
p = keras.models.load_model("model.keras").predict(image)[0]"""

_SAVED_MODEL = """\
import tensorflow as tf
model = tf.saved_model.load("saved_model").signatures
names = [name.decode() for name in model["class_names"]()["class_names"].numpy()]
p = model["serving_default"](image=tf.constant(image))["probabilities"].numpy()[0]"""

_TFLITE = """\
import zipfile, tensorflow as tf  # without TensorFlow: ai_edge_litert.interpreter.Interpreter
names = zipfile.ZipFile("model.tflite").read("labels.txt").decode().splitlines()
model = tf.lite.Interpreter("model.tflite").get_signature_runner("serving_default")
p = model(image=image)["probabilities"][0]"""

_ONNX = """\
import json, onnxruntime
model = onnxruntime.InferenceSession("model.onnx")
names = json.loads(model.get_modelmeta().custom_metadata_map["class_names"])
p = model.run(["probabilities"], {"image": image})[0][0]"""

_ONNX_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")

FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("keras", "Keras", "model.keras", (), False, "all cores", _KERAS),
        Format("savedmodel", "TensorFlow SavedModel", "saved_model", (), False, "all cores", _SAVED_MODEL),
        Format("tflite", "TensorFlow Lite", "model.tflite", (), True, "one thread", _TFLITE),
        Format("onnx", "ONNX", "model.onnx", _ONNX_PACKAGES, True, "one thread", _ONNX),
    )
}


def choose_format(name: str, int8: bool) -> Format:
    """The format of a name, with what writes it installed.

    Raises:
        UserError: an unknown one, one that is not quantized here, or packages that are missing.
    """
    if name not in FORMATS:
        raise UserError(f"--format {name}: there is no such format{suggest(name, FORMATS)}")
    chosen = FORMATS[name]
    if int8 and not chosen.int8:
        others = " or ".join(each.name for each in FORMATS.values() if each.int8)
        raise UserError(f"--int8 does not go with --format {name}, whose runtime computes in float: use {others}")
    missing = [package for package in chosen.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f"a file for {chosen.title} needs {', '.join(missing)}: pip install 'fer-tl[onnx]'")
    return chosen


_FITTED = {
    "pad": "ImageOps.pad(face, ({width}, {height}), Image.Resampling.LANCZOS)",
    "crop": "ImageOps.fit(face, ({width}, {height}), Image.Resampling.LANCZOS)",
    "stretch": "face.resize(({width}, {height}), Image.Resampling.LANCZOS)",
}


def usage_text(chosen: Format, image_shape: tuple[int, int, int], recipe: FaceRecipe) -> str:
    """Python that reads ``face.png`` as fer-tl does and prints its expression, to be run in the folder of the export.

    Args:
        chosen: the format.
        image_shape: height, width and channels that the model takes.
        recipe: how pictures became images of that shape.
    """
    height, width, channels = image_shape
    mode = "L" if channels == 1 else "RGB"
    top = 2 ** (recipe.bits or 16) - 1
    return "\n".join(
        [
            "import numpy as np; from PIL import Image, ImageOps",
            'face = ImageOps.exif_transpose(Image.open("face.png"))',
            'if face.mode.startswith("I;16"):  # 16 bits',
            f"    face = np.clip(np.asarray(face) * (255 / {top}), 0, 255).round().astype(np.uint8)",
            "    face = Image.fromarray(face)",
            'if "A" in face.mode or "transparency" in face.info:',
            f'    ground = Image.new("RGBA", face.size, ({GROUND}, {GROUND}, {GROUND}))',
            '    face = Image.alpha_composite(ground, face.convert("RGBA")).convert("RGB")',
            f'face = face.convert("{mode}")',
            f"face = {_FITTED[recipe.fit].format(width=width, height=height)}",
            f"image = np.asarray(face, np.uint8).reshape(1, {height}, {width}, {channels})",
            chosen.usage,
            "print(names[p.argmax()], p.max())",
        ]
    )
