"""One network of `backbones.py` by PyTorch; run by a Python that has torch, torchvision and timm, without fer-tl.

The network is named (torchvision's, or timm's), or a file of layers as `backbones_worker.py NAME layers` writes them.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

BATCH = 64


def main() -> None:
    """Build the network that is named, then train it for a while for each line such as ``train 2.0``."""
    name, side, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.manual_seed(0)
    model = make(name).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    channels = model.channels if isinstance(model, Layers) else 3
    images = torch.rand(BATCH, channels, side, side).to(memory_format=torch.channels_last)
    labels, loss_of = torch.arange(BATCH) % 7, nn.CrossEntropyLoss()

    def run(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            cast = torch.autocast("cpu", torch.bfloat16) if kind == "bfloat16" else contextlib.nullcontext()
            with cast:
                loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return time.perf_counter() - began

    run(2)
    seconds = run(2) / 2
    print(json.dumps({"versions": {"torch": torch.__version__}}), flush=True)
    for line in sys.stdin:
        steps = max(2, round(float(line.split()[1]) / seconds))
        seconds = run(steps) / steps
        print(json.dumps({"rate": BATCH / seconds}), flush=True)


def make(name: str) -> nn.Module:
    """A network with 7 classes and random weights."""
    if name.endswith(".json"):
        return Layers(json.loads(Path(name).read_text()))
    if name.startswith("timm/"):
        import timm

        return timm.create_model(name.removeprefix("timm/"), num_classes=7)
    import torchvision

    return torchvision.models.get_model(name, weights=None, num_classes=7)


class Layers(nn.Module):
    """A network of fer-tl, layer by layer.

    Args:
        found: channels, parameters, and layers in order: name, kind, settings, shape that comes in and names of the
            layers that it comes from.
    """

    def __init__(self, found: dict[str, Any]):
        super().__init__()
        self.channels = found["channels"]
        self._order = [(layer["name"], layer["kind"], layer["from"]) for layer in found["layers"]]
        made = {
            layer["name"]: torch_layer(layer["kind"], layer["settings"], layer["shape"]) for layer in found["layers"]
        }
        self._made = nn.ModuleDict({name: layer for name, layer in made.items() if layer is not None})
        parameters = sum(weight.numel() for weight in self.parameters())
        if parameters != found["parameters"]:
            raise ValueError(f"{parameters} parameters learn here, {found['parameters']} there")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, S, S]`` to logits ``[B, 7]``."""
        values: dict[str, torch.Tensor] = {}
        for name, kind, sources in self._order:
            inputs = [values[source] for source in sources]
            if kind == "InputLayer":
                values[name] = images
            elif kind == "Add":
                values[name] = inputs[0] + inputs[1]
            elif kind == "Concatenate":
                values[name] = torch.cat(inputs, dim=1)
            else:
                values[name] = self._made[name](inputs[0])
        return values[self._order[-1][0]]


def torch_layer(kind: str, settings: dict[str, Any], shape: list[int]) -> nn.Module | None:
    """PyTorch's layer for one of Keras, or None for what has no weights and more than one input, or none.

    Args:
        kind: Keras's name of the class.
        settings: the layer's config.
        shape: what comes in, ``[S, S, C]`` or ``[F]``.
    """
    activations = {"relu": nn.ReLU, "elu": nn.ELU, "linear": nn.Identity}
    if kind in ("InputLayer", "Add", "Concatenate"):
        return None
    if kind == "Conv2D":
        side, stride = settings["kernel_size"][0], settings["strides"][0]
        padding = _padding(settings, side, stride)
        conv = nn.Conv2d(shape[-1], settings["filters"], side, stride, padding, bias=settings["use_bias"])
        return nn.Sequential(conv, activations[settings["activation"]]())
    if kind == "MaxPooling2D":
        side, stride = settings["pool_size"][0], settings["strides"][0]
        return nn.MaxPool2d(side, stride, _padding(settings, side, stride))
    if kind == "Dense":
        dense = nn.Linear(shape[-1], settings["units"], bias=settings["use_bias"])
        return nn.Sequential(dense, activations[settings["activation"]]())
    if kind == "BatchNormalization":
        norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return norm(shape[-1], settings["epsilon"], 1 - settings["momentum"])
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = settings["padding"]
        return nn.ZeroPad2d((left, right, top, bottom))
    return {
        "ReLU": nn.ReLU,
        "Activation": activations.get(settings.get("activation", ""), nn.ReLU),
        "Dropout": lambda: nn.Dropout(settings["rate"]),
        "Flatten": nn.Flatten,
        "GlobalAveragePooling2D": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "Rescaling": nn.Identity,
    }[kind]()


def _padding(settings: dict[str, Any], side: int, stride: int) -> int:
    # Keras's "same" pads an even rest unevenly, which costs the same as PyTorch's even padding of one more pixel.
    return 0 if settings["padding"] == "valid" or side == stride else (side - 1) // 2


if __name__ == "__main__":
    main()
