"""Read an experiment from a YAML file, from flags and from keywords, with strict keys and one-line errors."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import re
from argparse import SUPPRESS
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fer_tl.core.check_config import check
from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import flatten, to_dict, walk
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.recipes import find_config
from fer_tl.core.yaml_files import load_yaml

CONFIG_HELP = "YAML file of these options, or the name of a recipe (fer-tl recipes); flags override it"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a config file to flat dotted keys.

    Raises:
        UserError: no such file, not YAML, or an unknown key (with the nearest valid one).
    """
    content = read_mapping(path)
    if "sweep" in content:
        raise UserError(f"{path} is a sweep over several runs: use fer-tl sweep {path}")
    return flatten_known(content, str(path))


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values as it stands, keys as text.

    Args:
        path: the file, or the name of a recipe that comes with the package.

    Raises:
        UserError: no such file or recipe, not YAML, or something else than keys and values.
    """
    import yaml

    path = find_config(path)
    try:
        content = load_yaml(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {path} cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a date 2026-13-01, a thousand brackets
        raise UserError(f"config file {path} is not valid YAML: {' '.join(str(error).split())[:300]}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(
            f"config file {path} should be a list of 'key: value' lines, but holds a {type(content).__name__}"
        )
    return {str(key): value for key, value in content.items()}


def flatten_known(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Nested keys of an experiment as dotted ones.

    Args:
        content: nested or dotted keys, raw values.
        where: stands in front of the messages, such as the file.

    Raises:
        UserError: an unknown key (with the nearest valid one), or a value that no option takes.
    """
    flat = flatten(content)
    known = {name for name, *_ in walk()}
    for key, value in flat.items():
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'{suggest(key, known)}")
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str | int | float | None):
                # YAML reads 2026-08-01 as a date, and knows sets and bytes too.
                raise UserError(f"{where}: '{key}' holds a {type(item).__name__}; put text in quotes")
    return flat


def add_options(
    parser: Any,
    defaults: bool = True,
    short: Mapping[str, str] = MappingProxyType({}),
    without: Collection[str] = (),
) -> None:
    """Add every option of an experiment to a jsonargparse parser, under its dotted name.

    Args:
        parser: a ``jsonargparse.ArgumentParser``.
        defaults: whether an option that is not given takes its default, or does not appear in the result.
        short: second flags by dotted name.
        without: names that are left out.
    """
    for name, kind, default, text, _ in walk():
        if name in without:
            continue
        flags = [f"--{name.replace('_', '-')}", *([short[name]] if name in short else [])]
        parser.add_argument(*flags, type=kind, default=default if defaults else SUPPRESS, help=text)


def from_flat(values: dict[str, Any]) -> Experiment:
    """Build and check an experiment from converted values under dotted names.

    Raises:
        UserError: a value that no run could use.
    """

    def build(cls: type, prefix: str) -> Any:
        hints = get_type_hints(cls)
        return cls(
            **{
                item.name: build(hints[item.name], f"{prefix}{item.name}.")
                if dataclasses.is_dataclass(hints[item.name])
                else values[f"{prefix}{item.name}"]
                for item in dataclasses.fields(cls)
            }
        )

    experiment: Experiment = build(Experiment, "")
    check(experiment)
    return experiment


def load_experiment(config: Path | str | Experiment | None = None, **overrides: Any) -> Experiment:
    """An experiment from a YAML file and keyword overrides, with the checks of the command line.

    Args:
        config: YAML file, or another experiment; none for the defaults.
        overrides: values by option name; a group is a dictionary, as in YAML: ``head={"dense": [32]}``. Paths may be
            ``Path``s.

    Raises:
        UserError: unknown key, wrong type, or a value that no run could use.
    """
    flat = {}
    if isinstance(config, Experiment):
        flat = flatten(to_dict(config))
    elif config:
        flat = read_yaml(Path(config))
    known = {name for name, *_ in walk()}
    for key, value in flatten(overrides).items():
        if key not in known:
            raise UserError(f"unknown option '{key}'{suggest(key, known)}")
        flat[key] = with_text_paths(value)
    return from_raw(flat)


def with_text_paths(value: Any) -> Any:
    """A value whose ``Path``s, alone or in a list, are text, as a file of options has them."""
    if isinstance(value, list | tuple):
        return [with_text_paths(each) for each in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def from_raw(flat: dict[str, Any]) -> Experiment:
    """Build and check an experiment from raw values under dotted names; what is not named takes its default.

    Raises:
        UserError: a value of the wrong type, or one that no run could use.
    """
    return from_flat(parse_values(lambda: _parser().parse_object(flat)))


@functools.cache
def _parser() -> Any:
    """Of an experiment alone; making it takes longer than using it."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    add_options(parser)
    return parser


def parse_values(parse: Callable[[], Any]) -> dict[str, Any]:
    """Run a jsonargparse call and return its values by dotted name; its errors become one-line ``UserError``s."""
    from argparse import ArgumentError

    try:
        namespace = parse()
    except ArgumentError as error:
        raise UserError(_reword(" ".join(str(error).split()))) from None
    return flatten(namespace.as_dict())


def _reword(message: str) -> str:
    """Turn jsonargparse's message on a wrong value into one sentence in the user's terms."""
    wrong = re.fullmatch(r'Parser key "(?P<key>[^"]+)": (?P<why>.*) (Got|Given) value: (?P<value>.*)', message)
    if not wrong:
        return message
    choices = {name: kind for name, kind, *_ in walk()}.get(wrong["key"])
    words = [
        str(choice)
        for part in (choices, *get_args(choices))
        if get_origin(part) is Literal
        for choice in get_args(part)
    ]
    near = difflib.get_close_matches(wrong["value"], words, n=1)
    allowed = f"one of {', '.join(words)}" if words else _spell(choices or wrong["why"])
    if words and int in get_args(choices):
        allowed += " or a whole number"
    return f"'{wrong['key']}' should be {allowed}, but is '{wrong['value']}'" + (
        f"; did you mean '{near[0]}'?" if near else ""
    )


def _spell(kind: Any) -> str:
    text = str(kind)
    if "tuple[str" in text:
        return "a list of names such as [happy,negative=angry+sad]"
    if "tuple" in text:
        return "a list of numbers such as [64,32]"
    if "bool" in text:
        return "true or false"
    return "a whole number" if "int" in text else "a number" if "float" in text else "text"
