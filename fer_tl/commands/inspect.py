"""Show what is in a dataset: counts, duplicates, blank images, samples of each class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_tl.commands._command import Command
from fer_tl.commands._shown import Shown
from fer_tl.core.say import Say, say_line


@dataclass(frozen=True, repr=False)
class InspectionResult(Shown):
    """What is in a dataset: the folder of page and pictures, and the tables as text."""

    out_dir: Path
    text: str


def inspect_dataset(
    data: str = "toyfaces", data_dir: Path | str = "data", out: Path | str | None = None, say: Say = say_line
) -> InspectionResult:
    """Show what is in a built dataset: counts, duplicates, conflicting labels, blank images, brightness, sizes, faces.

    No image of the test split is shown.

    Args:
        data: a built dataset, such as fer2013, expw or folder/mine.
        data_dir: folder of the built datasets.
        out: folder of page and pictures; default: ``inspect/<data>``.
        say: prints a line.

    Raises:
        UserError: no such data, or it was built by an older version.
    """
    from fer_tl.data.choose_dataset import choose_dataset
    from fer_tl.reports.inspect_page import write_inspection

    data = choose_dataset(data, data_dir, say)
    folder = Path(out) if out else Path("inspect") / data.replace("/", "-")
    text = write_inspection(data, data_dir, folder, say)
    say(f"{text}\n\npage: {folder / 'index.html'}")
    return InspectionResult(folder, text)


COMMAND = Command(inspect_dataset, positional=("data",))
