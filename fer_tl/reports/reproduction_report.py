"""What a run that was trained again has in common with the first, as text and as a file."""

from __future__ import annotations

from fer_tl.core.counting import counted
from fer_tl.core.files import write_json
from fer_tl.evaluation.reproduction import Agreement, Reproduction
from fer_tl.reports.compare_table import spell_points
from fer_tl.reports.rendering import Table, as_text, per_cent
from fer_tl.runs.folder import RunFolder

FILE = "reproduction.json"


def write_reproduction(before: RunFolder, again: RunFolder, found: Reproduction) -> str:
    """Write ``reproduction.json`` into the new run; returns what the terminal shows."""
    write_json(again.path / FILE, {"run": before.path.name, **found.to_dict()})
    parts = [f"{before.path} trained again in {again.path}", as_text(_table(found)).rstrip(), _environment(found)]
    if found.moved:
        parts.append(
            f"{counted(found.moved, 'image is', 'images are')} held out by another part than before: the folds differ."
        )
    return "\n\n".join([*parts, verdict(found)])


def verdict(found: Reproduction) -> str:
    """Whether it agrees, and how far, in a sentence or two."""
    if found.is_equal:
        models = ", the models too" if found.same_models else "; the files of the models differ"
        return f"It agrees: all answers are the same to the last bit{models}."
    together = found.together
    ends = f" (95 % {' to '.join(map(spell_points, found.interval))})" if found.interval else ""
    accuracies = f"accuracy {per_cent(together.before, 2)} before, {per_cent(together.again, 2)} again"
    change = f"{spell_points(together.again - together.before)} points{ends}"
    limit = f"{found.within:g} point{'s' * (found.within != 1)}"
    asked = f"{limit} may lie between them" if found.within else "only the same bits were to agree"
    return f"{'It agrees' if found.agrees else 'It does not agree'}: {accuracies}, {change}; {asked}."


def _environment(found: Reproduction) -> str:
    if found.differing:
        said = "; ".join(f"{key} {one} → {other}" for key, (one, other) in found.differing.items())
        return f"Another environment than before: {said}."
    if found.is_equal:
        return "Versions and hardware are those of before."
    return (
        "Versions and hardware are those of before, as far as they were recorded: such trainings give the same bits on "
        "a CPU, on GPUs and TPUs they may not."
    )


def _table(found: Reproduction) -> Table:
    parts = [_cells(part) for part in found.parts]
    header = ["part", "images", "before", "again", "same answer", "largest difference", "mean difference"]
    return Table(header, [parts, [_cells(found.together)]] if len(parts) > 1 else [parts])


def _cells(part: Agreement) -> list[str]:
    """Differences are of probabilities; 0 is said of equal bits alone."""
    shares = [per_cent(each, 2) for each in (part.before, part.again, part.same_answer)]
    differences = ["0" if part.is_equal else f"{each:.2g}" for each in (part.largest, part.mean)]
    return [part.name, f"{part.images:,}", *shares, *differences]
