"""The page of a dataset: what was planted is on it, the test split is not, and hostile names do no harm."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import planted_dataset as planted
import pytest
from html_reader import Reader, assert_sound, decoded
from PIL import Image
from planted_dataset import Planted, plant

from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.manifest import read_manifest, write_manifest
from fer_tl.reports.inspect_page import write_inspection

NAME = "folder/planted"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def out(dataset: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inspection, with the terminal's text beside it."""
    folder = tmp_path_factory.mktemp("out")
    text = write_inspection(NAME, dataset.data_dir, folder)
    (folder / "terminal.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    return (out / "index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")


def section(html: str, heading: str, tag: str = "h3") -> str:
    """What follows a heading, up to the next one."""
    (start,) = [match.end() for match in re.finditer(rf"<{tag}[^>]*>{heading}</{tag}>", html)]
    return re.split(r"<h[23]", html[start:])[0]


def tile_ids(part: str) -> list[str]:
    return [
        image["alt"].split("\n")[0]
        for image in Reader(part.partition("</section>")[0] if "<html" not in part else part).all("img")
    ]


def numbers(table: str) -> dict[str, list[str]]:
    """Cells of a table by the name of their row."""
    rows = re.findall(r'<tr><th scope="row"[^>]*>(.*?)</th>(.*?)</tr>', table)
    return {name: re.findall(r"<td[^>]*>(.*?)</td>", cells) for name, cells in rows}


def test_the_page_is_sound_whatever_names_there_are(html: str) -> None:
    reader = assert_sound(html)
    assert planted.HOSTILE in tile_ids(html)
    assert planted.CLASSES[0] in reader.text
    assert "<i>" not in html and "<script" not in html


def test_counts_are_those_of_the_manifest(dataset: Planted, out: Path, html: str) -> None:
    manifest = read_manifest(dataset.directory)
    shown = numbers(section(html, "Counts", "h2"))
    for name, escaped in zip(planted.CLASSES, ("&lt;i&gt;odd &amp; new", "glad", "low"), strict=True):
        counts = [manifest.counts[split][name] for split in manifest.counts]
        assert shown[escaped][:-1] == [str(number) for number in [*counts, sum(counts)]]
    assert shown["blank"] == shown["nearly blank"] == ["1", "0", "not opened"]
    assert shown["left out: copy of test"] == ["1", "0", "0"]
    terminal = (out / "terminal.txt").read_text(encoding="utf-8")
    for name, cells in shown.items():
        line = next(line for line in terminal.splitlines() if line.startswith(Reader(name).text))
        assert line.removeprefix(Reader(name).text).split() == " ".join(cells).split()


def test_what_was_planted_is_on_the_page(html: str) -> None:
    assert set(tile_ids(section(html, "Blank or nearly so: 2 images"))) == {planted.BLANK, planted.NEARLY_BLANK}
    assert set(tile_ids(section(html, "The largest clusters with different labels"))) == set(planted.CONFLICT)
    assert set(tile_ids(section(html, "Clusters without exact copies, drawn at random once"))) == set(planted.NEAR)
    largest = section(html, "The largest clusters")
    assert set(tile_ids(largest)) == {*planted.EXACT, *planted.CONFLICT, *planted.NEAR}
    assert "2 images: 1 glad, 1 low" in largest


def test_images_of_the_test_split_are_nowhere(dataset: Planted, html: str) -> None:
    reader = Reader(html)
    allowed = {image.tobytes() for (split, _), image in dataset.pixels.items() if split != "test"}
    closed = {image.tobytes() for (split, _), image in dataset.pixels.items() if split == "test"}
    shown = [decoded(image) for image in reader.all("img")]
    tiles = {image.tobytes() for image in shown if image.shape == (planted.SIZE, planted.SIZE, 3)}
    assert len(tiles) > 40
    assert tiles <= allowed - closed
    assert not [identity for split, identity in dataset.pixels if split == "test" and identity in html]
    assert "test are neither shown nor measured" in reader.text


def test_the_figure_is_also_a_file(out: Path) -> None:
    with Image.open(out / "brightness.png") as picture:
        picture.verify()


def test_the_same_dataset_gives_the_same_files(dataset: Planted, out: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_inspection(NAME, dataset.data_dir, again)
    for path in again.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name
    assert len(list(again.iterdir())) == len(list(out.iterdir())) - 1  # less terminal.txt


def test_a_page_of_someone_else_is_left_alone(dataset: Planted, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>my thesis</h1>")
    with pytest.raises(UserError, match="--out"):
        write_inspection(NAME, dataset.data_dir, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "<h1>my thesis</h1>"
    with pytest.raises(UserError, match="is a file"):
        write_inspection(NAME, dataset.data_dir, tmp_path / "index.html")


def test_a_figure_of_an_earlier_inspection_is_gone(dataset: Planted, tmp_path: Path) -> None:
    write_inspection(NAME, dataset.data_dir, tmp_path)
    (tmp_path / "sizes.png").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    write_inspection(NAME, dataset.data_dir, tmp_path)
    assert not (tmp_path / "sizes.png").exists()
    assert (tmp_path / "notes.txt").exists()


def test_a_dataset_that_cannot_be_read_leaves_an_earlier_page(dataset: Planted, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(dataset.data_dir, tmp_path / "data"))
    write_inspection(NAME, data_dir, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    next(data_dir.glob("folder/planted/*/examples.csv")).unlink()
    with pytest.raises(UserError, match="build it again"):
        write_inspection(NAME, data_dir, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_sizes_before_resizing_are_drawn_where_they_differ(dataset: Planted, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(dataset.data_dir, tmp_path / "data"))
    (table,) = data_dir.glob("folder/planted/*/examples.csv")
    lines = table.read_text(encoding="utf-8").replace(",24,24,", ",400,300,clipped").splitlines()
    small = [line.replace("400,300,clipped", "20,30,whole") for line in lines[1:21]]
    table.write_text("\n".join([lines[0], *small, *lines[21:]]) + "\n", encoding="utf-8")
    manifest = dataclasses.replace(read_manifest(table.parent), skipped=3, warnings=("<b>three were bad",))
    write_manifest(manifest, table.parent)
    text = write_inspection(NAME, data_dir, tmp_path / "out")
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")
    assert_sound(html)
    shown = numbers(section(html, "Sizes", "h2"))
    assert shown["height"] == ["20", "20", "400", "400", "400"]
    assert shown["width"] == ["30", "30", "300", "300", "300"]
    facts = numbers(section(html, "Counts", "h2"))
    total = np.array([[int(cell) for cell in facts[name]] for name in ("enlarged", "whole, without a box")])
    assert total.sum(axis=1).tolist() == [20, 20]
    assert sum(map(int, facts["box beyond the image"])) == len(dataset.pixels) - 20
    assert "enlarged: smaller than 24 × 24" in text
    assert (tmp_path / "out" / "sizes.png").exists()
    assert "skipped 3 examples" in html and "&lt;b&gt;three were bad" in html


def test_names_that_look_like_persons_are_told_on_page_and_terminal(tmp_path: Path, html: str) -> None:
    assert "Persons</h2>" not in html
    names = {f"S{person}_{take}_{c}.png": c for person in range(3) for take in range(3) for c in ("glad", "low")}
    draw = np.random.default_rng(0)
    for name, label in names.items():
        (tmp_path / "own" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20, 20), dtype=np.uint8)).save(tmp_path / "own" / label / name)
    build("folder/own", tmp_path / "own", tmp_path / "data", image_size=20, say=lambda line: None)
    text = write_inspection("folder/own", tmp_path / "data", tmp_path / "out")
    page = Reader((tmp_path / "out" / "index.html").read_text(encoding="utf-8")).text
    for shown in (text, page):
        assert r"fer-tl build folder/own ... --group-regex '(S\d+)_' --overwrite" in " ".join(shown.split())


def test_checks_of_the_whole_are_on_the_page(out: Path, html: str) -> None:
    told = section(html, "Looks and classes", "h2")
    assert "low is darker" in told
    assert "Order: by the numbers" in section(html, "Order", "h2") and "Agreement" not in html
    terminal = (out / "terminal.txt").read_text(encoding="utf-8")
    assert "Outliers: " in terminal and "low is darker" in terminal
    rows = (out / "outliers.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id,split,class,deviations" and len(rows) > 10
    assert not any(",test," in row for row in rows)


def test_where_voters_agree_least_is_shown_with_their_votes(dataset: Planted, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(dataset.data_dir, tmp_path / "data"))
    (table,) = data_dir.glob("folder/planted/*/examples.csv")
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    votes = ["3,7" if "glad-face-4," in row else "9,1" for row in rows]
    lines = [f"{header},votes_happiness,votes_fear", *(f"{row},{each}" for row, each in zip(rows, votes, strict=True))]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = write_inspection(NAME, data_dir, tmp_path / "out")
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8").replace("&nbsp;", " ")
    assert_sound(html)
    assert "Krippendorff's alpha" in text
    assert tile_ids(section(html, "Where they agree least"))[0] == "glad: 7 fear, 3 happiness"
    assert numbers(section(html, "Agreement", "h2"))["glad"][-1] == "0"
