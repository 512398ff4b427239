"""One network of `backbones.py` by PyTorch; run by a Python that has torch, torchvision and timm, without fer-tl."""

from __future__ import annotations

import contextlib
import json
import sys
import time

import torch

BATCH = 64


def main() -> None:
    """Build the network that is named, then train it for a while for each line such as ``train 2.0``."""
    name, side, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.manual_seed(0)
    model = make(name).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images = torch.rand(BATCH, 3, side, side).to(memory_format=torch.channels_last)
    labels, loss_of = torch.arange(BATCH) % 7, torch.nn.CrossEntropyLoss()

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


def make(name: str) -> torch.nn.Module:
    """A network with 7 classes and random weights."""
    if name.startswith("timm/"):
        import timm

        return timm.create_model(name.removeprefix("timm/"), num_classes=7)
    import torchvision

    return torchvision.models.get_model(name, weights=None, num_classes=7)


if __name__ == "__main__":
    main()
