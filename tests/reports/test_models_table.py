"""The list of backbones says what the registry says, and which weights are here, without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fer_tl
from fer_tl.models.backbones import BACKBONES

QUICK = """
import sys
from fer_tl.cli import main
code = main(["models"])
sys.exit(code or str(sorted({"tensorflow", "keras", "h5py", "sklearn"} & set(sys.modules))))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Keras cache with one file of Keras's and one of keras-vggface's, each where its maker puts it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    mobilenet = BACKBONES["mobilenetv2"]
    name = mobilenet.pretrained["imagenet"].file_name(1.0, mobilenet.default_size)
    for place in (f"models/{name}", "models/vggface/rcmalli_vggface_tf_notop_vgg16.h5", "models/resnet50.h5"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    return tmp_path


def listed() -> tuple[str, dict[str, tuple[str, ...]]]:
    """The text, and the names of the weights that are marked as offline, by backbone."""
    said: list[str] = []
    rows = fer_tl.list_models(say=said.append)
    assert [row.backbone for row in rows] == list(BACKBONES.values())
    return "\n".join(said), {row.backbone.name: row.offline for row in rows if row.offline}


def test_weights_in_the_cache_are_marked(cache: Path):
    text, offline = listed()
    assert offline == {"mobilenetv2": ("imagenet",), "vgg16": ("vggface",)}
    lines = text.splitlines()
    assert [line.split()[0] for line in lines if "(offline)" in line] == ["mobilenetv2", "vggface"]
    assert str(cache) in text


def test_every_backbone_is_a_line_with_its_numbers_and_every_licence_stands_beside_its_weights():
    lines = listed()[0].splitlines()
    for name, record in BACKBONES.items():
        [number] = [number for number, line in enumerate(lines) if line.startswith(f"{name} ")]
        parameters, macs, unit, size, smallest, features, *rest = lines[number].split()[1:]
        assert (parameters, features) == (f"{record.parameters:,}", f"{record.features:,}")
        assert (int(size), int(smallest), unit) == (record.default_size, record.min_size, "M")
        assert float(macs.replace(",", "")) == pytest.approx(record.macs / 1e6, abs=0.51)
        assert " ".join(rest).startswith(record.paper)
        for line, (weights, published) in zip(lines[number:], record.pretrained.items(), strict=False):
            assert f" {weights} " in line and line.endswith(f" {published.licence}")


def test_the_command_prints_it_without_tensorflow(cache: Path):
    environment = {**os.environ, "PYTHONPATH": str(Path(fer_tl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", QUICK], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == "[]\n"
    assert done.stdout == f"{listed()[0]}\n"
