"""Pictures predicted in parts beside each other give the files of one process, and what is done stays done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bright_squares
import numpy as np
import pytest
from PIL import Image

import fer_tl
from fer_tl.cli import main
from fer_tl.core.errors import CONTINUES, UserError
from fer_tl.core.framework import is_installed
from fer_tl.executors.unit import Unit, perform
from fer_tl.inference.predict import beside, portions
from fer_tl.inference.predict.find_faces import Seen, batches
from fer_tl.inference.predict.portions import portion_size
from fer_tl.inference.predict.sources import PictureFile
from fer_tl.models.shipped import ships

pytestmark = pytest.mark.skipif(not ships(), reason="no network ships with this checkout")

PHOTOS = 300
DETECTOR = "bright_squares:find"
# One of them twice, so that its second picture gets a name of its own.
EACH = {"source": ["photos", "photos/0/001.png"], "detector": DETECTOR, "save": "csv,jsonl,pictures"}


def draw(number: int) -> np.ndarray:
    """A picture with a bright square, or without where the number ends in 7."""
    image = np.random.default_rng(number).integers(0, 60, (40, 130, 3)).astype(np.uint8)
    image[0, 0] = bright_squares.MARKED if number == PHOTOS - 1 else 0  # in the last part
    if number % 10 != 7:
        face = np.random.default_rng((1, number)).integers(101, 255, (20, 20, 1))
        image[5:25, 5 + number % 20 : 25 + number % 20] = face
    return image


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, two of which are damaged."""
    folder = tmp_path_factory.mktemp("beside")
    for number in range(PHOTOS):
        path = folder / "photos" / f"{number // 150}" / f"{number % 150:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(number)).save(path)
    (folder / "photos/0/003.png").write_bytes(b"no picture")
    (folder / "photos/1/140.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(autouse=True)
def _inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for path in (bright_squares.DIES, bright_squares.WAITS):
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def alone(place: Path) -> tuple[dict[str, bytes], str]:
    """The files and the summary of one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        found = fer_tl.predict(**EACH, out="alone", say=lambda line: None)
    return contents(place / "alone"), found.text


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def timeless(text: str, out: str) -> str:
    return re.sub(r", [\d,]+ pictures/s", "", text).replace(f"{out}/", "alone/")


def parts_of(out: str) -> list[Path]:
    return sorted(Path(f".{out}-parts").glob("0*"))


def ask(out: str, **options: Any) -> list[str]:
    """What is said."""
    said: list[str] = []
    fer_tl.predict(**{**EACH, **options}, out=out, jobs=2, say=said.append)
    return said


def test_two_processes_leave_the_bytes_of_one(alone: tuple[dict[str, bytes], str]) -> None:
    said = ask("two")
    assert contents(Path("two")) == alone[0]
    assert timeless(said[-1], "two") == timeless(alone[1], "alone")
    assert "not read: " in said[-1] and len([name for name in alone[0] if "001" in name]) == 3
    assert "301 pictures in 3 parts" in said and any(line.endswith(" faces in 45 pictures") for line in said)
    assert sum(line.startswith("Model: ") for line in said) == 1
    assert not Path(".two-parts").exists() and not list(Path().glob(".*"))


def test_boxes_and_crops_are_divided_too(place: Path, tmp_path: Path, alone: object) -> None:
    for options in ({"boxes": "alone/faces.csv", "detector": "auto"}, {"faces": "crop", "detector": "auto"}):
        fer_tl.predict(**{**EACH, **options}, out="one", say=lambda line: None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(portions, "_CROPS", (128, 200))
            said = ask("two", **options)
        assert "301 pictures in 3 parts" in said
        assert contents(Path("two")) == contents(Path("one"))


def ask_and_die(out: str, **options: Any) -> dict[Path, int]:
    """The parts that are left by a call whose process for the last one is killed, and when they were written."""
    bright_squares.DIES.touch()
    with pytest.raises(UserError, match=r"^1 of 3 parts could not be predicted, such as part 3/3: its process was "):
        ask(out, **options)
    bright_squares.DIES.unlink()
    assert not Path(out).exists()
    return {path: (path / "part.json").stat().st_mtime_ns for path in parts_of(out)}


def test_after_a_process_that_was_killed_the_same_command_does_the_rest(alone: tuple[dict[str, bytes], str]) -> None:
    done = ask_and_die("killed")
    assert len(done) == 2 and ask_and_die("killed") == done
    said = ask("killed")
    assert "2 of them are done already" in said and len([line for line in said if line.startswith("part ")]) == 1
    assert contents(Path("killed")) == alone[0] and not Path(".killed-parts").exists()


def test_what_is_of_something_else_or_damaged_is_done_anew(alone: tuple[dict[str, bytes], str]) -> None:
    done = ask_and_die("other")
    assert len(ask_and_die("other", min_confidence=0.5)) == 4  # other options
    first = min(done)
    table = (first / "faces.csv").read_bytes()
    (first / "faces.csv").write_bytes(table[:-1])
    os.utime("photos/1/000.png")  # in the second part
    said = ask("other")
    assert not any("already" in line for line in said)
    assert contents(Path("other")) == alone[0] and not Path(".other-parts").exists()


def test_ctrl_c_keeps_what_is_done_and_says_so(alone: tuple[dict[str, bytes], str]) -> None:
    bright_squares.WAITS.touch()
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from fer_tl.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "predict", *EACH["source"], "--detector", DETECTOR, "--save", EACH["save"]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([*command, "--jobs", "2", "--out", "stopped"], env=environment, **pipes) as process:
        until = time.monotonic() + 60
        while len(parts_of("stopped")) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and error.endswith(f"fer-tl: interrupted; {CONTINUES}\n")
    assert not Path("stopped").exists() and len(parts_of("stopped")) == 2
    assert not [path for path in Path(".stopped-parts").iterdir() if path.name.startswith(".")]
    bright_squares.WAITS.unlink()
    assert "2 of them are done already" in ask("stopped")
    assert contents(Path("stopped")) == alone[0]


def test_where_nothing_can_be_read_one_process_or_two_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    for number in range(3):
        (tmp_path / "bad" / f"{number}.png").write_bytes(b"no picture")
    said = []
    for jobs in (None, 2):
        with pytest.raises(UserError) as raised:
            fer_tl.predict(
                source=tmp_path / "bad", faces="crop", jobs=jobs, out=tmp_path / "out", say=lambda line: None
            )
        said.append(str(raised.value))
    assert said[0] == said[1] and "none of 3 pictures could be read" in said[0]
    assert not (tmp_path / ".out-parts").exists() and not list(tmp_path.glob("out/*"))


def test_parts_depend_on_the_pictures_and_hold_whole_batches() -> None:
    for whole in (False, True):
        for count in (1, 1000, 10**5, 10**6, 10**7):
            size = portion_size(count, whole)
            assert size % 64 == 0 and -(-count // size) <= 1000
    pictures = [PictureFile(f"{number}", Path(f"{number}.png")) for number in range(10)]
    names = [
        [one.place.name for one in portions.cut(pictures, 4, about, boxes, Path("parts"))]
        for about, boxes in (({"a": 1}, None), ({"a": 2}, None), ({"a": 1}, {}))
    ]
    assert len({*names[0], *names[1], *names[2]}) == 9
    more = portions.cut([*pictures, PictureFile("10", Path("10.png"))], 4, {"a": 1}, None, Path("parts"))
    assert [one.place.name for one in more][:2] == names[0][:2]


def test_no_call_of_the_network_is_about_pictures_of_two_parts() -> None:
    seen = [Seen(f"{number}", None, None, None, [], np.zeros((number % 3, 1, 1, 1))) for number in range(30)]
    groups = [[int(each.id) for each in group] for group in batches(seen, 8, border=10)]
    assert [number for group in groups for number in group] == list(range(30))
    assert all(group[0] // 10 == group[-1] // 10 for group in groups)
    assert any(group[0] // 10 != group[-1] // 10 for group in [[int(e.id) for e in g] for g in batches(seen, 8)])


def test_a_part_is_not_predicted_by_other_models_than_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a run is trained further meanwhile."""

    def later(asked: Any, units: list[Unit], folder: Path, tell: Any) -> dict[str, str]:
        changed = [replace(unit, settings={**unit.settings, "models": {"model": "0"}}) for unit in units]
        return {unit.name: perform(unit, lambda line: None) for unit in changed}

    monkeypatch.setattr(beside, "run_units", later)
    with pytest.raises(UserError, match=r"^3 of 3 parts .* has other models than when the command was given"):
        ask("later")
    assert parts_of("later") == []


REFUSED = {
    ("0",): "0 is a camera or stream, read by one process",
    ("-",): "stdin is read by one process",
    ("film.gif",): "film.gif is a video, read by one process",
    ("photos", "--out", "-"): "--jobs and --executor write into a folder",
    ("photos", "--precision", "auto"): "--precision auto tries which is faster",
    ("photos", "--precision", "half"): "'precision' should be",
    ("photos", "--jobs", "0"): "--jobs 0: give 1 to 1,000",
    ("photos", "--executor", "dask"): "--executor dask: choose one of local, ray, slurm",
    ("photos", "--executor-options", "num_cpus=1"): "are for --executor ray and slurm",
    ("photos", "--executor", "slurm"): "there is no sbatch here",
    ("photos", "--detector", "no_such_module:find"): "--detector no_such_module:find cannot be imported",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_predicted_beside_each_other_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], make_film: Callable[[str], None]
) -> None:
    make_film("film.gif")
    command = ["predict", "--jobs", "2", "--detector", DETECTOR, "--out", "never", *words]
    assert main(command) == 2
    error = capsys.readouterr().err
    expected = REFUSED[words]
    if "sbatch" in expected and not is_installed("submitit"):
        expected = "--executor slurm needs submitit"
    assert expected in error and error.count("\n") == 1
    assert not Path("never").exists() and not Path(".never-parts/lists/x").exists()


@pytest.fixture
def make_film() -> Callable[[str], None]:
    def make(name: str) -> None:
        frames = [Image.fromarray(draw(number)) for number in range(3)]
        frames[0].save(name, save_all=True, append_images=frames[1:], duration=100)

    return make


def test_a_function_cannot_go_into_other_processes() -> None:
    with pytest.raises(UserError, match="--jobs takes a detector by name"):
        ask("never", detector=bright_squares.find)
