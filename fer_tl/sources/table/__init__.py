"""Anyone's own images with a CSV that says what is in them."""

from pathlib import Path

from fer_tl.sources.format import BOX_MARGIN, CHANNELS, DEFAULT_IMAGE_SIZE, FIT, LABELS, Format, Option

FORMAT = Format(
    "table",
    "your own images and a CSV of their classes, or a CSV that holds their pixels, under a name of your choice",
    "fer_tl.sources.table.reader:open_table",
    (
        Option("table", Path, "the CSV (default: the only one in the source)"),
        Option("path_column", str, "column of the images' paths, whole or in part, or of pixels (default: by "
            "its name)"),
        Option("label_column", str, "column of the classes, names or numbers (default: by its name)"),
        Option("split_column", str, "column of train, validation and test, or none (default: by its name)"),
        Option("group_column", str, "column of who is in the image, or none (default: by its name)"),
        Option("box_columns", str, "four columns of face boxes to crop to, such as left,top,right,bottom or x,y,w,h or "
            "left=X0,top=Y0,width=DX,height=DY, in pixels; without, images stay whole"),
        Option("image_size", int, f"side in pixels of the stored images (default: {DEFAULT_IMAGE_SIZE}; of pixels in "
            "the CSV, their own)", limits=(8, 1024)),
        FIT,
        CHANNELS,
        LABELS,
        BOX_MARGIN,
    ),
    crops=True,
    variants=True,
)  # fmt: skip
