"""KDEF: 70 persons, seven expressions from five angles, in the names of its files."""

from fer_tl.sources.format import CHANNELS, FIT, IMAGE_SIZE, Format, Option
from fer_tl.sources.kdef.names import ANGLES

FORMAT = Format(
    "kdef",
    "KDEF as published, AF01ANS.JPG",
    "fer_tl.sources.kdef.reader:open_kdef",
    (
        IMAGE_SIZE,
        FIT,
        CHANNELS,
        Option(
            "angles",
            str,
            "all, frontal (a fifth of the images), or half: frontal and half profiles, without full ones",
            choices=tuple(ANGLES),
            default="all",
        ),
    ),
    crops=True,
    splits=True,
)
