"""Show what a run's answers depend on: Grad-CAM, saliency and SmoothGrad over images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.counting import counted
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.framework import import_backend
from fer_tl.core.output_folder import choose_folder
from fer_tl.core.say import Say, say_line
from fer_tl.inference.choose_models import ALL, choose_parts, open_run, tell_run
from fer_tl.inference.explain.methods import METHODS, choose_methods
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import check_part

if TYPE_CHECKING:
    from fer_tl.faces.boxes import Detector
    from fer_tl.inference.explain.explain import Explanation
    from fer_tl.inference.explain.pictures import Picture


# Of one call: all maps are in memory before the page is written, which holds some 0.2 MB an image.
MOST_IMAGES = 500


@dataclass(frozen=True, eq=False, repr=False)
class ExplainResult(Shown):
    """Explained answers: the folder of page, overlays and maps, the explanations in the order shown, and the table."""

    out_dir: Path
    explanations: tuple[Explanation, ...]
    text: str


def explain(
    run_dir: Path | str | None = None,
    images: Sequence[Path | str] = (),
    errors: int = 0,
    method: str | Sequence[str] = ",".join(METHODS),
    layer: str | None = None,
    class_name: str | None = None,
    fold: int | None = None,
    faces: str = "detect",
    detector: str | Callable[..., Any] = "auto",
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    say: Say = say_line,
) -> ExplainResult:
    """Show what a run's answers depend on, for image files or for its own most confident mistakes.

    A mistake is explained by the model that did not train on the image. Nothing is written before all maps are there.

    Args:
        run_dir: a run; if it is unfinished, its finished folds are used. Without a run, the network that ships with
            fer-tl is explained.
        images: picture files, or none with ``--errors``.
        errors: explain the N most confident mistakes on held-out images.
        method: ``gradcam``, ``saliency``, ``smoothgrad``, or several, separated by commas.
        layer: the layer whose features Grad-CAM looks at; default: the last convolution.
        class_name: the class to explain; default: the predicted one.
        fold: whose model explains the files (default: 0, or the first that is done), or whose mistakes are explained
            (default: those of all).
        faces: ``detect``: find them in the files, as ``fer-tl predict`` does; ``crop``: each file already is a face.
        detector: which finds them, as for ``fer-tl predict``.
        data_dir: for mistakes, where the dataset is now; default: where the run found it.
        out: folder of the result; default: ``explain`` in the run, or here if there is none.
        say: prints a line.

    Raises:
        UserError: no run, nothing to explain or both kinds, no such method, class, fold, layer or detector, OpenCV
            missing where faces are looked for, a file that is no image, damaged parts of the run, another build of the
            data, or other files in the folder.
    """
    methods = choose_methods(method)
    words = [str(images)] if isinstance(images, str | Path) else [str(each) for each in images]
    chosen_run, files = tell_run(run_dir, words, folders=False)
    _refuse_unclear(files, errors, layer, methods)
    named = _open_named(faces, detector) if files else None
    run = open_run(chosen_run, say)
    names = run.read_run("class_names")["class_names"]
    run.refuse_edited()
    chosen = _find_class(class_name, names) if class_name is not None else None
    parts, note = choose_parts(run, ALL if errors and fold is None else fold), _missing_note(run)
    for part in parts:
        check_part(run.part(part), ("predictions.npz", "model.keras"))
    from fer_tl.reports.explain_page import LIST, describe, write_explained

    folder = choose_folder(out, (chosen_run or Path()) / "explain", LIST, "explanation")
    if errors:
        pictures, title, found = _gather_mistakes(run, parts, errors, data_dir)
    else:
        pictures, title, found = _gather_files(run, parts, files, named, faces == "detect")
    import_backend()
    from fer_tl.inference.explain.explain import explain_pictures

    explained = explain_pictures(run, pictures, methods, layer, chosen, say)
    notes = [*filter(None, [note, found, _scaling_note(run, parts)]), *describe(explained)]
    text = write_explained(explained, folder, title, notes)
    say(f"\n{text}")
    return ExplainResult(folder, explained.explanations, text)


def _refuse_unclear(images: Sequence[object], errors: int, layer: str | None, methods: Sequence[str]) -> None:
    if errors < 0 or (errors == 0 and not images):
        given = f"--errors {errors}" if errors else "nothing to explain"
        raise UserError(f"{given}: name image files, or give --errors N for the N most confident mistakes of the run")
    if errors and images:
        raise UserError("image files and --errors: give one of them, the other in a second call with another --out")
    if max(errors, len(images)) > MOST_IMAGES:
        raise UserError(f"{max(errors, len(images)):,} images to explain: at most {MOST_IMAGES} in one call")
    if layer is not None and "gradcam" not in methods:
        raise UserError(f"--layer {layer} is for gradcam, which --method leaves out")


def _find_class(name: str, names: Sequence[str]) -> str:
    from fer_tl.data.merging import find_class

    found = find_class(name, names)
    if found is None:
        raise UserError(f"--class {name}: the run has no such class{suggest(name, names)}")
    return found


def _missing_note(run: RunFolder) -> str:
    """A sentence on the parts of a run that are not trained yet, "" for none."""
    done, there = run.done, run.parts
    missing = ", ".join(name for name in there if name not in done)
    return f"The run is unfinished: {missing} of {len(there)} parts explain nothing here." if missing else ""


def _scaling_note(run: RunFolder, parts: Sequence[str]) -> str:
    """How the probabilities of the models that explain are scaled."""
    from fer_tl.evaluation.calibration import choose_scaling

    if len(parts) == 1:
        return choose_scaling(run, parts).note
    fitted = ", ".join(f"{part} {choose_scaling(run, [part]).temperature:.3f}" for part in parts)
    return f"Each model's probabilities are scaled by the images that it held out, temperatures: {fitted}."


def _open_named(faces: str, detector: str | Callable[..., Any]) -> Detector | None:
    """The detector that a person names, None for that of the training or none."""
    from fer_tl.inference.choose_detector import check_faces, open_named, refuse_for_crops

    check_faces(faces)
    refuse_for_crops(faces, ["--detector"] if detector != "auto" else [])
    return open_named(detector, None)


def _gather_mistakes(
    run: RunFolder, parts: Sequence[str], errors: int, data_dir: Path | str | None
) -> tuple[list[Picture], str, str]:
    """The most confident mistakes, a title, and a sentence on which they are."""
    from fer_tl.inference.explain.mistakes import find_mistakes

    mistakes = find_mistakes(run, parts, errors, data_dir)
    count = len(mistakes.pictures)
    repeated = " Images are counted once for each repetition, and shown once." if run.repeats > 1 else ""
    return (
        mistakes.pictures,
        f"{_where(run)}: its {count} most confident mistakes"
        if count > 1
        else f"{_where(run)}: its most confident mistake",
        f"The {f'{count} ' if count > 1 else ''}most confident of {counted(mistakes.wrong, 'mistake')} on "
        f"{counted(mistakes.answers, 'held-out image')}{', each' if count > 1 else ','} explained by a model that "
        f"was not trained on it.{repeated}",
    )


def _where(run: RunFolder) -> str:
    return f"{run.read_experiment().backbone} on {run.read_run()['dataset']}"


def _gather_files(
    run: RunFolder, parts: Sequence[str], images: Sequence[Path | str], named: Detector | None, detects: bool
) -> tuple[list[Picture], str, str]:
    """The faces of picture files, a title, and a sentence on whose explanations they get."""
    from fer_tl.inference.choose_detector import open_fitting
    from fer_tl.inference.explain.pictures import input_shape, read_pictures

    shape, recipe = input_shape(run.part(parts[0]) / "model.keras"), run.model_recipe(parts[0])
    detector = open_fitting(named, recipe, str(run.path), None) if detects else None
    source = "The model"
    if len(run.parts) > 1:
        source = f"The explanations are those of the model of {parts[0]}, one of {len(run.parts)}. It"
    pictures = read_pictures(images, shape, parts[0], recipe, detector)
    if len(pictures) > MOST_IMAGES:
        raise UserError(f"{len(pictures):,} faces to explain: at most {MOST_IMAGES} in one call; give fewer pictures")
    what = counted(len(pictures), "face" if detects else "image")
    return (
        pictures,
        f"{_where(run)}: {what} explained",
        f"{source} takes pictures of {'x'.join(map(str, shape))} pixels.",
    )


COMMAND = Command(explain, positional=("run_dir", "images"), flags={"class_name": "--class"})
