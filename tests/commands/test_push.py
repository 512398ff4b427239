"""A folder for the Hub: what is in it and what is not, that it opens without fer-tl, and that it is sent when asked."""

from __future__ import annotations

import base64
import http.server
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from small_run import CLASSES, FOLDS, IMAGES, make_run

from fer_tl.commands.push import push
from fer_tl.core.errors import UserError
from fer_tl.core.files import write_text
from fer_tl.evaluation.intervals import bootstrap_intervals
from fer_tl.evaluation.metrics import score
from fer_tl.inference.export import hub as hub_module
from fer_tl.inference.predictor import load
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.predictions import load_predictions

FILES = {
    "README.md", "LICENSE.md", "export.json", "labels.txt", "model.keras", "model.onnx",
    "figures/confusion.png", "figures/reliability.png", "figures/learning_curves.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("push"))
        yield make_run("run", weights="/home/ann/secret/mine.weights.h5", fold_table="/home/ann/secret/folds.csv")


@pytest.fixture(scope="module")
def pushed(run: RunFolder) -> Path:
    """The folder of fold 1."""
    return push(run.path, "ann/small", fold=1, say=lambda line: None).out_dir


def metadata(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_the_folder_has_models_card_and_figures_and_no_data(run: RunFolder, pushed: Path):
    found = {path.relative_to(pushed).as_posix() for path in pushed.rglob("*") if path.is_file()}
    assert found >= FILES - {"figures/learning_curves.png"} and found <= FILES
    assert (pushed / "labels.txt").read_text() == "".join(f"{name}\n" for name in CLASSES)
    ids = load_predictions(run.part("fold-1") / "predictions.npz").ids.tolist()
    for path in pushed.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(name.encode() in content for name in ids) and b"secret" not in content
        if path.suffix == ".md":
            assert str(run.path.resolve()) not in content.decode()


def test_both_models_say_what_predict_says_where_fer_tl_is_not_imported(run: RunFolder, pushed: Path, tmp_path: Path):
    images = IMAGES[FOLDS == 1][:4]
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy, keras, onnxruntime\n"
        "images = numpy.load(sys.argv[1])\n"
        "p = keras.saving.load_model('model.keras').predict(images, verbose=0)\n"
        "q = onnxruntime.InferenceSession('model.onnx').run(['probabilities'], {'image': images})[0]\n"
        "assert 'fer_tl' not in sys.modules\n"
        "numpy.save(sys.argv[2], [p, q])\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "images.npy", tmp_path / "said.npy"], cwd=pushed, check=True)
    expected = load(run.path, 1).answer(images).probabilities
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), [expected, expected], atol=1e-5)


def test_the_metadata_has_the_figures_of_the_model_that_is_pushed(run: RunFolder, pushed: Path):
    found = metadata(pushed)
    assert (found["library_name"], found["license"], found["license_link"]) == ("keras", "other", "LICENSE.md")
    ((result,),) = [each["results"] for each in found["model-index"]]
    assert found["model-index"][0]["name"] == "small" and result["dataset"]["type"] == "folder-own"
    predictions = load_predictions(run.part("fold-1") / "predictions.npz")
    metrics = score(predictions)
    by_type = {each["type"]: each for each in result["metrics"]}
    assert by_type["accuracy"]["value"] == pytest.approx(metrics.accuracy, abs=1e-4)
    assert by_type["f1"]["value"] == pytest.approx(metrics.macro_f1, abs=1e-4)
    low, high = bootstrap_intervals(predictions, predictions.ids)["accuracy"]
    assert by_type["accuracy"]["name"] == f"accuracy (95 % interval {100 * low:.1f}–{100 * high:.1f} %)"
    text = (pushed / "README.md").read_text()
    assert f"accuracy: {100 * metrics.accuracy:.1f} % ({100 * low:.1f}–{100 * high:.1f} %)" in text
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text):
        with Image.open(pushed / picture) as image:
            image.verify()


def test_of_all_folds_the_metadata_says_that_each_image_was_answered_by_another_model(run: RunFolder, tmp_path: Path):
    folder = push(run.path, "ann/mean", fold="all", out=tmp_path / "mean", say=lambda line: None).out_dir
    (result,) = metadata(folder)["model-index"][0]["results"]
    assert result["dataset"]["name"] == (
        "folder/own, 3-fold cross validation, each image by the model not trained on it"
    )


def test_the_hubs_own_reader_takes_the_card(pushed: Path):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(pushed / "README.md")
    assert {each.metric_type for each in card.data.eval_results} >= {"accuracy", "f1", "kappa"}
    assert card.data.license_link == "LICENSE.md" and "# " in card.text


def test_licences_of_start_and_data_are_told(run: RunFolder, pushed: Path):
    text = (pushed / "LICENSE.md").read_text()
    assert "the file mine.weights.h5, whose licence fer-tl does not know" in text
    assert "does not know the licence of the training images" in text
    assert text.split("\n\n", 1)[1].strip() in (pushed / "README.md").read_text()


def test_another_push_takes_the_place_of_the_first_and_no_other_files(run: RunFolder, tmp_path: Path):
    (tmp_path / "kept").mkdir()
    write_text(tmp_path / "kept" / "thesis.txt", "mine")
    with pytest.raises(UserError, match="holds files that are of no export, such as thesis"):
        push(run.path, "ann/small", out=tmp_path / "kept", say=lambda line: None)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "name", ["ann", "ann/", "/small", "a/b/c", "ann/../x", "ann/s m", "ann/x--y", "ann/" + "x" * 97]
)
def test_a_name_that_the_hub_would_refuse_is_refused_at_once(name: str, tmp_path: Path):
    with pytest.raises(UserError, match="give OWNER/NAME, such as ann/fer-mobilenetv2"):
        push(tmp_path / "nothing", name)


def test_nothing_is_begun_without_a_token(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match=r"--upload needs a token that may write: .*HF_TOKEN"):
        push(run.path, "ann/small", upload=True, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    monkeypatch.setattr(hub_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'fer-tl\[hub\]'"):
        push(run.path, "ann/small", upload=True)


class Hub(http.server.BaseHTTPRequestHandler):
    """What the Hub answers to its client, as far as a push asks it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.asked.append((self.path, self.headers["Authorization"], body))  # type: ignore[attr-defined]
        own = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        status, answer = 200, dict[str, Any]()
        if self.path == "/api/repos/create":
            answer = {"url": f"{own}/ann/small"}
        elif "/preupload/" in self.path:
            files = [each["path"] for each in json.loads(body)["files"]]
            answer = {"files": [{"path": each, "uploadMode": "regular", "shouldIgnore": False} for each in files]}
        elif "/commit/" in self.path:
            status = self.server.status  # type: ignore[attr-defined]
            refusal = f"no room for {self.headers['Authorization']}"
            answer = {"commitUrl": f"{own}/ann/small/commit/1", "commitOid": "1", "error": refusal}
        elif self.path == "/api/validate-yaml":
            answer = {"errors": [], "warnings": []}
        self._answer(status, answer)

    def do_GET(self) -> None:
        self._answer(404, {})

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A double of the Hub on this machine, with what it was asked in ``asked``."""
    constants = pytest.importorskip("huggingface_hub.constants")
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.status = [], 200
    # Tests look no names up: this address is one already.
    numbers = lambda host, port, *more, **named: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", numbers)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore")  # of the client's own insides
def test_every_file_is_sent_to_a_private_repository(hub: Any, run: RunFolder, tmp_path: Path):
    said: list[str] = []
    result = push(run.path, "ann/small", upload=True, out=tmp_path / "sent", say=said.append)
    asked = {path: json.loads(body) for path, _, body in hub.asked if path == "/api/repos/create"}
    made = asked["/api/repos/create"]  # the second is what huggingface_hub 2 sends
    assert made.get("private") is True or made.get("visibility") == "private"
    assert {authorization for _, authorization, _ in hub.asked} == {"Bearer hf_verysecret"}
    ((body,),) = [[body for path, _, body in hub.asked if "/commit/" in path]]
    lines = [json.loads(line) for line in body.splitlines()]
    sent = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
    }
    assert sent == {name: (result.out_dir / name).read_bytes() for name in result.files}
    assert result.address == f"http://127.0.0.1:{hub.server_port}/ann/small"
    assert said[-1] == f"sent to {result.address}"


@pytest.mark.filterwarnings("ignore")
def test_what_the_hub_refuses_is_told_in_a_line_without_the_token(hub: Any, run: RunFolder, tmp_path: Path):
    hub.status = 403
    with pytest.raises(UserError) as told:
        push(run.path, "ann/small", upload=True, out=tmp_path / "kept", say=lambda line: None)
    assert "\n" not in str(told.value) and "secret" not in str(told.value)
    assert (tmp_path / "kept" / "model.onnx").is_file() and "is whole" in str(told.value)
