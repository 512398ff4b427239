"""How large a model is and how much it computes: counted when it is saved, and read from its file without Keras."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError
from fer_tl.core.json_files import load_member


class Uncounted(UserError):
    """A model whose costs are not known: better no figure than a wrong one."""


@dataclass(frozen=True)
class Costs:
    """What a model takes.

    Attributes:
        parameters: all of its weights, as Keras's ``count_params`` counts them: those that are not trained too.
        macs: multiplications of its convolutions and dense layers for one image, as ``Backbone.macs``.
    """

    parameters: int
    macs: int


def read_costs(path: Path) -> Costs:
    """The costs that ``fer_tl.runs.saved_model.save_model`` wrote into a ``model.keras``.

    Raises:
        Uncounted: the file is missing, was saved before costs were kept, or holds a layer that could not be counted.
        UserError: it is damaged.
    """
    try:
        found = load_member(path, "fer_tl.json")["costs"]
        return Costs(int(found["parameters"]), int(found["macs"]))
    except FileNotFoundError:
        raise Uncounted(f"{path} no longer exists") from None
    except KeyError:
        raise Uncounted(
            f"{path} does not say its costs: it was saved before models did, or could not be counted"
        ) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is not a whole model of fer-tl ({' '.join(str(error).split())})") from None


def count_costs(model: Any) -> Costs:
    """Count a functional Keras model.

    Raises:
        Uncounted: it holds a layer with kernels whose multiplications are not known here, or one that is shared.
    """
    import keras

    calls = {each["config"]["name"]: len(each["inbound_nodes"]) for each in model.get_config()["layers"]}
    macs = 0
    for layer in model.layers:
        kernels = [weight for weight in layer.weights if "kernel" in weight.name]
        if not kernels:
            continue
        known = isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense)
        if not known or len(kernels) > 1 or calls[layer.name] > 1:
            raise Uncounted(f"layer '{layer.name}' is a {type(layer).__name__} whose multiplications are not known")
        macs += prod(kernels[0].shape) * prod(layer.output.shape[1:-1])
    return Costs(model.count_params(), macs)
