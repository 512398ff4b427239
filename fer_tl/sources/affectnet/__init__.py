"""AffectNet: its CSV lists with whole photos, or its newer folders of faces and annotations."""

from fer_tl.sources.format import BOX_MARGIN, IMAGE_SIZE, Format

FORMAT = Format(
    "affectnet",
    "AffectNet as training.csv and validation.csv with photos, or as train_set and val_set with annotations",
    "fer_tl.sources.affectnet.reader:open_affectnet",
    (IMAGE_SIZE, BOX_MARGIN),
    crops=True,
)
