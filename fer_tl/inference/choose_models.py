"""Which models of a run are used."""

from __future__ import annotations

from fer_tl.core.errors import UserError
from fer_tl.runs.folder import RunFolder

ALL = "all"


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
