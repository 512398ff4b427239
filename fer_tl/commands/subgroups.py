"""Score a run by a column of a table about its images (person, age group, source) and test the differences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.errors import UserError
from fer_tl.core.output_folder import choose_folder
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.evaluation.compared_runs import ComparedRun
    from fer_tl.evaluation.subgroups import Subgroups


@dataclass(frozen=True, eq=False, repr=False)
class SubgroupsResult(Shown):
    """Accuracy by a column: the folder of tables and page, the figures, and the table as text."""

    out_dir: Path
    found: Subgroups
    text: str


def subgroups(
    run_dir: Path | str,
    by: str,
    table: Path | str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    tta: str = "none",
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> SubgroupsResult:
    """Score saved predictions by a column of a table about the images. No model is run and no split is opened.

    Every value of the column is compared with all others, in intervals that hold for all of them at once; numbers of
    more than twelve values are divided into quarters. Values of fewer than 30 images or 10 groups are shown and not
    tested. Images of which the table says nothing are counted and scored by themselves.

    Args:
        run_dir: a finished run.
        by: the column.
        table: a CSV with ids of images and the column; default: ``examples.csv`` of the built dataset.
        id_column: the column of ids; default: id, image, file, path, filename or image_id.
        split: ``test`` or ``validation``, as ``evaluate`` saved its predictions; default: the images that the run held
            out.
        tta: ``--tta`` of that evaluation.
        data_dir: where the dataset is now, to know which images belong together; default: where the run found it.
        out: folder of tables and page; default: ``by-<column>`` in the run, with the split behind it.
        say: prints a line.

    Raises:
        UserError: no finished run, a split that was not evaluated, no such table or column, a table about other images
            or with two values for one image, or other files in the folder.
    """
    # Not above: --help needs none of them.
    from fer_tl.evaluation.column_table import read_column
    from fer_tl.evaluation.compared_runs import open_runs
    from fer_tl.evaluation.groups_of_runs import groups_of_runs
    from fer_tl.evaluation.open_split import check_finished
    from fer_tl.evaluation.subgroups import score_subgroups
    from fer_tl.reports.subgroups_page import LIST, write_subgroups

    (run,) = open_runs([run_dir], split, tta)
    check_finished(run.run)
    assert run.predictions is not None  # it is finished
    ids = run.predictions.ids
    column = read_column(Path(table) if table else _examples(run, data_dir), by, ids, id_column)
    (groups,) = groups_of_runs([run], split, data_dir)
    name = "-".join(
        ["by", "".join(each if each.isalnum() else "-" for each in by.lower()), *([split] if split else [])]
    )
    folder = choose_folder(out, run.run.path / name, LIST, "table of subgroups")
    found = score_subgroups(run.predictions, ids if groups is None else groups, column)
    text = write_subgroups(folder, run, found, split, tta, groups is not None)
    say(f"{text}\n\ntables: {folder}")
    return SubgroupsResult(folder, found, text)


def _examples(run: ComparedRun, data_dir: Path | str | None) -> Path:
    """The table of all images that was written when the dataset was built."""
    from fer_tl.data.directory import dataset_directory

    place = data_dir or run.run.read_experiment().data_dir
    path = dataset_directory(Path(place), run.about["dataset"]) / "examples.csv"
    if not path.is_file():
        raise UserError(f"{path} is missing: give a table with --table")
    return path


COMMAND = Command(subgroups, positional=("run_dir",))
