"""JAFFE: ten women, seven expressions, in the names of its files."""

from fer_tl.sources.format import CHANNELS, FIT, IMAGE_SIZE, Format

FORMAT = Format(
    "jaffe",
    "JAFFE as published, KA.AN1.39.tiff; all of it is for training, for ten persons are too few for a test split",
    "fer_tl.sources.jaffe.reader:open_jaffe",
    (IMAGE_SIZE, FIT, CHANNELS),
    crops=True,
    terms="The images of JAFFE are for non-commercial scientific research that cites them (Lyons et al., Coding Facial "
    "Expressions with Gabor Wavelets, FG 1998).",
)
