"""How long the exported models of a run take for one image, as ``fer-tl export`` measured it."""

from __future__ import annotations

from pathlib import Path

from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json

_RECORD = "export.json"


def exported_milliseconds(run: Path) -> dict[str, float]:
    """Milliseconds for one image by the name of the format, such as ``tflite-int8``; none for a run that was not
    exported into its own folder. Records that cannot be read say nothing."""
    found = {}
    for path in sorted(run.glob(f"export/*/{_RECORD}")):
        try:
            value = read_json(path)["milliseconds"]
        except (UserError, KeyError, TypeError):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            found[path.parent.name] = float(value)
    return found
