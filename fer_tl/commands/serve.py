"""Serve a run as a local web page (pictures, webcam, explanations) and as an API."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.core.errors import UserError
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.faces.boxes import Detector
    from fer_tl.faces.recipe import FaceRecipe


@dataclass(frozen=True)
class ServeResult:
    """What a server did until it was stopped: its address, and how many faces it answered for in how many calls of
    the network."""

    address: str
    faces: int
    calls: int


def serve(
    run_dir: Path | str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    fold: int | str | None = None,
    detector: str | Callable[..., Any] = "auto",
    detector_model: Path | str | None = None,
    margin: float | None = None,
    align: bool = False,
    precision: str = "float32",
    allowed_host: Sequence[str] | str = "",
    say: Say = say_line,
) -> ServeResult:
    """Serve a run as a web page and an API, to this machine alone unless another host is given, until Ctrl-C.

    No picture is stored or sent elsewhere.

    Args:
        run_dir: a run with at least one finished part; without a run, the network that ships with fer-tl answers.
        host: name or address of this machine to listen on; ``0.0.0.0``: all of them, so that others can use it.
        port: port to listen on; 0 for any that is free.
        fold: the fold whose model answers, or ``all`` for the average of all; default: the first that is finished.
        detector: finds the faces: ``mtcnn``, ``yunet``, ``haar``, ``package.module:function``, ``none``, or ``auto``:
            the one that cropped the faces of the training, else MTCNN; with none, every picture is one face.
        detector_model: file with YuNet's model; default: downloaded once.
        margin: room to add on each side of a face, as a fraction of its size; default: as in training.
        align: rotate each face until its eyes are level; done anyway if the training did so.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 if it is faster and changes no probability by more
            than 0.01, tried on the first face.
        allowed_host: other host names that browsers may use for it, separated by commas, such as that of a proxy.
        say: prints a line.

    Raises:
        UserError: nothing trained, an address that cannot be used, no such detector, or the extra "serve" is missing.
    """
    missing = [name for name in ("flask", "waitress") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} not installed: pip install 'fer-tl[serve]'")
    from fer_tl.faces.boxes import check_margin
    from fer_tl.faces.detection import check_align, check_detector
    from fer_tl.inference.choose_detector import changed_recipe, open_named
    from fer_tl.inference.serve.listening import open_socket

    check_margin(margin)
    check_detector(detector)
    if align:
        check_align(detector)

    with closing(open_socket(host, port)) as listener:
        named = open_named(detector, detector_model)
        allowed = allowed_host.split(",") if isinstance(allowed_host, str) else tuple(allowed_host)
        from fer_tl.inference.choose_models import open_run
        from fer_tl.inference.predictor import load

        # First, since the others take a second to import, too long for a wrong path.
        run = open_run(run_dir, say).path
        model = load(run, fold, precision=precision)
        recipe = changed_recipe(model.recipe, margin, align)
        chosen = _choose_detector(named, recipe, str(run), detector_model, say)

        from PIL import Image

        from fer_tl.inference.serve.batching import Batcher
        from fer_tl.inference.serve.face_explainer import FaceExplainer
        from fer_tl.inference.serve.listening import WebServer, address_of, is_local, names_of
        from fer_tl.inference.serve.run_facts import describe_run
        from fer_tl.inference.serve.server import Service, make_app
        from fer_tl.inference.serve.uploads import MOST_BYTES

        facts = describe_run(run, model)
        bound, port = listener.getsockname()[:2]
        address = address_of(host, bound, port)
        batcher = Batcher(model.answer, model.image_shape)
        explainer = FaceExplainer(run / model.parts[0] / "model.keras")
        service = Service(facts, model.class_names, model.image_shape, batcher, explainer, chosen, recipe)
        app = make_app(service, names_of(host, bound, allowed))
        try:
            with warnings.catch_warnings(), WebServer(app, listener, MOST_BYTES) as server:
                warnings.simplefilter("error", Image.DecompressionBombWarning)  # pictures of so many pixels are refused
                say(f"{facts.name}: {facts.model}. {facts.accuracy} {model.calibration}".rstrip())
                others = (
                    "" if is_local(bound) else "; anyone who reaches this machine under one of its names can use it"
                )
                say(f"Listening at {address} until Ctrl-C{others}")
                server.wait()
        except KeyboardInterrupt:
            pass  # how a server is stopped
        finally:
            batcher.close()
        say(f"\nStopped after {batcher.faces:,} face{'' if batcher.faces == 1 else 's'}.")
        if model.outcome:
            say(model.outcome)
        return ServeResult(address, batcher.faces, batcher.calls)


def _choose_detector(
    named: Detector | None, recipe: FaceRecipe, where: str, model: Path | str | None, say: Say
) -> Detector:
    """As ``open_fitting``; where nobody asks for a certain one and there is none, every picture is a face."""
    from fer_tl.faces.detection import open_detector
    from fer_tl.faces.detectors import is_detector
    from fer_tl.inference.choose_detector import open_fitting

    try:
        return open_fitting(named, recipe, where, model)
    except UserError as error:
        if model is not None or recipe.align or is_detector(recipe.cutter):
            raise
        say(f"No face detector: {error}. Every picture is taken for one face.")
        return open_detector("none")


COMMAND = Command(serve, positional=("run_dir",))
