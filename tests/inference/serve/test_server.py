"""The page and the API, asked as a browser or a program asks them, with a network that says what it was shown."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from served_faces import CLASSES, SIDE, Fakes, make_service, picture

from fer_tl.core.errors import UserError
from fer_tl.faces.detection import open_detector
from fer_tl.inference.serve.listening import names_of
from fer_tl.inference.serve.run_facts import RunFacts
from fer_tl.inference.serve.server import MOST_FACES, make_app
from fer_tl.inference.serve.uploads import MOST_BYTES

HOSTS = {"localhost", "127.0.0.1", "::1"}
PNG = {"content_type": "image/png"}


@pytest.fixture
def fakes() -> Iterator[Fakes]:
    made = make_service()
    yield made
    made.service.batcher.close()


@pytest.fixture
def client(fakes: Fakes) -> FlaskClient:
    return make_app(fakes.service, HOSTS).test_client()


def sides(face: dict[str, float]) -> list[float]:
    return [face[side] for side in ("top", "left", "bottom", "right")]


def test_a_form_with_a_picture_is_answered_as_its_bytes_are(client: FlaskClient):
    sent = picture([0, 2, 1])
    form = client.post("/predict", data={"image": (io.BytesIO(sent), "x.png", "image/png")})
    assert form.get_json() == client.post("/predict", data=sent, **PNG).get_json()
    two = {name: (io.BytesIO(sent), "x.png", "image/png") for name in "ab"}
    for wrong, message in ((two, "the form has 2 files"), ({"image": "text"}, "the form has 0 files")):
        answer = client.post("/predict", data=wrong, content_type="multipart/form-data")
        assert answer.status_code == 400 and message in answer.get_json()["error"]


def test_files_of_forms_stay_in_memory(client: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse)
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)  # 1 MB as a PNG file
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    stream.seek(0)
    assert client.post("/predict?faces=crop", data={"image": (stream, "x.png", "image/png")}).status_code == 200


def test_the_page_for_programs_shows_an_answer_with_the_names_of_a_real_one(client: FlaskClient):
    page = unescape(client.get("/docs").get_data(as_text=True))
    shown = json.loads(re.search(r"<pre>(\{.*?\})</pre>", page, re.S)[1])
    real = client.post("/predict", data=picture([1]), **PNG).get_json()
    assert shown.keys() == real.keys()
    assert shown["faces"][0].keys() == real["faces"][0].keys()
    assert all(f"{path}" in page for path in ("/predict", "/explain?face=0", "/health"))


def test_every_face_has_its_box_and_its_own_answer(client: FlaskClient):
    found = client.post("/predict", data=picture([0, 2, 1]), **PNG).get_json()
    assert (found["width"], found["height"], found["class_names"]) == (90, 40, list(CLASSES))
    assert [sides(face) for face in found["faces"]] == [[5, 5 + 30 * k, 25, 25 + 30 * k] for k in range(3)]
    assert [face["label"] for face in found["faces"]] == ["angry", "sad", "happy"]
    for face in found["faces"]:
        assert list(face["probabilities"]) == list(CLASSES)
        assert face["label"] == max(face["probabilities"], key=face["probabilities"].get)
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert face["score"] == 5


def test_no_face_many_faces_and_a_picture_that_is_one(client: FlaskClient, fakes: Fakes):
    assert client.post("/predict", data=picture([]), **PNG).get_json()["faces"] == []
    assert fakes.shown == []
    crowd = client.post("/predict", data=picture([1] * (MOST_FACES + 5)), **PNG).get_json()["faces"]
    assert len(crowd) == MOST_FACES
    (whole,) = client.post("/predict?faces=crop", data=picture([2, 0]), **PNG).get_json()["faces"]
    assert sides(whole) == [0, 0, 40, 60]
    # Padded to a square, as the training's pictures are.
    assert not fakes.shown[-1][0, :2].any() and not fakes.shown[-1][0, -2:].any() and fakes.shown[-1].any()


def test_without_a_detector_every_picture_is_one_face_and_the_page_says_so(fakes: Fakes):
    client = make_app(replace(fakes.service, detector=open_detector("none")), HOSTS).test_client()
    assert client.get("/health").get_json()["detector"] == "none"
    (face,) = client.post("/predict", data=picture([1, 1]), **PNG).get_json()["faces"]
    assert sides(face) == [0, 0, 40, 60]
    html = client.get("/").get_data(as_text=True)
    assert "No face detector is at hand" in html
    assert re.search(r'id="crop" checked disabled', html)


def test_what_an_answer_depends_on_is_shown_of_the_face_that_was_asked_for(client: FlaskClient, fakes: Fakes):
    found = client.post("/explain?face=1", data=picture([0, 2]), **PNG).get_json()
    assert (found["face"], found["class"], found["place"], found["map_size"]) == (1, "sad", "centre", [3, 3])
    pixels, shown, name = fakes.explained[-1]
    assert (pixels.shape, shown.shape, name) == ((SIDE, SIDE, 1), (240, 240, 1), "sad")
    assert np.array_equal(np.unique(pixels), np.unique(shown))
    start, _, _ = found["picture"].partition(",")
    assert start == "data:image/png;base64"
    assert client.post("/explain?face=0&class=happy", data=picture([0]), **PNG).get_json()["class"] == "happy"


def test_pages_are_sealed_and_self_contained(client: FlaskClient):
    for path in ("/", "/page.js", "/page.css", "/health", "/nothing"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        text = answer.get_data(as_text=True)
        assert not re.findall(
            r"https?://(?!127\.0\.0\.1)|url\(|@import|\bstyle=|\bon\w+=\"|<script(?! src)|eval\(", text
        )
    html = client.get("/").get_data(as_text=True)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', html)) == {"data:,", "/docs", "/page.css", "/page.js"}


def test_what_a_run_is_called_is_shown_and_never_run(fakes: Fakes):
    hostile = "</title><script>alert(1)</script>\"'&amp;"
    facts = RunFacts(hostile, hostile, hostile, (hostile,))
    html = make_app(replace(fakes.service, facts=facts), HOSTS).test_client().get("/").get_data(as_text=True)
    assert html.count("<script") == 1
    assert unescape(re.sub(r"<[^>]*>", "", html)).count(hostile) == 5


def test_no_line_of_a_page_ends_between_a_number_and_its_per_cent(fakes: Fakes):
    facts = RunFacts("run", "a network", "right for 68.3 % (66.8–69.8 %)", ("5 % of <b>",))
    for path in ("/", "/docs"):
        html = make_app(replace(fakes.service, facts=facts), HOSTS).test_client().get(path).get_data(as_text=True)
        assert "68.3\u00a0% (66.8–69.8\u00a0%)" in html and " %" not in html and "<b>" not in html
    script = make_app(fakes.service, HOSTS).test_client().get("/page.js").get_data(as_text=True)
    assert "\\u00a0%" in script


BAD: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "type": ("POST", "/predict", {"data": b"x", "content_type": "text/plain"}, 415, "send the bytes of a file"),
    "form": ("POST", "/predict", {"data": {"file": (io.BytesIO(b"x"), "a.png")}}, 400, "the picture cannot be read"),
    "nothing": ("POST", "/predict", {"data": b"", **PNG}, 400, "cannot be read"),
    "damaged": ("POST", "/predict", {"data": picture([1])[:90], **PNG}, 400, "damaged"),
    "too large": ("POST", "/predict", {"data": bytes(MOST_BYTES + 1), **PNG}, 413, "at most 10,000,000"),
    "way": ("POST", "/predict?faces=../etc", {"data": picture([1]), **PNG}, 400, "faces=../etc: say detect, or crop"),
    "face": (
        "POST",
        "/explain?face=2",
        {"data": picture([1, 1]), **PNG},
        400,
        "'2': 2 were found, numbered from 0",
    ),
    "one face": ("POST", "/explain?face=7", {"data": picture([1]), **PNG}, 400, "'7': one was found, number 0"),
    "no number": ("POST", "/explain?face=-1", {"data": picture([1, 1]), **PNG}, 400, "there is no face '-1'"),
    "long number": ("POST", f"/explain?face={'9' * 5000}", {"data": picture([1]), **PNG}, 400, "there is no face"),
    "class": ("POST", "/explain?class=hapy", {"data": picture([1]), **PNG}, 400, "no class 'hapy'"),
    "address": ("GET", "/page/../../setup.cfg", {}, 404, "there is no /"),
    "method": ("GET", "/predict", {}, 405, "/predict takes POST, not GET: see /docs"),
    "host": (
        "GET",
        "/",
        {"headers": {"Host": "evil.example:8000"}},
        403,
        "ask for it as 127.0.0.1 or ::1 or localhost",
    ),
    "no host": ("GET", "/", {"headers": {"Host": "[::1"}}, 403, "is not this server"),
    "host of a picture": ("POST", "/predict", {"headers": {"Host": "a.b"}, "data": picture([1]), **PNG}, 403, "'a.b'"),
    "origin": ("POST", "/predict", {"headers": {"Origin": "http://evil.example"}, **PNG}, 403, "http://evil.example"),
    "no origin": ("POST", "/predict", {"headers": {"Origin": "null"}, **PNG}, 403, "requests from pages of 'null'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_told_why_in_json(client: FlaskClient, fakes: Fakes, name: str):
    method, path, options, status, said = BAD[name]
    answer = client.open(path, method=method, **options)
    assert answer.status_code == status
    assert said in answer.get_json()["error"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if status == 405:
        assert "POST" in answer.headers["Allow"]
    assert client.post("/predict", data=picture([1]), **PNG).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine_are_answered(client: FlaskClient, host: str):
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert client.post("/predict", data=picture([1]), headers=headers, **PNG).status_code == 200


@pytest.mark.parametrize(
    ("bound", "own"), [("127.0.0.1", "localhost"), ("0.0.0.0", socket.gethostname()), ("192.168.7.7", "192.168.7.7")]
)
def test_only_names_of_this_machine_and_allowed_ones_are_answered_wherever_it_listens(
    fakes: Fakes, bound: str, own: str
):
    client = make_app(fakes.service, names_of(bound, bound, ["Box.lan"])).test_client()
    for host, status in ((f"{own}:80", 200), ("box.lan:80", 200), ("evil.example:80", 403), ("", 403)):
        assert client.get("/", headers={"Host": host}).status_code == status, host


NASTY = [
    "9" * 5000, "-1", "1e3", "\u0663", "%00", "a\r\nb", "http://[", "http://[::1", "//", "[", "\x1b[31m", "' OR 1",
    "../" * 99,
]  # fmt: skip


@pytest.mark.parametrize("value", NASTY)
def test_no_value_of_a_request_is_an_error_of_the_server(client: FlaskClient, value: str):
    clean = value.replace("\r", "").replace("\n", "").encode("latin-1", "replace").decode("latin-1")
    for name in ("Host", "Origin", "Content-Type", "Accept", "Referer"):
        answer = client.post("/predict", data=picture([1]), headers={"Content-Type": "image/png"} | {name: clean})
        assert answer.status_code < 500, name
    for name in ("face", "class", "faces"):
        for path in ("/predict", "/explain"):
            answer = client.post(path, query_string={name: value}, data=picture([1]), **PNG)
            assert answer.status_code in (200, 400) and answer.is_json and len(answer.data) < 5000, (path, name)


def test_too_many_requests_are_asked_to_come_again(client: FlaskClient, fakes: Fakes):
    fakes.service.batcher.close()
    answer = client.post("/predict", data=picture([1]), **PNG)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "ask again" in answer.get_json()["error"]


def test_a_failing_network_is_an_error_of_the_server_that_tells_nothing_of_its_inside(
    client: FlaskClient, fakes: Fakes, caplog: pytest.LogCaptureFixture
):
    fakes.failure = RuntimeError("secret place")
    answer = client.post("/predict", data=picture([1]), **PNG)
    assert answer.status_code == 500
    assert "secret" not in answer.get_data(as_text=True) and answer.get_json()["error"]
    assert "secret place" in caplog.text
    fakes.failure = UserError("the model is gone")
    assert client.post("/predict", data=picture([1]), **PNG).get_json() == {"error": "the model is gone"}
    fakes.failure = None
    assert client.post("/predict", data=picture([1]), **PNG).status_code == 200


def test_grey_pictures_reach_the_network_as_they_are(client: FlaskClient, fakes: Fakes):
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert client.post("/predict?faces=crop", data=buffer.getvalue(), **PNG).status_code == 200
    np.testing.assert_array_equal(fakes.shown[-1][0, :, :, 0], pixels)
