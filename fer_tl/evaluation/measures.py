"""The measures: one record each, which every score, interval, table and page follows.

To add one, add its record to ``MEASURES``; nothing else names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from fer_tl.core.errors import UserError, raised_where
from fer_tl.evaluation.calibration import BINS, confidence_bins, reliability_of
from fer_tl.runs.predictions import Predictions, cross_entropies, predicted_labels


@dataclass(frozen=True)
class Measure:
    """One number that says how good predictions are.

    It follows either from confusion matrices or from means over examples, and so do the resamples of its interval.

    Attributes:
        name: key in files of results, and column in CSV.
        title: as people call it.
        meaning: what it is, for the table of all measures.
        heading: of its column in the main tables; ``""`` keeps it out of them.
        of_counts: takes confusion matrices, float64 ``[R, K, K]``, row = true class, to float64 ``[R]``.
        of_examples: takes N predictions to what each adds, ``[N]`` or, in F parts, ``[F, N]``.
        of_means: takes means of these over examples, float64 ``[R, F]``, to float64 ``[R]``.
        exact: takes predictions to the value, where the formulas above would round the last digit of saved results
            otherwise.
        is_share: shown in per cent; else with three decimals.
        higher_is_better: which model tables mark as the best.
        interval_beside: whether tables with one row a model have a column for its interval.
        leans_up: it is larger of few examples than of many, so that its intervals are moved, see
            ``bootstrap_intervals``.

    Raises:
        UserError: it has both ways of being computed, or none; a formula of it raises or gives another shape than it
            should, or no finite number for predictions with finite logits.
    """

    name: str
    title: str
    meaning: str
    heading: str = ""
    of_counts: Callable[[np.ndarray], np.ndarray] | None = None
    of_examples: Callable[[Predictions], np.ndarray] | None = None
    of_means: Callable[[np.ndarray], np.ndarray] = lambda means: means[:, 0]
    exact: Callable[[Predictions], float] | None = None
    is_share: bool = True
    higher_is_better: bool = True
    interval_beside: bool = False
    leans_up: bool = False

    def __post_init__(self) -> None:
        if (self.of_counts is None) == (self.of_examples is None):
            raise UserError(f"the measure '{self.name}' needs one of of_counts and of_examples, and not both")

    @property
    def needs_probabilities(self) -> bool:
        """Whether the class that was answered does not suffice."""
        return self.of_counts is None

    def value(self, predictions: Predictions) -> float:
        """The number for predictions with finite logits."""
        if self.exact:
            number = self._call("exact", predictions, ())
        elif self.of_counts:
            number = self.from_counts(confusion_matrix(predictions)[None].astype(np.float64))[0]
        else:
            number = self.from_means(self.parts(predictions).mean(axis=1)[None])[0]
        if not np.isfinite(number):
            raise UserError(f"the measure '{self.name}' is {number:g} for predictions that are all finite")
        return float(number)

    def from_counts(self, confusions: np.ndarray) -> np.ndarray:
        """A measure of counts, of confusion matrices: float64 ``[R, K, K]`` to ``[R]``."""
        return self._call("of_counts", confusions, (len(confusions),))

    def from_means(self, means: np.ndarray) -> np.ndarray:
        """A measure of examples, of means of its parts: float64 ``[R, F]`` to ``[R]``."""
        return self._call("of_means", means, (len(means),))

    def parts(self, predictions: Predictions) -> np.ndarray:
        """What each example adds to a measure of examples: float64 ``[F, N]``."""
        return np.atleast_2d(self._call("of_examples", predictions, (len(predictions.labels),))).astype(np.float64)

    def _call(self, formula: str, given: np.ndarray | Predictions, shape: tuple[int, ...]) -> np.ndarray:
        """What a formula of this record gives; of ``of_examples`` alone there may be several rows of the shape."""
        try:
            found = np.asarray(getattr(self, formula)(given), np.float64)
        except Exception as error:  # whatever the code of a contributor raises
            raise UserError(f"{formula} of the measure '{self.name}' fails: {raised_where(error)}") from error
        if (found.shape[1:] if formula == "of_examples" and found.ndim == 2 else found.shape) != shape:
            wanted = "a number" if not shape else f"an array {list(shape)}"
            wanted += f" or [F, {shape[0]}]" if formula == "of_examples" else ""
            raise UserError(f"{formula} of the measure '{self.name}' gives an array {list(found.shape)}, not {wanted}")
        return found


def headline_measures() -> list[Measure]:
    """Those of the main tables, in their order."""
    return [measure for measure in MEASURES.values() if measure.heading]


def confusion_matrix(predictions: Predictions) -> np.ndarray:
    """Counts, int64 ``[K, K]``: row = true class, column = predicted class."""
    k = len(predictions.class_names)
    cells = predictions.labels.astype(np.int64) * k + predicted_labels(predictions)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def margins(confusions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers, examples and predictions of each class: ``[..., K]`` each, of ``[..., K, K]``."""
    return np.diagonal(confusions, axis1=-2, axis2=-1), confusions.sum(axis=-1), confusions.sum(axis=-2)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients in float64, 0 where the denominator, which is never negative, is 0."""
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)


def _mean_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Mean over the classes whose denominator is not 0: ``[R, K]`` twice to ``[R]``."""
    mean: np.ndarray = ratio(numerator, denominator).sum(axis=1) / (denominator > 0).sum(axis=1)
    return mean


def _macro_f1s(confusions: np.ndarray) -> np.ndarray:
    hits, support, predicted = margins(confusions)
    return _mean_ratio(2 * hits, support + predicted)


def _kappas(confusions: np.ndarray) -> np.ndarray:
    hits, support, predicted = margins(confusions)
    total = support.sum(axis=1)
    chance = (support * predicted).sum(axis=1) / total**2
    return ratio(hits.sum(axis=1) / total - chance, 1 - chance)


def _kappa(predictions: Predictions) -> float:
    """From the disagreements, over the classes that occur, as scikit-learn does; 0 where there is only one."""
    counts = confusion_matrix(predictions)
    occur = counts.any(axis=0) | counts.any(axis=1)
    counts = counts[np.ix_(occur, occur)]
    others = 1.0 - np.eye(len(counts))
    expected = np.outer(counts.sum(axis=0), counts.sum(axis=1)) / counts.sum()
    return float(1 - (others * counts).sum() / (others * expected).sum()) if len(counts) > 1 else 0.0


def _among_two(predictions: Predictions) -> np.ndarray:
    """Whether the true class has one of the two largest logits; of equal ones the first counts."""
    order = np.argsort(-predictions.logits, axis=1, kind="stable")[:, :2]
    among: np.ndarray = (order == predictions.labels[:, None]).any(axis=1)
    return among


def _squared_distances(predictions: Predictions) -> np.ndarray:
    p = predictions.probabilities
    distances: np.ndarray = (p**2).sum(axis=1) - 2 * p[np.arange(len(p)), predictions.labels] + 1
    return distances


def _confidence_gaps(predictions: Predictions) -> np.ndarray:
    """Confidence less 1 if it is right, in the row of its bin: ``[BINS, N]``."""
    confidence = predictions.probabilities.max(axis=1)
    gaps = np.zeros((BINS, len(confidence)))
    right = predicted_labels(predictions) == predictions.labels
    gaps[confidence_bins(confidence), np.arange(len(confidence))] = confidence - right
    return gaps


_ALL = (
    Measure(
        name="accuracy",
        title="accuracy",
        meaning="images whose most probable class is right",
        heading="accuracy",
        of_counts=lambda confusions: np.trace(confusions, axis1=1, axis2=2) / confusions.sum(axis=(1, 2)),
        interval_beside=True,
    ),
    Measure(
        name="balanced_accuracy",  # of the classes that have examples
        title="balanced accuracy",
        meaning="mean of the classes' recalls",
        heading="balanced acc.",
        of_counts=lambda confusions: _mean_ratio(*margins(confusions)[:2]),
    ),
    Measure(
        name="macro_f1",  # of the classes that have examples or are predicted, as in scikit-learn
        title="macro-F1",
        meaning="mean of the classes' F1",
        heading="macro-F1",
        of_counts=_macro_f1s,
    ),
    Measure(
        name="loss",
        title="cross-entropy",
        meaning="mean of -ln(probability of the true class), in nats",
        heading="loss",
        of_examples=lambda predictions: cross_entropies(predictions.logits, predictions.labels),
        is_share=False,
        higher_is_better=False,
    ),
    Measure(
        name="top2_accuracy",
        title="top-2 accuracy",
        meaning="images whose class is one of the two most probable",
        of_examples=_among_two,
    ),
    Measure(
        name="kappa",  # J. Cohen, A coefficient of agreement for nominal scales, 1960
        title="Cohen's kappa",
        meaning="agreement beyond that of chance; 0 is chance, 1 is perfect",
        of_counts=_kappas,
        exact=_kappa,
        is_share=False,
    ),
    Measure(
        name="brier",  # G. Brier, Verification of forecasts expressed in terms of probability, 1950
        title="Brier score",
        meaning="mean squared distance of the probabilities to the truth, 0 to 2",
        of_examples=_squared_distances,
        is_share=False,
        higher_is_better=False,
    ),
    # The last: its parts sort the groups before they are drawn, see ``sums_of_groups``. A measure that is added before
    # it changes no interval of another, unless groups tie.
    Measure(
        name="calibration_error",
        title="calibration error",
        meaning=f"mean gap between confidence and accuracy in {BINS} bins of equal width",
        of_examples=_confidence_gaps,
        of_means=lambda means: np.abs(means).sum(axis=1),
        exact=lambda predictions: reliability_of(predictions).error,
        higher_is_better=False,
        leans_up=True,
    ),
)


def _by_name(measures: Iterable[Measure]) -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    for measure in measures:
        if found.setdefault(measure.name, measure) is not measure:
            raise UserError(f"there are two measures '{measure.name}': give one of them another name")
    return found


MEASURES: dict[str, Measure] = _by_name(_ALL)
"""By name, in the order of the tables."""
