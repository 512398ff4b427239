"""The network that ships inside the package: where it lies, whether it is whole, and what its card says of it.

It is a run like any other, of a single fit, whose kernels are stored in 16 bits (``fer_tl.runs.half_kernels``). What
takes a run takes it. ``benchmarks/ship_model.py`` writes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_tl.core.checksums import checksum
from fer_tl.core.errors import UserError
from fer_tl.core.files import read_json, write_text
from fer_tl.core.version import __version__

NAME = "fer2013"
"""As ``--weights`` and the lines of commands call it. Another network that ships one day has another name: runs keep
the name of what they started from."""
FOLDER = Path(__file__).parent / "pretrained"
CARD, CARD_TEXT = "card.json", "card.md"
# As the program sha256sum writes and checks it.
SUMS = "SHA256SUMS"
WEIGHTS = "model/model.keras"
LICENCE = "MIT, as the code; the images that it was trained on are not ours to license"

_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


@dataclass(frozen=True, eq=False)
class Shipped:
    """The network that ships.

    Attributes:
        folder: a run.
        card: what ``card.json`` says, see ``benchmarks/ship_model.py``.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def weights(self) -> Path:
        """Its ``.keras`` file."""
        return self.folder / WEIGHTS

    def describe(self) -> str:
        """Which network it is, and how often it is right, in a line."""
        card = self.card
        low, high = (100 * bound for bound in card["interval_95"]["accuracy"])
        return (
            f"Model: {NAME}, which ships with fer-tl {__version__}: {card['backbone']}, {card['parameters']:,} "
            f"parameters; right for {100 * card['accuracy']:.1f} % (95 % interval {low:.1f}–{high:.1f} %) of "
            f"{card['images']:,} images that it was not trained on, {card['split']} of {card['dataset']}."
        )

    def refuse_others(self, backbone: str, alpha: float) -> None:
        """Make sure that its weights fit a backbone.

        Raises:
            UserError: it is another one, or of another width.
        """
        own, width = self.card["backbone"], self.card["alpha"]
        if (backbone, alpha) != (own, width):
            wide = "" if width == 1 == alpha else f" --alpha {width:g}"
            raise UserError(f"the weights '{NAME}' are of {own}: give --backbone {own}{wide}, or other --weights")


def ships() -> bool:
    """Whether a network ships with this installation."""
    return (FOLDER / NAME / SUMS).is_file()


def find_shipped() -> Shipped:
    """The network that ships with this installation, each of its files compared with its checksum: 3 MB, 5 ms.

    Raises:
        UserError: there is none, or it is damaged.
    """
    folder = FOLDER / NAME
    if not ships():
        raise UserError(
            "no network ships with this installation of fer-tl: name a run, which `fer-tl train` or `fer-tl cv` makes"
        )
    for name, digest in _read_sums(folder / SUMS).items():
        try:
            found = checksum(folder / name).sha256
        except OSError as error:
            raise _damaged(folder / name, f"it cannot be read: {error.strerror}") from None
        if found != digest:
            raise _damaged(folder / name, "its checksum is another")
    return Shipped(folder, read_json(folder / CARD))


def seal(folder: Path) -> None:
    """Write down the checksums of all files of a network that will ship."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = (f"{checksum(folder / name).sha256}  {name}\n" for name in names if name != SUMS)
    write_text(folder / SUMS, "".join(lines))


def _read_sums(path: Path) -> dict[str, str]:
    """SHA-256 by the name of the file, of those that are needed at least."""
    lines = [_LINE.fullmatch(line) for line in path.read_text(encoding="ascii", errors="replace").splitlines()]
    found = {line[2]: line[1] for line in lines if line}
    if not all(lines) or not found.keys() >= {CARD, WEIGHTS, "run.json", "config.yaml", "model/predictions.npz"}:
        raise _damaged(path, "it does not name the files that it should")
    return found


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} of the network that ships is damaged ({why}): install fer-tl again, or name a run")
