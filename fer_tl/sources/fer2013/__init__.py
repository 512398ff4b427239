"""FER-2013: its CSV files, FER+'s votes, and its images in class folders."""

from pathlib import Path

from fer_tl.sources.format import LABELS, VOTES, Format, Option

FORMAT = Format(
    "fer2013",
    "FER-2013 as a CSV, image folders, or an archive of one",
    "fer_tl.sources.fer2013.open_source:open_source",
    (LABELS, Option("ferplus", Path, "FER+'s fer2013new.csv, whose votes replace the labels of a CSV"), VOTES),
    crops=True,
    recognizer="fer_tl.sources.fer2013.recognize:recognize",
    most_lost=1 / 3,  # its disgust loses 25 % and its surprise 20 %, by eye to copies
    terms="The images of FER-2013 were collected by a search of the web for a challenge of 2013 (Goodfellow et al., "
    "Challenges in Representation Learning, ICONIP 2013). We know of no licence that was published with them, nor of "
    "what their owners allow.",
)
