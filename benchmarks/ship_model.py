"""Put the model of a finished single fit into the package, as the network that ships.

usage: python benchmarks/ship_model.py RUN [--data-dir DATA] [--note TEXT]

RUN is a run of `fer-tl train` or `fer-tl distill` that held the validation split out; `fer-tl evaluate RUN --split
validation --tta flip` before adds those figures to the card. Kernels are stored in 16 bits. The dataset is needed: all
figures of the card are those of the network as it ships, and the loss is measured beside the original. Say with --note
what the validation split was used for besides, such as the choice of the recipe.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from ship_card import card_facts, card_markdown

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import PLACES, dump_yaml
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_json, write_text
from fer_tl.data.dataset import Dataset, group_by_id
from fer_tl.data.merging import take_classes
from fer_tl.evaluation.calibration import choose_scaling
from fer_tl.evaluation.open_split import check_finished
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.evaluation.run_dataset import find_dataset
from fer_tl.inference.export.parity import compare_probabilities, measure_loss
from fer_tl.models import shipped
from fer_tl.reports.run_report import score_rows, selection_note
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.half_kernels import store_half_kernels
from fer_tl.runs.part import ENVIRONMENT, OPENINGS, RESULT, TIMING, check_part, describe_files, read_result
from fer_tl.runs.predictions import Predictions, cross_entropies, load_predictions, save_predictions, softmax
from fer_tl.runs.saved_model import predict_saved

MOST_BYTES = 3_000_000
# Predicted again, the original must be as good as when it was trained: else these are other images.
_SAME = 0.005


def main() -> None:
    """Ship the model of a run, and print its card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", help="where the dataset is now; default: where the run found it")
    parser.add_argument("--note", default="", help="what a reader of the figures must know besides")
    given = parser.parse_args()
    try:
        folder = ship(given.run, given.data_dir, given.note)
    except UserError as error:
        parser.exit(2, f"ship_model: {error}\n")
    print((folder / shipped.CARD_TEXT).read_text(encoding="utf-8"))


def ship(run_dir: Path, data_dir: str | None = None, note: str = "", say: Callable[[str], None] = print) -> Path:
    """Write ``fer_tl/models/pretrained/<name>``, in place of what is there; returns that folder.

    Raises:
        UserError: an unfinished run, a cross validation or a soup, one that did not hold a validation split out, a
            dataset that is not at hand, or a network that is too large or cannot be stored in 16 bits.
    """
    run = RunFolder(run_dir)
    dataset = _held_out(run, data_dir, say)
    new = shipped.FOLDER / f".{shipped.NAME}"
    shutil.rmtree(new, ignore_errors=True)
    try:
        store_half_kernels(run.part("model") / "model.keras", new / shipped.WEIGHTS)
        size = (new / shipped.WEIGHTS).stat().st_size
        if size > MOST_BYTES:
            raise UserError(f"its network takes {size:,} bytes in 16 bits, and {MOST_BYTES:,} are the most that ships")
        loss = _write_run(run, RunFolder(new), dataset)
        contents = open_contents(RunFolder(new), data_dir, say)
        facts = card_facts(run, contents, loss, note)
        write_json(new / shipped.CARD, facts)
        write_text(new / shipped.CARD_TEXT, card_markdown(contents, facts))
        shipped.seal(new)
        folder = shipped.FOLDER / shipped.NAME
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
        say(shipped.find_shipped().describe())
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _held_out(run: RunFolder, data_dir: str | None, say: Callable[[str], None]) -> Dataset:
    """The images that the run held out, in the order of its predictions."""
    about = run.read_run("class_names")
    # A soup was chosen on the validation split: no images are left to score it on.
    if other := {"cv": "a cross validation", "soup": "a soup"}.get(about["kind"]):
        raise UserError(f"{run.path} is {other}: a single fit ships, of fer-tl train or distill")
    check_finished(run)
    check_part(run.part("model"))
    source, missing = find_dataset(run, data_dir)
    if source is None:
        raise UserError(f"{missing}: give --data-dir")
    if "validation" not in source.manifest.counts:
        raise UserError(f"{about['dataset']} has no validation split: what ships is scored on images of its own")
    dataset = take_classes(source.dataset, run.read_experiment().classes, say)
    saved = load_predictions(run.part("model") / "predictions.npz")
    row_of = {identity: row for row, identity in enumerate(dataset.ids.tolist())}
    return dataset.select(np.array([row_of[i] for i in saved.ids.tolist()]))


def _write_run(run: RunFolder, new: RunFolder, dataset: Dataset) -> dict[str, float]:
    """Write the run of the network as it ships, and measure what 16 bits cost."""
    names = dataset.class_names
    original, halved = (
        Predictions(dataset.ids, dataset.labels, predict_saved(each.part("model") / "model.keras", dataset)[0], names)
        for each in (run, new)
    )
    saved = load_predictions(run.part("model") / "predictions.npz")
    before, now = (float((each.logits.argmax(axis=1) == each.labels).mean()) for each in (saved, original))
    if abs(before - now) > _SAME:
        raise UserError(f"{run.path} was right for {before:.1%}, and is for {now:.1%} now: these are other images")
    part, old = new.part("model"), run.part("model")
    save_predictions(part / "predictions.npz", halved)
    for path in (run.path / "run.json", run.path / ENVIRONMENT, run.path / OPENINGS, old / "history.csv", old / TIMING):
        if path.is_file():
            shutil.copy(path, new.path / path.relative_to(run.path))
    places = {name: getattr(Experiment(), name) for name in PLACES}
    write_text(new.path / "config.yaml", dump_yaml(replace(run.read_experiment(), **places)))
    result = score_rows({"model": halved}, group_by_id(dataset))
    scores = {
        "loss": float(cross_entropies(halved.logits, halved.labels).mean()),
        "accuracy": result.rows[0][1].accuracy,
        "files": describe_files(part),
    }
    write_json(part / RESULT, {**read_result(old), **scores})
    intervals = {name: list(interval) for name, interval in result.intervals.items()}
    write_json(new.path / RESULT, {"selection": selection_note(new), "interval_95": intervals})
    return _loss(original, halved, dataset.groups, choose_scaling(new, ["model"]).temperature)


def _loss(original: Predictions, halved: Predictions, groups: np.ndarray, temperature: float) -> dict[str, float]:
    parity = compare_probabilities(*(softmax(each.logits / temperature) for each in (original, halved)))
    classes = [each.logits.argmax(axis=1) for each in (original, halved)]
    loss = asdict(measure_loss(original.labels, *classes, groups))
    return {"largest_probability_difference": parity.difference, **loss}


if __name__ == "__main__":
    main()
