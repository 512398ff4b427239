"""RAVDESS: frames of recordings of 24 actors, eight emotions, in the names of the recordings."""

from fer_tl.sources.format import CHANNELS, FIT, IMAGE_SIZE, Format, Option

FORMAT = Format(
    "ravdess",
    "frames of RAVDESS as image files whose names or folders keep that of the recording, 01-01-06-01-02-01-12",
    "fer_tl.sources.ravdess.reader:open_ravdess",
    (
        IMAGE_SIZE,
        FIT,
        CHANNELS,
        Option(
            "frames", int, "how many frames of a recording to take, evenly spread (default: all)", limits=(1, 10_000)
        ),
    ),
    crops=True,
    splits=True,
)
