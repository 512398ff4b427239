"""RAVDESS: recordings of 24 actors, eight emotions, in the names of the recordings."""

from fer_tl.sources.format import CHANNELS, FIT, IMAGE_SIZE, Format, Option
from fer_tl.sources.ravdess.choosing import EVERY

FORMAT = Format(
    "ravdess",
    "RAVDESS as films, or as frames whose names or folders keep that of the recording, 01-01-06-01-02-01-12",
    "fer_tl.sources.ravdess.reader:open_ravdess",
    (
        IMAGE_SIZE,
        FIT,
        CHANNELS,
        Option(
            "frames", int, "how many frames of a recording to take, evenly spread (default: see --every)",
            limits=(1, 10_000),
        ),
        Option(
            "every", int, f"take one of so many frames of a recording (default: of films {EVERY}, of images 1)",
            limits=(1, 10_000),
        ),
    ),
    crops=True,
    splits=True,
    terms="RAVDESS is under CC BY-NC-SA 4.0, for which its authors sell commercial licences "
    "(https://zenodo.org/records/1188976).",
)  # fmt: skip
