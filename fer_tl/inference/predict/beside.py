"""A large folder of pictures predicted in parts, each a unit of work of the executors, and merged."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.checksums import checksum
from fer_tl.core.counting import counted
from fer_tl.core.environment import PACKAGES
from fer_tl.core.errors import UserError
from fer_tl.core.framework import choose_backend, version_of
from fer_tl.core.lock import hold
from fer_tl.core.say import Say
from fer_tl.executors.choose import Executor, describe_missing, keeps_what_is_done, refuse_faults, run_units
from fer_tl.executors.shares import threads_as_of_one
from fer_tl.executors.unit import Unit
from fer_tl.faces.detection import import_opencv
from fer_tl.faces.given_detector import GivenDetector, code_of
from fer_tl.inference.predict.find_faces import Looker, read_boxes
from fer_tl.inference.predict.opened import Opened, refuse_video
from fer_tl.inference.predict.outputs import Results
from fer_tl.inference.predict.portions import (
    Boxes,
    Done,
    Portion,
    cut,
    find_missing,
    load,
    portion_size,
    read_list,
    write_list,
    write_portion,
)
from fer_tl.inference.predict.request import Request
from fer_tl.inference.predict.summary import Tally
from fer_tl.inference.predict.work import BRIEF, Predicted, open_model, open_tally, write_answers
from fer_tl.inference.predictor import Chosen, ExpressionModel, choose

if TYPE_CHECKING:
    from fer_tl.faces.boxes import Detector


def predict_beside(request: Request, opened: Opened, folder: Path, units: Executor, say: Say) -> Predicted:
    """Do what was asked for in parts, as many at a time as somebody says, and merge them into the files that
    ``predict_here`` writes, the same bytes on a CPU.

    An interrupt, or a part that cannot be predicted, leaves those that are complete, beside the results: the next call
    does not do them again, with however many jobs, unless pictures, options, models or versions are others.

    Args:
        request: see ``refuse_undivided``.
        opened: its sources.
        folder: of the results.
        units: where, and how many.
        say: prints a line.

    Raises:
        UserError: as ``predict_here``; a video; or parts that could not be predicted, with the reason of the first,
            when all others are done.
    """
    refuse_video(opened)
    boxes = None if request.boxes is None else read_boxes(Path(request.boxes), opened.pictures)
    named = request.open_named(False)
    chosen = choose(request.run, request.fold, say)
    found, recipe = request.fit(named, chosen.recipe, False)
    about = request.describe(chosen.parts, chosen.scaling.temperature, chosen.scaling.note, recipe, found)
    began, tally = time.perf_counter(), open_tally(opened, recipe, request.detects)
    place = folder.resolve().with_name(f".{folder.resolve().name}-parts")
    with keeps_what_is_done(), hold(place, say=say):
        size = portion_size(len(opened.pictures), whole=boxes is None and (found is None or found.name == "none"))
        models = _digest_models(chosen)
        decides = _describe_code(request, found) | {"about": _without_places(about), "models": models}
        portions = cut(opened.pictures, size, decides, boxes, place)
        _predict_missing(request, portions, boxes, models, len(opened.pictures) <= BRIEF, units, folder, say)
        class_names = _join(portions, tally)
        if tally.pictures:
            results = Results(folder, request.formats, class_names, None)
            written = _merge(portions, results, {**about, "precision_trial": "", **tally.counts()})
        shutil.rmtree(place, ignore_errors=True)
    tally.refuse_nothing()
    seconds = time.perf_counter() - began
    text = "\n".join(filter(None, [tally.describe(seconds, written), chosen.scaling.note]))
    return Predicted(tally, text, seconds)


def _without_places(about: Mapping[str, Any]) -> dict[str, Any]:
    """What decides results, of what is said of them: not where something lies."""
    return {key: value for key, value in about.items() if key not in ("run", "source", "boxes")}


def _digest_models(chosen: Chosen) -> dict[str, str]:
    """What tells models from others."""
    return {part: checksum(chosen.run.part(part) / "model.keras").sha256 for part in chosen.parts}


def _describe_code(request: Request, found: Detector | None) -> dict[str, Any]:
    """With what results are computed, as far as it decides them."""
    versions = {package: version_of(package) for package in (*PACKAGES, "pillow")}
    code: dict[str, Any] = {"backend": choose_backend(), "threads": threads_as_of_one(), "formats": request.formats}
    if isinstance(found, GivenDetector):
        code["detector"] = code_of(found.function)
    elif found is not None and found.name != "none":
        code["opencv"] = import_opencv().__version__
    if request.detector_model is not None:
        code["detector_model"] = checksum(Path(request.detector_model)).sha256
    return code | {"versions": versions}


def _predict_missing(
    request: Request,
    portions: Sequence[Portion],
    boxes: Boxes | None,
    models: Mapping[str, str],
    brief: bool,
    units: Executor,
    folder: Path,
    say: Say,
) -> None:
    missing = list(find_missing(portions))
    say(f"{counted(sum(len(portion.pictures) for portion in portions), 'picture')} in {counted(len(portions), 'part')}")
    if len(missing) < len(portions):
        say(f"{counted(len(portions) - len(missing), 'of them is', 'of them are')} done already")
    for portion in missing:
        write_list(portion, boxes)
    settings = {"request": asdict(request), "models": models, "brief": brief}
    work = [
        Unit(one.name, f"{__name__}:predict_unit", {**settings, "name": one.name, "place": str(one.place)})
        for one in missing
    ]
    faults = run_units(units, work, folder, lambda unit, line: say(line))
    for portion in missing:
        if portion.name not in faults and not portion.place.is_dir():
            faults[portion.name] = describe_missing(portion.place)
    refuse_faults(faults, len(portions), "parts", "predicted", "predicts")


def predict_unit(settings: Mapping[str, Any], say: Say) -> None:
    """Predict one part: the work of a ``Unit``.

    Args:
        settings: ``request``; the digests of its ``models``; whether they are opened as for few pictures (``brief``);
            and the ``name`` and ``place`` of the part.
        say: prints a line.

    Raises:
        UserError: the run has other models by now, or as ``fer_tl.predict``.
    """
    place = Path(settings["place"])
    if load(place) is not None:  # a cluster may give a unit twice
        return
    given = settings["request"]
    request = Request(**{**given, "formats": tuple(given["formats"])})
    pictures, boxes = read_list(place)
    model, looker = _open_once(json.dumps([asdict(request), settings["models"], settings["brief"]]))
    opened = Opened(pictures, None, False, "")
    if request.boxes is not None:
        looker = replace(looker, boxes=boxes)

    def fill(folder: Path) -> Done:
        tally = open_tally(opened, looker.recipe, request.detects)
        with Results(folder, request.formats, model.class_names, None) as results:
            write_answers(request, opened, model, looker, results, tally, numbered=True)
            results.finish({})
        return Done(model.class_names, tally)

    done = write_portion(place, fill)
    say(f"{settings['name']}: {counted(done.tally.faces, 'face')} in {counted(len(pictures), 'picture')}")


@lru_cache(maxsize=1)
def _open_once(settings: str) -> tuple[ExpressionModel, Looker]:
    """What answers and what finds faces, for all parts that one process predicts, without boxes."""
    given, models, brief = json.loads(settings)
    request = Request(**{**given, "formats": tuple(given["formats"])})
    chosen = choose(request.run, request.fold, lambda line: None)
    if _digest_models(chosen) != models:
        raise UserError(f"{chosen.run.path} has other models than when the command was given: give it again")
    return open_model(request, False, brief, None, lambda line: None)


def _join(portions: Sequence[Portion], tally: Tally) -> tuple[str, ...]:
    """Count what was predicted in all parts; returns the classes."""
    class_names: tuple[str, ...] = ()
    for portion in portions:
        done = load(portion.place)
        if done is None:
            raise UserError(f"{portion.place} is damaged: give the same command again, which predicts it anew")
        class_names = done.class_names
        tally.join(done.tally)
    return class_names


def _merge(portions: Sequence[Portion], results: Results, about: Mapping[str, Any]) -> list[Path]:
    with results:
        for portion in portions:
            results.append(portion.place, [picture.id for picture in portion.pictures])
        return results.finish(about)
