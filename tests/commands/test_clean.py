"""What can be made again is listed with its size and removed on request alone, and nothing else ever is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fer_tl.cli import main
from fer_tl.commands.clean import CleanResult, clean
from fer_tl.core.errors import UserError
from fer_tl.data.cache_files import drop_least_used

FEATURES = [f"features-{digit * 32}" for digit in "abc"]
IMAGES = "folder-mine-train-0123456789abcdef"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three views' features of 1, 2 and 3 MB and decoded images of 4 MB, used in this order, beside what is none."""
    place = tmp_path / "data" / ".cache"
    for day, (name, size) in enumerate(zip([*FEATURES, IMAGES], (1, 2, 3, 4), strict=True), start=1):
        (place / name).mkdir(parents=True)
        (place / name / "000.npz").write_bytes(bytes(1_000_000 * size))
        for path in (place / name / "000.npz", place / name):
            os.utime(path, (86_400.0 * day, 86_400.0 * day))
    (place / "folder-mine-1.1.0.json").write_text("{}")
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("the only copy")
    (place / f"features-{'d' * 32}").symlink_to(place / "mine")
    (tmp_path / "data" / "openings.jsonl").write_text("{}\n")
    (tmp_path / "data" / "folder").mkdir()
    return tmp_path / "data"


def left(data: Path) -> list[str]:
    return sorted(path.name for path in (data / ".cache").iterdir() if path.name in (*FEATURES, IMAGES))


def ask(data: Path, **options: object) -> CleanResult:
    return clean(data, say=lambda line: None, **options)  # type: ignore[arg-type]


def test_without_consent_it_is_listed_only(data: Path):
    found = ask(data)
    assert [each.path.name for each in found.found] == [*FEATURES, IMAGES]
    assert found.removed == () and len(left(data)) == 4
    assert (
        "4 cached folders, 10.0 MB; all can be made again. Nothing was removed: --yes removes 4 of them, 10.0 MB."
        in found.text
    )
    assert "3.0 MB  1970-01-04  features of a frozen backbone" in found.text
    assert "decoded images of folder-mine, split train" in found.text


def test_with_it_all_of_it_goes_and_nothing_else(data: Path):
    assert "Removed 4 of 4 cached folders, 10.0 MB of 10.0 MB" in ask(data, yes=True).text
    assert left(data) == []
    assert (data / ".cache/mine/thesis.txt").read_text() == "the only copy"
    assert (data / f".cache/features-{'d' * 32}").is_symlink()
    assert (data / "openings.jsonl").exists() and (data / "folder").is_dir()
    assert "Nothing is kept" in ask(data, yes=True).text


def test_what_was_used_last_may_stay(data: Path):
    assert ask(data, keep=0.0075, yes=True).removed[-1].path.name == FEATURES[1]
    assert left(data) == sorted([FEATURES[2], IMAGES])


def test_a_folder_is_as_new_as_the_newest_of_its_files(data: Path):
    os.utime(data / ".cache" / FEATURES[0] / "000.npz", (9e5, 9e5))
    assert [each.path.name for each in ask(data).found] == [*FEATURES[1:], IMAGES, FEATURES[0]]


def test_features_over_the_limit_are_dropped_by_use_and_those_in_use_spared(data: Path):
    cache = data / ".cache"
    assert drop_least_used(cache, 6e6) == []
    dropped = drop_least_used(cache, 3.5e6, [cache / FEATURES[0]])
    assert [each.path.name for each in dropped] == [FEATURES[1], FEATURES[2]]
    assert left(data) == sorted([FEATURES[0], IMAGES])  # decoded images do not count


def test_the_command_asks_for_what_it_needs(data: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["clean", "--data-dir", str(data), "--keep", "0.004", "--yes"]) == 0
    assert "Removed 3 of 4 cached folders" in capsys.readouterr().out
    with pytest.raises(UserError, match="is not a folder: name that of the built datasets"):
        ask(data / "elsewhere")
    with pytest.raises(UserError, match="--keep -1: give gigabytes"):
        ask(data, keep=-1.0)
