"""Help in words, by task and by group; and what shells complete."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Literal

import pytest

from fer_tl.cli import main, parse
from fer_tl.commands import command_names, commands_by_task
from fer_tl.commands.completion import completion
from fer_tl.core.config_keys import walk
from fer_tl.core.errors import UserError
from fer_tl.core.option_words import words_of_limits, words_of_type, words_of_value


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_overview_has_every_command_with_an_example_under_its_task(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--help")
    for task, commands in commands_by_task().items():
        for name, shown in commands.items():
            entry = rf"  {name} .*\n(?: {{24}}.*\n)*? {{24}}\$ {re.escape(shown)}$"
            assert re.search(rf"^{task}:\n(?:  .*\n)*?{entry}", text, re.MULTILINE), name
    assert printed(capsys, "help") == printed(capsys) == printed(capsys, "-h") == text


@pytest.mark.parametrize("name", command_names())
def test_help_says_no_types_of_python(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, name, "--help")
    assert text == printed(capsys, "help", name)
    assert not re.search(r"\btype: |\bnull\b|default: None|<class|Literal|\bstr \|", text)
    assert max(map(len, text.splitlines())) <= 130


def test_options_of_a_training_are_grouped_with_choices_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "cv", "--help")
    optimizer = text[text.index("\nOptimizer:\n") : text.index("\nLearning rate:\n")]
    assert "--optimizer.name NAME" in optimizer and "(adam, sgd or rmsprop; default: adam)" in optimizer
    assert "--schedule.kind" not in optimizer
    for key, *_ in walk():
        assert text.count(f"\n  --{key.replace('_', '-')} ") == 1, key


def test_help_of_a_word_that_is_no_command_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "predikt"]) == 2
    assert "there is no command 'predikt'; did you mean 'predict'?" in capsys.readouterr().err


def test_help_behind_two_dashes_is_a_name() -> None:
    assert parse(["report", "--", "--help"])[1]["run_dir"] == "--help"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (int | None, "whole number"),
        (tuple[str, ...] | None, "list of names"),
        (tuple[int, ...] | str | None, "list of whole numbers"),
        (int | Literal["all", "none"], "whole number, all or none"),
        (Literal["adam"] | None, "adam"),
    ],
)
def test_types_in_words(kind: object, words: str) -> None:
    assert words_of_type(kind) == words


def test_values_and_limits_in_words() -> None:
    values = [words_of_value(value) for value in (None, True, 0.001, (64, 32), (), "adam", 1.0)]
    assert values == ["", "true", "0.001", "[64,32]", "", "adam", "1"]
    assert [words_of_limits(limits) for limits in (None, (0.0, 1.0), (1, 65536), (1e-9, 0.5))] == [
        "", "0 to 1", "1 to 65,536", "1e-09 to 0.5",
    ]  # fmt: skip


def completed(script: str, *words: str) -> set[str]:
    """What bash offers for the last of the words that are typed."""
    typed = " ".join(f"'{word}'" for word in words)
    asked = (
        f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _fer_tl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return set(subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    script = completion("bash")
    assert capsys.readouterr().out == f"{script}\n"
    assert completed(script, "fer-tl", "pre") == {"predict"}
    assert completed(script, "fer-tl", "") == {*command_names(), "help"}
    assert completed(script, "fer-tl", "cv", "--optimizer.n") == {"--optimizer.name", "--optimizer.nesterov"}
    assert completed(script, "fer-tl", "predict", "photo") == set()  # files, by -o default


def test_other_shells_know_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bashcompinit" in completion("zsh") and "complete -o default -F _fer_tl fer-tl" in completion("zsh")
    fish = completion("fish")
    assert all(f"-a {name} -d '" in fish for name in command_names())
    assert "-n '__fish_seen_subcommand_from predict' -l every -r -d 'analyse every Nth frame" in fish
    assert all(line.count("'") % 2 == 0 or "\\'" in line for line in fish.splitlines())
    with pytest.raises(UserError, match="no completion for 'bsh'; did you mean 'bash'"):
        completion("bsh")
