"""What doctor says: the framework and devices that are used, and what to install for the rest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_run
from PIL import Image

from fer_tl.commands import doctor as command
from fer_tl.commands.doctor import NEEDS, doctor
from fer_tl.core import framework
from fer_tl.core.errors import UserError
from fer_tl.core.framework import asked_backend, choose_backend


def test_what_is_there_is_shown_with_its_version_and_what_is_missing_with_its_remedy(monkeypatch: pytest.MonkeyPatch):
    there = {"tensorflow": "2.21.0", "flask": "3.1.0"}
    monkeypatch.setattr(command, "version_of", lambda package: there.get(package, ""))
    lines: list[str] = []
    found = doctor(lines.append)
    assert "\n".join(lines) == found.text
    assert found.backend == "tensorflow" and "1 CPU" in found.devices
    rows = {line.split("  ")[0]: line for line in found.text.splitlines()}
    assert rows["training, predict"].rstrip().endswith("tensorflow 2.21.0")
    assert rows["serve"].rstrip().endswith("flask 3.1.0; missing")
    assert "to do: for serve: pip install 'fer-tl[serve]'" in rows
    assert not any(line.startswith("to do: for training") for line in rows)
    there |= {package: "1.0" for need in NEEDS for package in need.packages}
    assert "all parts of fer-tl can be used here" in doctor(lines.append).text


@pytest.mark.parametrize(
    ("backend", "kind", "installed", "told"),
    [
        ("jax", "CPU", ("tensorflow", "jax"), True),
        ("jax", "CPU", ("jax",), False),
        ("jax", "GPU", ("tensorflow", "jax"), False),
        ("tensorflow", "CPU", ("tensorflow", "jax"), False),
    ],
)
def test_who_trains_on_jax_without_need_is_told_the_faster_way(
    backend: str, kind: str, installed: tuple[str, ...], told: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(framework, "is_installed", lambda name: name in installed)
    assert ("KERAS_BACKEND=tensorflow" in framework.slower_backend(backend, kind)) == told


def test_every_remedy_is_an_extra_of_setup_cfg():
    text = (Path(__file__).parents[2] / "setup.cfg").read_text()
    for extra in {extra for need in NEEDS for extra in need.extra.split(",")} | {"gpu", "jax-gpu", "jax-tpu"}:
        assert f"\n{extra} =" in text


@pytest.mark.parametrize(
    ("installed", "asked", "chosen"),
    [
        (("tensorflow", "jax"), None, "tensorflow"),
        (("tensorflow", "jax"), "jax", "jax"),
        (("jax",), None, "jax"),
        (("tensorflow", "jax", "libtpu"), None, "jax"),  # a Colab TPU where TensorFlow was installed to build
        (("tensorflow", "jax", "libtpu"), "tensorflow", "tensorflow"),
        (("jax",), "tensorflow", "is not installed: pip install 'fer-tl[cpu]' (or gpu), or set KERAS_BACKEND=jax"),
        (("tensorflow",), "jax", "is not installed: pip install 'fer-tl[jax]', or set KERAS_BACKEND=tensorflow"),
        ((), None, "neither TensorFlow nor JAX is installed"),
        (("tensorflow",), "torch", "KERAS_BACKEND is torch: fer-tl trains with tensorflow or jax"),
    ],
)
def test_the_backend_is_what_is_asked_for_or_what_is_there(
    installed: tuple[str, ...], asked: str | None, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')  # as Keras itself writes it
    monkeypatch.setattr(framework, "is_installed", lambda name: name in installed)
    monkeypatch.delenv("KERAS_BACKEND")
    if asked:
        monkeypatch.setenv("KERAS_BACKEND", asked)
    if chosen in ("tensorflow", "jax"):
        assert choose_backend() == chosen
    else:
        with pytest.raises(UserError) as told:
            choose_backend()
        assert chosen in str(told.value)


def test_a_configuration_of_keras_that_chooses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND")
    path = tmp_path / "keras.json"
    path.write_text('{"backend": "torch"}')
    with pytest.raises(UserError, match=re.escape(f"the backend in {path} is torch: fer-tl trains with")):
        choose_backend()
    path.write_text('{"backend": "jax"}')
    assert asked_backend() == ("jax", f"the backend in {path}")


BOTH = """
import contextlib, io, json
from fer_tl.cli import main
said = []
for command in ("doctor", "predict run picture.png --faces crop"):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as error:
        code = main(command.split())
    said.append((code, out.getvalue(), error.getvalue()))
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    ("platform", "remedy"),
    [
        ("cuda", "pip install 'fer-tl[jax-gpu]', or unset JAX_PLATFORMS, which is cuda"),
        ("nonsense", "unset JAX_PLATFORMS, which is nonsense"),
    ],
)
def test_a_platform_of_jax_that_is_not_there_is_one_line(
    platform: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    small_run.make_run("run", folds=2)
    Image.fromarray(small_run.IMAGES[0, :, :, 0]).save("picture.png")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": platform}
    done = subprocess.run([sys.executable, "-c", BOTH], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    doctor, predict = json.loads(done.stdout)
    for code, _, error in (doctor, predict):
        assert code == 2, error
        assert error.count("\n") == 1 and error.endswith(f": {remedy}\n"), error
    assert "for" in doctor[1].split() and f": {remedy}\n" in doctor[1]


def test_hardware_that_the_framework_does_not_find_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for vendor, words in (("0x10de", "an NVIDIA GPU is in this machine"), ("0x1ae0", "a TPU is in this machine")):
        (tmp_path / "0").mkdir(exist_ok=True)
        (tmp_path / "0" / "vendor").write_text(f"{vendor}\n")
        monkeypatch.setattr(command, "PCI", tmp_path)
        found = doctor(lambda line: None)
        assert any(fault.startswith(words) and "pip install" in fault for fault in found.faults)


def test_where_nothing_can_be_trained_all_is_said_and_then_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    lines: list[str] = []
    with pytest.raises(UserError, match="nothing can be trained here: KERAS_BACKEND is torch"):
        doctor(lines.append)
    assert any(line.startswith("to do: KERAS_BACKEND is torch") for line in lines)
