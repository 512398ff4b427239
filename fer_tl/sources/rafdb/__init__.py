"""RAF-DB: its list of labels with its images, or its numbered class folders."""

from fer_tl.sources.format import IMAGE_SIZE, LABELS, Format, Option

FORMAT = Format(
    "rafdb",
    "RAF-DB, basic or compound, as list_patition_label.txt with images, or as class folders",
    "fer_tl.sources.rafdb.reader:open_rafdb",
    (
        IMAGE_SIZE,
        LABELS,
        Option("images", str, "aligned, or original (default: aligned if they are there)",
            choices=("aligned", "original")),
    ),
    crops=True,
    terms="RAF-DB is for non-commercial research only, and no part of it may be passed on; its images were found on "
    "the web and are not its authors' property (http://www.whdeng.cn/RAF/model1.html).",
)  # fmt: skip
