"""Files of a run: what is written where, and read back without TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_tl.core.config import Experiment
from fer_tl.core.config_keys import alone, differences, dump_yaml, identity, own_settings
from fer_tl.core.errors import UserError
from fer_tl.core.files import FULL, is_temporary, unreadable, write_json, write_text
from fer_tl.core.lock import take_turns
from fer_tl.core.options import load_experiment
from fer_tl.data.directory import newest_version
from fer_tl.data.folds import read_repetitions
from fer_tl.data.manifest import read_manifest
from fer_tl.faces.recipe import BEFORE, FaceRecipe, read_recipe
from fer_tl.runs.part import FAILED, RESULT, check_part, is_whole, known_seconds, read_failure, read_model_recipe
from fer_tl.runs.run_file import IMPORTED, part_folder, read_run_file, refuse_strangers


@dataclass(frozen=True)
class RunFolder:
    """One run: a folder that says what was asked, on what data, and what came out.

    ``config.yaml``, ``run.json`` and ``folds.csv`` are written when the run starts; each part (``fold-0`` ..., or
    ``model`` for a single fit) holds its checkpoints while it is in work and, when it is done, ``model.keras``,
    ``predictions.npz``, ``history.csv``, ``timing.json`` and ``result.json``, the last one last; ``failed.json``
    instead if its training failed. ``history.csv`` and ``EVENTS``, which TensorBoard reads, grow with each epoch. Only
    ``timing.json``, ``EVENTS``, and ``environment.json`` of the run, hold what differs between two runs of the same
    experiment: dates, times, memory and machines.
    """

    path: Path

    def part(self, name: str) -> Path:
        """Folder of one part; a ``UserError`` for what is no name of one."""
        return part_folder(self.path, name)

    def is_done(self, name: str) -> bool:
        """Whether a part is finished and all its files are there; of predictions that were imported, they are."""
        return is_whole(self.part(name), self.is_imported)

    @property
    def is_imported(self) -> bool:
        """Whether another framework made its predictions, so that there is no model."""
        return (self.path / "run.json").is_file() and IMPORTED in self.read_run()

    def is_scored(self, name: str) -> bool:
        """Whether a part was finished and its predictions are there; its model may have been deleted since."""
        return all((self.part(name) / file).is_file() for file in ("predictions.npz", RESULT))

    @property
    def parts(self) -> list[str]:
        """Names of the parts that the run consists of, done or not."""
        return list(self.read_run()["parts"])

    @property
    def repeats(self) -> int:
        """How often its cross validation is repeated; its parts are those of one repetition after the other."""
        return int(self.read_run().get("repeats", 1))

    @property
    def done(self) -> list[str]:
        """Names of the parts that are done."""
        return [name for name in self.parts if self.is_done(name)]

    @property
    def failures(self) -> dict[str, str]:
        """Why the training of a part failed, by its name."""
        unfinished = [name for name in self.parts if not self.is_done(name)]
        return {name: read_failure(self.part(name)) for name in unfinished if (self.part(name) / FAILED).is_file()}

    @property
    def seconds(self) -> float | None:
        """What its done parts took to train and predict; None where one does not say, on which nothing depends."""
        seconds = [known_seconds(self.part(name)) for name in self.done]
        return None if None in seconds else sum(each for each in seconds if each is not None)

    def leftovers(self, name: str) -> list[Path]:
        """What a killed process left in a part's folder, if no other works on it: half-written files, the checkpoints
        of a part that is done, the result of one that is not."""
        folder = self.part(name)
        patterns = ("checkpoint-*.npz", FAILED) if self.is_done(name) else (RESULT,)
        stale = [path for pattern in patterns for path in folder.glob(pattern)]
        return stale + [path for path in folder.glob(".*") if is_temporary(path)]

    def read_run(self, *needed: str) -> dict[str, Any]:
        """What ``start`` wrote, with these keys besides those that every reader needs."""
        return read_run_file(self.path, needed)

    def read_experiment(self) -> Experiment:
        """The resolved configuration of the run."""
        path = self.path / "config.yaml"
        return _parse(path, path.read_bytes() if path.is_file() else b"")

    def read_recipe(self) -> FaceRecipe:
        """How pictures became the images that the run was trained on; of a run of before 2026-11-29, which does not
        say, what its dataset says if that is there, else what was done to new pictures then."""
        about = self.read_run()
        if "faces" in about:
            return read_recipe(about["faces"], str(self.path / "run.json"))
        with contextlib.suppress(UserError):
            return read_manifest(newest_version(self.read_experiment().data_dir, about["dataset"])).recipe
        return BEFORE

    def model_recipe(self, part: str) -> FaceRecipe:
        """How faces are cut for the model of a part.

        Raises:
            UserError: a damaged model.
        """
        return read_model_recipe(self.part(part) / "model.keras") or self.read_recipe()

    def refuse_edited(self) -> None:
        """Make sure that the configuration of the run is still what it was begun with.

        Raises:
            UserError: ``config.yaml`` was changed, with the difference.
        """
        settings = self.read_run().get("settings")  # runs of version 0.1.0 do not have them twice
        changed = differences(settings, identity(self.read_experiment())) if settings else []
        if changed:
            raise UserError(
                f"{self.path / 'config.yaml'} was changed since the run began ({'; '.join(changed)}): change it back, "
                "or begin another run with it"
            )

    def refuse_untrue(self, key: str, computed: Any) -> None:
        """Make sure that what ``run.json`` says is what its data say, where it says it.

        Raises:
            UserError: it says something else.
        """
        said = self.read_run().get(key, computed)
        if said != computed:
            raise UserError(
                f"{self.path / 'run.json'} was changed since the run began ('{key}' is {_brief(said)}, and its data "
                f"say {_brief(computed)}): put back the file that fer-tl wrote"
            )

    def refuse_others(self, experiment: Experiment, kind: str, option: str = "--run-dir") -> None:
        """Make sure that a run which is here, if any, was begun with these settings by ``fer-tl kind``.

        Args:
            experiment: the settings.
            kind: as in ``run.json``.
            option: gives another folder, for the message.

        Raises:
            UserError: another run is here, or its configuration was changed, with the difference; or other files.
        """
        if not (self.path / "run.json").exists():
            refuse_strangers(self.path, option)
            return
        self.refuse_edited()
        changed = differences(identity(self.read_experiment()), identity(experiment))
        found = self.read_run()["kind"]
        if found != kind:
            changed.insert(0, f"fer-tl {found} -> fer-tl {kind}")
        if changed:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(changed)}): give another {option}"
            )

    def start(self, experiment: Experiment, run: dict[str, Any]) -> None:
        """Begin a run here, or make sure that what is here is the same run.

        Args:
            experiment: written to ``config.yaml``.
            run: JSON-ready: kind, parts, dataset, fingerprint, class names, settings.

        Raises:
            UserError: another run is here, with the difference; or the data has changed since.
        """
        if not (self.path / "run.json").exists():
            with take_turns(self.path):  # other folds may begin at the same moment
                if not (self.path / "run.json").exists():
                    self._begin(experiment, run)
                    return
        self.refuse_others(experiment, run["kind"])
        self.refuse_another_build(run["dataset"], run["fingerprint"])
        found = self.read_run(*(key for key in ("class_names", "held_out") if key in run))
        if found["parts"] != run["parts"]:
            parts = f"parts {', '.join(found['parts'])} -> {', '.join(run['parts'])}"
            raise UserError(f"{self.path / 'run.json'} was changed since the run began ({parts}): change it back")

    def refuse_another_backend(self, backend: str) -> None:
        """Make sure that what is missing of a run comes from the framework that trained the rest: its weights start
        elsewhere and its dropout is drawn otherwise.

        Raises:
            UserError: the run was begun on another one.
        """
        before = self.read_run().get("backend", backend)  # not in runs of before 2026-11-22
        if before != backend:
            raise UserError(
                f"{self.path} was begun with {before}, and the backend is {backend} now: set KERAS_BACKEND={before} to "
                "go on with it, or give another --run-dir"
            )

    def precision(self, asked: str) -> str:
        """The arithmetic that a begun run is trained in, ``float32``, ``mixed_bfloat16`` or ``mixed_float16``, also
        where its settings, ``asked``, leave it to what is faster.

        Raises:
            UserError: ``run.json`` says something else.
        """
        found = str(self.read_run().get("precision", asked))  # not in runs of before 2026-11-29
        if found not in (("float32", "mixed_bfloat16") if asked == "auto" else (asked,)):
            raise UserError(
                f"{self.path / 'run.json'} was changed since the run began ('precision' is {found[:40]!r} in a run of "
                f"'{asked}'): put back the file that fer-tl wrote"
            )
        return found

    def _begin(self, experiment: Experiment, run: dict[str, Any]) -> None:
        refuse_strangers(self.path, "--run-dir")
        try:
            # The same file whichever fold or worker comes first.
            write_text(self.path / "config.yaml", dump_yaml(replace(alone(experiment), fold=None, worker=None)))
            write_json(self.path / "run.json", run)
        except OSError as error:
            if error.errno in FULL:
                raise
            raise UserError(f"{self.path} cannot be written ({error.strerror}): give another --run-dir") from None

    def read_fold_table(self, ids: np.ndarray, others: bool = False) -> np.ndarray:
        """The folds of each id by ``folds.csv``, int64 ``[R, N]``: a row for each repetition.

        Args:
            ids: text ``[N]``.
            others: whether rows of other ids are passed over.

        Raises:
            UserError: a damaged table, or one of other ids.
        """
        path = self.path / "folds.csv"
        try:
            if path.is_file():
                path.open("rb").close()
            return read_repetitions(path, ids, self.repeats, others)
        except OSError as error:
            raise unreadable(path, error) from None
        except UserError as error:
            raise UserError(f"{error}; {self.fold_table_remedy()}") from None

    def fold_table_remedy(self) -> str:
        """What to do about a damaged ``folds.csv``."""
        given = self.read_experiment().fold_table
        again = f"written again from {given}" if given else "drawn again"
        return f"if {self.path / 'folds.csv'} is damaged, delete it and give the run's command again: it is {again}"

    def refuse_another_build(self, dataset: str, fingerprint: str) -> None:
        """Make sure that a run which is here, if any, was begun on this build of its dataset.

        Raises:
            UserError: on another one.
        """
        if not (self.path / "run.json").exists():
            return
        before = self.read_run()["fingerprint"]
        if before != fingerprint:
            raise UserError(
                f"{self.path} was begun on another build of '{dataset}' (fingerprint {before[:12]}, now "
                f"{fingerprint[:12]}): give another --run-dir"
            )


@functools.lru_cache(maxsize=64)
def _parse(path: Path, content: bytes) -> Experiment:
    """A configuration, parsed once for each content: that takes 0.07 s, and a report asks for it ten times."""
    return load_experiment(path)


def _brief(value: Any) -> str:
    return ", ".join(map(str, value[:8])) if isinstance(value, list) else f"{value}"


def default_run_dir(experiment: Experiment, kind: str) -> Path:
    """``runs/<data>-<backbone>-<hash>``: the same settings find the same folder, others another one."""
    settings = json.dumps([kind, own_settings(experiment)], sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return Path("runs") / f"{experiment.data.replace('/', '-')}-{experiment.backbone}-{digest}"


def check_done(run: RunFolder, file: str) -> None:
    """Make sure that what is read of the parts that are done is what was written; whether all are done is asked for
    elsewhere."""
    if (run.path / "run.json").is_file():
        for name in run.done:
            check_part(run.part(name), (file,))
