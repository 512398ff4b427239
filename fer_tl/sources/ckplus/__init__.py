"""CK+: the extended Cohn-Kanade set: sequences with emotion labels, CK+48's class folders, or Kaggle's CSV."""

from fer_tl.sources.format import CHANNELS, DEFAULT_IMAGE_SIZE, FIT, Format, Option

FORMAT = Format(
    "ckplus",
    "CK+ as cohn-kanade-images with Emotion, as the class folders of CK+48, or as ckextended.csv, which has no persons",
    "fer_tl.sources.ckplus.reader:open_ckplus",
    (
        Option(
            "image_size",
            int,
            f"side in pixels of the stored images (default: {DEFAULT_IMAGE_SIZE}; of ckextended.csv, its own 48)",
            limits=(8, 1024),
        ),
        FIT,
        CHANNELS,
        Option("frames", int, "last frames of a labelled sequence that have its label (default: 3)", limits=(1, 100)),
        Option(
            "neutral",
            str,
            "first: take the first frame of each labelled sequence as neutral (default: omit)",
            choices=("omit", "first"),
        ),
    ),
    crops=True,
    splits=True,
)
