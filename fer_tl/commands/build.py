"""Turn a published dataset, your own images, or drawn faces into sharded TFRecords."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.commands._command import Command
from fer_tl.core.say import Say, say_line

if TYPE_CHECKING:
    from fer_tl.data.manifest import Manifest


def build(
    name: str,
    source: str | Path | None = None,
    data_dir: str | Path = "data",
    *,
    accept_copies: bool = False,
    overwrite: bool = False,
    part: str | None = None,
    merge: bool = False,
    jobs: int | None = None,
    executor: str | None = None,
    executor_options: str | Sequence[str] | None = None,
    say: Say = say_line,
    **options: Any,
) -> Manifest | None:
    """Build ``<data_dir>/<name>/[<config>/]<version>/``; does nothing if it is built from the same source already.

    The work is done in a hidden folder beside it, which is renamed at the end: a build that is killed leaves nothing
    that looks finished, and the next build clears it away. Images can be read in parts, by any processes on any
    machines, and merged into the same bytes that one process writes.

    Args:
        name: a format, such as "fer2013", or "folder/NAME" for a name of your choice (the source's, if not given).
        source: file, archive or folder to read; none for drawn faces.
        data_dir: folder that holds all datasets, made if need be.
        accept_copies: whether copies may make up as much as they do: else a build stops where a cluster is large or its
            labels differ or a class loses much, and writes a picture of examples into ``data_dir``.
        overwrite: replace a dataset of that name once the new one is complete.
        part: "2/8" reads the second of eight parts of the source, and leaves it under ``data_dir/.parts``.
        merge: write the dataset of its parts, once all are there.
        jobs: reads so many parts at the same time, each by a process of its own, and merges them.
        executor: where these are: "local", "ray" or "slurm".
        executor_options: of Ray or Slurm, as ``fer-tl cv`` takes them.
        say: called with each line to tell.
        options: the other options of ``fer-tl build --help``, with ``_`` for ``-``: ``image_size=64``,
            ``duplicates="drop"``.

    Returns:
        The manifest of the dataset; None of a part.

    Raises:
        UserError: wrong arguments, a source that cannot be used or divided, or parts that are missing or do not belong
            together; what was there before is left.
        UnusableExamples: examples that cannot be used; where they are more than the message names, all are listed in
            ``<data_dir>/<name>-unusable.csv``.
    """
    from fer_tl.data.building.beside import build_beside, check_ways
    from fer_tl.data.building.build import build as build_all
    from fer_tl.data.building.build import build_part
    from fer_tl.executors.choose import Executor

    units = Executor(executor or "local", jobs, executor_options)
    check_ways(part, merge, units)
    if part is not None:
        build_part(name, source, data_dir, part=part, overwrite=overwrite, say=say, **options)
        return None
    if units.asked:
        build_beside(name, source, data_dir, units, overwrite=overwrite, say=say, **options)
        merge = True
    return build_all(
        name, source, data_dir, accept_copies=accept_copies, overwrite=overwrite, merge=merge, say=say, **options
    )


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
    add("--part", type=str | None, help="K/N: only read part K of N of the source, here or on any machine; put it "
        "under .parts in --data-dir")  # fmt: skip
    add("--merge", action="store_true", help="write the dataset of its parts, with the options they were read with")
    add("--jobs", type=int | None, help="read the source in N parts at the same time, then merge them")
    add("--executor", type=str | None, help="where --jobs run: local, ray or slurm (default: local)")
    add("--executor-options", type=str | None, help="of Ray or Slurm, such as num_cpus=4, as for fer-tl cv")


COMMAND = Command(build, words=("--source",), add_arguments=_add_arguments)
