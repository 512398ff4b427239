"""Layers near the input learn more slowly than those near the classes."""

from __future__ import annotations

from typing import Any

# Of the layers with kernels, as the published code of ConvNeXt (Liu et al., "A ConvNet for the 2020s", CVPR 2022) makes
# as many groups of its blocks: a decay then means about the same for 50 layers as for 16.
MOST_GROUPS = 12


def rate_scales(layers: list[Any], variables: list[Any], decay: float) -> list[float]:
    """What the steps of variables are multiplied by: ``decay ** depth``.

    The layers of a backbone that have a kernel, in their order, are divided evenly into at most 12 groups of
    neighbours; the last group has depth 1, the one before it 2, and so on. A layer without a kernel, such as BatchNorm,
    belongs to the group of the layer with one before it. What is in no layer, the head, has depth 0.

    Rates by layer: Howard & Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section
    3.2; as a power of the depth in fine-tuning for images: Bao et al., "BEiT: BERT pre-training of image transformers",
    ICLR 2022.

    Args:
        layers: of the backbone, from the input on.
        variables: that learn, of the backbone and the head.
        decay: 0..1.

    Returns:
        One factor a variable, in their order.
    """
    kernels = [any(v.name.endswith("kernel") for v in layer.variables) for layer in layers]
    groups = max(min(MOST_GROUPS, sum(kernels)), 1)
    depths: dict[int, int] = {}
    place = -1
    for layer, has_kernel in zip(layers, kernels, strict=True):
        place += has_kernel
        group = max(place, 0) * groups // max(sum(kernels), 1)
        depths |= {id(v): groups - group for v in layer.variables}
    return [decay ** depths.get(id(v), 0) for v in variables]
