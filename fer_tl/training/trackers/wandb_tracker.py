"""Weights & Biases, by its own client: files in the run's folder, sent nowhere unless ``WANDB_MODE`` says so."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import Any

from fer_tl.training.trackers.client import PROJECT, ClientTracker
from fer_tl.training.trackers.tracker import About, Outcome


class WeightsAndBiases(ClientTracker):
    """A run of W&B for the run, in the project ``WANDB_PROJECT`` or ``fer-tl``."""

    name = "wandb"
    is_sure = False  # a process of its own writes by and by: what a kill took from it is told again

    def _connect(self, about: About, entry: dict[str, Any]) -> dict[str, Any]:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would tell its makers of its own errors
        import wandb

        kept = str(entry.get("id") or uuid.uuid4().hex[:12])
        # Of code, console, host, user and load it is told nothing: the settings of the run are what makes it.
        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        settings = wandb.Settings(
            silent=True,
            host="",
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=about.name,
            group=about.group,
            id=kept,
            resume="allow",
            mode=mode,
            dir=os.environ.get("WANDB_DIR") or self._path.parent,
            config=dict(about.settings),
            reinit="create_new",  # a run that the caller has open stays so
            settings=settings,
        )
        self.where = f"wandb: {about.name}" + (
            f", kept here; wandb sync {Path(self._run.dir).parent} sends it" if mode == "offline" else ""
        )
        # Folds train one after the other, each from its first epoch on.
        self._run.define_metric("epoch", hidden=True)
        self._run.define_metric("*", step_metric="epoch")
        return {"id": kept}

    def _send_epoch(self, number: int, numbers: dict[str, float]) -> None:
        self._run.log({"epoch": number, **numbers})

    def _send_outcome(self, outcome: Outcome) -> None:
        import wandb

        self._run.summary.update({**outcome.numbers(), "files": list(outcome.files)})
        for picture in outcome.pictures:
            self._run.summary[f"figures/{picture.stem}"] = wandb.Image(str(picture))

    def abandon(self) -> None:
        """See ``Tracker.abandon``: where its process is gone, it would print a traceback when this one ends."""
        import wandb

        try:
            self._run.finish(exit_code=1)
        except Exception:
            with contextlib.suppress(Exception):
                wandb.teardown(exit_code=1)

    def _finish(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "finished" else 1)
