"""Score an exported model of a run, for ``fer-tl evaluate RUN --export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._evaluation_result import EvaluationResult
from fer_tl.core.counting import counted
from fer_tl.core.framework import import_backend, require_tensorflow
from fer_tl.core.say import Say
from fer_tl.data.dataset import group_by_id
from fer_tl.runs.exports import find_export, read_export
from fer_tl.runs.folder import RunFolder, check_done
from fer_tl.runs.predictions import Predictions, load_predictions

if TYPE_CHECKING:
    from fer_tl.evaluation.exported_run import ExportTarget


def evaluate_export(
    run: RunFolder, given: Path | str, split: str | None, data_dir: Path | str | None, say: Say
) -> EvaluationResult:
    """Let an exported model answer for the images that its training held out, and for a split if one is named.

    Args:
        run: that it was exported from, held by the caller.
        given: folder or file of the export, or its name in the run.
        split: ``validation`` or ``test``; None for held-out images.
        data_dir: where the dataset is now.
        say: prints a line.

    Raises:
        UserError: no export of this run's models as they are, or nothing to score it on.
    """
    require_tensorflow("an exported model of this run")
    check_done(run, "model.keras")
    exported = read_export(run, find_export(run.path, given))
    from fer_tl.evaluation.exported_run import held_out_target, split_target, why_none_held_out

    score = None
    if split is None or not why_none_held_out(run, exported):
        score = _score(held_out_target(run, exported, data_dir), say, quiet=split is not None)
    if split:
        score = _score(split_target(run, exported, split, data_dir), say)
    assert score
    return score


def _score(target: ExportTarget, say: Say, quiet: bool = False) -> EvaluationResult:
    from fer_tl.core.progress import Clock
    from fer_tl.evaluation.exported_run import answer_target, count_zeros, known_answers
    from fer_tl.evaluation.given_predictions import FLOOR
    from fer_tl.inference.export.formats import FORMATS
    from fer_tl.reports.run_report import score_rows, write_result

    exported, remark = target.exported, target.opening.remark if target.opening else ""
    found = known_answers(target)
    if found is not None:
        say(f"{target.held_out}: answers of this file were saved before, and are read")
    else:
        import_backend()
        from fer_tl.inference.export.network import open_exported

        answer, clock = open_exported(exported.path, FORMATS[exported.format]), Clock()
        found = answer_target(target, answer, say)
        seconds = clock.lap()
        say(f"{target.held_out}: predicted in {seconds:.1f} s, {len(found.ids) / seconds:,.0f} images/s")
    named = {exported.name: found}
    note = "It is the file that answers, not the run's model."
    if target.opening is None:
        part = exported.parts[0]
        original = load_predictions(target.source.part(part) / "predictions.npz")
        named[f"{target.source.path.resolve().name}, {part}"] = original.in_order_of(found.ids)
        note += f" {_difference(found, original.in_order_of(found.ids), target)}"
    if number := count_zeros(found):
        zeros = counted(number, "image")
        note += f" For {zeros} the true class had the probability 0, which counts as {FLOOR:.1e} in the loss."
    result = score_rows(named, group_by_id(target.dataset))
    folder = target.opening.folder_of(target.run) if target.opening else target.run.path
    text = write_result(folder, target.title, result, note + remark)
    if not quiet:
        option = f" --split {target.opening.split}" if target.opening else ""
        beside = f"fer-tl compare {target.source.path} {target.run.path}{option}"
        say(f"\n{text}\n\nresults: {folder}\nbeside others: {beside}")
    return EvaluationResult(result, named, text)


def _difference(found: Predictions, original: Predictions, target: ExportTarget) -> str:
    """How far the file is from the model that it was made of, paired image by image."""
    from fer_tl.inference.export.parity import measure_loss

    before, now = (each.logits.argmax(axis=1) for each in (original, found))
    loss = measure_loss(found.labels, before, now, target.dataset.groups)
    low, high = (100 * end for end in loss.interval)
    return (
        f"Against the model that it was made of it loses {100 * loss.difference:.2f} points (95 % {low:.2f} to "
        f"{high:.2f}, paired image by image) and gives the same class for {100 * loss.agreement:.1f} %."
    )
