"""Which run answers, and which of its models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_tl.core.errors import UserError
from fer_tl.core.say import Say
from fer_tl.models.shipped import find_shipped
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.run_file import is_run

ALL = "all"
_OF_RUNS = (".keras", ".json", ".yaml", ".npz")


def open_run(run_dir: Path | str | None, say: Say) -> RunFolder:
    """The run that is named; where none is, the network that ships, which is said in a line.

    Raises:
        UserError: none is named, and no whole one ships.
    """
    if run_dir is not None:
        return RunFolder(Path(run_dir))
    shipped = find_shipped()
    say(shipped.describe())
    return RunFolder(shipped.folder)


def tell_run(first: Path | str | None, others: Sequence[str], folders: bool = True) -> tuple[Path | None, list[str]]:
    """Whether the first of several words is a run, or a picture as the others are and no run is named.

    Args:
        first: a run, a picture, a folder of pictures, a film, a pattern, a camera, an address, or "-".
        others: the words behind it.
        folders: whether a folder of pictures may be meant.

    Returns:
        The run, None for the network that ships, and the pictures.

    Raises:
        UserError: it is neither.
    """
    if first is None:
        return None, list(others)
    path, word = Path(first), str(first)
    if is_run(path) or (path.is_file() and path.suffix.lower() in _OF_RUNS) or (path.is_dir() and not folders):
        return path, list(others)
    if path.is_dir() and others:
        _refuse_empty(path)
    if path.exists() or word == "-" or word.isdecimal() or "://" in word or any(sign in word for sign in "*?["):
        return None, [word, *others]
    raise UserError(
        f"{word} does not exist: give pictures, which the network that ships with fer-tl answers for, or the folder of "
        "a run in front of them"
    )


def _refuse_empty(folder: Path) -> None:
    """Raise ``UserError`` for a folder in front of pictures that is neither a run nor holds any."""
    from fer_tl.inference.predict.sources import find_pictures

    try:
        find_pictures([str(folder)])
    except UserError as error:
        raise UserError(f"{folder} is not a run, which has a run.json; and {error}") from None


def choose_parts(run: RunFolder, fold: int | str | None) -> list[str]:
    """The parts of a run whose models are used.

    Args:
        run: finished or not.
        fold: number of one, "all" for all that are trained, None for the first that is.

    Raises:
        UserError: no such fold, or none that is trained.
    """
    done, there, kind = run.done, run.parts, run.read_run()["kind"]
    if fold == ALL and kind != "cv":
        fold = None  # all of one
    if fold is not None and kind != "cv":
        raise UserError(f"--fold {fold}: {run.path} is a single fit and has no folds; leave it out")
    if fold not in (None, ALL) and f"fold-{fold}" not in there:
        raise UserError(f"--fold {fold}: {run.path} has the folds 0 to {len(there) - 1}")
    if not done:
        raise UserError(f"{run.path} has no part that is trained yet ({', '.join(there)}): run its command first")
    if fold is None or fold == ALL:
        return done[:1] if fold is None else done
    if f"fold-{fold}" not in done:
        raise UserError(f"--fold {fold}: {run.path} has not trained it yet; done: {', '.join(done)}")
    return [f"fold-{fold}"]
