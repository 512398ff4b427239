"""Train a finished run again in a new folder and say whether it comes out the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fer_tl.commands._again import settings_again
from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.config import Experiment
from fer_tl.core.errors import NotAgreed, UserError
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.run_file import spread_sweeps

if TYPE_CHECKING:
    from fer_tl.evaluation.reproduction import Reproduction


@dataclass(frozen=True, eq=False, repr=False)
class ReproduceResult(Shown):
    """A run that was trained again.

    Attributes:
        run_dir: folder of the new one.
        found: how far it is from the first.
        text: that, as the terminal shows it.
    """

    run_dir: Path
    found: Reproduction
    text: str

    @property
    def agrees(self) -> bool:
        """See ``fer_tl.evaluation.reproduction.Reproduction.agrees``."""
        return self.found.agrees


@dataclass(frozen=True, eq=False)
class ReproducedRuns:
    """The runs of several seeds, or of a sweep, that were trained again.

    Attributes:
        run_dir: folder of the new ones.
        runs: each of them.
        text: how each came out, as the terminal shows it.
    """

    run_dir: Path
    runs: tuple[ReproduceResult, ...]
    text: str

    @property
    def agrees(self) -> bool:
        """Whether each does."""
        return all(each.agrees for each in self.runs)


def reproduce(
    run_dir: Path | str,
    target: Path | str | None = None,
    data_dir: Path | str | None = None,
    within: float = 1.0,
    say: Say = say_line,
) -> ReproduceResult | ReproducedRuns:
    """Train a finished run of ``cv``, ``train`` or ``distill`` again by its settings and on the same data, and compare.

    The data are compared by their fingerprint before anything is trained, teachers by that of their answers. Nothing in
    the run is changed. The same command continues what was interrupted; what is trained already is compared alone. On
    the command line the exit code is 1 where the two do not agree.

    Args:
        run_dir: a finished run, or the folder of several seeds or of a sweep, which stands for its runs.
        target: folder of the new one; default: that of the run with ``-again`` behind it.
        data_dir: where the dataset is now; default: where the run found it.
        within: points by which the accuracy may differ where the bits do, as on other hardware; 0: only the same bits
            agree.
        say: prints a line.

    Raises:
        UserError: no finished run, a soup or refit, files that were changed, another build of the data, other answers
            of teachers, a framework that the run was not made with, or another run in the folder.
    """
    if not 0 <= within <= 100:
        raise UserError(f"--within {within:g}: give points from 0 to 100")
    inside = spread_sweeps([run_dir])
    if len(inside) > 1:
        return _reproduce_each(Path(run_dir), inside, target, data_dir, within, say)
    source = RunFolder(inside[0])
    _check_run(source)
    experiment = _experiment(source, target, data_dir)
    # Not above: --help needs none of them.
    from fer_tl.commands._part_result import PartResult
    from fer_tl.commands.cv import cross_validate
    from fer_tl.commands.train import fit
    from fer_tl.data.dataset import group_by_id
    from fer_tl.evaluation.reproduction import compare_trainings
    from fer_tl.evaluation.run_dataset import find_dataset
    from fer_tl.reports.reproduction_report import write_reproduction

    _check_data(source, experiment, say)
    _check_teachers(source, experiment)
    trained = (cross_validate if source.read_run()["kind"] == "cv" else fit)(experiment, say)
    if isinstance(trained, PartResult):
        raise UserError(f"{experiment.run_dir} is not whole: rerun the same command to continue")
    if hasattr(trained, "refuse_failed"):
        trained.refuse_failed()
    data, _ = find_dataset(source, experiment.data_dir, "stream")
    assert data is not None  # it was there before the training
    again = RunFolder(trained.run_dir)
    found = compare_trainings(source, again, group_by_id(data.dataset), within, say)
    text = write_reproduction(source, again, found)
    say(f"\n{text}")
    return ReproduceResult(again.path, found, text)


def _reproduce_each(
    folder: Path,
    inside: Sequence[Path],
    target: Path | str | None,
    data_dir: Path | str | None,
    within: float,
    say: Say,
) -> ReproducedRuns:
    """The runs in a folder, each into a folder of its name in a new one; all are checked before any is trained."""
    from fer_tl.reports.reproduction_report import verdict

    name = f"{folder.resolve().name}-again"
    place = Path(target) if target else folder.resolve().with_name(name)
    if place.resolve() == folder.resolve():
        raise UserError(f"{place} is the folder of the runs itself: give another --run-dir")
    for path in inside:
        _check_run(RunFolder(path))
    done = []
    for number, path in enumerate(inside, 1):
        say(f"\n[{number}/{len(inside)}] {path.name}")
        found = reproduce(path, place / path.name, data_dir, within, say)
        assert isinstance(found, ReproduceResult)  # it is a run
        done.append(found)
    text = "\n".join(f"{path.name}: {verdict(each.found)}" for path, each in zip(inside, done, strict=True))
    say(f"\n{folder} trained again in {place}\n\n{text}")
    return ReproducedRuns(place, tuple(done), text)


def _check_run(source: RunFolder) -> None:
    """Refuse a run that cannot be trained again as a whole, and one that is not what was written."""
    from fer_tl.core.framework import choose_backend
    from fer_tl.evaluation.open_split import check_finished
    from fer_tl.runs.imports import read_import
    from fer_tl.runs.part import NEEDED, check_part

    about = source.read_run("class_names")
    if imported := read_import(about):
        way = "import the table again with fer-tl import-predictions into the same --out, which says if it is the same"
        if imported.members:
            way = f"reproduce its members ({', '.join(imported.members)}), then give fer-tl ensemble the new runs"
        if imported.export:
            way = f"reproduce {imported.run}, then export and evaluate the new run"
        raise UserError(f"{source.path} holds {imported.kind}, and no training: {way}")
    if about["kind"] not in ("cv", "train"):
        name, made = {"soup": ("ingredients", "soup"), "refit": ("cross validation", "refit")}[about["kind"]]
        origin = about[about["kind"]]["run"]
        raise UserError(
            f"{source.path} is a {about['kind']} of {origin}: reproduce its {name}, fer-tl reproduce {origin}, then "
            f"give fer-tl {made} the new run"
        )
    source.refuse_edited()
    check_finished(source)
    for part in source.parts:
        check_part(source.part(part), NEEDED)
    before = about.get("backend", "tensorflow")
    if choose_backend() != before:
        raise UserError(f"{source.path} was trained with {before}: set KERAS_BACKEND={before} to train it again")


def _experiment(source: RunFolder, target: Path | str | None, data_dir: Path | str | None) -> Experiment:
    """What the run was trained by, in another folder."""
    experiment = settings_again(source)
    folder = Path(target) if target else source.path.resolve().with_name(f"{source.path.resolve().name}-again")
    if folder.resolve() == source.path.resolve():
        raise UserError(f"{folder} is the run itself: give another --run-dir")
    table = experiment.fold_table
    if table and not Path(table).is_file():
        table = str(source.path / "folds.csv")
    return replace(
        experiment,
        run_dir=str(folder),
        data_dir=str(Path(data_dir or experiment.data_dir).absolute()),
        fold_table=table,
    )


def _check_data(source: RunFolder, experiment: Experiment, say: Say) -> None:
    """Make sure that the build is the one that the run was trained on, before anything is trained."""
    from fer_tl.data.building.build import build
    from fer_tl.data.directory import dataset_directory
    from fer_tl.evaluation.run_dataset import find_dataset
    from fer_tl.sources.format import is_drawn

    about = source.read_run()
    try:
        dataset_directory(Path(experiment.data_dir), about["dataset"])
    except UserError:
        if not is_drawn(about["dataset"]):
            raise
        build(about["dataset"], data_dir=experiment.data_dir, say=say)
    found, _ = find_dataset(source, experiment.data_dir, "stream")
    assert found is not None  # it is there
    say(f"data: the same, fingerprint {about['fingerprint'][:12]}, in {found.directory}")


def _check_teachers(source: RunFolder, experiment: Experiment) -> None:
    """Make sure that the teachers of a student answer as they did."""
    before = source.read_run().get("teachers", [])
    if not before:
        return
    from fer_tl.training.teachers import answers_fingerprint, check_teachers

    for told, (name, run) in zip(before, check_teachers(experiment).items(), strict=True):
        now = answers_fingerprint(run)
        if now != told["predictions"]:
            raise UserError(
                f"the teacher {name} answers otherwise than when it taught {source.path} (fingerprint {now[:12]}, then "
                f"{told['predictions'][:12]}): put the run back that taught it"
            )


def _refuse_other(found: ReproduceResult | ReproducedRuns) -> None:
    if not found.agrees:
        runs = "run" if isinstance(found, ReproduceResult) else "runs"
        raise NotAgreed(f"{found.run_dir} does not agree with the {runs} that it was to reproduce")


COMMAND = Command(reproduce, positional=("run_dir",), flags={"target": "--run-dir"}, resumes=True, finish=_refuse_other)
