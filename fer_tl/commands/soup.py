"""Average the weights of a cross validation's models into one model, guided by the validation split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Scored
from fer_tl.core.errors import UserError
from fer_tl.core.files import remove_temporaries
from fer_tl.core.framework import import_backend
from fer_tl.core.lock import hold
from fer_tl.core.progress import Clock
from fer_tl.core.say import Say, say_line
from fer_tl.runs.folder import RunFolder, check_done
from fer_tl.runs.part import NEEDED, check_part

if TYPE_CHECKING:
    from fer_tl.core.config import Experiment
    from fer_tl.data.dataset import Dataset
    from fer_tl.evaluation.metrics import Metrics
    from fer_tl.evaluation.soup import Soup
    from fer_tl.reports.run_report import Result
    from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True, eq=False, repr=False)
class SoupResult(Scored):
    """A soup: the folder of its run, what is in it, the metrics and predictions of the validation split, and the tables
    as text."""

    run_dir: Path
    ingredients: tuple[str, ...]
    result: Result
    predictions: Predictions
    text: str

    def _headline(self) -> tuple[Metrics, dict[str, tuple[float, float]]]:
        return self.result.rows[0][1], self.result.intervals


def soup(run_dir: Path | str, out: Path | str, data_dir: Path | str | None = None, say: Say = say_line) -> SoupResult:
    """Average the weights of the models of a cross validation: the best one first, then each of the others that does
    not lower the accuracy on the validation split, which none of them was trained on.

    What comes out is a run with one model, as of ``fit``. The validation split is opened for the cross validation, and
    recorded, as ``evaluate`` does it; the test split is not.

    Args:
        run_dir: a finished cross validation.
        out: folder of the soup's run.
        data_dir: where the dataset is now; default: where the run found it.
        say: prints a line.

    Raises:
        UserError: no cross validation, an unfinished one, no validation split, another build of the dataset, another
            run in the folder, or no two models whose mean is as good as the best alone; then nothing is written.
    """
    source, target = RunFolder(Path(run_dir)), RunFolder(Path(out))
    experiment = _check_source(source)
    if data_dir:
        experiment = replace(experiment, data_dir=str(Path(data_dir).absolute()))
    experiment = replace(experiment, run_dir=str(target.path))
    dataset, fingerprint = _open_validation(source, experiment)
    _refuse_others(source, target, experiment)
    if not target.is_done("model"):
        check_done(source, "model.keras")
        clock = Clock()
        import_backend()
        found = _cook(source, data_dir, dataset, say)
        with hold(target.path, say=say):
            target.start(experiment, _about(source, fingerprint, dataset, found))
            _write(source, target, found, clock.lap())
    return _report(target, dataset, say)


def _check_source(source: RunFolder) -> Experiment:
    from fer_tl.evaluation.open_split import check_finished

    if source.read_run("class_names")["kind"] != "cv":
        raise UserError(f"{source.path} is not a cross validation: a soup is made of several models of one start")
    check_finished(source)
    return source.read_experiment()


def _open_validation(source: RunFolder, experiment: Experiment) -> tuple[Dataset, str]:
    """The validation split of the build that a run was trained on, and the fingerprint of training and validation
    split together."""
    from fer_tl.data.dataset import load_dataset
    from fer_tl.data.directory import dataset_directory
    from fer_tl.data.manifest import read_manifest
    from fer_tl.data.merging import merged_fingerprint, take_classes
    from fer_tl.data.splits import FIT_SPLITS

    about = source.read_run()
    directory = dataset_directory(Path(experiment.data_dir), about["dataset"])
    manifest = read_manifest(directory)
    if "validation" not in manifest.counts:
        raise UserError(
            f"'{about['dataset']}' has no validation split to choose by: each training image was learnt by some fold"
        )
    if merged_fingerprint(manifest, FIT_SPLITS[:1], experiment.classes) != about["fingerprint"]:
        raise UserError(
            f"{directory} is another build of '{about['dataset']}' than {source.path} was trained on: its validation "
            "split may hold images that the run has learnt; name the folder of that build with --data-dir"
        )
    dataset = load_dataset(about["dataset"], experiment.data_dir, "validation", digests=True)
    dataset = take_classes(dataset, experiment.classes, lambda line: None)
    return dataset, merged_fingerprint(manifest, FIT_SPLITS, experiment.classes)


def _refuse_others(source: RunFolder, target: RunFolder, experiment: Experiment) -> None:
    """Make sure that a run which is there, if any, is a soup of these models."""
    from fer_tl.evaluation.openings import key_of_run

    target.refuse_others(experiment, "soup", "--out")
    if not (target.path / "run.json").exists():
        return
    if target.read_run("soup")["soup"]["models"] != key_of_run(source):
        raise UserError(f"{target.path} holds a soup of other models than those of {source.path}: give another --out")
    if target.is_done("model"):
        check_part(target.part("model"), NEEDED)


def _cook(source: RunFolder, data_dir: Path | str | None, dataset: Dataset, say: Say) -> Soup:
    from fer_tl.commands.evaluate import evaluate
    from fer_tl.evaluation.learnt_images import run_lineage
    from fer_tl.evaluation.metrics import score
    from fer_tl.evaluation.soup import cook
    from fer_tl.runs.lineage import is_few

    known = int(run_lineage(source).knows(dataset.digests).sum())
    if not is_few(known, len(dataset)):
        raise UserError(
            f"{known:,} of the {len(dataset):,} images of the validation split are among those that {source.path}, or "
            "what it started from, was trained on: there is nothing to choose by"
        )

    def brief(line: str) -> None:
        if "\n" not in line:  # its tables are in the run's folder
            say(line)

    scores = {
        name: score(each)
        for name, each in evaluate(source.path, "validation", data_dir, say=brief).predictions.items()
        if name in source.parts
    }
    order = sorted(scores, key=lambda name: (-scores[name].accuracy, scores[name].loss, name))
    found = cook(source, order, dataset, say)
    if len(found.ingredients) == 1:
        raise UserError(
            f"no soup: with any other fold of {source.path} mixed in, {order[0]} is worse than alone "
            f"({100 * scores[order[0]].accuracy:.2f} %); models that were trained far from one start do not average"
        )
    return found


def _about(source: RunFolder, fingerprint: str, dataset: Dataset, found: Soup) -> dict[str, Any]:
    """``run.json`` of a soup."""
    from fer_tl.evaluation.openings import key_of_run

    about = source.read_run()
    kept = ("dataset", "class_names", "faces", "backend", "precision", "settings")
    return {
        "kind": "soup",
        "parts": ["model"],
        "fingerprint": fingerprint,
        "held_out": "split validation",
        "split_over_folds": 0,
        **({"images": about["images"] + len(dataset)} if "images" in about else {}),
        **{key: about[key] for key in kept if key in about},
        "soup": {
            "run": source.path.resolve().name,
            "models": key_of_run(source),
            "ingredients": list(found.ingredients),
            "left_out": list(found.left_out),
        },
    }


def _write(source: RunFolder, target: RunFolder, found: Soup, seconds: float) -> None:
    """The files of the soup's only part, its result last; and where its ingredients were trained."""
    from fer_tl.core.files import write_json, write_text
    from fer_tl.core.json_files import load_member
    from fer_tl.runs.lineage import join_lineages, read_lineage
    from fer_tl.runs.part import CLASSES_MEMBER, ENVIRONMENT, RESULT, TIMING, describe_files, read_environments
    from fer_tl.runs.predictions import cross_entropies, predicted_labels, save_predictions
    from fer_tl.runs.saved_model import save_model

    folder, predictions, first = target.part("model"), found.predictions, found.ingredients[0]
    write_json(target.path / ENVIRONMENT, read_environments(source.path, lambda line: None))
    save_predictions(folder / "predictions.npz", predictions)
    write_text(folder / "history.csv", "stage,epoch,loss\n")  # of no epoch
    consent = load_member(source.part(first) / "model.keras", CLASSES_MEMBER).get("consent")
    name = source.path.resolve().name
    lineage = join_lineages(read_lineage(source.part(each) / "model.keras", name) for each in found.ingredients)
    path, recipe = folder / "model.keras", source.model_recipe(first)
    save_model(found.model, predictions.class_names, path, recipe, consent, lineage)
    training = source.seconds
    if training is not None:
        write_json(folder / TIMING, {"seconds": round(training + seconds, 1), "epoch_seconds": []})
    write_json(
        folder / RESULT,
        {
            "held_out": len(predictions.ids),
            "watched": 0,
            "epochs": 0,
            "kept_epoch": 0,
            "loss": float(cross_entropies(predictions.logits, predictions.labels).mean()),
            "accuracy": float((predicted_labels(predictions) == predictions.labels).mean()),
            "files": describe_files(folder),
        },
    )


def _report(target: RunFolder, dataset: Dataset, say: Say) -> SoupResult:
    from fer_tl.commands._report_folds import where_results_are
    from fer_tl.data.dataset import group_by_id
    from fer_tl.reports.run_report import score_rows, train_report_text, write_train_report
    from fer_tl.runs.predictions import load_predictions

    predictions = load_predictions(target.part("model") / "predictions.npz")
    result = score_rows({"model": predictions}, group_by_id(dataset))
    text = train_report_text(target, result)
    remove_temporaries(target.path)
    write_train_report(target, result, say)
    say(f"\n{text}\n\n{where_results_are(target)}")
    return SoupResult(target.path, tuple(target.read_run("soup")["soup"]["ingredients"]), result, predictions, text)


COMMAND = Command(soup, positional=("run_dir",))
