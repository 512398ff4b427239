"""MLflow, by its own client: a file on this machine, or the server that ``MLFLOW_TRACKING_URI`` names."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

from fer_tl.training.trackers.client import PROJECT, ClientTracker
from fer_tl.training.trackers.tracker import About, Outcome

_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_AT_ONCE, _LONGEST = 100, 6000  # settings a call, characters of one: MLflow takes no more
# By default it sends what is used of it to its makers, and asks a server that is gone for four minutes.
_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class MLflow(ClientTracker):
    """A run of MLflow for the run, in the experiment ``MLFLOW_EXPERIMENT_NAME`` or ``fer-tl``."""

    name = "mlflow"
    is_sure = True

    def _connect(self, about: About, entry: dict[str, Any]) -> dict[str, Any]:
        for key, value in _VARIABLES.items():
            os.environ.setdefault(key, value)
        import mlflow

        for name in ("mlflow", "alembic"):  # which tell of each step of making a file
            logging.getLogger(name).setLevel(logging.WARNING)
        # A file that the run was told to before is taken from wherever the command is given; an address may hold a
        # password, and is never kept.
        store = entry.get("store") if not mlflow.is_tracking_uri_set() else None
        store = store or mlflow.get_tracking_uri()
        self._client = mlflow.MlflowClient(tracking_uri=store)
        self._id = self._known(entry.get("id")) or self._create(about)
        local = store.startswith(("sqlite:", "file:", "/"))
        self.where = f"mlflow: {about.name} in {store}; mlflow ui shows it" if local else f"mlflow: {about.name}"
        return {"id": self._id, "store": store if local else None}

    def _known(self, kept: str | None) -> str | None:
        """The id of a run that is there still, which goes on; else None."""
        from mlflow.exceptions import MlflowException

        if kept is None:
            return None
        try:
            if self._client.get_run(kept).info.lifecycle_stage != "active":
                return None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        self._client.update_run(kept, status="RUNNING")
        return kept

    def _create(self, about: About) -> str:
        from mlflow.entities import Param

        run = self._client.create_run(self._experiment_id(), run_name=about.name, tags={"group": about.group})
        texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in about.settings.items()}
        params = [Param(key, text[:_LONGEST]) for key, text in texts.items()]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(run.info.run_id, params=params[start : start + _AT_ONCE])
        return str(run.info.run_id)

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process was faster
            if found := self._client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise

    def _send_epoch(self, number: int, numbers: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [Metric(key, value, now, number) for key, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def _send_outcome(self, outcome: Outcome) -> None:
        self._send_epoch(0, outcome.numbers())
        self._client.log_text(self._id, outcome.file_list(), "files.txt")
        for picture in outcome.pictures:
            self._client.log_artifact(self._id, str(picture))

    def _finish(self, status: str) -> None:
        self._client.set_terminated(self._id, _STATUS[status])

    def abandon(self) -> None:
        """See ``Tracker.abandon``; a run of MLflow stays as it was left, and says that it is running."""
