"""Units as a job array of Slurm, through submitit."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError, one_line
from fer_tl.core.framework import is_installed
from fer_tl.executors.remote import Origin, origin_here, perform_from
from fer_tl.executors.unit import Tell, Unit

# submitit gives a job 5 minutes if nobody says how long it takes.
DEFAULTS = {"name": "fer-tl", "timeout_min": 24 * 60}
_SECONDS_BETWEEN_LOOKS = 1.0


class Resumable:
    """Does a unit; a job that Slurm preempts, or whose time is over, is queued again and goes on where it was."""

    def __call__(self, origin: Origin, unit: Unit) -> str:
        return perform_from(origin, unit)

    def checkpoint(self, origin: Origin, unit: Unit) -> Any:
        """What submitit queues again: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, origin, unit)


def run_slurm(
    units: Sequence[Unit], jobs: int, options: Mapping[str, Any], scratch: Path, tell: Tell
) -> dict[str, str]:
    """Do units as jobs of an array, so many at a time; arguments and result as of ``run_local``.

    Args:
        units: with different names.
        jobs: how many of the array run at the same time.
        options: parameters of submitit's ``AutoExecutor.update_parameters``; ``cluster: local`` tries it without Slurm.
        scratch: folder for submitit's files, on a disk that all machines share; kept where something went wrong.
        tell: prints a line.

    Raises:
        UserError: submitit is not installed, there is no Slurm here, an option it does not know, or the queue refuses.
    """
    if not is_installed("submitit"):
        raise UserError("--executor slurm needs submitit: pip install 'fer-tl[slurm]'")
    # Else it configures logging when it is imported, which closes the handlers of whoever imports fer-tl.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    import submitit

    options = {**DEFAULTS, **options}
    cluster = options.pop("cluster", "slurm")
    if cluster == "slurm" and not shutil.which("sbatch"):
        raise UserError("--executor slurm: there is no sbatch here: give the command on a machine that can submit jobs")
    origin, work = origin_here(), Resumable()
    try:
        executor = submitit.AutoExecutor(scratch, cluster=cluster)
        executor.update_parameters(**options, **({"slurm_array_parallelism": jobs} if cluster == "slurm" else {}))
        with executor.batch():
            found = [executor.submit(work, origin, unit) for unit in units]
    except Exception as error:  # of submitit, or of sbatch through it
        shutil.rmtree(scratch, ignore_errors=True)
        raise UserError(f"--executor slurm: nothing was submitted: {one_line(error)}") from None
    waiting = list(zip(units, found, strict=True))
    faults: dict[str, str] = {}
    try:
        while waiting:
            for unit, job in [pair for pair in waiting if pair[1].done()]:
                waiting.remove((unit, job))
                fault = _fault(job)
                if fault:
                    faults[unit.name] = fault
                tell(unit, f"{unit.name} failed: {fault}" if fault else f"{unit.name}: done, job {job.job_id}")
            time.sleep(_SECONDS_BETWEEN_LOOKS if waiting else 0)
    except BaseException:
        for _, job in waiting:
            job.cancel(check=False)
        raise
    if not faults:
        shutil.rmtree(scratch, ignore_errors=True)
    return faults


def _fault(job: Any) -> str:
    """What went wrong in a job that has ended."""
    try:
        return str(job.result())
    except Exception:  # the job was killed, or could not begin
        return f"job {job.job_id} ended without a result (state {job.state}): see its log {job.paths.stdout}"
