"""ExpW: photos and the list of their labelled faces."""

from fer_tl.sources.format import BOX_MARGIN, IMAGE_SIZE, VOTES, Format, Option

FORMAT = Format(
    "expw",
    "ExpW as photos with label.lst, or its cleaned crops with label_expw.csv",
    "fer_tl.sources.expw.source:open_expw",
    (IMAGE_SIZE, VOTES, BOX_MARGIN, Option("min_confidence", float, "leave out faces with a lower detector score")),
    detects=True,
    splits=True,
    terms="The photos of ExpW were downloaded from the web by its authors (Zhang et al., From Facial Expression "
    "Recognition to Interpersonal Relation Prediction, IJCV 2018), who published no licence with them: ask them, "
    "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html.",
)
