"""An ONNX model with int8 numbers, whose ranges are set by images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from fer_tl.inference.export.formats import INPUT

# The operations with weights, and those between them that would need a step back to float. The softmax stays float.
_QUANTIZED = ["Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "Mul"]
_BATCH = 32  # images a step


class _Images(CalibrationDataReader):
    """Batches of images, once through."""

    def __init__(self, images: np.ndarray) -> None:
        self._batches = iter([images[start : start + _BATCH] for start in range(0, len(images), _BATCH)])

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def quantize_onnx(path: Path, images: np.ndarray) -> None:
    """Replace a float model by its int8 form: weights by channel, activations by tensor, between quantize and
    dequantize operations (QDQ), which every runtime of ONNX can compute. The metadata stay.

    Args:
        path: of the model.
        images: uint8 ``[N, H, W, C]``; the smallest and largest activation over them become the ends of its range.
    """
    with tempfile.TemporaryDirectory() as place:
        prepared = str(Path(place) / "prepared.onnx")
        # Without its symbolic shapes, which take another package and change nothing here.
        quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            str(path),
            _Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
