"""List the backbones: parameters, sizes, weights and which of them are here, licences."""

from __future__ import annotations

from fer_tl.commands._command import Command
from fer_tl.core.say import Say, say_line
from fer_tl.models.backbones import all_backbones, unusable_backbones
from fer_tl.reports.models_table import ModelRow, model_row, models_table_text


def list_models(say: Say = say_line) -> tuple[ModelRow, ...]:
    """Every backbone with its record, and which of its published weights are in the Keras cache.

    Args:
        say: prints the table.
    """
    rows = tuple(model_row(backbone) for backbone in all_backbones().values())
    say(models_table_text(rows))
    for error in unusable_backbones().values():
        say(f"Warning: {error}")
    return rows


COMMAND = Command(list_models)
