"""The container files name what there is: files to copy, extras to install, a command that parses, a health check."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
from pathlib import Path

import pytest
import yaml

from fer_tl.cli import parse

ROOT = Path(__file__).parent.parent
PACKAGES = ("fer_tl", "tfrecords_builder")
FILES = sorted((ROOT / "containers").glob("*.Dockerfile"))


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and argument, one a line."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.M).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line.strip()]


def test_there_is_one_to_serve_and_one_to_train() -> None:
    assert [path.stem for path in FILES] == ["serve", "train"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_copied_is_all_that_a_wheel_is_built_of_and_is_not_ignored(path: Path) -> None:
    copied = {name for word, argument in instructions(path) if word == "COPY" for name in argument.split()[:-1]}
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert (
        copied == let_through == {"fer_tl", "tfrecords_builder", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"}
    )
    assert all((ROOT / name).exists() for name in copied)
    assert not [
        name for name in copied for pattern in lines if pattern[0] not in "*!#" and fnmatch.fnmatch(name, pattern)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_extras_exist_and_nobody_is_root(path: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (named,) = re.findall(r'"\$\{wheel\}\[(.+?)\]"', path.read_text(encoding="utf-8"))
    assert set(named.split(",")) <= set(setup["options.extras_require"])
    (user,) = [argument for word, argument in instructions(path) if word == "USER"]
    assert int(user) > 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_command_parses(path: Path) -> None:
    said = dict(instructions(path))
    assert json.loads(said["ENTRYPOINT"]) == ["fer-tl"]
    name, values = parse(json.loads(said["CMD"]))
    assert (name, values.get("host")) in (("serve", "0.0.0.0"), ("doctor", None))


def test_the_server_is_published_to_this_machine_alone_and_its_port_and_health_are_those_of_serve() -> None:
    said = dict(instructions(ROOT / "containers" / "serve.Dockerfile"))
    port = str(parse(["serve"])[1]["port"])
    assert said["EXPOSE"] == port
    assert f"127.0.0.1:{port}/health" in said["HEALTHCHECK"]
    service = yaml.safe_load((ROOT / "containers" / "compose.yaml").read_text(encoding="utf-8"))["services"]["serve"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert (ROOT / "containers" / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).exists()
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
