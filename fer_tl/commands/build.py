"""Turn a published dataset, your own images, or drawn faces into sharded TFRecords."""

from __future__ import annotations

from typing import Any

from fer_tl.commands._command import Command
from fer_tl.data.building.build import build


def _add_arguments(parser: Any) -> None:
    from fer_tl.data.building.options import add_build_options
    from fer_tl.sources.format import all_formats

    add = parser.add_argument
    add("name", help="; ".join(map(str, all_formats().values())))
    add("--data-dir", type=str, default="data", help="folder for built datasets (default: data)")
    add_build_options(parser)
    add("--accept-copies", action="store_true", help="go on although there are so many copies that a build stops for "
        "you to look at examples of them")  # fmt: skip
    add("--overwrite", action="store_true", help="replace a dataset that was built from something else")


COMMAND = Command(build, words=("--source",), add_arguments=_add_arguments)
