"""Which dataset a command means, by a name as people spell it, or by none."""

from __future__ import annotations

import difflib
import shlex
from pathlib import Path

from fer_tl.core.config import Experiment
from fer_tl.core.errors import UserError, suggest
from fer_tl.core.say import Say, say_line
from fer_tl.data.directory import built_datasets
from fer_tl.sources.format import formats, is_drawn, known_format, plain_name
from fer_tl.sources.recognize import recognize


def choose_dataset(asked: str | None, data_dir: Path | str, say: Say = say_line) -> str:
    """The name of a dataset.

    Args:
        asked: as given, such as ``fer2013``; other letters' cases, blanks, ``-`` and ``_`` make no other name. None
            where nothing is: it is then the only dataset of photographs that is built, or drawn faces if there is none.
            A file, archive or folder is built, if that was not done before.
        data_dir: folder of the built datasets.
        say: prints a line of what is built.

    Raises:
        UserError: nothing is asked for and there are several; or it is a file or folder that cannot be built, or of
            which nobody can tell which dataset it is.
    """
    built = built_datasets(data_dir)
    if asked is None:
        real = [name for name in built if not is_drawn(name)]
        if len(real) > 1:
            raise UserError(f"{', '.join(real)} are built under {data_dir}: name one of them with --data")
        return real[0] if real else Experiment().data
    if asked in built or known_format(asked):
        return asked
    known = [*built, *(form.name for form in formats().values())]
    alike = {name for name in known if plain_name(name) == plain_name(asked)}
    if len(alike) == 1:
        return alike.pop()
    if Path(asked).exists():
        return _build_what_it_is(asked, data_dir, say)
    # "mine" of folder/mine
    called = [name for name in built if plain_name(name.rpartition("/")[2]) == plain_name(asked)]
    if len(called) == 1:
        return called[0]
    if difflib.get_close_matches(asked.casefold(), known, n=1):
        raise UserError(f"there is no dataset '{asked}'{suggest(asked, known)}")
    return asked  # whose folder is looked for, and said to be missing


def _build_what_it_is(path: str, data_dir: Path | str, say: Say) -> str:
    """Build a dataset of a file or folder, and return its name; one that is built from it already is taken."""
    from fer_tl.data.building.build import build

    place = f"--source {shlex.quote(path)} --data-dir {shlex.quote(str(data_dir))}"
    found = recognize(Path(path))
    if found is None:
        raise UserError(
            f"{path} is a file or folder, and nothing tells which dataset it is: build it, such as with `fer-tl "
            f"build rafdb {place}`, then name it; `fer-tl build --help` has all formats"
        )
    name, told = found
    say(f"data: {path} has {told}, so it is built: `fer-tl build {name} {place}`")
    build(name, path, data_dir, say=say)
    return name
