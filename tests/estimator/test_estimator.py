"""The estimator is the training of ``fer-tl train`` on arrays, and behaves as estimators of scikit-learn do."""

from __future__ import annotations

import io
import pickle
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict, cross_val_score
from stored_dataset import Stored, store_dataset

import fer_tl
from fer_tl import Classifier
from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import TrainingFailed, UserError
from fer_tl.data.dataset import Dataset
from fer_tl.runs.saved_model import load_model

pytestmark = pytest.mark.usefixtures("thin_backbone")

OPTIONS: dict[str, Any] = {
    "backbone": "shallow_cnn",
    "weights": "none",
    "image_size": 16,
    "batch_size": 24,
    "epochs": 1,
}
TRAIN, OTHERS = 56, 14


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Dataset]) -> Dataset:
    return make_faces(TRAIN + OTHERS, side=16)


@pytest.fixture(scope="module")
def fitted(faces: Dataset) -> Classifier:
    return Classifier(**OPTIONS).fit(faces.images, np.array(CLASS_NAMES)[faces.labels])


@pytest.fixture
def no_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails where something is left in the current folder or among temporary files."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield
    assert [path for path in tmp_path.rglob("*") if path.name not in ("here", "temporary")] == []


def weights_of(content: bytes, folder: Path) -> list[np.ndarray]:
    path = folder / "weights.keras"
    path.write_bytes(content)
    return load_model(path)[0].get_weights()


@pytest.mark.engines
@pytest.mark.parametrize("options", [{}, {"early_stopping": 1, "epochs": 2, "holdout": 0.25}])
def test_weights_are_bit_equal_to_those_of_fer_tl_fit(faces: Dataset, tmp_path: Path, options: dict[str, Any]) -> None:
    """With the same images under the same ids, which are their numbers: they key augmentation and order."""
    rows = {"train": np.random.default_rng(1).permutation(TRAIN), "validation": np.arange(TRAIN, TRAIN + OTHERS)}
    groups = np.arange(TRAIN + OTHERS) // 2
    splits = {
        split: Stored(faces.images[each], faces.labels[each], each.astype(str), groups[each].astype(str))
        for split, each in rows.items()
    }
    store_dataset(tmp_path, "folder/own", CLASS_NAMES, splits)
    told = {**OPTIONS, **options, "data": "folder/own", "data_dir": str(tmp_path), "run_dir": str(tmp_path / "run")}
    run = fer_tl.fit(fer_tl.load_experiment(**told, seed=3), say=lambda line: None)
    here = slice(0, TRAIN)
    found = Classifier(**OPTIONS, random_state=3).set_params(**options)
    found.fit(faces.images[here], faces.labels[here], groups=groups[here])
    expected = (run.run_dir / "model" / "model.keras").read_bytes()
    pairs = zip(weights_of(found.to_keras(), tmp_path), weights_of(expected, tmp_path), strict=True)
    assert len(found.history_) == found.n_iter_ > 0
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)
    other = clone(found).set_params(random_state=4).fit(faces.images[here], faces.labels[here], groups=groups[here])
    assert any(
        (a != b).any()
        for a, b in zip(weights_of(other.to_keras(), tmp_path), weights_of(expected, tmp_path), strict=True)
    )


@pytest.mark.engines
@pytest.mark.parametrize("copy", [lambda it: pickle.loads(pickle.dumps(it)), "joblib"])
def test_a_copy_by_pickle_or_joblib_answers_alike(fitted: Classifier, faces: Dataset, copy: Any) -> None:
    if copy == "joblib":
        file = io.BytesIO()
        joblib.dump(fitted, file)
        again = joblib.load(file)
    else:
        again = copy(fitted)
    np.testing.assert_array_equal(again.predict_proba(faces.images), fitted.predict_proba(faces.images))
    assert again.get_params() == fitted.get_params() and (again.classes_ == fitted.classes_).all()
    assert len(pickle.dumps(fitted)) < 1.2 * len(fitted.to_keras())


def test_labels_come_back_as_they_were_given(fitted: Classifier, faces: Dataset) -> None:
    assert fitted.classes_.tolist() == sorted(CLASS_NAMES)
    probabilities = fitted.predict_proba(faces.images)
    assert probabilities.dtype == np.float64 and probabilities.shape == (len(faces), 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(faces.images), fitted.classes_[probabilities.argmax(axis=1)])
    truth = np.array(CLASS_NAMES)[faces.labels]
    assert fitted.score(faces.images, truth) == np.mean(fitted.predict(faces.images) == truth)
    numbers = Classifier(**OPTIONS).fit(faces.images, 10 * (faces.labels > 3))
    assert set(numbers.predict(faces.images).tolist()) <= {0, 10} and numbers.classes_.dtype.kind == "i"


def test_floats_and_greys_without_channels_are_the_same_images(fitted: Classifier, faces: Dataset) -> None:
    expected = fitted.predict_proba(faces.images)
    bytes_ = faces.images[..., 0]
    for same in (bytes_, bytes_.astype(np.int64), bytes_ / 255, (bytes_ / 255).astype(np.float32), bytes_ * 1.0):
        np.testing.assert_array_equal(fitted.predict_proba(same), expected)
    np.testing.assert_array_equal(fitted.predict_proba(bytes_.tolist()), expected)


def test_a_dark_float_image_has_the_range_of_those_of_fit(faces: Dataset) -> None:
    light = Classifier(**OPTIONS).fit(faces.images * 1.0, faces.labels)
    dark = np.minimum(faces.images, 1)
    np.testing.assert_array_equal(light.predict_proba(dark * 1.0), light.predict_proba(dark))


@pytest.mark.usefixtures("no_leftovers")
def test_oblong_colour_images_and_scikit_learn_around(faces: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    oblong = np.repeat(faces.images[:, :, 2:14], 3, axis=3)
    np.random.seed(9)  # noqa: NPY002
    random.seed(9)
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    groups = np.arange(len(faces)) // 2
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=0)
    classifier = Classifier(**OPTIONS, unfreeze="none")  # whose features are kept, elsewhere
    names = np.array(CLASS_NAMES)[faces.labels]
    scores = cross_val_score(classifier, oblong, names, groups=groups, cv=folds, error_score="raise")
    answers = cross_val_predict(classifier, oblong, names, groups=groups, cv=folds)
    parts = [test for _, test in folds.split(oblong, names, groups)]
    assert scores.tolist() == [np.mean(answers[test] == names[test]) for test in parts]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    assert capsys.readouterr().out == ""
    search = GridSearchCV(classifier, {"optimizer__rate": np.array([1e-3, 1e-2])}, cv=[(parts[0], parts[1])])
    assert search.fit(oblong, names).best_estimator_.image_shape_ == (16, 12, 3)


def test_parameters_are_the_settings_under_their_names(fitted: Classifier) -> None:
    one = Classifier("facevgg", head={"dense": [32]}, optimizer__rate=0.1)
    assert repr(one) == "Classifier(backbone='facevgg', head__dense=[32], optimizer__rate=0.1)"
    assert one.set_params(head={"dropout": [0.0, 0.5]}, ema=0.9).head__dropout == [0.0, 0.5]
    assert clone(one).get_params() == one.get_params() and not hasattr(clone(fitted), "classes_")
    with pytest.raises(TypeError, match=r"no parameter 'optimizer__rat'; did you mean 'optimizer__rate'\?"):
        Classifier(optimizer__rat=1)
    with pytest.raises(ValueError, match=r"no parameter 'epoch'; did you mean 'epochs'\?"):
        one.set_params(epoch=1)
    for of_folders in ("data", "folds", "seed", "distill__share"):
        with pytest.raises(TypeError, match="no parameter"):
            Classifier(**{of_folders: 1})


BAD_FITS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], tuple[Any, Any]], type[Exception], str]] = {
    "flat": (lambda x, y: (x.reshape(len(x), -1), y), ValueError, r"\[N, H, W\].* but this is \[70, 256\].*X.reshape"),
    "one image": (lambda x, y: (x[0, ..., 0], y), ValueError, "one image|flat pixels"),
    "channels first": (lambda x, y: (np.moveaxis(x.repeat(3, 3), 3, 1), y), ValueError, "channels come last"),
    "opacity": (lambda x, y: (x.repeat(4, 3), y), ValueError, "leave opacity out"),
    "nan": (lambda x, y: (np.where(x == x[0, 0, 0], np.nan, x), y), ValueError, "contains NaN"),
    "negative": (lambda x, y: (x - 128.0, y), ValueError, "Negative values in data"),
    "16 bits": (lambda x, y: (x.astype(np.uint16) * 257, y), ValueError, "pixels go up to 65535|pixels go up to"),
    "masks": (lambda x, y: (x > 9, y), ValueError, "true or false"),
    "text": (lambda x, y: (["a.jpg", "b.jpg"], y[:2]), ValueError, "."),
    "sizes": (lambda x, y: ([x[0], x[1, :9]], y[:2]), ValueError, "images differ in shape, such as"),
    "none": (lambda x, y: (x[:0], y[:0]), ValueError, "0 sample"),
    "lengths": (lambda x, y: (x, y[:-1]), ValueError, "inconsistent numbers of samples: .*70, 69"),
    "no labels": (lambda x, y: (x, None), ValueError, "requires y to be passed"),
    "one class": (lambda x, y: (x, np.repeat("happy", len(x))), ValueError, "all labels are of one class, 'happy'"),
    "numbers": (lambda x, y: (x, y + 0.5), ValueError, "Unknown label type: continuous"),
    "blank": (lambda x, y: (x, np.where(y == 1, " ", "a")), ValueError, "labels should be names"),
    "missing label": (lambda x, y: (x, np.where(y == 1, np.nan, y)), ValueError, "contains NaN"),
}


@pytest.mark.parametrize("case", BAD_FITS)
def test_bad_input_of_fit_is_one_clear_line(case: str, faces: Dataset) -> None:
    make, kind, message = BAD_FITS[case]
    with pytest.raises(kind, match=message) as error:
        Classifier(**OPTIONS).fit(*make(faces.images, faces.labels))
    assert case in ("nan", "none", "missing label") or "\n" not in str(error.value)  # scikit-learn's own texts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": "many"}, "'epochs' should be a whole number, but is 'many'"),
        ({"epochs": 0}, "'epochs' should be between 1 and"),
        ({"backbone": "mobilenet"}, "unknown backbone 'mobilenet'; did you mean 'mobilenetv2'"),
        ({"random_state": -1}, "'random_state' should be between 0 and"),
        ({"random_state": "x"}, "cannot be used to seed"),
        ({"strategy": "multiworker"}, "an estimator trains on one machine"),
        ({"weights": "nowhere.h5"}, "nowhere.h5"),
        ({"early_stopping": 1, "groups": "one"}, "has a single group of training images"),
    ],
)
def test_bad_settings_are_one_clear_line(faces: Dataset, options: dict[str, Any], message: str) -> None:
    groups = options.pop("groups", None)
    one = Classifier(**{**OPTIONS, **options})
    with pytest.raises(ValueError, match=message) as error:
        one.fit(faces.images, faces.labels, groups=groups and np.zeros(len(faces)))
    assert "\n" not in str(error.value)
    assert "seed" in message or isinstance(error.value, UserError)


def test_questions_that_cannot_be_answered(fitted: Classifier, faces: Dataset) -> None:
    names = np.array(CLASS_NAMES)[faces.labels]
    for ask in (
        lambda it: it.predict(faces.images),
        lambda it: it.score(faces.images, names),
        lambda it: it.to_keras(),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask(Classifier(**OPTIONS))
    with pytest.raises(ValueError, match=r"images have 8 x 8 grey pixels, those of fit had 16 x 16 grey pixels"):
        fitted.predict(faces.images[:, ::2, ::2])
    with pytest.raises(
        ValueError, match="label 'contempt' is none of those that the classifier was fitted on: 'angry'"
    ):
        fitted.score(faces.images, np.where(names == "sad", "contempt", names))
    unit = Classifier(**OPTIONS).fit(faces.images / 255, names)
    with pytest.raises(ValueError, match=r"pixels go up to .* those of fit from 0 to 1"):
        unit.predict(faces.images * 1.0)
    with pytest.raises(ValueError, match=r"groups should be \[N\]"):
        Classifier(**OPTIONS).fit(faces.images, names, groups=np.zeros((70, 1)))


def test_a_training_that_diverges_leaves_the_estimator_unfitted(faces: Dataset) -> None:
    one = Classifier(**OPTIONS, optimizer={"name": "sgd", "rate": 100.0}, loss__l2=1.0).set_params(epochs=40)
    with pytest.raises(TrainingFailed):
        one.fit(faces.images, faces.labels)
    assert not hasattr(one, "classes_")


def test_run_dir_keeps_a_run_that_others_read(
    faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = np.array(CLASS_NAMES)[faces.labels]
    one = Classifier(**OPTIONS, run_dir=tmp_path / "run", verbose=True).fit(faces.images, names)
    assert "model: shallow_cnn" in capsys.readouterr().out
    model = fer_tl.load(tmp_path / "run", say=lambda line: None)
    assert model.temperature == 1 and "no image was held out" in model.calibration
    np.testing.assert_allclose(model.predict(faces.images).probabilities, one.predict_proba(faces.images), atol=1e-5)
    again = clone(one).fit(faces.images, names)
    assert "done before" in capsys.readouterr().out
    assert again.to_keras() == one.to_keras()
    with pytest.raises(ValueError, match=r"holds a run with other settings .epochs 1 -> 2"):
        clone(one).set_params(epochs=2).fit(faces.images, names)
    with pytest.raises(ValueError, match="another build"):
        clone(one).fit(255 - faces.images, names)
    page = fer_tl.report(tmp_path / "run", say=lambda line: None).path.read_text()
    assert "trained it on all images that it was given" in page
    assert "fer_tl.Classifier(&#x27;shallow_cnn&#x27;, " in page and "fer-tl train" not in page
    with pytest.raises(UserError, match=r"was trained by fer_tl.Classifier on all images"):
        fer_tl.audit(tmp_path / "run", say=lambda line: None)


def test_the_model_opens_without_fer_tl(fitted: Classifier, faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(fitted.to_keras())
    logits = np.asarray(keras.saving.load_model(tmp_path / "model.keras")(faces.images.astype(np.float32)))
    np.testing.assert_array_equal(logits.argmax(axis=1), fitted.predict_proba(faces.images).argmax(axis=1))
