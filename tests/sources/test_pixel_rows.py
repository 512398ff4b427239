"""A CSV whose cells are the pictures: of any square size, grey or in colour, with persons and eight classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_tl.core.classes import CLASS_NAMES, CONTEMPT
from fer_tl.core.errors import UserError
from fer_tl.data.building.build import build
from fer_tl.data.dataset import load_dataset
from fer_tl.sources.records import Record, UnusableExamples
from fer_tl.sources.table.reader import open_table

NAMES = (*CLASS_NAMES, CONTEMPT)
USAGES = ("Training", "Training", "PublicTest")
ROWS = 3 * len(NAMES)


def faces(side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (ROWS, side, side, channels), dtype=np.uint8)


def in_one_cell(image: np.ndarray) -> str:
    return " ".join(map(str, image.ravel()))


def as_a_list(image: np.ndarray) -> str:
    return f'"{image.ravel().tolist()}"'


def a_cell_each(image: np.ndarray) -> str:
    return ",".join(map(str, image.ravel()))


def table(images: np.ndarray, write: Callable[[np.ndarray], str] = in_one_cell, heading: str = "pixels") -> list[str]:
    if write is a_cell_each:
        heading = ",".join(f"pixel{index}" for index in range(images[0].size))
    cells = [f"{NAMES[i % 8]},{write(image)},{USAGES[i // 8]},S{i // 8}{i % 2},{i}" for i, image in enumerate(images)]
    return [f"emotion,{heading},Usage,subject,age", *cells]


def read(folder: Path, lines: list[str], **options: object) -> dict[str, Record]:
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    source = open_table(folder / "faces.csv", **options)  # type: ignore[arg-type]
    try:
        return {record.id: record for record in source.records()}
    finally:
        source.close()


@pytest.mark.parametrize("write", [in_one_cell, as_a_list, a_cell_each])
@pytest.mark.parametrize(("side", "channels"), [(64, 1), (20, 3), (48, 1)])
def test_pictures_of_a_csv_are_read_as_they_were(
    tmp_path: Path, side: int, channels: int, write: Callable[[np.ndarray], str]
) -> None:
    images = faces(side, channels)
    found = read(tmp_path, table(images, write))
    assert list(found) == [f"{index:05d}" for index in range(ROWS)]
    for index, record in enumerate(found.values()):
        np.testing.assert_array_equal(record.image, images[index])
        assert record.person == f"S{index // 8}{index % 2}"
        assert record.split == {"Training": "train", "PublicTest": "validation"}[USAGES[index // 8]]


def test_contempt_stays_a_class_persons_stay_together_and_size_can_be_asked_for(tmp_path: Path) -> None:
    images = faces(32, 1)
    (tmp_path / "faces.csv").write_text("\n".join(table(images)))
    given = {"image_size": 24, "shards": 1}
    build("table/mine", tmp_path / "faces.csv", tmp_path / "data", say=lambda line: None, **given)
    dataset = load_dataset("table/mine", tmp_path / "data", ("train", "validation"))
    assert dataset.images.shape == (ROWS, 24, 24, 1)
    assert set(dataset.class_names) == set(NAMES)
    labels = {identity: dataset.class_names[label] for identity, label in zip(dataset.ids, dataset.labels, strict=True)}
    assert labels == {f"{index:05d}": NAMES[index % 8] for index in range(ROWS)}
    assert len(set(dataset.groups)) == 6


def test_a_column_of_another_name_is_named(tmp_path: Path) -> None:
    images = faces(16, 1)
    lines = table(images, heading="shades")
    assert len(read(tmp_path, lines, path_column="Shades")) == ROWS
    with pytest.raises(UserError, match="holds no images"):
        read(tmp_path, lines)


def test_a_row_of_another_size_or_of_no_pixels_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    lines = table(faces(16, 1))
    lines[3] = f"fear,{' '.join(['7'] * 225)},Training,S01,3"  # 15 x 15: a picture, and not one of these
    lines[5] = lines[5].replace(" ", " x ", 1)
    with pytest.raises(UnusableExamples, match=r"row 3 \(line 4\).*225 pixel values, most rows have 256"):
        read(tmp_path, lines)
    source = open_table(tmp_path / "faces.csv")
    source.on_error = "skip"
    assert [record.id for record in source.records()] == [f"{i:05d}" for i in range(ROWS) if i not in (2, 4)]
    assert ["pixel 2 of 257" in skipped.reason for skipped in source.skipped()].count(True) == 1
    source.close()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (table(faces(16, 1)[:, :, :15]), "240 pixel values, which are no square picture in grey or colour"),
        (table(faces(16, 1), lambda image: " ".join(["1.5"] * 256)), "no row with pixels that can be used"),
        (
            [line.replace("pixel3,pixel4", "pixel4,pixel3") for line in table(faces(16, 1), a_cell_each)],
            r"256 columns of pixels \(pixel0 to pixel255\) are not in order",
        ),
    ],
)
def test_what_holds_no_pictures_is_refused_in_one_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        read(tmp_path, lines)
    assert "\n" not in str(told.value)
