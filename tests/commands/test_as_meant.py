"""What people type is taken as they mean it, and gives the same as the full spelling."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fer_tl.cli import parse
from fer_tl.commands import command_names, load_command
from fer_tl.commands._arguments import arguments_of
from fer_tl.commands._as_meant import USUAL_NAMES
from fer_tl.core.config_keys import walk
from fer_tl.core.errors import UserError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train --data toyfaces --lr 0.01", "train --data toyfaces --optimizer.rate 0.01"),
        ("train --data toyfaces --lr=0.01", "train --data toyfaces --optimizer.rate=0.01"),
        ("train toyfaces --epochs 3", "train --data toyfaces --epochs 3"),
        ("cv --epochs 3 toyfaces", "cv --data toyfaces --epochs 3"),
        ("train --data toyfaces --classes happy,sad", "train --data toyfaces --classes [happy,sad]"),
        (
            "train --data toyfaces --classes 'happy,bad=angry+sad'",
            "train --data toyfaces --classes [happy,bad=angry+sad]",
        ),
        ("cv toyfaces --head.dense 64", "cv --data toyfaces --head.dense [64]"),
        ("cv toyfaces --head.dense=64,32", "cv --data toyfaces --head.dense=[64,32]"),
        ("cv toyfaces --dropout 0.5 --batch 7", "cv --data toyfaces --head.dropout [0.5] --batch-size 7"),
        ("cv toyfaces --classes null", "cv --data toyfaces --classes null"),
        ("build fer2013 fer2013.csv", "build fer2013 --source fer2013.csv"),
        ("build --shards 4 fer2013 fer2013.csv", "build fer2013 --shards 4 --source fer2013.csv"),
        ("build fer2013 --source fer2013.csv", "build fer2013 --source fer2013.csv"),
    ],
)
def test_it_is_the_same_as_the_full_spelling(typed: str, meant: str) -> None:
    assert parse(shlex.split(typed)) == parse(shlex.split(meant))


def test_a_name_that_a_command_has_itself_keeps_its_meaning() -> None:
    given = "import-predictions x.csv --data toyfaces --split validation --model theirs"
    assert parse(given.split())[1]["model"] == "theirs"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("train toyfaces fer2013", "unrecognized arguments: fer2013"),
        ("train --data toyfaces fer2013", "unrecognized arguments: fer2013"),
        ("build fer2013 a.csv b.csv", "unrecognized arguments: b.csv"),
        ("folds toyfaces --lr 0.1", "fer-tl folds has no option --lr"),
        ("cv toyfaces --head.dense 64,wide", "'head.dense' should be a list of numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(typed: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(typed.split())


def test_every_usual_name_stands_for_an_option_and_hides_none() -> None:
    settings = {f"--{name.replace('_', '-')}" for name, *_ in walk()}
    of_train = {flag for argument in arguments_of("train") for flag in argument.flags}
    assert set(USUAL_NAMES.values()) - {"--out"} <= settings
    assert not set(USUAL_NAMES) & of_train


def test_words_without_a_flag_are_options_of_their_command() -> None:
    for name in command_names():
        flags = {flag for argument in arguments_of(name) for flag in argument.flags}
        assert set(load_command(name).words) <= flags
