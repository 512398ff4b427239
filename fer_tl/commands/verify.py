"""Read a dataset's records again and name every one that is damaged or missing."""

from __future__ import annotations

from pathlib import Path

from fer_tl.commands._command import Command
from fer_tl.core.say import Say, say_line


def verify(name: str = "toyfaces", data_dir: Path | str = "data", say: Say = say_line) -> None:
    """Read every byte of a built dataset and compare it with what was built.

    Files with their checksums, records with theirs, examples with the counts, fingerprints and table of the build, and
    the decoded arrays that are kept of them. Says a line for each split and each finding; it needs no TensorFlow.

    Args:
        name: a built dataset, such as fer2013, expw or folder/mine.
        data_dir: folder of the built datasets.
        say: prints a line.

    Raises:
        UserError: no such data, or something is damaged, after all of it has been said.
    """
    from fer_tl.data.choose_dataset import choose_dataset
    from fer_tl.data.verify import verify_dataset

    verify_dataset(choose_dataset(name, data_dir, say), data_dir, say)


COMMAND = Command(verify, positional=("name",), metavars={"name": "DATASET"})
