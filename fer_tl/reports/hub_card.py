"""The page of a model on the Hugging Face Hub: a model card behind metadata that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.safe_text import for_markdown
from fer_tl.evaluation.calibration import reliability_of
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.measures import MEASURES
from fer_tl.evaluation.metrics import Metrics, score
from fer_tl.evaluation.run_contents import HeldOut, RunContents
from fer_tl.inference.export.formats import usage_text
from fer_tl.reports.figures import confusion_figure, learning_curves_figure, reliability_figure, save_figure
from fer_tl.reports.model_card import AGAIN, CALIBRATION, CHECK, USAGE, card_sections, join_sections, licences
from fer_tl.reports.model_card_data import ExportFacts
from fer_tl.reports.run_tables import spell_interval, spell_metric
from fer_tl.runs.predictions import Predictions
from fer_tl.runs.run_file import spell_cv

CARD, LICENCE, FIGURES = "README.md", "LICENSE.md", "figures"
_ALTERNATIVES = {
    "confusion.png": "Confusion matrix",
    "reliability.png": "Confidence against accuracy",
    "learning_curves.png": "Loss and accuracy by epoch",
}
# What the Hub calls a measure, where it has a name for it: https://huggingface.co/metrics.
_HUB_NAMES = {"accuracy": "accuracy", "macro_f1": "f1"}


@dataclass(frozen=True, eq=False)
class Scored:
    """What the pushed models answered for images that they were not trained on.

    Attributes:
        predictions: N answers.
        metrics: of them.
        intervals: 95 % intervals by measure, over groups of images.
        which: the images, in words.
    """

    predictions: Predictions
    metrics: Metrics
    intervals: Mapping[str, tuple[float, float]]
    which: str


def score_pushed(contents: RunContents, parts: Sequence[str]) -> Scored | None:
    """Score what is pushed on what was held out: a single model on its own images, and for the mean of all folds each
    image by the one that had not seen it. None for a refit, which holds nothing out."""
    held_out = contents.held_out
    if held_out is None:
        return None
    if not contents.is_cv or len(parts) > 1:
        which = str(contents.about["held_out"])
        if contents.is_cv:
            each = "the model" if contents.repeats == 1 else "models"
            which = f"{spell_cv(len(contents.parts), contents.repeats)}, each image by {each} not trained on it"
        return Scored(held_out.predictions, held_out.summary.pooled, held_out.summary.intervals, which)
    return _score_part(contents, held_out, parts[0])


def _score_part(contents: RunContents, held_out: HeldOut, part: str) -> Scored:
    number = [each.name for each in contents.parts].index(part)
    rows = np.flatnonzero(held_out.parts == number)
    predictions = held_out.predictions.take(rows)
    intervals = bootstrap_intervals(predictions, held_out.groups[rows])
    return Scored(predictions, score(predictions), intervals, f"held out as {part} of {len(contents.parts)}")


def hub_card(
    hub: str, contents: RunContents, models: Sequence[ExportFacts], scored: Scored | None, figures: Sequence[str]
) -> str:
    """The page as Markdown.

    Args:
        hub: ``OWNER/NAME``.
        contents: of the run.
        models: what is known of each file, the Keras one first.
        scored: see ``score_pushed``.
        figures: see ``draw_figures``.
    """
    sections = card_sections(contents, models[0])
    for other in models[1:]:
        code = usage_text(other.chosen, other.image_shape, other.recipe)
        sections[USAGE] += f"\n\nThe same with {other.chosen.title}:\n\n```python\n{code}\n```"
        sections[CHECK] += f"\n\n### {other.chosen.title}\n\n{card_sections(contents, other)[CHECK]}"
    fetch = f"hf download {hub} --local-dir ."
    sections[USAGE] = f"Fetch the files with `{fetch}`.\n\n{sections[USAGE].strip()}"
    sections[AGAIN] += f"\n\nThis folder is what `fer-tl push RUN --hub {hub}` writes."
    shown = {"Figures": _figures_text(scored, figures)} if figures else {}
    place = list(sections).index(CALIBRATION)
    headings = [*list(sections)[:place], *shown, *list(sections)[place:]]
    page = join_sections(_title(contents), {heading: (sections | shown)[heading] for heading in headings})
    return f"---\n{_metadata(hub, contents, models[0], scored)}---\n\n{page}"


def licence_text(contents: RunContents) -> str:
    """What ``LICENSE.md`` says: of a model that learnt from images of others, no standard licence is true."""
    return f"# Licences\n\n{licences(contents)}\n"


def draw_figures(contents: RunContents, scored: Scored | None, folder: Path) -> list[str]:
    """Draw confusion matrix, reliability and learning curves, as far as there is something to draw; returns the names
    of their files. No image of the dataset is in them."""
    title = f"{contents.experiment.backbone} on {contents.about['dataset']}"
    histories = {part.name: part.history for part in contents.done if part.history}
    if histories:
        save_figure(learning_curves_figure(histories, title=title), folder / "learning_curves.png")
    if scored:
        heading = f"{title}\n{scored.which}"
        save_figure(confusion_figure(scored.metrics, heading), folder / "confusion.png")
        save_figure(reliability_figure(reliability_of(scored.predictions), heading), folder / "reliability.png")
    for path in folder.glob("*.pdf"):
        path.unlink()  # the Hub shows pictures alone
    return [name for name in _ALTERNATIVES if (folder / name).exists()]


def _title(contents: RunContents) -> str:
    dataset = for_markdown(contents.about["dataset"])
    return f"# {for_markdown(contents.experiment.backbone)} on {dataset}: facial expressions"


def _figures_text(scored: Scored | None, figures: Sequence[str]) -> str:
    shown = "\n\n".join(f"![{_ALTERNATIVES[name]}]({FIGURES}/{name})" for name in figures)
    if scored is None:
        return shown
    rows = []
    for name, value in scored.metrics.values.items():
        ends = f" ({spell_interval(name, scored.intervals[name])})" if name in scored.intervals else ""
        rows.append(f"- {MEASURES[name].title}: {spell_metric(name, value)}{ends}")
    return (
        f"Of {scored.metrics.images:,} answers, {for_markdown(scored.which)}, as in the metadata of this page; in "
        "brackets 95 % intervals. Losses and calibration are those of the logits, before they are divided by the "
        "temperature.\n\n" + "\n".join(rows) + f"\n\n{shown}"
    )


def _metadata(hub: str, contents: RunContents, facts: ExportFacts, scored: Scored | None) -> str:
    """See https://huggingface.co/docs/hub/model-cards; the results are a list of one, of the images held out."""
    import yaml

    experiment, dataset = contents.experiment, str(contents.about["dataset"])
    found: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "license": "other",
        "license_name": "see-license-md",
        "license_link": LICENCE,
        "tags": ["facial-expression-recognition", "emotion-recognition", "fer-tl", "onnx", experiment.backbone],
    }
    if scored:
        result = {
            "task": {"type": "image-classification", "name": "Facial expression recognition"},
            "dataset": {"name": f"{dataset}, {scored.which}", "type": dataset.replace("/", "-")},
            "metrics": [_metric(name, value, scored) for name, value in scored.metrics.values.items()],
        }
        found["metrics"] = sorted(_HUB_NAMES.values())
        found["model-index"] = [{"name": hub.partition("/")[2], "results": [result]}]
    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120))


def _metric(name: str, value: float, scored: Scored) -> dict[str, Any]:
    ends = f" (95 % interval {spell_interval(name, scored.intervals[name])})" if name in scored.intervals else ""
    return {"type": _HUB_NAMES.get(name, name), "name": f"{MEASURES[name].title}{ends}", "value": round(value, 4)}
