"""Soft voting: weighted means of predicted probabilities, and the weights under which they fit best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_tl.runs.predictions import Predictions

# Nats an image by which the fitted weights may fall short of the best ones, and the most steps spent on it.
TOLERANCE = 1e-6
MOST_STEPS = 5000


def soft_vote(members: Sequence[Predictions], weights: np.ndarray | None = None) -> Predictions:
    """The mean of the members' probabilities, as logits whose softmax it is.

    A weighted mean of probabilities is the linear opinion pool: C. Genest and J. Zidek, Combining Probability
    Distributions, Statistical Science 1 (1986).

    Args:
        members: M predictions of the same examples and classes, in the same order.
        weights: float64 ``[M]``, or ``[M, N]`` with weights of its own for each example; sums to 1 over the members;
            None for equal ones.

    Raises:
        ValueError: no members, or members of other examples or classes.
    """
    first = members[0]
    for other in members[1:]:
        if other.class_names != first.class_names or not np.array_equal(other.ids, first.ids):
            raise ValueError("the members of a vote must predict the same examples and classes, in the same order")
    if weights is None:
        weights = np.full(len(members), 1 / len(members))
    mean = np.zeros(first.logits.shape, dtype=np.float64)  # [N, K]
    for member, weight in zip(members, weights, strict=True):
        mean += member.probabilities * np.reshape(weight, (-1, 1))
    # The smallest float keeps the logarithm finite; softmax of it gives the mean probabilities back.
    logits = np.log(np.maximum(mean, np.finfo(np.float64).tiny)).astype(np.float32)
    return Predictions(first.ids, first.labels, logits, first.class_names)


def true_class_probabilities(members: Sequence[Predictions]) -> np.ndarray:
    """What each member gives to the true class: float64 ``[M, N]``, 0..1."""
    return np.stack([member.probabilities[np.arange(len(member.ids)), member.labels] for member in members])


def mixture_weights(truth: np.ndarray) -> np.ndarray:
    """The weights under which the weighted mean gives the true classes the largest likelihood.

    EM for the proportions of a mixture of fixed parts: A. Dempster, N. Laird and D. Rubin, Maximum Likelihood from
    Incomplete Data via the EM Algorithm, J. R. Statist. Soc. B 39 (1977). A step multiplies each weight by the mean,
    over the examples, of the member's probability over the mixture's; no step lowers the likelihood. Its logarithm is
    concave in the weights, so there is one maximum, and it lies no further above the present mean log-likelihood than
    the largest of those factors less 1, by which the search knows when it is done.

    Args:
        truth: float64 ``[M, N]`` from ``true_class_probabilities``.

    Returns:
        float64 ``[M]``, 0 or more each, sums to 1.
    """
    # A probability that fell to 0 must not make the mixture's 0, which divides.
    truth = np.maximum(truth, np.finfo(np.float64).tiny)
    weights = np.full(len(truth), 1 / len(truth))
    for _ in range(MOST_STEPS):
        factors = (truth / (weights @ truth)).mean(axis=1)  # [M]
        if factors.max() - 1 < TOLERANCE:
            break
        weights = weights * factors
        weights /= weights.sum()
    return weights


def cross_fitted_weights(truth: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """For each fold the weights that fit the other folds best, so that no image has a say in the weights it gets.

    The models that predicted those other folds were trained on this one; what that lets through is of second order, as
    in any stacking of out-of-fold predictions (D. Wolpert, Stacked Generalization, Neural Networks 5, 1992).

    Args:
        truth: float64 ``[M, N]`` from ``true_class_probabilities``.
        folds: int ``[N]``, 0..F-1.

    Returns:
        float64 ``[F, M]``.
    """
    return np.stack([mixture_weights(truth[:, folds != fold]) for fold in range(int(folds.max()) + 1)])
