"""What people call the splits of a dataset: in folders, file names and columns."""

from __future__ import annotations

import re

# FER-2013's official names and the folder names of its copies.
_SPLIT_NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "publictest"),
    "test": ("test", "testing", "tst", "privatetest"),
}
_CANONICAL_SPLIT = {alias: split for split, aliases in _SPLIT_NAMES.items() for alias in aliases}
# FER-2013's, too, but with other words beside them these are more likely said of the data.
_ALONE = {"public": "validation", "private": "test"}
# Words that say no more than that there is data: val_set, Train_data, test_images_cropped, FER2013Test.
_FILLERS = (
    "fer2013plus", "fer2013", "ferplus", "fer", "rafdb", "raf", "affectnet", "expw", "datasets", "dataset", "data",
    "sets", "set", "images", "image", "imgs", "img", "pictures", "pics", "photos", "faces", "face", "files", "samples",
    "subset", "split", "folder", "dir", "partition", "cropped", "crops", "aligned", "resized", "original", "raw", "my",
    "the", "new", "full", "all", "final",
)  # fmt: skip
# Possessive ("*+"): a name of thousands of letters has but one reading, and takes no time.
_AROUND = f"(?:{'|'.join(_FILLERS)})*+"
_FILLED = re.compile(f"{_AROUND}({'|'.join(sorted(_CANONICAL_SPLIT, key=len, reverse=True))}){_AROUND}")


def canonical_split(name: str) -> str | None:
    """Give the split a folder name or a Usage value stands for, or None.

    Case, punctuation and words such as set, data and images around it do not count.
    """
    letters = re.sub(r"[\W_]+", "", name.lower())
    if letters in _ALONE:
        return _ALONE[letters]
    match = _FILLED.fullmatch(letters)
    return _CANONICAL_SPLIT[match[1]] if match else None
