"""The web application that answers for faces in pictures: its page and its API."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from flask import Flask, Request, Response, jsonify, render_template, request
from PIL import Image
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from fer_tl.core.errors import UserError
from fer_tl.faces.boxes import Box, Detector, Face
from fer_tl.faces.detection import find_faces, open_detector
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.inference.choose_detector import FACES
from fer_tl.inference.explain.pictures import SHOWN
from fer_tl.inference.face_record import face_record
from fer_tl.inference.predict.find_faces import cut_faces, cut_whole
from fer_tl.inference.serve.batching import Batcher, Busy
from fer_tl.inference.serve.face_explainer import FaceExplainer
from fer_tl.inference.serve.run_facts import RunFacts
from fer_tl.inference.serve.uploads import FORMATS, MOST_BYTES, Refused, decode_upload
from fer_tl.sources.images import data_uri, encode_image

# The largest of a picture are answered for: in a crowd, the others have fewer pixels than the model takes.
MOST_FACES = 64

_PAGE = Path(__file__).parent / "page"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, eq=False)
class Service:
    """What answers.

    Attributes:
        facts: of the run.
        class_names: of its model.
        image_shape: of the faces that it takes: height, width, channels.
        batcher: asks it.
        explainer: asks its gradients.
        detector: finds faces; that of the name "none" takes every picture for one.
        recipe: how faces are cut.
    """

    facts: RunFacts
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    batcher: Batcher
    explainer: FaceExplainer
    detector: Detector
    recipe: FaceRecipe


def make_app(service: Service, hosts: Collection[str]) -> Flask:
    """The application.

    ``POST /predict`` and ``POST /explain?face=N`` take a picture, as the body with its content type or as the file of a
    form, and answer in JSON, errors too; ``?faces=crop`` takes the picture for one face. ``GET /health`` says that it
    answers, ``GET /docs`` how to ask.

    Args:
        service: what answers.
        hosts: names by which a browser may ask for it: a page from elsewhere can bring its own name to this machine's
            address (DNS rebinding), but cannot change the name that the browser sends.
    """
    app = Flask(__name__, static_folder=None, template_folder=str(_PAGE))
    app.request_class = _InMemory
    app.jinja_options = {"finalize": _unbroken}
    app.json.sort_keys = False  # type: ignore[attr-defined]

    @app.before_request
    def refuse_strangers() -> None:
        host = request.headers.get("Host", "")
        if _name(host) not in hosts:
            raise Refused(403, f"the host {host[:80]!r} is not this server: ask for it as {' or '.join(sorted(hosts))}")
        origin = request.headers.get("Origin")
        if origin is not None and _place(origin) != host:
            raise Refused(403, f"requests from pages of {origin[:80]!r} are not answered")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    _add_page(app, service)
    _add_api(app, service)
    _add_errors(app)
    return app


def _add_page(app: Flask, service: Service) -> None:
    detects = service.detector.name != "none"

    @app.get("/")
    def index() -> str:
        return render_template(
            "index.html", facts=service.facts, detects=detects, types=tuple(FORMATS), most_bytes=MOST_BYTES
        )

    @app.get("/docs")
    def docs() -> str:
        names = service.class_names
        face = Face(Box(90, 787, 239, 899), 1.0)
        shares = [round(1 / len(names), 4)] * len(names)
        answer = {"faces": [face_record(face, names[0], shares, names)], "width": 1280, "height": 720}
        return render_template(
            "docs.html",
            facts=service.facts,
            types=tuple(FORMATS),
            address=request.host_url.rstrip("/"),
            most_megabytes=MOST_BYTES // 1_000_000,
            most_faces=MOST_FACES,
            example=json.dumps({**answer, "class_names": names}, indent=1, ensure_ascii=False),
        )

    @app.get("/page.js")
    def script() -> Response:
        return Response((_PAGE / "page.js").read_bytes(), mimetype="text/javascript")

    @app.get("/page.css")
    def style() -> Response:
        return Response((_PAGE / "page.css").read_bytes(), mimetype="text/css")


def _add_api(app: Flask, service: Service) -> None:
    @app.get("/health")
    def health() -> dict[str, Any]:
        return {
            "run": service.facts.name,
            "class_names": service.class_names,
            "detector": service.detector.name,
            "calls": service.batcher.calls,
            "faces": service.batcher.faces,
        }

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        image, faces, cut = _read(service)
        found = []
        if faces:
            answers = service.batcher.answer(cut(service.image_shape, faces))
            rows = zip(faces, answers.labels, answers.probabilities, strict=True)
            found = [face_record(*row, service.class_names) for row in rows]
        height, width = image.shape[:2]
        return {"faces": found, "width": width, "height": height, "class_names": service.class_names}

    @app.post("/explain")
    def explain() -> dict[str, Any]:
        number = request.args.get("face", "0")
        _, faces, cut = _read(service)
        if not (number.isascii() and number.isdigit() and len(number) < 10) or int(number) >= len(faces):
            raise Refused(400, f"there is no face {number[:20]!r}: {_found(len(faces))}")
        face = faces[int(number)]
        pixels = cut(service.image_shape, [face])  # [1, H, W, C]
        side, _, channels = service.image_shape
        larger = side * max(1, round(SHOWN / side))
        shown = cut((larger, larger, channels), [face])[0]
        name = request.args.get("class", "")[:80] or service.batcher.answer(pixels).labels[0]
        found = service.explainer.explain(pixels[0], shown, name)
        return {
            "face": int(number),
            "class": found.class_name,
            "place": found.place,
            "layer": found.layer,
            "map_size": found.map_size,
            "picture": data_uri(encode_image(found.picture, "png")),
        }


Cutter = Callable[[tuple[int, int, int], list[Face]], np.ndarray]


def _read(service: Service) -> tuple[np.ndarray, list[Face], Cutter]:
    """The picture of the request, its faces, and what cuts some of them out as images of a shape."""
    way = request.args.get("faces", "detect")
    if way not in FACES:
        raise Refused(400, f"faces={way[:20]}: say detect, or crop for a picture that is one face")
    recipe = service.recipe
    image = decode_upload(*_sent(), recipe.bits)
    if way == "crop" or service.detector.name == "none":
        whole = open_detector("none").find(image)
        return image, whole, lambda shape, faces: cut_whole(Image.fromarray(image), shape, recipe)
    found = find_faces(service.detector, image)[:MOST_FACES]
    return image, found, lambda shape, faces: cut_faces(image, faces, shape, recipe)


def _sent() -> tuple[bytes, str]:
    """The bytes and the media type of the picture: the only file of a form, or the body."""
    if request.mimetype != "multipart/form-data":
        return request.get_data(cache=False), request.mimetype
    files = [file for name in request.files for file in request.files.getlist(name)]
    if len(files) != 1:
        raise Refused(400, f"the form has {len(files)} files: send one picture, as `curl -F image=@photo.jpg`")
    return files[0].read(), files[0].mimetype


class _InMemory(Request):
    """Keeps files of forms in memory; Werkzeug writes those above 500 kB to the disk."""

    def _get_file_stream(self, *args: object, **named: object) -> io.BytesIO:
        return io.BytesIO()


def _add_errors(app: Flask) -> None:
    def answer(status: int, message: str) -> Response:
        response = jsonify(error=message)
        response.status_code = status
        return response

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return answer(error.status, str(error))

    @app.errorhandler(UserError)
    def unusable(error: UserError) -> Response:
        return answer(400, str(error))

    @app.errorhandler(Busy)
    def busy(error: Busy) -> Response:
        response = answer(503, f"too many requests at once, {error}: ask again in a second")
        response.headers["Retry-After"] = "1"
        return response

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Response:
        message = (error.description or error.name).rstrip(".")
        if error.code == 404:
            message = f"there is no {request.path[:80]} here: see /docs"
        if isinstance(error, MethodNotAllowed):
            allowed = " or ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
            message = f"{request.path[:80]} takes {allowed}, not {request.method}: see /docs"
        response = answer(error.code or 500, message)
        # Of the methods that an address takes, with 405.
        response.headers.extend({key: value for key, value in error.get_headers() if key == "Allow"})
        return response


def _found(faces: int) -> str:
    if not faces:
        return "none was found"
    return "one was found, number 0" if faces == 1 else f"{faces} were found, numbered from 0 to {faces - 1}"


def _unbroken(value: Any) -> Any:
    """What a page prints: no line ends between a number and its %."""
    return re.sub(r"(?<=\d) %", "\u00a0%", value) if type(value) is str else value


def _place(origin: str) -> str:
    """Host and port of an Origin header, "" if there are none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as http://[
        return ""


def _name(host: str) -> str:
    """The name in a Host header, without its port; "" if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
