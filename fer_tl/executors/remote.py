"""Units on other machines: what goes with them, and what a machine must have to do them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fer_tl.core.environment import PACKAGES
from fer_tl.core.errors import UserError
from fer_tl.core.framework import SETTING, choose_backend, version_of
from fer_tl.core.option_words import listed
from fer_tl.core.say import say_line
from fer_tl.executors.shares import threads_as_of_one
from fer_tl.executors.unit import Unit, perform


@dataclass(frozen=True)
class Origin:
    """Where units come from: the folder, which other machines must find by the same name, versions of packages, and
    the environment variables that decide results."""

    folder: str
    versions: Mapping[str, str]
    environment: Mapping[str, str]


def origin_here() -> Origin:
    """Of this process."""
    environment = threads_as_of_one() | {SETTING: choose_backend()}
    return Origin(os.getcwd(), _versions(), environment)


def perform_from(origin: Origin, unit: Unit) -> str:
    """Do a unit on this machine; returns what went wrong, "" if nothing did."""
    host, here = platform.node(), _versions()
    for package, wanted in origin.versions.items():
        if here[package] != wanted:
            return (
                f"{host} has {package} {here[package] or '(none)'} and the machine that gave the command "
                f"{wanted or '(none)'}: install the same versions on both"
            )
    try:
        os.chdir(origin.folder)
    except OSError as error:
        return (
            f"{host} has no folder {origin.folder} ({error.strerror}): runs and data must lie on a disk that all "
            "machines share"
        )
    os.environ.update(origin.environment)
    return perform(unit, say_line)


def parse_options(given: str | Sequence[str] | None) -> dict[str, str | int | float]:
    """``timeout_min=600,partition=gpu`` by name, whole and decimal numbers as such.

    Raises:
        UserError: what has no ``=``.
    """
    found: dict[str, str | int | float] = {}
    for part in filter(None, listed(given or ())):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise UserError(f"'executor_options' should be such as num_cpus=4,num_gpus=1, but holds '{part}'")
        found[name.strip()] = _number(value.strip())
    return found


def _number(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{package: version_of(package) for package in PACKAGES}}
