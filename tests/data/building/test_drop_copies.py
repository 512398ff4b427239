"""Curation: groups hold together what must not be divided, evaluation images stay, and what goes is accounted for."""

from __future__ import annotations

import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_tl.core.errors import UserError
from fer_tl.data.building import crowding, drop_copies, duplicates
from fer_tl.data.building.build import build
from fer_tl.data.building.copies_summary import describe_duplicates
from fer_tl.data.building.copy_check import suspicions
from fer_tl.data.building.curation import Curation
from fer_tl.data.building.drop_copies import Curated
from fer_tl.data.building.exclusions import Exclusions, read_exclusions
from fer_tl.data.building.grouping import PhotoWriter, hash_pixels, merge_photos
from fer_tl.data.examples import KEPT, Example, read_examples, write_examples
from fer_tl.data.records.stream import decode_stored
from fer_tl.data.splits import read_splits
from fer_tl.sources.records import Record, Source
from tests.drawn_faces import PLAIN, faces_in

CLASSES = ("angry", "happy")


def picture(seed: int) -> np.ndarray:
    """A smooth random texture, uint8 [48, 48, 1]: no two are alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC))[..., None]


def brighter(image: np.ndarray) -> np.ndarray:
    return (image * 0.9 + 20).astype(np.uint8)


def varied(image: np.ndarray, way: int) -> np.ndarray:
    """A near copy, another one for each way."""
    return (image * (1 - way / 50) + way).astype(np.uint8)


def crowded(seed: int) -> np.ndarray:
    """A drawn face before one colour, uint8 [48, 48, 1]: each looks like many others."""
    return np.asarray(Image.fromarray(faces_in(PLAIN, 1, seed)[0]).convert("L").resize((48, 48)))[..., None]


class Given(Source):
    """Records that a test has made."""

    kind, name, class_names, image_shape = "given", "given", CLASSES, (48, 48, 1)

    def __init__(self, records: list[Record]) -> None:
        self.options: dict[str, str] = {}
        self.notes: list[str] = []
        self._records = records

    def total(self) -> int:
        return len(self._records)

    def records(self) -> Iterator[Record]:
        yield from self._records

    def sha256(self) -> str:
        return "0" * 64

    def warnings(self) -> list[str]:
        return []


class Drawing(Given):
    """Images of one pixel that are not kept."""

    image_shape = (1, 1, 1)

    def __init__(self, count: int) -> None:
        super().__init__([])
        self._count = count

    def total(self) -> int:
        return self._count

    def records(self) -> Iterator[Record]:
        for number in range(self._count):
            pixel = np.full((1, 1, 1), number % 200, np.uint8)
            yield Record("train", f"face {number:05d}", number % 2, pixel, f"face {number:05d}")


def record(identity: str, image: np.ndarray, split: str | None = "train", label: int = 0, group: str = "") -> Record:
    return Record(split, identity, label, image, group or identity, size=(50, 60))


def curate(tmp_path: Path, records: list[Record], **settings: object) -> Curated:
    place = tmp_path / str(len(list(tmp_path.iterdir())))
    place.mkdir()
    return Curated(Given(records), Curation(**settings), place)  # type: ignore[arg-type]


def by_id(curated: Curated) -> dict[str, Example]:
    return {example.id: example for example in curated.examples}


def test_copies_get_one_group_and_alone_stays_alone(tmp_path: Path) -> None:
    images = [picture(1), picture(2), picture(1), brighter(picture(1)), picture(3)]
    found = by_id(curate(tmp_path, [record(name, image) for name, image in zip("dbcae", images, strict=True)]))
    assert {name: found[name].group for name in "abcde"} == {"a": "a", "b": "b", "c": "a", "d": "a", "e": "e"}
    assert {name: (found[name].cluster, found[name].copy) for name in "abcde"} == {
        "a": ("a", "near"),
        "b": ("", ""),
        "c": ("a", "exact"),
        "d": ("a", "exact"),
        "e": ("", ""),
    }


def test_copies_join_the_photos_they_were_cut_from(tmp_path: Path) -> None:
    faces = [("p1#0", 1, "p1"), ("p1#1", 2, "p1"), ("p2#0", 2, "p2"), ("p2#1", 3, "p2"), ("p3#0", 4, "p3")]
    found = by_id(curate(tmp_path, [record(name, picture(seed), group=photo) for name, seed, photo in faces]))
    assert {name: example.group for name, example in found.items()} == {
        "p1#0": "p1",
        "p1#1": "p1",
        "p2#0": "p1",
        "p2#1": "p1",
        "p3#0": "p3",
    }
    assert found["p1#0"].cluster == found["p2#1"].cluster == ""


def test_training_loses_copies_of_evaluation_images_and_nothing_else_is_lost(tmp_path: Path) -> None:
    records = [
        record("t1", picture(1)),
        record("v1", picture(1), "validation"),
        record("t2", picture(2)),
        record("x2", brighter(picture(2)), "test"),
        record("v3", picture(3), "validation"),
        record("x3", picture(3), "test"),
        record("t3", picture(3)),
        record("t4", picture(4)),
        record("t5", picture(4), label=1),
    ]
    curated = curate(tmp_path, records)
    assert {name: example.kept for name, example in by_id(curated).items()} == {
        "t1": "copy of validation",
        "t2": "copy of test",
        "t3": "copy of test",
        **dict.fromkeys(("v1", "x2", "v3", "x3", "t4", "t5"), "yes"),
    }
    assert curated.counts() == {
        "train": {"angry": 1, "happy": 1},
        "validation": {"angry": 2, "happy": 0},
        "test": {"angry": 2, "happy": 0},
    }
    assert [stored.id for stored in curated.records("train")] == ["t4", "t5"]
    assert curated.duplicates == {
        "policy": "group",
        "exact": 7,
        "near": 2,
        "clusters": 4,
        "conflicting": 1,
        "dropped": {"copy of test": 2, "copy of validation": 1},
    }
    assert "7 images have an exact copy and 2 a near one, in 4 clusters, 1 with different labels" in (
        describe_duplicates(curated.duplicates)
    )


def test_drop_leaves_one_training_copy_of_the_label_that_most_have(tmp_path: Path) -> None:
    labels = {"a": 1, "b": 0, "c": 0, "d": 0, "e": 1}
    records = [record(name, picture(1 if name < "d" else 2), label=label) for name, label in labels.items()]
    records += [record(f"x{index}", picture(3), "test") for index in range(2)]
    curated = curate(tmp_path, [*records, record("z", picture(4))], duplicates="drop")
    assert {name: example.kept for name, example in by_id(curated).items()} == {
        "a": "duplicate",
        "b": "yes",
        "c": "duplicate",
        "d": "conflicting labels",
        "e": "conflicting labels",
        "x0": "yes",
        "x1": "yes",
        "z": "yes",
    }


def test_keep_does_not_look(tmp_path: Path) -> None:
    curated = curate(tmp_path, [record("a", picture(1)), record("b", picture(1), "test")], duplicates="keep")
    assert {example.group for example in curated.examples} == {"a", "b"}
    assert all(example.kept == "yes" and not example.cluster for example in curated.examples)
    assert curated.duplicates["exact"] == 0


def unsplit(copies: bool = True) -> list[Record]:
    """Sixty photos of two faces each, of which the second has a copy in the next photo of an even number."""
    records = []
    for photo in range(60):
        for face in range(2):
            seed = 1000 + photo + 1 if copies and face and photo % 2 == 0 else 2 * photo + face
            image = picture(1000 + photo) if copies and face == 0 and photo % 2 else picture(seed)
            records.append(record(f"p{photo:02d}#{face}", image, None, (photo + face) % 2, f"p{photo:02d}"))
    return records


def test_a_drawn_split_divides_no_photo_and_no_copy(tmp_path: Path) -> None:
    curated = curate(tmp_path, unsplit())
    splits = defaultdict(set)
    for example in curated.examples:
        splits[example.group].add(example.split)
        splits[example.id.partition("#")[0]].add(example.split)
    assert all(len(found) == 1 for found in splits.values())
    assert curated.duplicates["clusters"] == 30 and not curated.duplicates["dropped"]
    sizes = Counter((example.split, example.class_name) for example in curated.examples)
    assert sizes == {("test", "angry"): 12, ("test", "happy"): 12, ("train", "angry"): 48, ("train", "happy"): 48}


def test_a_split_is_of_the_seed_and_not_of_the_order(tmp_path: Path) -> None:
    first = {name: example.split for name, example in by_id(curate(tmp_path, unsplit())).items()}
    again = {name: example.split for name, example in by_id(curate(tmp_path, unsplit()[::-1])).items()}
    other = {name: example.split for name, example in by_id(curate(tmp_path, unsplit(), split_seed=1)).items()}
    assert first == again != other


def test_a_saved_split_is_used_and_what_it_divides_leaves_training(tmp_path: Path) -> None:
    given = {record.id: "test" if int(record.group[1:]) % 6 == 0 else "train" for record in unsplit()}
    given["p10#0"] = "test"
    curated = curate(tmp_path, unsplit(), splits=given)
    assert {example.id: example.split for example in curated.examples} == given
    # The second face of photo 6 k has a copy in photo 6 k + 1, whose other face is then of the same group.
    left_out = {example.id: example.kept for example in curated.examples if example.kept != "yes"}
    assert left_out == {
        **{f"p{photo:02d}#0": "copy of test" for photo in range(1, 60, 6)},
        **{f"p{photo:02d}#1": "same photo as test" for photo in range(1, 60, 6)},
        **dict.fromkeys(("p10#1", "p11#0", "p11#1"), "same photo as test"),
    }
    groups = defaultdict(set)
    for example in curated.examples:
        if example.kept == "yes":
            groups[example.group].add(example.split)
    assert all(len(splits) == 1 for splits in groups.values())
    given.pop("p00#0")
    with pytest.raises(UserError, match=r"--splits says nothing about 1 of 120 examples, such as 'p00#0'"):
        curate(tmp_path, unsplit(), splits=given)


def test_faces_of_one_photo_in_official_splits_leave_training(tmp_path: Path) -> None:
    splits = {"a": "train", "b": "validation", "c": "test", "d": "train", "e": "validation", "f": "train"}
    groups = dict(zip("abcdef", ("p1", "p1", "p1", "p2", "p2", "p3"), strict=True))
    records = [record(name, picture(n), splits[name], group=groups[name]) for n, name in enumerate("fedcba")]
    for policy in ("group", "keep"):
        kept = {name: example.kept for name, example in by_id(curate(tmp_path, records, duplicates=policy)).items()}
        assert kept == dict.fromkeys("bcef", "yes") | {"a": "same photo as test", "d": "same photo as validation"}
        told = describe_duplicates(curate(tmp_path, records, duplicates=policy).duplicates)
        assert told.endswith("Left out of training: 1 (same photo as test), 1 (same photo as validation).")


def test_one_photo_under_two_names_is_one_group(tmp_path: Path) -> None:
    records = [
        replace(record(f"p{number}#0", picture(number), group=f"p{number}"), photo=picture(photo).repeat(3, axis=2))
        for number, photo in enumerate((50, 51, 50, 52, 53))
    ]
    records[4] = replace(records[4], photo=brighter(records[1].photo))
    groups = {name: example.group for name, example in by_id(curate(tmp_path, records)).items()}
    assert groups == {"p0#0": "p0", "p1#0": "p1", "p2#0": "p0", "p3#0": "p3", "p4#0": "p1"}
    kept = by_id(curate(tmp_path, records, duplicates="keep"))
    assert all(example.group == name[:2] for name, example in kept.items())


def test_photos_that_look_alike_are_compared_at_full_size_as_faces_are(tmp_path: Path) -> None:
    photos = faces_in(PLAIN, 100)
    photos += [np.asarray(Image.fromarray(photo).resize((200, 200))) for photo in photos[:5]]
    photos += [np.asarray(Image.fromarray(photo).convert("L"))[..., None] for photo in photos[5:10]]
    groups = np.arange(len(photos))
    with closing(PhotoWriter(tmp_path)) as seen:
        for row, photo in enumerate(photos):
            seen.add(replace(record(str(row), picture(0), group=str(row)), photo=photo), row)
    merged = merge_photos([tmp_path], [0], groups, tmp_path)
    assert merged[100:].tolist() == groups[:10].tolist()
    assert (merged[:100] == groups[:100]).all()


def test_what_was_not_compared_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [record(f"{seed:03d}", crowded(seed), "train", seed % 2) for seed in range(80)]
    told: list[str] = []
    for module in (duplicates, crowding, drop_copies):
        monkeypatch.setattr(module, "MOST", 4)
    Curated(Given(records), Curation(), tmp_path, told.append).close()
    (line,) = (line for line in told if "others each" in line)
    assert "images look like more than 4 others each: only the 4 most alike were compared" in line
    monkeypatch.undo()
    Curated(Given(records), Curation(), tmp_path, told.append).close()
    assert sum("others each" in line for line in told) == 1


def test_too_few_photos_for_a_split(tmp_path: Path) -> None:
    records = [record(str(seed), picture(seed), None, int(seed < 4)) for seed in range(20)]
    with pytest.raises(UserError, match="class 'happy' has 4 groups of images, too few for an 80:20 split"):
        curate(tmp_path, records)


def test_rows_take_next_to_no_memory(tmp_path: Path) -> None:
    def taken(count: int) -> int:
        (tmp_path / str(count)).mkdir()
        source = Drawing(count)
        tracemalloc.start()
        curated = Curated(source, Curation(duplicates="keep"), tmp_path / str(count))
        found, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(curated.examples) == count and curated.examples[count - 1].group == f"face {count - 1:05d}"
        curated.close()
        return found

    taken(10)  # imports what it needs
    assert (taken(1500) - taken(500)) / 1000 < 60  # bytes; a Python object would take hundreds


def test_an_id_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Two examples have the id 'a'"):
        curate(tmp_path, [record("a", picture(1)), record("a", picture(2), "test")])


def test_nothing_left_to_train_on_or_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="every training image of given is a copy"):
        curate(tmp_path, [record("a", picture(1)), record("b", picture(1), "test")])
    with pytest.raises(UserError, match="no example that can be used"):
        curate(tmp_path, [])


def many(shape: Callable[[int], list[Record]]) -> list[Record]:
    """Twenty images of each class to train on and five to test on, all different, and what a case adds to them."""
    records = []
    for seed in range(50):
        split = "test" if seed % 5 == 0 else "train"
        records.append(record(f"plain{seed}", picture(seed), split, seed % 2))
    return records + shape(100)


def cluster_of_twelve(seed: int) -> list[Record]:
    return [record(f"c{n:02}", varied(picture(seed), n)) for n in range(12)]


def pairs_with_both_labels(seed: int) -> list[Record]:
    return [record(f"{n}{way}", varied(picture(seed + n), way), label=way) for n in range(8) for way in range(2)]


def class_that_is_tested_on(seed: int) -> list[Record]:
    splits = ("train", "test")
    return [
        record(f"{n}{split}", varied(picture(seed + n), way), split)
        for n in range(11)
        for way, split in enumerate(splits)
    ]


SUSPICIOUS = {
    "one cluster has 12 different images": cluster_of_twelve,
    "16 images are in clusters with different labels": pairs_with_both_labels,
    "angry loses 11 of its 31 training images as copies": class_that_is_tested_on,
}


@pytest.mark.parametrize("reason", SUSPICIOUS)
def test_what_leaves_much_out_or_joins_much_stops_with_counts_a_picture_and_the_options(
    tmp_path: Path, reason: str
) -> None:
    curated = curate(tmp_path, many(SUSPICIOUS[reason]))
    sheet = tmp_path / "sheet.png"
    with pytest.raises(UserError, match=reason) as caught:
        curated.look_over(sheet)
    assert all(part in str(caught.value) for part in (str(sheet), "--accept-copies", "--duplicates keep"))
    assert "\n" not in str(caught.value)
    with Image.open(sheet) as image:
        assert image.width == 8 * 96 and image.height >= 96
        assert len(set(image.convert("L").tobytes())) > 50


def test_what_is_known_of_a_dataset_does_not_stop_it(tmp_path: Path) -> None:
    curated = curate(tmp_path, many(class_that_is_tested_on))
    curated.look_over(tmp_path / "sheet.png", most_lost=0.4)
    assert not (tmp_path / "sheet.png").exists()


def upsampled(seed: int) -> list[Record]:
    return [record(f"e{n}", picture(seed)) for n in range(40)]


def a_few_copies(seed: int) -> list[Record]:
    splits = ("train", "test")
    return [record(f"{n}{split}", picture(seed + n), split, way) for n in range(5) for way, split in enumerate(splits)]


@pytest.mark.parametrize("shape", [upsampled, a_few_copies])
def test_equal_images_and_few_copies_stop_nothing(tmp_path: Path, shape: Callable[[int], list[Record]]) -> None:
    curate(tmp_path, many(shape)).look_over(tmp_path / "sheet.png")
    curate(tmp_path, many(shape), duplicates="keep").look_over(tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_a_cluster_of_a_large_dataset_may_not_have_mostly_other_labels(tmp_path: Path) -> None:
    """It has fewer than 1 % of the images."""
    classes = ("angry", "fear", "happy")
    examples = [Example(f"p{n}", "train", "angry", f"p{n}", "", "", KEPT, 48, 48, "") for n in range(1500)]
    for labels in (classes, classes[:1]):
        named = [labels[n % len(labels)] for n in range(12)]
        cluster = [
            Example(f"c{n}", "train", name, "c0", "c0", "near", KEPT, 48, 48, "") for n, name in enumerate(named)
        ]
        found, shown = suspicions([*examples, *cluster], [str(n) for n in range(1512)])
        assert found == (["one cluster of 12 different images has labels of 3 classes"] if len(labels) > 1 else [])
        assert shown == ([list(range(1500, 1512))] if len(labels) > 1 else [])


def test_frames_of_one_person_may_be_alike(tmp_path: Path) -> None:
    """Their cluster joins nothing; one that joins persons, or loses images, wants a look."""
    frames = [record(f"f{n}", varied(picture(1), n), group="anna", label=n % 2) for n in range(14)]
    others = [record(f"o{n}", picture(n + 2), group=f"p{n}") for n in range(20)]
    curate(tmp_path, [*frames, *others]).look_over(tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
    for given, settings in (
        ([*frames[1:], replace(frames[0], group="bert"), *others], {}),
        ([*frames, *others], {"duplicates": "drop"}),
    ):
        with pytest.raises(UserError, match="one cluster has 14 different images"):
            curate(tmp_path, given, **settings).look_over(tmp_path / "sheet.png")


def test_stored_images_are_the_given_pixels(tmp_path: Path) -> None:
    import io

    records = [record(name, picture(index)) for index, name in enumerate("abc")]
    for encoding, tolerance in (("png", 0), ("jpeg", 6)):
        curated = curate(tmp_path, records, encoding=encoding)
        assert curated.encoding == encoding
        for stored, given in zip(curated.records("train"), records, strict=True):
            with Image.open(io.BytesIO(stored.encoded)) as image:
                assert image.format == encoding.upper()
                difference = np.asarray(image).astype(int) - given.image[..., 0]
            assert np.abs(difference).max() <= tolerance


def test_the_fingerprint_is_of_the_pixels_that_will_be_read_back(tmp_path: Path) -> None:
    records = [record(name, picture(index)) for index, name in enumerate("abc")]
    stamps = {}
    for encoding in ("png", "jpeg"):
        curated = curate(tmp_path, records, encoding=encoding)
        stamps[encoding] = [stamp.pixels for stamp in curated.examples.stamps(curated.order)]
        shape = records[0].image.shape
        read = [hash_pixels(decode_stored(stored.encoded, shape)) for stored in curated.records("train")]
        assert stamps[encoding] == read
    assert not set(stamps["png"]) & set(stamps["jpeg"])  # who has trained on one has not trained on the other


def test_the_table_is_read_back_and_serves_as_a_split(tmp_path: Path) -> None:
    curated = curate(tmp_path, unsplit())
    write_examples(curated.examples, tmp_path)
    assert read_examples(tmp_path) == sorted(curated.examples, key=lambda example: example.id)
    splits = read_splits(tmp_path / "examples.csv")
    assert splits == {example.id: example.split for example in curated.examples}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column id or split"),
        ("id,split\n", "no rows"),
        ("id,split\na,train\nb,dev\n", r"row 2 \(line 3\): split 'dev' is none of"),
        ("id,split\na,train\na,test\n", r"row 2 \(line 3\): 'a' was in train before"),
        ("id,split\na\n", r"row 1 \(line 2\): 1 cell for the 2 columns"),
    ],
)
def test_a_bad_table_of_splits_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_splits(tmp_path / "s.csv")


def test_an_old_dataset_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="built by an older fer-tl; build it again"):
        read_examples(tmp_path)
    (tmp_path / "examples.csv").write_text("id,split\na,train\n")
    with pytest.raises(UserError, match="cannot be read"):
        read_examples(tmp_path)


def test_a_build_that_stops_leaves_the_picture_and_no_dataset(tmp_path: Path) -> None:
    for label in CLASSES:
        (tmp_path / "faces" / label).mkdir(parents=True)
    for row in many(cluster_of_twelve):
        Image.fromarray(row.image[..., 0]).save(tmp_path / "faces" / CLASSES[row.label] / f"{row.id}.png")
    with pytest.raises(UserError, match="one cluster has 12 different images") as caught:
        build(
            "folder/mine", source=tmp_path / "faces", data_dir=tmp_path / "data", image_size=48, say=lambda line: None
        )
    assert [str(path) for path in (tmp_path / "data").iterdir()] == [str(tmp_path / "data" / "folder-mine-copies.png")]
    assert str(tmp_path / "data" / "folder-mine-copies.png") in str(caught.value)


def exclusions(tmp_path: Path, *names: str) -> Exclusions:
    (tmp_path / "leave.csv").write_text("ID;why\n" + "".join(f"{name};copy\n" for name in names), encoding="utf-8")
    return read_exclusions(tmp_path / "leave.csv")


@pytest.mark.parametrize("duplicates", ["group", "drop", "keep"])
def test_exactly_what_is_excluded_goes_and_is_counted(tmp_path: Path, duplicates: str) -> None:
    whole = by_id(curate(tmp_path, unsplit(), duplicates=duplicates))
    gone = ("p00#1", "p01#0", "p07#0", "p07#1")  # the first two are all of a cluster
    curated = curate(tmp_path, unsplit(), duplicates=duplicates, exclude=exclusions(tmp_path, *gone, " p00#1 "))
    found = by_id(curated)
    assert {name for name, example in found.items() if example.kept == "excluded"} == set(gone)
    assert curated.duplicates["dropped"]["excluded"] == 4  # type: ignore[index]
    told = describe_duplicates(curated.duplicates)
    assert told.endswith("Excluded by the table of --exclude: 4.")
    assert "excluded)" not in told
    written = {stored.id for split in curated.counts() for stored in curated.records(split)}
    assert written == {name for name, example in found.items() if example.kept == KEPT}
    # The others keep their split and their group: tables with and without those examples can be compared.
    assert all((found[name].split, found[name].group) == (whole[name].split, whole[name].group) for name in whole)


def test_an_excluded_evaluation_image_takes_no_training_copy_with_it(tmp_path: Path) -> None:
    images = {"t1": (1, "train"), "v1": (1, "validation"), "v2": (2, "validation"), "t3": (3, "train")}
    records = [record(name, picture(seed), split) for name, (seed, split) in images.items()]
    assert by_id(curate(tmp_path, records))["t1"].kept == "copy of validation"
    found = by_id(curate(tmp_path, records, exclude=exclusions(tmp_path, "v1")))
    assert {name: example.kept for name, example in found.items()} == {
        "t1": KEPT, "v1": "excluded", "v2": KEPT, "t3": KEPT,
    }  # fmt: skip


def test_what_cannot_be_excluded_is_refused(tmp_path: Path) -> None:
    records = [record("t1", picture(1)), record("t2", picture(2)), record("v1", picture(3), "validation")]
    with pytest.raises(UserError, match=r"leave.csv: 1 of its 2 ids are no example's \(the first is 't9', row 2"):
        curate(tmp_path, records, exclude=exclusions(tmp_path, "t1", "t9"))
    with pytest.raises(UserError, match="--exclude leaves no training image of given: leave out fewer"):
        curate(tmp_path, records, exclude=exclusions(tmp_path, "t1", "t2"))
    with pytest.raises(UserError, match=r"leave.csv, row 1 .*: no id"):
        exclusions(tmp_path, "")
    evaluated = [record("v1", picture(3), "validation")]
    with pytest.raises(UserError, match="leave out fewer"):
        curate(tmp_path, evaluated, exclude=exclusions(tmp_path, "v1"))
