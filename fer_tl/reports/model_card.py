"""The model card of an export: what the model is, how good it is and how that is known, what it is not for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from fer_tl.core.config import Experiment
from fer_tl.core.counting import counted
from fer_tl.core.environment import describe_environment
from fer_tl.core.safe_text import for_markdown
from fer_tl.data.directory import build_arguments
from fer_tl.evaluation.run_contents import HeldOut, RunContents
from fer_tl.inference.export.formats import INPUT, OUTPUT, usage_text
from fer_tl.inference.export.parity import TOLERANCE
from fer_tl.models import shipped
from fer_tl.models.resolve import resolve_model
from fer_tl.reports.model_card_data import ExportFacts, data_lines
from fer_tl.reports.rendering import Table, as_markdown, as_text, per_cent
from fer_tl.reports.run_facts import test_note, training_commands, unmeasured
from fer_tl.reports.run_report import selection_note
from fer_tl.reports.run_tables import class_table, measure_table
from fer_tl.reports.tables import fold_table_as
from fer_tl.runs.exports import RECORD
from fer_tl.runs.part import read_environments
from fer_tl.runs.run_file import ARRAYS, holds_none_out
from fer_tl.sources.format import Format, all_formats

NAME = "MODEL_CARD.md"


def export_title(contents: RunContents, facts: ExportFacts) -> str:
    """The model in a line."""
    which = facts.parts[0] if len(facts.parts) == 1 else f"mean of {', '.join(facts.parts)}"
    int8 = " in int8" if facts.loss else ""
    return f"{contents.experiment.backbone} on {contents.about['dataset']}, {which}, as {facts.chosen.title}{int8}"


def export_text(contents: RunContents, facts: ExportFacts) -> str:
    """What the terminal shows of an export."""
    return (
        f"{export_title(contents, facts)}\n\n{as_text(_check_table(facts))}\n"
        f"Compared with the original on {facts.compared_on}. {facts.calibration}"
    )


def card_text(contents: RunContents, facts: ExportFacts) -> str:
    """The card as Markdown.

    Args:
        contents: the run, with at least one part that is done.
        facts: of the export.
    """
    title = f"# Model card: {for_markdown(export_title(contents, facts))}"
    return join_sections(title, card_sections(contents, facts))


def join_sections(title: str, sections: Mapping[str, str]) -> str:
    """A Markdown page of a title and of sections by heading."""
    return "\n\n".join([title, *(f"## {heading}\n\n{text.strip()}" for heading, text in sections.items())]) + "\n"


USAGE, AGAIN = "How to use it", "How to make it again"
CALIBRATION = "Whether its probabilities mean what they say"
CHECK = "Whether the export is the model that was trained"


def card_sections(contents: RunContents, facts: ExportFacts) -> dict[str, str]:
    """The card by heading; arguments as of ``card_text``."""
    held_out = contents.held_out
    assert held_out or holds_none_out(contents.about)  # without a part that is done there is no model to export
    return {
        "What it is": _what(contents, facts),
        USAGE: _usage(facts),
        "Training data": data_lines(contents, held_out, facts),
        "How good it is": _metrics(contents, held_out, facts),
        CALIBRATION: _calibration(held_out, facts),
        CHECK: _parity(facts),
        "What it is for": intended_use(),
        "What it is not for, and its limits": known_limits(facts.class_names, facts.image_shape),
        "Licences": licences(contents),
        AGAIN: _reproduce(contents, facts),
    }


def _what(contents: RunContents, facts: ExportFacts) -> str:
    several = len(facts.parts) > 1
    mean = f" It is the mean of the probabilities of {len(facts.parts)} models." if several else ""
    names, dataset = for_markdown(", ".join(facts.class_names)), for_markdown(contents.about["dataset"])
    return (
        f"A network that names the facial expression of one face: {names}. Its backbone is "
        f"{contents.experiment.backbone}, trained on {dataset} with fer-tl.{mean} It finds no faces: "
        "its input is a picture of a face and little else."
    )


def _usage(facts: ExportFacts) -> str:
    height, width, channels = facts.image_shape
    colours = "grey" if channels == 1 else "red, green, blue"
    rows = [
        ["in", INPUT, f"uint8 [B, {height}, {width}, {channels}]", f"pixels 0 to 255, {colours}, as they are stored"],
        ["out", OUTPUT, f"float32 [B, {len(facts.class_names)}]", "of each class, in the order of the class names"],
    ]
    table = as_markdown(Table(["", "name", "type", "what it is"], [rows], left=frozenset(range(4))))
    return (
        f"{table}\nB is any number of images. Resizing to what the network takes, scaling, the temperature and the "
        f"softmax are inside, and so are the class names. In training: {facts.recipe.describe()}. Give it "
        "squares around a face. In the folder of this card:\n\n"
        f"```python\n{usage_text(facts.chosen, facts.image_shape, facts.recipe)}\n```"
    )


def _metrics(contents: RunContents, held_out: HeldOut | None, facts: ExportFacts) -> str:
    if held_out is None:
        return f"{unmeasured(contents)}\n\n{test_note(contents)}"
    summary = held_out.summary
    repeated = f", repeated {contents.repeats} times" if contents.repeats > 1 else ""
    each_has = len(contents.parts) // contents.repeats
    folds = f"{each_has} folds{repeated}" if contents.is_cv else str(contents.about["held_out"])
    grouped = ", copies and faces of one photo in the same fold" if contents.experiment.group_folds else ""
    one = "the model that was" if len(facts.parts) == 1 else "the one model that was"
    by = one if contents.repeats == 1 else f"each of {contents.repeats} models that were"
    if not contents.is_cv:
        how = f"All figures are of images that the model was not trained on: {folds}."
    elif len(facts.parts) == 1:
        how = (
            f"Cross-validated in {folds}{grouped}: each image is answered by {by} not trained on it. The "
            f"exported model is that of {facts.parts[0]}; its own images are that row, the others show how much such "
            "models vary."
        )
    else:
        how = (
            f"Cross-validated in {folds}{grouped}: each image is answered by {by} not trained on it. "
            "The exported mean of them all is not measured here: each image is in the training of some."
        )
    measures = measure_table(summary.pooled, summary.intervals)
    table = fold_table_as(as_markdown, summary) if contents.is_cv else as_markdown(measures)
    quantized = " All figures are those of the model in float; what int8 costs is told below." if facts.loss else ""
    unfinished = "" if contents.is_finished else " The run is unfinished: parts that are not done are in no figure."
    return (
        f"{how} {selection_note(contents.run)}{unfinished}{quantized}\n\n{table.rstrip()}\n\n"
        f"{as_markdown(class_table(summary.pooled, held_out.class_intervals, contents.repeats))}\n"
        f"{test_note(contents)}\n\n"
        "Intervals: 95 %, bootstrap over groups of images. They tell how the figures would vary with other images of "
        "the same kind, not with other kinds of images."
    )


def _calibration(held_out: HeldOut | None, facts: ExportFacts) -> str:
    unknown = "How well they fit on images from elsewhere is not known."
    text = f"{facts.calibration} The logits are divided by {facts.temperature:.3f}."
    if len(facts.parts) > 1:
        return f"{text} How well the probabilities of the mean fit is not measured here. {unknown}"
    if held_out is None or held_out.scaled is None:
        return f"{text} {unknown}"
    before, after = held_out.summary.pooled.calibration_error, held_out.scaled.calibration_error
    models = "the single models" if len(held_out.summary.folds) > 1 else "the model"
    return (
        f"{text} On the images held out, the calibration error of {models} is {per_cent(after)} with temperatures "
        f"fitted to other images than those scored, and {per_cent(before)} without any. {unknown}"
    )


def _check_table(facts: ExportFacts) -> Table:
    """Size, time, and how far the exported model is from the original."""
    parity, loss = facts.parity, facts.loss
    rows = [
        ["size", f"{facts.size / 1e6:.1f} MB"],
        ["time for one image", f"{facts.milliseconds:.1f} ms, {facts.chosen.threads}"],
        ["largest difference of a probability", f"{parity.difference:.{'2f' if facts.loss else '1e'}}"],
        ["same class named by both", f"{per_cent(parity.agreement)} of {counted(parity.images, 'image')}"],
    ]
    if loss:
        low, high = loss.interval
        rows += [
            ["accuracy of the original", f"{per_cent(loss.original)} of {counted(loss.images, 'image')} held out"],
            ["accuracy of the int8 model", f"{per_cent(loss.quantized)} of the same"],
            ["loss of accuracy", f"{100 * loss.difference:.1f} points (95 %: {100 * low:.1f} to {100 * high:.1f})"],
            ["same class named by both", f"{per_cent(loss.agreement)} of these {loss.images:,}"],
            ["images that set the ranges", f"{facts.calibrated:,}"],
        ]
    return Table(["measure", "value"], [rows], left=frozenset({0}))


def _parity(facts: ExportFacts) -> str:
    text = f"Both models answered for {facts.compared_on}. The time is of the machine that exported it."
    if facts.loss:
        text += (
            " In int8, weights and activations are 8-bit integers. Their ranges were set by images of the training "
            "alone, as many of each class as there are. The loss is the accuracy of the original less that of the int8 "
            "model, on all images that this model's training held out, by a paired bootstrap over groups."
        )
    else:
        text += f" A difference above {TOLERANCE:g} would have stopped the export."
    return f"{text}\n\n{as_markdown(_check_table(facts))}"


def intended_use() -> str:
    """What a model of expressions is for."""
    return (
        "Research and teaching on facial-expression recognition, comparison with other models on the same data, and "
        "demonstrations to people who know that they are filmed and have agreed to it."
    )


def known_limits(class_names: Sequence[str], image_shape: tuple[int, int, int]) -> str:
    """What it is not for, and what is not known of it, as a Markdown list."""
    height, width, _ = image_shape
    points = [
        "Expressions are not emotions. The model names what a face looks like to those who labelled the images; what a "
        "person feels or intends does not follow from it.",
        "It is not for decisions about people: not in hiring, schools, courts, policing, insurance, health care or at "
        "borders, and not for watching people who have not agreed to it.",
        "Demographics were not measured: no figure here is broken down by age, sex, skin or culture, so nobody knows "
        "from it how errors differ between groups of people.",
        f"It always names one of its {len(class_names)} classes, even where there is no face.",
        f"It saw images of {width}x{height} pixels from one dataset. Other cameras, light, angles, glasses, masks and "
        "crops can cost more than the intervals say. Labels of expressions are noisy; people disagree on many.",
    ]
    return "\n".join(f"- {point}" for point in points)


def licences(contents: RunContents) -> str:
    """What is known of the licences of start, images and code."""
    return (
        f"{start_licence(contents.experiment)} {data_terms(contents.about['dataset'])} The code of fer-tl is under the "
        "MIT licence."
    )


def data_terms(dataset: str) -> str:
    """What is known of the licence of a dataset's images."""
    found = all_formats().get(dataset.partition("/")[0])
    known = found.terms if isinstance(found, Format) else ""
    return known or "fer-tl does not know the licence of the training images: ask where they come from."


def start_licence(experiment: Experiment) -> str:
    """What the training started from, and under which licence that is."""
    if experiment.weights == "none":
        return "The training started from random numbers; no published weights are in this model."
    if experiment.weights == shipped.NAME:
        return (
            f"The training started from {shipped.NAME}, the network that ships with fer-tl; licence: {shipped.LICENCE}."
        )
    published, backbone = resolve_model(experiment).pretrained, experiment.backbone
    if published:
        terms = f", {published.terms}" if published.terms else ""
        return (
            f"The training started from published weights of {backbone}, licence: {published.licence}{terms} "
            f"({published.address}). The weights of this model are derived from them."
        )
    name = os.path.basename(experiment.weights)
    return f"The training started from the file {name}, whose licence fer-tl does not know."


def _reproduce(contents: RunContents, facts: ExportFacts) -> str:
    dataset = contents.about["dataset"]
    of_arrays = dataset == ARRAYS
    ends = "" if of_arrays or "soup" in contents.about else " --run-dir RUN"
    train = training_commands(contents, "RUN", shared=True) + ends
    manifest = contents.source.manifest if contents.source else None
    build = "" if of_arrays else f"fer-tl build {build_arguments(dataset, manifest)}\n"
    int8 = " --int8" if facts.loss else ""
    fold = "" if not contents.is_cv else " --fold all" if len(facts.parts) > 1 else f" --fold {facts.parts[0][5:]}"
    begun = read_environments(contents.run.path, lambda line: None)
    trained = f"Trained with {_spelled(begun[0].get('versions', {}))}. " if begun else ""
    packages = {name: version(name) for name in facts.chosen.packages}
    exported = _spelled(describe_environment("")["versions"] | packages)
    return (
        f"```sh\n{build}{train}\n"
        f"fer-tl export RUN --format {facts.chosen.name}{int8}{fold}\n```\n\n"
        f"{trained}Exported with {exported}. Checksums of the files are in {RECORD}."
    )


def _spelled(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
