"""The drawn faces: reproducible by (seed, index), fairly balanced, and hard in the way they claim to be."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from fer_tl.sources.toyfaces import drawing
from fer_tl.sources.toyfaces.drawing import CHUNK, CLASS_NAMES, IMAGE_SIZE, draw_faces
from fer_tl.sources.toyfaces.source import ToySource

SEED = 3
COUNT = 1200


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, np.ndarray]:
    return draw_faces(COUNT, SEED)


def test_class_order_is_the_shared_one():
    assert CLASS_NAMES == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert set(drawing.EXPRESSIONS) == set(CLASS_NAMES)


def test_shapes_and_types(faces):
    images, labels = faces
    assert images.shape == (COUNT, IMAGE_SIZE, IMAGE_SIZE, 1) and images.dtype == np.uint8
    assert labels.shape == (COUNT,) and labels.dtype == np.int64
    empty_images, empty_labels = draw_faces(0, SEED)
    assert empty_images.shape == (0, IMAGE_SIZE, IMAGE_SIZE, 1) and empty_labels.shape == (0,)


@pytest.mark.parametrize(("count", "first"), [(-1, 0), (1, -1)])
def test_negative_arguments_are_refused(count, first):
    with pytest.raises(ValueError, match="must not be negative"):
        draw_faces(count, SEED, first)


@pytest.mark.parametrize(
    ("first", "count"), [(0, 1), (100, 100), (7, 13), (CHUNK - 1, 3), (CHUNK + 5, 2 * CHUNK), (COUNT - 1, 1)]
)
def test_a_face_depends_on_seed_and_index_only(faces, first, count):
    images, labels = draw_faces(count, SEED, first)
    np.testing.assert_array_equal(images, faces[0][first : first + count])
    np.testing.assert_array_equal(labels, faces[1][first : first + count])


def test_a_person_looks_alike_whatever_the_expression_and_strangers_stay_as_they_are(faces):
    persons = np.arange(COUNT) % 40
    images, labels = draw_faces(COUNT, SEED, persons=persons)
    np.testing.assert_array_equal(labels, faces[1])  # who it is says nothing of the expression
    assert not (images == faces[0]).all(axis=(1, 2, 3)).any()
    later, _ = draw_faces(10, SEED, 100, persons[100:110])
    np.testing.assert_array_equal(later, images[100:110])  # a face is a function of seed, index and person
    drawn = drawing._parameters(SEED, np.arange(COUNT, dtype=np.uint64), labels, persons.astype(np.uint64))
    for name in drawing.NUISANCES:
        own = [np.ptp(drawn[name][persons == person]) for person in range(40)]
        assert (max(own) == 0) == (name in drawing.IDENTITY), name
    with pytest.raises(ValueError, match="persons must be 3 numbers"):
        draw_faces(3, SEED, persons=np.arange(2))


def test_no_two_faces_are_alike(faces):
    assert len({image.tobytes() for image in faces[0]}) == COUNT


def test_seeds_share_no_face(faces):
    images, labels = draw_faces(200, SEED + 1)
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in faces[0]}
    assert (labels != faces[1][:200]).any()


def test_no_image_is_blank(faces):
    """Averaged over 2 x 2 pixels, which noise alone does not survive, the middle of every picture still has lines."""
    middle = faces[0][:, 12:36, 12:36, 0].astype(float)
    smooth = (middle[:, ::2, ::2] + middle[:, 1::2, ::2] + middle[:, ::2, 1::2] + middle[:, 1::2, 1::2]) / 4
    assert smooth.std(axis=(1, 2)).min() > 5
    clipped = (faces[0] == 0) | (faces[0] == 255)
    assert clipped.mean(axis=(1, 2, 3)).max() < 0.5


@pytest.mark.parametrize("first", [0, 5000])
def test_every_run_of_faces_has_all_classes_in_bounded_shares(first):
    labels = drawing._labels(SEED, np.arange(first, first + 700, dtype=np.uint64))
    shares = np.bincount(labels, minlength=7) / 700
    assert shares.min() >= 0.05 and shares.max() < 0.25
    assert CLASS_NAMES[shares.argmax()] == "happy" and CLASS_NAMES[shares.argmin()] == "disgust"


def test_a_linear_model_sees_something_but_not_much(faces):
    images, labels = faces
    pixels = images.reshape(COUNT, -1) / 255.0
    train, test = slice(0, 900), slice(900, None)
    accuracy = RidgeClassifier(alpha=300.0).fit(pixels[train], labels[train]).score(pixels[test], labels[test])
    majority = np.bincount(labels[test]).max() / len(labels[test])
    assert majority + 0.05 < accuracy < 0.60


def test_expressions_differ_where_they_should(monkeypatch):
    """With pose, camera and personal variation held still, an expression changes the part of the face it is made of."""
    still = {name: (sum(span) / 2,) * 2 for name, span in drawing.NUISANCES.items()}
    still |= {"intensity": (1.0, 1.0), "noise": (0.0, 0.0), "light": (0.0, 0.0), "glasses": (0.0, 0.0)}
    monkeypatch.setattr(drawing, "NUISANCES", still)
    monkeypatch.setattr(drawing, "SPREAD", drawing.Expression(*[0.0] * len(drawing.SPREAD)))
    images, labels = draw_faces(60, SEED)
    face = {name: images[labels == k][0, :, :, 0].astype(float) for k, name in enumerate(CLASS_NAMES)}
    for k, name in enumerate(CLASS_NAMES):
        same = images[labels == k, :, :, 0]
        assert (same == same[0]).all(), name

    eyes, mouth = slice(8, 25), slice(28, 46)
    change = {
        name: [np.abs(face[name][rows] - face["neutral"][rows]).mean() for rows in (eyes, mouth)] for name in face
    }
    assert all(min(change[name]) > 1 for name in CLASS_NAMES if name != "neutral"), change

    middle = slice(21, 27)
    darkest = {name: face[name][28:46, middle].mean(axis=1).min() for name in face}
    assert darkest["surprise"] < darkest["neutral"] - 20  # the open mouth
    brow_rows = {name: _dark_centre(face[name][4:20, 13:35]) for name in face}
    assert brow_rows["surprise"] < brow_rows["neutral"] < brow_rows["angry"]  # raised above, drawn down below
    corners = {name: _dark_centre(face[name][30:46, 17:20]) - _dark_centre(face[name][30:46, middle]) for name in face}
    assert corners["happy"] < corners["neutral"] < corners["sad"]  # rows count downwards: a smile's corners are higher


def _dark_centre(patch: np.ndarray) -> float:
    """The mean row of the dark lines in a patch [rows, columns], weighted by how dark they are."""
    dark = np.clip(np.median(patch) - patch, 0, None).sum(axis=1)
    return float((dark * np.arange(len(dark))).sum() / dark.sum())


def test_as_many_faces_as_are_asked_for() -> None:
    source = ToySource(count=45)
    found = [record.split for record in source.records()]
    assert source.total() == 45 and found == ["train"] * 31 + ["validation"] * 7 + ["test"] * 7
    assert source.sha256() != ToySource().sha256()
