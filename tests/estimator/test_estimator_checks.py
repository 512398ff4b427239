"""scikit-learn's own checks of estimators, on images that are made of its tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from fer_tl import Classifier

pytestmark = pytest.mark.usefixtures("thin_backbone")


class RowImages(Classifier):
    """Takes the tables ``[N, D]`` of scikit-learn's checks as images of D pixels in a row, brightened so that a network
    can learn from them. What is no table of numbers comes to ``Classifier`` as it is."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> Classifier:
        self._highest = np.asarray(X).max() if is_table(X) else 0.0
        return super().fit(self._in_rows(X), y, groups)

    def predict(self, X: Any) -> np.ndarray:
        return super().predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        return super().predict_proba(self._in_rows(X))

    def _in_rows(self, X: Any) -> Any:
        if is_table(X) and self._highest:
            X = np.minimum(np.asarray(X, np.float64) / self._highest, 1)
        return np.asarray(X)[:, None, :] if not issparse(X) and np.ndim(X) == 2 else X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        return tags


def is_table(X: Any) -> bool:
    """Whether these are numbers that pixels could be."""
    found = np.asarray(X)  # of a sparse matrix an object
    is_real = found.dtype.kind in "iuf"
    return (
        is_real and found.ndim == 2 and bool(found.size) and bool(np.isfinite(found).all()) and bool(found.min() >= 0)
    )


STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "flip": False}
HEAD = {"dense": [], "dropout": [0.0]}
SMALL = RowImages(
    "shallow_cnn",
    weights="none",
    image_size=16,
    batch_size=32,
    epochs=20,
    optimizer__rate=0.01,
    augment=STILL,
    head=HEAD,
)


# None is expected to fail. A check with SCIPY_ARRAY_API skips itself where that variable is not set.
@parametrize_with_checks([SMALL], expected_failed_checks=lambda estimator: {})
def test_check(estimator: Classifier, check: Any) -> None:
    asks_for_accuracy = "check_classifiers_train" in str(check)
    # All checks are given one and the same estimator.
    check(clone(estimator).set_params(epochs=20 if asks_for_accuracy else 1))
