"""Where the time of a run goes, as terminal text: what is done once, a training step, the whole run, one advice."""

from __future__ import annotations

from dataclasses import dataclass

from fer_tl.core.counting import counted
from fer_tl.core.progress import duration
from fer_tl.reports.rendering import Table, as_text, per_cent

MODEL_PARTS = ("forward", "backward", "update")
INPUT_PARTS = ("plan", "input")


@dataclass(frozen=True)
class Costs:
    """What the parts of a run cost.

    Attributes:
        once: seconds of what is done once a run, by name, in its order.
        features: seconds that the features of a frozen backbone take, once for all runs; 0 where none are computed.
        parts: seconds of each part of a training step, by name, in its order, each measured by itself.
        step: seconds of a step in training, planning included.
        evaluation: seconds an image that is scored.
        checkpoint: seconds to write one.
        batch_size: images a step.
        trained_on: images that a fold trains on.
        scored: images that are scored after each epoch.
        folds: of the run.
        epochs: of a fold, over all stages.
        seconds_between_checkpoints: at least.
        streamed: whether the images are read from the records, while the device computes.
        freezable: whether the backbone could be left as it is: it learns, and it knows something to begin with.
    """

    once: dict[str, float]
    features: float
    parts: dict[str, float]
    step: float
    evaluation: float
    checkpoint: float
    batch_size: int
    trained_on: int
    scored: int
    folds: int
    epochs: int
    seconds_between_checkpoints: float
    streamed: bool
    freezable: bool

    @property
    def rest(self) -> float:
        """Seconds of a step that no part accounts for; below 0 where parts go on at the same time."""
        return self.step - sum(self.parts.values())

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-self.trained_on // self.batch_size)

    @property
    def fold(self) -> dict[str, float]:
        """Seconds of a fold, by what they are spent on."""
        training = self.epochs * self.steps * self.step
        return {
            "training steps": training,
            "scoring the held-out images": (self.epochs + 1) * self.scored * self.evaluation,
            "checkpoints": (1 + training // self.seconds_between_checkpoints) * self.checkpoint,
        }

    @property
    def run(self) -> float:
        """Seconds of the whole run: all folds and what is done once."""
        return sum(self.once.values()) + self.features + self.folds * sum(self.fold.values())


def profile_text(costs: Costs) -> str:
    """Three tables and one advice."""
    size = counted(costs.batch_size, "image")
    return "\n\n".join(
        [
            as_text(_seconds_table("once a run", costs.once)),
            f"{as_text(_step_table(costs))}\nA step is {size}; its parts were measured one by one"
            f"{', and the images are read while the step before is computed' if costs.streamed else ''}.",
            f"{as_text(_run_table(costs))}\n{advice(costs)}",
        ]
    )


def _seconds_table(heading: str, seconds: dict[str, float]) -> Table:
    whole = sum(seconds.values())
    rows = [[name, f"{value:.2f} s", per_cent(value / whole)] for name, value in seconds.items()]
    return Table([heading, "time", "share"], [rows, [["together", f"{whole:.2f} s", ""]]])


def _step_table(costs: Costs) -> Table:
    def row(name: str, seconds: float) -> list[str]:
        each = seconds / costs.batch_size
        return [name, f"{1e3 * seconds:,.2f} ms", f"{1e6 * each:,.1f} µs", per_cent(seconds / costs.step)]

    rows = [row(name, seconds) for name, seconds in {**costs.parts, "rest": costs.rest}.items()]
    rate = f"{costs.batch_size / costs.step:,.0f} images/s"
    return Table(["training step", "a step", "an image", "share"], [rows, [[*row("whole", costs.step)[:3], rate]]])


def _run_table(costs: Costs) -> Table:
    expected = {name: costs.folds * seconds for name, seconds in costs.fold.items()}
    if costs.features:
        expected["features of all images, once"] = costs.features
    expected["once a run"] = sum(costs.once.values())
    rows = [[name, duration(seconds), per_cent(seconds / costs.run)] for name, seconds in expected.items()]
    heading = f"{counted(costs.folds, 'fold')} of {counted(costs.epochs, 'epoch')}"
    return Table([heading, "expected", "share"], [rows, [["whole run", duration(costs.run), ""]]])


def advice(costs: Costs) -> str:
    """The one thing that would save most, in a sentence or two."""
    whole = max(costs.step, sum(costs.parts.values()))
    model, made = (sum(costs.parts[name] for name in names) / whole for names in (MODEL_PARTS, INPUT_PARTS))
    scoring = costs.fold["scoring the held-out images"] / sum(costs.fold.values())
    once = sum(costs.once.values()) / costs.run
    if costs.features > 0.5 * costs.run:
        return (
            f"{per_cent(costs.features / costs.run, 0)} of this run is the features of the frozen backbone: fewer "
            "--views and a smaller --image-size help. A later run with the same ones finds them in the cache."
        )
    if once > 0.5:
        return (
            f"{per_cent(once, 0)} of this run is its start, which does not grow with images, epochs and folds: there "
            "is little to gain."
        )
    if scoring > 0.4:
        return f"{per_cent(scoring, 0)} of a fold is scoring held-out images: fewer, longer epochs or more folds help."
    if costs.streamed and made > 0.5 and made > model:
        return (
            f"Reading the images takes {per_cent(made, 0)} of a step, the model {per_cent(model, 0)}: the device "
            "waits. --input resident, if memory allows, a faster disk or more cores help."
        )
    if model > 0.7:
        freeze = " --unfreeze none learns from features that are computed once." if costs.freezable else ""
        return (
            f"{per_cent(model, 0)} of a step is the model itself: a smaller --image-size or --backbone and a faster "
            f"device help, nothing else.{freeze}"
        )
    if made > 0.4:
        return (
            f"{per_cent(made, 0)} of a step is input: the model is so small that augmentation counts; fewer kinds of "
            "it or a GPU help."
        )
    return (
        f"The model is {per_cent(model, 0)} of a step, so small that starting its operations counts: a larger "
        "--batch-size helps."
    )
