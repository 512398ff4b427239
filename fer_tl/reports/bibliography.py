"""What the papers claim: their own figures on their own data, to stand beside ours and never to be tested against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_tl.core.errors import UserError, suggest


@dataclass(frozen=True)
class Claim:
    """A row of a paper.

    Attributes:
        model: as the paper has it, in short.
        split: what was scored: ``4 folds`` for their mean, ``test``, ``validation``; ``""`` where it is not known.
        accuracy: per cent; None where the paper gives none.
        balanced_accuracy: mean recall of the classes in per cent; None likewise.
        loss: cross-entropy in nats; None likewise.
        remark: what a reader of the row must know; may be empty.
    """

    model: str
    split: str
    accuracy: float | None
    balanced_accuracy: float | None = None
    loss: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper and its rows.

    Attributes:
        name: by which it is asked for, as in ``configs/``.
        title: who and what.
        data: dataset, as ``--data`` names it.
        protocol: data and training in words.
        chosen: how the epoch that was scored was chosen, as far as that is known.
        claims: its rows.
        remark: what holds of several rows; may be empty.
    """

    name: str
    title: str
    data: str
    protocol: str
    chosen: str
    claims: tuple[Claim, ...]
    remark: str = ""


_UNKNOWN = "how the epoch was chosen is not known to us"

PAPERS: dict[str, Paper] = {
    paper.name: paper
    for paper in (
        Paper(
            name="liu",
            title="R. Liu, Empirical Evaluation of Residual CNN",
            data="fer2013",
            protocol="FER-2013, 20 epochs",
            chosen=_UNKNOWN,
            claims=(
                Claim("CNN, 3 convolutions", "", 47.0),
                Claim("CNN, 4 convolutions", "", 55.0),
                Claim("residual CNN", "validation", 85.0, remark='"around 85 %", which is not credible'),
            ),
        ),
        Paper(
            name="pham",
            title="D. Pham, FER with CNN",
            data="fer2013",
            protocol="FER-2013, face crops, 80 epochs of SGD",
            chosen=_UNKNOWN,
            claims=(
                Claim("Gudi's net, batch norm", "validation", 64.25),
                Claim("Gudi's net, batch norm", "test", 65.33),
                Claim("Gudi's net, batch norm", "", None, balanced_accuracy=65.5),
            ),
        ),
        Paper(
            name="du",
            title="W. Du, improved ResNet50",
            data="fer2013",
            protocol="FER-2013 at 48 pixels, 30 epochs",
            chosen=_UNKNOWN,
            claims=(
                Claim("ResNet50", "", 44.0, loss=1.471),
                Claim("ResNet50, two dense blocks", "", 57.31, loss=1.156),
            ),
        ),
        Paper(
            name="li",
            title="Z. Li et al., Emotions Classification",
            data="fer2013",
            protocol="FER-2013, 60 epochs",
            chosen=_UNKNOWN,
            claims=(
                Claim("shallow CNN", "", 68.39),
                Claim("VGG16 from scratch", "", 57.89),
                Claim("VGG16, ImageNet", "", 67.22),
                Claim("VGG16, VGGFace", "", 67.65),
                Claim("ResNet50, ImageNet, frozen", "", 48.53),
                Claim("ResNet18 from scratch", "", 64.25),
                Claim("InceptionV3", "", 62.58),
                Claim("soft vote of three", "", 70.24),
            ),
            remark="The soft vote is of shallow CNN, VGG16 from VGGFace and ResNet18.",
        ),
        Paper(
            name="sikic",
            title="F. Šikić et al., Emotion Recognition using CNN",
            data="expw",
            protocol="cleaned ExpW, 80:20 train to test, 4-fold cross validation on the 80 %",
            chosen=_UNKNOWN,
            claims=(
                Claim("MobileNetV2 basic", "4 folds", 63.3),
                Claim("MobileNetV2 augmented", "4 folds", 70.2),
                Claim("MobileNetV2 optimized", "4 folds", 71.2),
                Claim("MobileNetV2 optimized", "test", 71.2),
                Claim("EfficientNetB0 basic", "4 folds", 66.8),
                Claim("EfficientNetB0 augmented", "4 folds", 70.1),
                Claim("EfficientNetB0 optimized", "4 folds", 71.7),
                Claim("EfficientNetB0 optimized", "test", 71.7),
            ),
            remark="Disgust and fear have a recall of 0 %.",
        ),
    )
}


def find_papers(names: Sequence[str]) -> tuple[Paper, ...]:
    """Papers by name, each once.

    Raises:
        UserError: an unknown one, with the nearest.
    """
    for name in names:
        if name not in PAPERS:
            raise UserError(f"--paper {name}: no such paper{suggest(name, PAPERS)}")
    return tuple(PAPERS[name] for name in dict.fromkeys(names))
