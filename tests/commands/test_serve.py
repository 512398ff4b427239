"""Runs served: over real connections, on a real model, to a real browser with a camera."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from browser import CHROMIUM, Browser
from made_run import make_faces, make_run
from PIL import Image
from served_faces import Fakes, draw, make_service, picture

from fer_tl.commands.serve import ServeResult, serve
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_json
from fer_tl.inference.predictor import load
from fer_tl.inference.serve.batching import Batcher
from fer_tl.inference.serve.listening import WebServer, open_socket
from fer_tl.inference.serve.server import make_app
from fer_tl.inference.serve.uploads import MOST_BYTES
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.part import describe_files
from fer_tl.runs.saved_model import save_model

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and names of hosts that are numbers: the offline tests refuse all, and waitress asks."""
    monkeypatch.chdir(tmp_path)

    def numbers(host: str, port: int, *given: Any, **named: Any) -> list[Any]:
        if not str(host).replace(".", "").isdigit():
            raise OSError(f"tests are offline: {host}")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", numbers)


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        kind = {"Content-Type": "image/png"} if body is not None else {}
        connection.request(method, path, body, kind | {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextmanager
def served(fakes: Fakes) -> Iterator[int]:
    """The port at which squares are answered for."""
    listener = open_socket("127.0.0.1", 0)
    app = make_app(fakes.service, {"127.0.0.1"})
    with WebServer(app, listener, MOST_BYTES):
        yield listener.getsockname()[1]
    fakes.service.batcher.close()


def make_trained(path: Path) -> RunFolder:
    """A run of three folds whose first has a model."""
    faces = make_faces()
    run = make_run(path, faces)
    inputs = keras.Input((12, 12, 1), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    model.set_weights([np.random.default_rng(1).normal(0, 1, each.shape) for each in model.get_weights()])
    save_model(model, faces.class_names, run.part("fold-0") / "model.keras")
    result = read_json(run.part("fold-0") / "result.json")
    write_json(run.part("fold-0") / "result.json", result | {"files": describe_files(run.part("fold-0"))})
    write_json(path / "result.json", {"pooled_interval_95": {"accuracy": [0.5, 0.7]}})
    return run


def serve_until_stopped(client: Callable[[int], Any], **options: Any) -> tuple[ServeResult, Any, list[str]]:
    """Serve until a client has what it wanted and gives Ctrl-C; the result, what the client returns, and the lines."""
    said: list[str] = []
    ready = threading.Event()
    found: list[Any] = []

    def say(line: str) -> None:
        said.append(line)
        if "Listening" in line:
            ready.set()

    def act() -> None:
        assert ready.wait(60)
        try:
            port = next(int(line.split("127.0.0.1:")[1].split("/")[0]) for line in said if "Listening" in line)
            found.append(client(port))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    actor = threading.Thread(target=act)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        actor.start()
        result = serve("run", port=0, say=say, **options)
        actor.join()
    finally:
        signal.signal(signal.SIGINT, before)
    return result, found[0], said


def files() -> set[Path]:
    return {path for path in Path().rglob("*") if path.is_file()}


def test_a_run_answers_explains_and_ends_with_ctrl_c(monkeypatch: pytest.MonkeyPatch):
    make_trained(Path("run"))
    pictures = [RNG.integers(0, 256, (size, 30, 3), dtype=np.uint8) for size in (12, 30, 47)]
    encoded = []
    for pixels in pictures:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    before = files()

    def client(port: int) -> Any:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda data: ask(port, "POST", "/predict", data), encoded * 4))
        return answers, ask(port, "POST", "/explain", encoded[0]), ask(port, "GET", "/health")

    result, (answers, explained, health), said = serve_until_stopped(client, detector="none")
    expected = load("run").predict(pictures)
    for number, (status, found) in enumerate(answers):
        (face,) = found["faces"]
        assert (status, face["label"]) == (200, expected.labels[number % 3])
        np.testing.assert_allclose(list(face["probabilities"].values()), expected.probabilities[number % 3], atol=1e-4)
    status, found = explained
    assert (status, found["class"], found["map_size"]) == (200, expected.labels[0], [5, 5])
    assert health == (200, {**health[1], "run": "run", "detector": "none", "class_names": ["angry", "happy", "sad"]})
    assert result.faces == 13 and result.calls <= 13
    assert said[0].startswith("run: shallow_cnn trained on folder/mine (fold-0). Held-out accuracy of the run: ")
    assert "(95 % interval 50.0–70.0 %), 3 classes, 120 images." in said[0]
    assert said[1] == f"Listening at {result.address} until Ctrl-C"
    assert said[-1].strip() == "Stopped after 13 faces."
    assert files() == before
    assert "web" not in {thread.name for thread in threading.enumerate()}
    open_socket("127.0.0.1", int(result.address.rsplit(":")[-1].strip("/"))).close()  # the port is free again


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no such host": ({"host": "no.such.host"}, "--host no.such.host: there is no such host"),
    "host of others": ({"host": "192.0.2.1"}, "--host 192.0.2.1 is not an address of this machine"),
    "port": ({"port": 70000}, "--port 70000: ports are 0 to 65535"),
    "margin": ({"port": 0, "margin": -0.5}, "--margin -0.5: give 0 to 2"),
    "detector": ({"port": 0, "detector": "har"}, "--detector har: no such face detector"),
    "no run": ({"port": 0, "detector": "none"}, "run does not exist"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_before_the_model_is_loaded(name: str, monkeypatch: pytest.MonkeyPatch):
    options, said = BAD[name]
    monkeypatch.setattr("fer_tl.inference.compiled.open_network", lambda *given: pytest.fail("too late"))
    with pytest.raises(UserError) as error:
        serve("run", **options)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_port_in_use_is_told_before_the_run_is_read():
    with open_socket("127.0.0.1", 0) as taken, pytest.raises(UserError, match=r"port \d+ of 127.0.0.1 is in use"):
        serve("run", port=taken.getsockname()[1])


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch):
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "waitress" else find(name))
    with pytest.raises(UserError, match=r"waitress not installed: pip install 'fer-tl\[serve\]'"):
        serve("run")


def test_without_opencv_pictures_are_faces_and_an_open_door_is_told(monkeypatch: pytest.MonkeyPatch):
    make_trained(Path("run"))
    monkeypatch.setitem(sys.modules, "cv2", None)  # an import of it fails
    monkeypatch.setattr("fer_tl.inference.serve.listening.is_local", lambda host: False)
    _, (status, health), said = serve_until_stopped(
        lambda port: ask(port, "GET", "/health", Host="box.lan"), allowed_host="other,box.lan"
    )
    assert (status, health["detector"]) == (200, "none")
    assert said[0] == (
        "No face detector: OpenCV is not installed: pip install 'fer-tl[vision]'. Every picture is taken for one face."
    )
    assert any(line.endswith("; anyone who reaches this machine under one of its names can use it") for line in said)


def test_large_uploads_stay_in_memory_and_too_large_ones_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("waitress.buffers.TempfileBasedBuffer", lambda *given: pytest.fail("a picture on the disk"))
    buffer = io.BytesIO()
    Image.fromarray(draw([1]).repeat(30, axis=0).repeat(30, axis=1)).save(buffer, "BMP")
    assert 3_000_000 < len(buffer.getvalue()) < MOST_BYTES
    with served(make_service()) as port:
        status, found = ask(port, "POST", "/predict", buffer.getvalue())
        assert (status, len(found["faces"])) == (200, 1)
        with socket.socket() as connection, connection.makefile("rb") as stream:
            connection.connect(("127.0.0.1", port))
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000001\r\n\r\n")
            answer = stream.read().decode()
    assert answer.startswith("HTTP/1.1 413") and "application/json" in answer
    assert json.loads(answer.split("\r\n\r\n")[1])["error"].startswith("the picture is too large: send")


def test_many_clients_at_once_each_get_their_own_answers():
    fakes = make_service()
    classes = [RNG.integers(0, 3, RNG.integers(1, 5)).tolist() for _ in range(40)]
    with served(fakes) as port, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: ask(port, "POST", "/predict", picture(each)), classes))
    for asked, (status, found) in zip(classes, answers, strict=True):
        assert (status, [face["label"] for face in found["faces"]]) == (
            200,
            [("angry", "happy", "sad")[k] for k in asked],
        )


def write_camera(path: Path) -> None:
    """A camera file of three squares that stand still, ten frames of YUV4MPEG2."""
    image = Image.fromarray(draw([0, 2, 1])).resize((180, 80), Image.Resampling.NEAREST)
    y, cb, cr = image.convert("YCbCr").split()
    half = (90, 40)
    frame = b"FRAME\n" + y.tobytes() + cb.resize(half).tobytes() + cr.resize(half).tobytes()
    path.write_bytes(b"YUV4MPEG2 W180 H80 F10:1 Ip A1:1 C420\n" + 10 * frame)


_LAYOUT = """(() => {
  const root = document.documentElement;
  const ends = [...document.querySelectorAll("main *, footer *, header *")].filter(
    e => e.offsetParent && !e.closest("#boxes, .unseen") && e.getBoundingClientRect().right > root.clientWidth + 1);
  return [root.scrollWidth <= root.clientWidth, ends.map(e => e.outerHTML.slice(0, 80))];
})()"""
_BARS = "[...document.querySelectorAll('#bars tr')].map(row => row.innerText.split(/\\s+/).join(' ').trim())"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_pictures_and_its_camera(tmp_path: Path):
    Path("face.png").write_bytes(picture([1, 0]))
    Path("cut.png").write_bytes(picture([1, 0])[:80])
    write_camera(Path("camera.y4m"))
    camera = f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}"
    options = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", camera)
    fakes = make_service()
    with served(fakes) as port, Browser(tmp_path / "profile", *options) as browser:
        browser.resize(360, 640)
        browser.open(f"http://127.0.0.1:{port}/")
        browser.give_file("#file", tmp_path / "face.png")
        browser.wait("!document.getElementById('answer').hidden")
        assert browser.run("document.getElementById('said').innerText").startswith("2 faces, the largest first: happy")
        assert browser.run("[...document.querySelectorAll('.box')].map(box => box.innerText)") == ["1 happy", "2"]
        browser.run("document.querySelectorAll('#faces button')[1].click()")
        assert browser.run("document.getElementById('answer-heading').innerText").startswith("angry, 9")
        bars = browser.run(_BARS)
        assert [bar.split()[0] for bar in bars] == ["angry", "happy", "sad"]
        assert [bar.split()[-1] for bar in bars] == ["%"] * 3
        browser.run("document.getElementById('explain').click()")
        browser.wait("!document.getElementById('explanation').hidden")
        assert "speaks most for angry is here: centre" in browser.run("document.getElementById('map').alt")
        for width, dark in ((360, True), (1280, False)):
            browser.resize(width, 700, dark)
            assert browser.run(_LAYOUT) == [True, []]
        browser.give_file("#file", tmp_path / "cut.png")
        browser.wait("document.getElementById('error').innerText.includes('damaged')")
        assert browser.run("document.getElementById('result').hidden")
        watch_camera(browser, fakes)
        assert all("400 (BAD REQUEST)" in line for line in browser.console), browser.console


def watch_camera(browser: Browser, fakes: Fakes) -> None:
    """Three faces in one frame after the other, one request at a time, until the page is hidden."""
    browser.run(
        "window.most = 0; window.flying = 0; const real = fetch; window.fetch = async (...given) => {"
        "  most = Math.max(most, ++flying); try { return await real(...given); } finally { flying--; } }; 0"
    )
    browser.run("document.getElementById('camera').click()")
    browser.wait("/[0-9.]+ frames.s, 3 faces/.test(document.getElementById('rate').innerText)")
    assert browser.run("[...document.querySelectorAll('.box i')].map(label => label.innerText.trim())") == [
        "angry",
        "sad",
        "happy",
    ]
    # As when another tab is chosen.
    browser.run(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden"
    )
    assert "since the page was hidden" in browser.run("document.getElementById('error').innerText")
    state = "[video.srcObject === null, photo.hidden, most, document.getElementById('camera').innerText]"
    assert browser.run(state) == [True, False, 1, "Start the camera"]
    browser.wait("flying === 0")
    answered = len(fakes.shown)
    time.sleep(0.3)
    assert len(fakes.shown) == answered


def test_requests_that_were_accepted_are_answered_before_the_server_ends():
    fakes = make_service()
    quick, begun = fakes.answer, threading.Semaphore(0)

    def slow(pixels: np.ndarray) -> Any:
        begun.release()
        time.sleep(0.3)
        return quick(pixels)

    fakes.service.batcher.close()
    fakes.service = replace(fakes.service, batcher=Batcher(slow, fakes.service.image_shape))
    answers: list[int] = []
    body = picture([1])
    with served(fakes) as port:
        # More than there are threads: some wait in the queue when the server is told to end.
        clients = [
            threading.Thread(target=lambda: answers.append(ask(port, "POST", "/predict", body)[0])) for _ in range(12)
        ]
        for client in clients:
            client.start()
        assert begun.acquire(timeout=30)
        time.sleep(0.2)  # until all have been accepted
    for client in clients:
        client.join()
    assert answers == [200] * 12
