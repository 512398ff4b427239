"""Units as tasks of a Ray cluster."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from fer_tl.core.errors import UserError, one_line
from fer_tl.core.framework import is_installed
from fer_tl.executors.remote import origin_here, perform_from
from fer_tl.executors.unit import Tell, Unit

# A task whose worker or machine is lost is given to another one so often.
RETRIES = 3


def run_ray(units: Sequence[Unit], jobs: int, options: Mapping[str, Any], tell: Tell) -> dict[str, str]:
    """Do units as tasks, so many at a time; arguments and result as of ``run_local``.

    Args:
        units: with different names.
        jobs: at a time; how many really run is the cluster's affair.
        options: of a Ray task, such as ``num_cpus``, ``num_gpus`` and ``max_retries``; and ``address`` of the cluster,
            by default ``RAY_ADDRESS``, or one that is started on this machine for the time.
        tell: prints a line.

    Raises:
        UserError: Ray is not installed, no cluster answers, or an option that it does not know.
    """
    if not is_installed("ray"):
        raise UserError("--executor ray needs Ray: pip install 'fer-tl[ray]'")
    import ray

    options = {"max_retries": RETRIES, **options}
    address = options.pop("address", None) or os.environ.get("RAY_ADDRESS") or None
    try:
        if address and (place := re.fullmatch(r"([^/:]+):(\d+)", address)):  # Ray itself asks in vain for minutes
            socket.create_connection((place[1], int(place[2])), timeout=10).close()
        ray.init(
            address, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=None if address else False
        )
    except Exception as error:  # ConnectionError, ValueError, RuntimeError: whatever of it
        raise UserError(
            f"--executor ray: no cluster answers at {address or 'this machine'}: {one_line(error)}"
        ) from None
    try:
        return _run(ray, units, jobs, options, tell)
    finally:
        ray.shutdown()


def _run(ray: Any, units: Sequence[Unit], jobs: int, options: dict[str, Any], tell: Tell) -> dict[str, str]:
    if ray.cluster_resources().get("GPU"):
        options = {"num_gpus": 1, **options}
    try:
        # A process a unit: what a framework holds of a GPU it gives back at its end only.
        task = ray.remote(max_calls=1, **options)(perform_from)
    except (ValueError, TypeError) as error:
        raise UserError(f"'executor_options': {one_line(error)}") from None
    origin, waiting, faults = origin_here(), list(units), dict[str, str]()
    running: dict[Any, Unit] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                unit = waiting.pop(0)
                running[task.remote(origin, unit)] = unit
            for reference in ray.wait(list(running), timeout=1)[0]:
                unit = running.pop(reference)
                fault = _fault(ray, reference)
                if fault:
                    faults[unit.name] = fault
                tell(unit, f"{unit.name} failed: {fault}" if fault else f"{unit.name}: done")
    except BaseException:
        for reference in running:
            ray.cancel(reference, force=False)
        if running:  # a task notices at its next step
            ray.wait(list(running), num_returns=len(running), timeout=60)
        raise
    return faults


def _fault(ray: Any, reference: Any) -> str:
    """What went wrong in a task that has ended."""
    try:
        return str(ray.get(reference))
    except Exception as error:  # a machine or a process that was lost too often, or where fer-tl is not installed
        return f"Ray lost it: {one_line(error)[:300]}"
