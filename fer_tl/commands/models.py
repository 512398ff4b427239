"""List the backbones: parameters, sizes, weights, which of these are on this machine, and licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fer_tl.commands._command import Command
from fer_tl.core.errors import UserError
from fer_tl.core.framework import keras_home
from fer_tl.core.say import Say, say_line
from fer_tl.models.backbones import all_backbones, unusable_backbones
from fer_tl.models.record import Backbone
from fer_tl.models.shipped import LICENCE, NAME, find_shipped, ships
from fer_tl.models.weights import find_cached
from fer_tl.reports.rendering import Table, as_text


def list_models(say: Say = say_line) -> tuple[ModelRow, ...]:
    """Every backbone with its record, and which of its published weights are in the Keras cache.

    Args:
        say: prints the table.
    """
    errors = list(unusable_backbones().values())
    card: Mapping[str, Any] = {}
    try:
        card = find_shipped().card if ships() else {}
    except UserError as error:
        errors.append(error)
    rows = tuple(model_row(backbone, card) for backbone in all_backbones().values())
    say(models_table_text(rows))
    for each in errors:
        say(f"Warning: {each}")
    return rows


COMMAND = Command(list_models)


@dataclass(frozen=True)
class ModelRow:
    """A backbone, and what of it is on this machine.

    Attributes:
        backbone: its record.
        offline: names of those of its weights whose file, for alpha 1 and the default size, is in the Keras cache.
        shipped: the width, alpha, of the network that ships with fer-tl; None where it is of another backbone.
    """

    backbone: Backbone
    offline: tuple[str, ...]
    shipped: float | None = None


def model_row(backbone: Backbone, card: Mapping[str, Any] | None = None) -> ModelRow:
    """The row of a backbone; looks for files, opens none. ``card`` is that of the network that ships, if one does."""
    found = (name for name, file in backbone.pretrained.items() if find_cached(file, 1.0, backbone.default_size))
    shipped = card["alpha"] if card and card["backbone"] == backbone.name else None
    return ModelRow(backbone, tuple(found), shipped)


def models_table_text(rows: Sequence[ModelRow]) -> str:
    """Terminal table of backbones, one line each, and one more for each further choice of weights."""
    header = ["backbone", "parameters", "MACs", "size", "min.", "features", "papers", "weights", "their licence"]
    lines = [line for row in rows for line in _lines(row)]
    note = (
        "parameters, MACs: without head, alpha 1, one image of the default size (pixels); "
        "papers: as in `fer-tl recipes`\n"
        f"weights: all backbones also start from random ones (--weights none); offline: in {keras_home()}"
    )
    return f"{as_text(Table(header, [lines], left=frozenset({0, 6, 7, 8})))}\n{note}"


def _lines(row: ModelRow) -> list[list[str]]:
    record = row.backbone
    numbers = [
        f"{record.parameters:,}",
        f"{record.macs / 1e6:,.0f} M",
        f"{record.default_size}",
        f"{record.min_size}",
        f"{record.features:,}",
    ]
    weights = [
        [f"{name} (offline)" if name in row.offline else name, file.licence] for name, file in record.pretrained.items()
    ]
    if row.shipped is not None:
        weights.append([f"{NAME} (ships, alpha {row.shipped:g})", LICENCE.partition(",")[0]])
    weights = weights or [["", ""]]
    first = [record.name, *numbers, record.paper]
    return [[*(first if index == 0 else [""] * len(first)), *cells] for index, cells in enumerate(weights)]
