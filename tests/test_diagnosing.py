"""What doctor says: the framework and devices that are used, and what to install for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_tl import backend, diagnosing
from fer_tl.backend import choose_backend
from fer_tl.diagnosing import NEEDS, doctor
from fer_tl.errors import UserError


def test_what_is_there_is_shown_with_its_version_and_what_is_missing_with_its_remedy(monkeypatch: pytest.MonkeyPatch):
    there = {"tensorflow": "2.21.0", "flask": "3.1.0"}
    monkeypatch.setattr(diagnosing, "version_of", lambda package: there.get(package, ""))
    lines: list[str] = []
    found = doctor(lines.append)
    assert lines == [found.text]
    assert found.backend == "tensorflow" and "1 CPU" in found.devices
    rows = {line.split("  ")[0]: line for line in found.text.splitlines()}
    assert rows["training, predict"].rstrip().endswith("tensorflow 2.21.0")
    assert rows["serve"].rstrip().endswith("flask 3.1.0; missing")
    assert "to do: for serve: pip install 'fer-tl[serve]'" in rows
    assert not any(line.startswith("to do: for training") for line in rows)
    there |= {package: "1.0" for need in NEEDS for package in need.packages}
    assert "all parts of fer-tl can be used here" in doctor(lines.append).text


def test_every_remedy_is_an_extra_of_setup_cfg():
    text = (Path(__file__).parents[1] / "setup.cfg").read_text()
    for extra in {need.extra for need in NEEDS} | {"gpu", "jax-gpu", "jax-tpu"}:
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
    monkeypatch.setattr(backend, "is_installed", lambda name: name in installed)
    monkeypatch.delenv("KERAS_BACKEND")
    if asked:
        monkeypatch.setenv("KERAS_BACKEND", asked)
    if chosen in ("tensorflow", "jax"):
        assert choose_backend() == chosen
    else:
        with pytest.raises(UserError) as told:
            choose_backend()
        assert chosen in str(told.value)


def test_hardware_that_the_framework_does_not_find_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for vendor, words in (("0x10de", "an NVIDIA GPU is in this machine"), ("0x1ae0", "a TPU is in this machine")):
        (tmp_path / "0").mkdir(exist_ok=True)
        (tmp_path / "0" / "vendor").write_text(f"{vendor}\n")
        monkeypatch.setattr(diagnosing, "PCI", tmp_path)
        found = doctor(lambda line: None)
        assert any(fault.startswith(words) and "pip install" in fault for fault in found.faults)


def test_where_nothing_can_be_trained_all_is_said_and_then_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    lines: list[str] = []
    with pytest.raises(UserError, match="nothing can be trained here: KERAS_BACKEND is torch"):
        doctor(lines.append)
    assert "to do: KERAS_BACKEND is torch" in lines[0]
