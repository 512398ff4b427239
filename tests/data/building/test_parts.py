"""Parts: read anywhere in any order, they merge into the bytes of one piece, or say which one does not belong."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from expw_files import expw_files
from fer_files import csv_text, image_files, make_faces, png, write_folder, write_zip

from fer_tl.commands.build import build
from fer_tl.core.errors import UserError
from fer_tl.data.building.parts import PARTS
from fer_tl.sources.findings import Findings, Part, Skipped, parse_part
from fer_tl.sources.records import Record, Source
from fer_tl.sources.toyfaces import source as toyfaces

FACES = make_faces(42)
Made = tuple[str, dict[str, Any]]


def bright_part(image: np.ndarray) -> list[tuple[float, ...]]:
    """A detector: top, left, height and width of where an image is brightest; where it is dark there, none."""
    rows = image[:32].mean(axis=(1, 2))
    return [(0.0, 4.0, float(rows.argmax() + 12), 30.0)] if rows.max() > 132 else []


def of_csv(root: Path) -> Made:
    rows = csv_text(make_faces(63)).splitlines(keepends=True)
    for row in (6, 60):
        rows[row] = rows[row].replace(" ", " 999 ", 1)
    rows[31] = "9" + rows[31][1:]
    (root / "fer2013.csv").write_text("".join(rows) + csv_text(make_faces(7)).partition("\n")[2])
    return "fer2013", {"source": root / "fer2013.csv", "on_error": "skip", "duplicates": "drop"}


def of_images(root: Path) -> Made:
    files = image_files(FACES, "{split}/{name}/{index}.png")
    for level, split in enumerate(("train", "validation", "test")):
        files[f"{split}/happy/{level + 100}.png"] = png(np.full((48, 48), level, np.uint8))
    return "fer2013", {"source": write_zip(root / "f.zip", files), "detector": bright_part, "accept_copies": True}


def texture(*seed: int) -> np.ndarray:
    """uint8 [40, 60, 3], unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return coarse.repeat(10, axis=0).repeat(10, axis=1)


def of_folder(root: Path) -> Made:
    files = {
        f"{name}/p{person}_{n}.png": png(texture(n, person))
        for n, name in enumerate(("sad", "happy", "odd"))
        for person in range(8)
    }
    files["odd/p1_9.png"] = b"no image"
    boxes = "id,top,left,bottom,right\n" + "".join(f"p{person}_1,2,3,30,70\n" for person in range(8))
    (root / "boxes.csv").write_text(boxes)
    given = {"group_regex": r"(p\d)_", "test_share": 0.2, "on_error": "skip", "encoding": "jpeg", "image_size": 32}
    return "folder/mine", {"source": write_folder(root / "set", files), "boxes": root / "boxes.csv", **given}


def of_expw(root: Path) -> Made:
    rows = [f"angry_man_{n % 6}.jpg {n // 6} {n % 9} 3 {40 + n} {39 - n % 5} 9 {n % 7}" for n in range(28)]
    rows = [row for row in rows if row.split()[0] != "angry_man_5.jpg"]
    given = {"image_size": 16, "test_share": 0, "duplicates": "keep"}
    return "expw", {"source": write_folder(root / "expw", expw_files(rows)), **given}


def of_table(root: Path) -> Made:
    files = {f"{n}.png": png(np.random.default_rng(n).integers(0, 256, (24, 48), np.uint8)) for n in range(9)}
    cells = [(n, ("happy", "sad")[n % 2], ("train", "test")[n == 8]) for n in range(9)]
    rows = [f"{n}.png,{word},{split},{x},0,{x + 24},24" for n, word, split in cells for x in (0, 24)]
    head = "file,emotion,split,left,top,right,bottom"
    files["labels.csv"] = "\n".join([head, *rows]).encode()
    columns = "left=left,top=top,right=right,bottom=bottom"
    return "table/mine", {"source": write_folder(root / "t", files), "box_columns": columns, "image_size": 24}


def of_drawn(root: Path) -> Made:
    return "toyfaces", {}


@pytest.fixture
def few_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toyfaces, "COUNTS", {"train": 50, "validation": 10, "test": 15})
    monkeypatch.setattr(toyfaces, "CHUNK", 16)


def told(name: str, data: Path, **given: Any) -> list[str]:
    lines: list[str] = []
    build(name, data_dir=data, shards=1, say=lines.append, **given)
    return lines


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("few_drawn")
@pytest.mark.parametrize("make", [of_csv, of_images, of_folder, of_expw, of_table, of_drawn])
def test_parts_merge_into_the_bytes_of_one_piece(tmp_path: Path, make: Callable[[Path], Made]) -> None:
    name, given = make(tmp_path)
    whole = told(name, tmp_path / "one", **given)
    reading = {key: value for key, value in given.items() if key != "accept_copies"}
    for number in (3, 1, 2):
        (*_, line) = told(name, tmp_path / "parts", part=f"{number}/3", **reading)
        assert line.startswith(f"Part {number}/3 is read, ")
    merged = told(name, tmp_path / "parts", merge=True, **given)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "one")  # and no part is left
    assert merged[0].startswith("Merging 3 parts of ")
    one = [line.replace(str(tmp_path / "one"), str(tmp_path / "parts")) for line in whole]
    assert merged[1:] == one[len(one) - len(merged) + 1 :]  # what is told of the source was told with each part


@pytest.fixture
def fer_csv(tmp_path: Path) -> Path:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_text(FACES))
    return path


def test_a_part_is_read_once_and_again_where_it_is_damaged(tmp_path: Path, fer_csv: Path) -> None:
    data = tmp_path / "data"
    told("fer2013", data, source=fer_csv, part="1/2")
    assert told("fer2013", data, source=fer_csv, part="1/2") == ["Part 1/2 is already there; nothing to do."]
    (images,) = data.glob(f"{PARTS}/fer2013/*/1-of-2/images")
    before = images.read_bytes()
    images.write_bytes(before[:-1] + b"x")
    told("fer2013", data, source=fer_csv, part="2/2")
    with pytest.raises(UserError, match=r"1-of-2/images is missing or damaged: give the command with --part 1/2 again"):
        told("fer2013", data, source=fer_csv, merge=True)
    (*_, line) = told("fer2013", data, source=fer_csv, part="1/2")
    assert line.startswith("Part 1/2 is read, 21 examples: ") and images.read_bytes() == before


def test_parts_that_are_missing_or_do_not_belong_are_told(tmp_path: Path, fer_csv: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(UserError, match=r"--merge finds no part of fer2013 in .*: give the same .* --part 1/2"):
        told("fer2013", data, source=fer_csv, merge=True)
    told("fer2013", data, source=fer_csv, part="1/3")
    other = tmp_path / "other" / "fer2013.csv"
    other.parent.mkdir()
    other.write_text(csv_text(FACES[:-1]))
    told("fer2013", data, source=other, part="2/3")
    with pytest.raises(UserError, match=r"all 3 parts .*, and 2/3, 3/3 are missing.*; part 2/3 in .* is of another"):
        told("fer2013", data, source=fer_csv, merge=True)
    with pytest.raises(UserError, match=r"finds no part.*; part 1/3 in \S+ is with other options \(encoding\)"):
        told("fer2013", tmp_path / "data", source=fer_csv, merge=True, encoding="jpeg")
    for place in data.glob(f"{PARTS}/fer2013/*"):  # somebody moves one where it does not belong
        if (place / "2-of-3").exists():
            stranger = place
        else:
            ours = place
    (stranger / "2-of-3").rename(ours / "2-of-3")
    told("fer2013", data, source=fer_csv, part="3/3")
    with pytest.raises(UserError, match=r"2-of-3 is a part of another source: give the command with --part 2/3 again"):
        told("fer2013", data, source=fer_csv, merge=True)


def test_a_part_with_unusable_examples_stops(tmp_path: Path, fer_csv: Path) -> None:
    fer_csv.write_text(csv_text(FACES).replace("\n3,", "\n3,999 ", 1))
    data = tmp_path / "data"
    with pytest.raises(UserError, match=r"1 of 21 examples in fer2013.csv .* row 4 "):
        told("fer2013", data, source=fer_csv, part="1/2")
    told("fer2013", data, source=fer_csv, part="2/2")
    told("fer2013", data, source=fer_csv, part="1/2", on_error="skip")
    with pytest.raises(UserError, match=r"1 of 42 examples in fer2013.csv .* row 4 "):
        told("fer2013", data, source=fer_csv, merge=True)


def test_a_killed_part_leaves_nothing_that_looks_finished(tmp_path: Path, fer_csv: Path) -> None:
    code = f"""
        import os, signal
        from fer_tl.data.building import parts
        parts.put_in_place = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
        from fer_tl.commands.build import build
        build("fer2013", {str(fer_csv)!r}, {str(tmp_path / "data")!r}, part="1/2")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "data").iterdir()
    assert left.name.startswith(".building-fer2013-part-")
    with pytest.raises(UserError, match="--merge finds no part"):
        told("fer2013", tmp_path / "data", source=fer_csv, merge=True)
    told("fer2013", tmp_path / "data", source=fer_csv, part="1/2")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [PARTS]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"part": "0/3"}, r"--part 0/3: there are parts 1/3 to 3/3"),
        ({"part": "4/3"}, r"--part 4/3: there are parts 1/3 to 3/3"),
        ({"part": "1/0"}, "--part 1/0: give 1 to 100,000 parts"),
        ({"part": "x"}, "--part is 'x', not a number of a part and how many there are, such as 2/8"),
        ({"part": "1/2", "merge": True}, "--part 1/2 and --merge exclude each other"),
        ({"merge": True, "jobs": 2}, "--merge and --jobs or --executor exclude each other"),
        ({"jobs": 0}, "--jobs 0: give 1 to"),
        ({"executor": "rye"}, "--executor rye: choose one of local, ray, slurm"),
        ({"executor": "ray"}, "--executor ray needs --jobs"),
        ({"executor_options": "a=1"}, "--executor-options are for --executor ray and slurm"),
        ({"part": "1/2", "name": "fer2013"}, "--part 1/2 of fer2013 needs the --source"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**{"name": "toyfaces", "data_dir": tmp_path / "data", **given})
    assert not (tmp_path / "data").exists()


class Undivided(Source):
    """As a package may have it."""

    kind, name, class_names, image_shape = "drawn", "dots", ("left", "right"), (8, 8, 1)

    def __init__(self) -> None:
        self.options: dict[str, str] = {}
        self.notes: list[str] = []

    def total(self) -> int:
        return 4

    def records(self) -> Any:
        for row in range(4):
            yield Record("train", str(row), row % 2, np.full((8, 8, 1), row, np.uint8), str(row))

    def sha256(self) -> str:
        return "d" * 64

    def warnings(self) -> list[str]:
        return []


def test_parts_beside_each_other_are_kept_where_one_fails(tmp_path: Path, fer_csv: Path) -> None:
    fer_csv.write_text(csv_text(FACES).replace("\n3,", "\n3,999 ", 1))
    data, given = tmp_path / "data", {"source": fer_csv, "duplicates": "keep"}
    with pytest.raises(UserError, match=r"1 of 2 parts could not be read, such as part 1/2: 1 of 21 .*the rest"):
        told("fer2013", data, jobs=2, **given)
    told("fer2013", tmp_path / "one", on_error="skip", **given)
    lines = told("fer2013", data, jobs=3, on_error="skip", **given)
    assert lines[0] == "Reading fer2013.csv (csv), in 2 parts" and lines[1].startswith("1 of them is there already")
    assert [line[:9] for line in lines if line.startswith("Part ")] == ["Part 1/2 "]
    (data / "fer2013-unusable.csv").unlink(missing_ok=True)
    assert files_of(data) == files_of(tmp_path / "one")


@pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="submitit is not installed")
def test_parts_are_read_by_jobs_of_slurm(tmp_path: Path, fer_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.chdir(tmp_path)
    given = {"source": Path(fer_csv.name), "duplicates": "keep"}
    lines = told("fer2013", Path("data"), jobs=2, executor="slurm", executor_options="cluster=local", **given)
    assert sum("done, job" in line for line in lines) == 2
    told("fer2013", tmp_path / "one", **given)
    assert files_of(tmp_path / "data") == files_of(tmp_path / "one")


def test_a_source_that_cannot_be_divided_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toyfaces, "ToySource", Undivided)
    for given in ({"part": "1/2"}, {"jobs": 2}):
        with pytest.raises(UserError, match=r"dots \(drawn\) cannot be read in parts: its class Undivided does"):
            build("toyfaces", data_dir=tmp_path / "data", **given)


def test_runs_of_items_are_all_of_them() -> None:
    for total in (0, 1, 7, 100):
        spans = [Part(number, 8).of(range(total)) for number in range(1, 9)]
        assert [item for span in spans for item in span] == [*range(total)]
    assert parse_part(" 2/8") == Part(2, 8)


def test_findings_add_up_and_come_back() -> None:
    one, other = Findings(), Findings(largest=3)
    one.counts["constant"] += 2
    one.counts["never"] += 0
    other.counts["constant"] += 1
    one.skipped, other.skipped = [Skipped("a", "b", "c")], [Skipped("d", "e", "f")]
    both = Findings.from_dict(one.to_dict()) + Findings.from_dict(other.to_dict())
    assert (both.counts, both.largest, both.skipped) == ({"constant": 3}, 3, [*one.skipped, *other.skipped])
