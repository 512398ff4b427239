"""Anyone's own images in class folders."""

from fer_tl.sources.format import CHANNELS, FIT, IMAGE_SIZE, LABELS, Format, Option

_BITS = "bits used of images of 16 bits that do not say so, 8 to 16 (default: 16, if values as large occur)"

FORMAT = Format(
    "folder",
    "your own images in class folders, under a name of your choice",
    "fer_tl.sources.folder.reader:open_folder",
    (
        IMAGE_SIZE,
        FIT,
        CHANNELS,
        Option("bits", int, _BITS, limits=(8, 16)),
        LABELS,
    ),
    crops=True,
    recognizer="fer_tl.sources.folder.recognize:recognize",
    variants=True,
)
