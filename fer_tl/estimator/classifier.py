"""The estimator: what ``fer-tl train`` does, on arrays and with the methods of scikit-learn."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from fer_tl.core.errors import BadValue, OutOfMemory, TrainingFailed, UserError
from fer_tl.estimator.arrays import as_dataset, check_groups, check_images, class_names_of
from fer_tl.estimator.options import DEFAULTS, add_to_signature, experiment_of, refuse_unknown, spread
from fer_tl.estimator.saved_network import SavedNetwork

_SEEDS = 2**32


class Classifier(ClassifierMixin, BaseEstimator):
    """A network that learns classes of images, as an estimator of scikit-learn.

    The training is that of ``fer-tl train``, with the same settings: the same images, seed and order of classes give
    the same weights. ``fit`` holds nothing out; ``cross_val_score`` and the like do that. Images are arrays
    ``[N, H, W]`` or ``[N, H, W, C]``, C is 1 or 3 (red, green, blue): integers 0..255, or floats 0..1 or 0..255, which
    are rounded to 8 bits. What is not square is padded with black to squares.

    Args:
        backbone: one of those that ``fer_tl.list_models()`` lists.
        random_state: the seed of weights, order, augmentation and dropout, an integer; None or a generator of NumPy for
            other ones at each fit.
        run_dir: folder that keeps the training as a run, which ``fer_tl.load``, ``fer-tl predict``, ``serve`` and
            ``export`` take: an interrupted fit continues there, a finished one is read. None leaves nothing on the
            disk.
        verbose: whether lines and progress are printed.
        options: the settings of a training by name, such as ``epochs=4``; those of a group as scikit-learn writes
            them, ``optimizer__rate=1e-3``, or together, ``optimizer={"rate": 1e-3}``. They are checked by ``fit``.

    Attributes:
        classes_: the K labels in rising order, as they were given: text or integers ``[K]``.
        n_features_in_: numbers of an image, H * W * C.
        image_shape_: (H, W, C) of the images of ``fit``.
        history_: a dictionary for each epoch: loss, accuracy, learning rate.
        n_iter_: epochs that were trained.

    Raises:
        TypeError: an option that there is not.
    """

    def __init__(
        self,
        backbone: str = "mobilenetv2",
        *,
        random_state: Any = 0,
        run_dir: str | os.PathLike[str] | None = None,
        verbose: bool = False,
        **options: Any,
    ):
        given = spread(options)
        refuse_unknown(given, DEFAULTS, TypeError)
        self.backbone = backbone
        self.random_state = random_state
        self.run_dir = run_dir
        self.verbose = verbose
        for name, value in (DEFAULTS | given).items():
            setattr(self, name, value)

    add_to_signature(__init__)

    def set_params(self, **params: Any) -> Classifier:
        """Set parameters by name; those of a group are single ones here, or together as in the constructor.

        Raises:
            ValueError: a parameter that there is not.
        """
        given = spread(params)
        refuse_unknown(given, self.get_params(), BadValue)
        for name, value in given.items():
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any, groups: Any = None) -> Classifier:
        """Train on all images.

        Args:
            X: images ``[N, H, W]`` or ``[N, H, W, C]``, see above; at least two.
            y: the label of each, text or integers ``[N]``, of two classes or more.
            groups: the group of each, text or integers ``[N]``: a person, a film. Where early stopping or a plateau
                watches images that are set aside, none of them is of a group that is trained on. For folds, give them
                to the cross validation as well.

        Returns:
            The estimator itself.

        Raises:
            ValueError: images, labels or settings that cannot be used, missing weights, or another run in ``run_dir``.
            TrainingFailed: the loss became infinite.
            OutOfMemory: a batch does not fit into the memory of the devices.
        """
        images, layout = check_images(X, self)
        labels = self._check_labels(y, images)
        classes, indices = np.unique(labels, return_inverse=True)
        names = class_names_of(classes)
        dataset = as_dataset(images, indices, check_groups(groups, images), names)
        experiment = experiment_of(self.get_params(), self._seed())
        from fer_tl.estimator.fitting import train_arrays

        try:
            trained = train_arrays(experiment, dataset, Path(self.run_dir) if self.run_dir else None, self.verbose)
        except (TrainingFailed, OutOfMemory):
            raise
        except UserError as error:
            raise BadValue(str(error)) from None
        self.classes_ = classes
        self.image_shape_ = layout.shape
        self.n_features_in_ = layout.numbers
        self.history_ = trained.history
        self.n_iter_ = len(trained.history)
        self._layout = layout
        self._network = SavedNetwork(trained.content)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each image: ``[N]``, of ``classes_``.

        Args:
            X: images as those of ``fit``.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: images of another shape or range.
        """
        best = self.predict_proba(X).argmax(axis=1)
        found: np.ndarray = self.classes_[best]
        return found

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class: float64 ``[N, K]``, rows sum to 1, columns in the order of ``classes_``.

        They are not calibrated, for no image was held out: ``sklearn.calibration.CalibratedClassifierCV`` does it.

        Args:
            X: images as those of ``fit``.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: images of another shape or range.
        """
        check_is_fitted(self)
        from fer_tl.runs.predictions import softmax

        images, _ = check_images(X, self, self._layout)
        return softmax(self._network.logits(images))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy, 0..1.

        Args:
            X: images as those of ``fit``.
            y: the true labels ``[N]``.
            sample_weight: of each image ``[N]``.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: images of another shape or range, or labels that ``fit`` did not meet.
        """
        check_is_fitted(self)
        images = np.asarray(X)
        unknown = sorted({*self._check_labels(y, images).tolist()} - {*self.classes_.tolist()}, key=str)
        if unknown:
            raise BadValue(
                f"label {unknown[0]!r} is none of those that the classifier was fitted on: "
                f"{', '.join(map(repr, self.classes_.tolist()))}"
            )
        return float(super().score(images, y, sample_weight))

    def to_keras(self) -> bytes:
        """The model as the content of a ``.keras`` file, which ``keras.saving.load_model`` opens and ``weights`` of
        another training may start from: pixels 0..255 ``[B, S, S, C]`` to logits ``[B, K]``, in the order of
        ``classes_``.

        Raises:
            NotFittedError: before ``fit``.
        """
        check_is_fitted(self)
        return self._network.content

    def _check_labels(self, y: Any, images: np.ndarray) -> np.ndarray:
        """Labels ``[N]`` of classes, one for each image."""
        if y is None:
            raise BadValue(
                f"{type(self).__name__} requires y to be passed, but the target y is None: the label of each image"
            )
        found = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        labels: np.ndarray = column_or_1d(found, warn=True)
        check_consistent_length(images, labels)
        check_classification_targets(labels)
        return labels

    def _seed(self) -> int:
        given = self.random_state
        if not isinstance(given, Integral):
            return int(check_random_state(given).randint(_SEEDS, dtype=np.uint64))
        if not 0 <= int(given) < _SEEDS:
            raise BadValue(f"'random_state' should be between 0 and {_SEEDS - 1}, but is {given}")
        return int(given)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.input_tags.positive_only = True
        return tags
