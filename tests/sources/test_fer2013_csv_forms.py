"""A CSV reads as the same images however it was saved, or is refused with what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fer_files import Face, content, csv_text, expected, make_faces

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.errors import UserError
from fer_tl.sources.fer2013.open_source import open_source
from fer_tl.sources.label_orders import LABEL_ORDERS, check_numbers, class_of_number

FACES = make_faces()
PLAIN = csv_text(FACES)
HEADER, *ROWS = PLAIN.splitlines()


def with_pixels(change: Callable[[str], str], faces: list[Face] = FACES) -> str:
    """The table with the text of its pixels rewritten; the cell is quoted."""
    rows = [line.split(",") for line in csv_text(faces).splitlines()[1:]]
    return "\n".join([HEADER, *(f'{emotion},"{change(pixels)}",{usage}' for emotion, pixels, usage in rows)]) + "\n"


def one_column_a_pixel(names: Callable[[int], str]) -> str:
    header = ["emotion", *map(names, range(2304)), "Usage"]
    return "\n".join([",".join(header), *(line.replace(" ", ",") for line in ROWS)])


READABLE = {
    "a line that names the delimiter": "sep=;\n" + PLAIN.replace(",", ";"),
    "another delimiter that it names": "sep=|\n" + PLAIN.replace(",", "|"),
    "UTF-16 without its mark": PLAIN.encode("utf-16-le"),
    "commas": with_pixels(lambda text: text.replace(" ", ",")),
    "semicolons": with_pixels(lambda text: text.replace(" ", "; ")),
    "a list": with_pixels(lambda text: f"[{text.replace(' ', ', ')}]"),
    "a list of rows": with_pixels(lambda text: f"[[{text.replace(' ', ', ', 47).replace(' ', '], [', 1)}]]"),
    "a printed array": with_pixels(lambda text: f"[[{text.replace(' ', '  ')}]\n ]"),
    "floats": with_pixels(lambda text: text.replace(" ", ".0 ") + ".0"),
    "a column for each pixel": one_column_a_pixel("pixel{}".format),
    "the same, counted from 1": one_column_a_pixel(lambda index: f"pixel_{index + 1}"),
    "the same, only numbers": one_column_a_pixel(str),
    "label and image": PLAIN.replace(HEADER, "label,image,split"),
    "numbers as 3.0": "\n".join([HEADER, *(line.replace(",", ".0,", 1) for line in ROWS)]),
}


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_what_can_be_read_reads_the_same(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "fer2013.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert content(open_source(tmp_path / "fer2013.csv")) == expected(FACES)


def squares(side: int, channels: int = 1) -> str:
    values = " ".join(["7"] * (side * side * channels))
    return f"{HEADER}\nangry,{values},Training\n"


REFUSED = {
    "NumPy's dots": (with_pixels(lambda text: f"[{text[:9]} ... {text[-9:]}]"), r"row 1 .*cut to '\.\.\.' when NumPy"),
    "divided by 255": (with_pixels(lambda text: " ".join(f"{int(v) / 255:.4f}" for v in text.split())), "from 0 to 1,"),
    "-1 to 1": (with_pixels(lambda text: " ".join(f"{int(v) / 127.5 - 1:.3f}" for v in text.split())), "from -1 to 1,"),
    "standardized": (with_pixels(lambda text: " ".join(f"{int(v) / 50 - 2:.2f}" for v in text.split())), "from -2 to "),
    "a fraction": (with_pixels(lambda text: text.replace(" ", ".5 ", 1)), r"pixel 1 of 2,304 .*\.5', not a whole"),
    "not a number": (
        with_pixels(lambda text: "nan" + text[text.index(" ") :]),
        "pixel 1 of 2,304 .*'nan', not a whole",
    ),
    "96 x 96": (
        squares(96),
        "row 1 .*9,216 pixel values.* a grey picture of 96x96 or an RGBA picture of 48x48",
    ),
    "224 x 224": (squares(224), "50,176 pixel values.*a grey picture of 224x224.*fer-tl build table"),
    "colour": (squares(48, 3), "6,912 pixel values.*a colour picture of 48x48"),
    "224 x 224 in colour": (squares(224, 3), "150,528 pixel values.*a colour picture of 224x224"),
    "a later row is short": (
        PLAIN + f"1,{' '.join(['7'] * 1600)},Training\n",
        r"row 29 .*1,600 pixel values, not 2,304: it is a grey picture of 40x40, or the row is damaged or truncated",
    ),
    "a later row is truncated": (
        PLAIN + f"1,{' '.join(['7'] * 500)},Training\n",
        r"row 29 .*500 pixel values, not 2,304: the row is damaged or truncated",
    ),
    "not square": (
        with_pixels(lambda _: " ".join(["7"] * 2400)),
        r"2,400 pixel values.*or its picture is not 48x48; download the file again, or other pictures",
    ),
    "decimal commas": (
        with_pixels(lambda text: text.replace(" ", ",0 ") + ",0"),
        "twice as many, as where decimal",
    ),
    "two words for one class": (
        PLAIN.replace("\n3,", "\nhappy,").replace("\nhappy,", "\njoy,", 1),
        "f.*has two names for one class in train, happy and joy: write one of them in all rows",
    ),
    "names of files": (with_pixels(lambda _: "images/a 1.png".replace(" ", "")), "its pixels are 'images/a1.png', not"),
    "no header": ("\n".join(ROWS), "no header, its first line is data: put the line emotion,pixels,Usage before it"),
    "a column twice": (PLAIN.replace(HEADER, "emotion,pixels,emotion"), "two columns are called emotion"),
    "columns of another size": (
        one_column_a_pixel("pixel{}".format).replace("pixel2303", "other"),
        r"2,303 columns of pixels \(pixel0 to pixel2302\), not 2,304",
    ),
    "columns in another order": (
        one_column_a_pixel(lambda index: f"pixel{index ^ 1}"),
        r"2,304 columns of pixels \(pixel1 to pixel2302\), not 2,304 in order",
    ),
    "no emotion": (PLAIN.replace("\n4,", "\n,", 1), r"row 5 \(line 6\): no emotion"),
    "no Usage": (PLAIN.replace("Training\n", "\n", 1), r"row 1 \(line 2\): no Usage"),
    "emotion 99": (PLAIN.replace("\n4,", "\n99,", 1), r"row 5 \(line 6\): unknown emotion '99', not 0\.\.6"),
    "5,000 digits": (PLAIN.replace("\n4,", "\n" + "4" * 5000 + ",", 1), r"row 5 \(line 6\): unknown emotion '4444"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_called_what_it_is(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "fer2013.csv").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        list(open_source(tmp_path / "fer2013.csv").records())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def numbered(folder: Path, order: str, names: tuple[str, ...]) -> Path:
    """A CSV that numbers some classes as another dataset does; the first pixel tells the class."""
    _, first, known = LABEL_ORDERS[order]
    lines = [HEADER]
    for name in names:
        pixels = FACES[0][2].copy()
        pixels[0, 0] = [*CLASS_NAMES, "contempt"].index(name)
        lines.append(f"{first + known.index(name)},{' '.join(map(str, pixels.ravel()))},Training")
    (folder / "f.csv").write_text("\n".join(lines))
    return folder / "f.csv"


@pytest.mark.parametrize("order", LABEL_ORDERS)
def test_numbers_get_the_classes_of_their_order(tmp_path: Path, order: str) -> None:
    source = open_source(numbered(tmp_path, order, LABEL_ORDERS[order].names), order)
    found = {(record.label, int(record.image[0, 0, 0])) for record in source.records()}
    assert found == {(label, label) for label in range(7)}
    left_out = [line for line in source.warnings() if "1 row of contempt left out" in line]
    assert len(left_out) == ("contempt" in LABEL_ORDERS[order].names)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("raf", LABEL_ORDERS["raf"].names),
        ("raf", LABEL_ORDERS["raf"].names[:6]),  # 1..6: five of six would be wrong as 0..6
        ("raf", ("happy", "sad")),
        ("affectnet", LABEL_ORDERS["affectnet"].names),
        ("affectnet", LABEL_ORDERS["affectnet"].names[:6]),  # 0..5
        ("affectnet", ("neutral", "happy", "sad")),  # 0..2
        ("fer", LABEL_ORDERS["fer"].names[:5]),
        ("ckplus", LABEL_ORDERS["ckplus"].names),
    ],
)
def test_numbers_that_may_mean_other_classes_are_not_guessed(
    tmp_path: Path, order: str, names: tuple[str, ...]
) -> None:
    path = numbered(tmp_path, order, names)
    with pytest.raises(
        UserError, match=rf"whose meaning is a guess\. Say which order they are in: .*--labels {order} "
    ):
        list(open_source(path).records())


def test_the_numbers_of_all_tables_count_together(tmp_path: Path) -> None:
    """A test.csv without angry faces is no riddle where train.csv has them."""
    lines = [line.rsplit(",", 1)[0] for line in ROWS]
    (tmp_path / "train.csv").write_text("\n".join(["emotion,pixels", *lines[:7]]))
    (tmp_path / "test.csv").write_text("\n".join(["emotion,pixels", *lines[1:7]]))
    assert [record.label for record in open_source(tmp_path).records()] == [*range(7), *range(1, 7)]


def test_an_order_that_lacks_a_number_is_refused() -> None:
    with pytest.raises(UserError, match=r"f\.csv .*\(0, 7\) that --labels raf \(RAF-DB\) does not have: it has 1 to 7"):
        check_numbers({0, 7}, "raf", "f.csv")
    with pytest.raises(UserError, match=r"No order known here has all of them.*give names"):
        check_numbers({0, 12}, None, "f.csv")
    assert class_of_number("03", "raf") == "disgust" and class_of_number("8", "affectnet") is None


def test_a_table_without_shades_is_black(tmp_path: Path) -> None:
    """Zeros and ones are whole numbers: the picture is nearly black, not wrong by a factor that could be told."""
    (tmp_path / "f.csv").write_text(f"{HEADER}\nangry,{'0 1 ' * 1152},Training\n")
    (record,) = open_source(tmp_path / "f.csv").records()
    assert np.unique(record.image).tolist() == [0, 1]


def test_how_numbers_were_read_is_said_of_what_is_not_the_official_file(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(PLAIN)
    for labels, told in ((None, True), ("fer", False)):
        source = open_source(tmp_path / "f.csv", labels)
        list(source.records())
        assert any("read in FER-2013's order, 0 angry, 1 disgust" in line for line in source.warnings()) == told


def test_a_column_of_persons_that_is_not_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join([f"{HEADER},Subject_ID", *(f"{line},P{row % 4}" for row, line in enumerate(ROWS))]))
    source = open_source(path)
    (note,) = source.notes
    assert (
        note.startswith("Warning: the column 'Subject_ID' of fer2013.csv is not read: if it says who")
        and "--groups" in note
    )
    assert content(source) == expected(FACES)
