"""Score a run on held-out images that are blurred, noisy, dark, covered, rotated or small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError
from fer_tl.core.framework import import_backend
from fer_tl.core.output_folder import choose_folder
from fer_tl.core.say import Say, say_line
from fer_tl.inference.choose_models import ALL, choose_parts, open_run
from fer_tl.runs.part import check_part

if TYPE_CHECKING:
    from fer_tl.inference.stress.measure import Stress


@dataclass(frozen=True, eq=False, repr=False)
class StressResult(Shown):
    """What corruptions cost a run: the folder of table and page, the figures, and the table as text."""

    out_dir: Path
    found: Stress
    text: str


def stress(
    run_dir: Path | str | None = None,
    corruptions: str | None = None,
    images: int = 1000,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> StressResult:
    """Score a run on images that it held out, after each of nine corruptions in five severities.

    Every image is answered for by a model that was not trained on it, as it is and in each condition. The test split
    stays closed.

    Args:
        run_dir: a run; if it is unfinished, its finished folds answer. Default: the network that ships with fer-tl.
        corruptions: separated by commas: blur, noise, brightness, contrast, jpeg, eyes, mouth, rotation, small.
            Default: all.
        images: at most so many held-out images are drawn, the same ones for every run on a dataset.
        data_dir: where the dataset is now; default: where the run found it.
        out: folder of table and page; default: ``stress`` in the run, or here without one.
        say: prints a line.

    Raises:
        UserError: no run, no such corruption, no dataset or another build of it, damaged parts of the run, or other
            files in the folder.
    """
    from fer_tl.inference.stress.corruptions import find_corruptions

    if images < 2:
        raise UserError(f"--images {images}: two are the least to score")
    chosen = find_corruptions(corruptions)
    run = open_run(run_dir, say)
    run.refuse_edited()
    parts = choose_parts(run, ALL)
    for part in parts:
        check_part(run.part(part), ("predictions.npz", "model.keras"))
    from fer_tl.reports.stress_page import LIST, write_stress

    folder = choose_folder(out, (run.path if run_dir is not None else Path()) / "stress", LIST, "stress test")
    import_backend()
    from fer_tl.inference.stress.measure import measure_stress

    found = measure_stress(run, parts, chosen, images, data_dir, say)
    text = write_stress(found, folder)
    say(f"\n{text}")
    return StressResult(folder, found, text)


COMMAND = Command(stress, positional=("run_dir",))
