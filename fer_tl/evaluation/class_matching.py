"""Which class of a dataset is which class of a model: by name, merged on both sides where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_tl.core.errors import UserError
from fer_tl.data.merging import ClassMap, find_class, parse_classes, split_items
from fer_tl.runs.predictions import Predictions


@dataclass(frozen=True)
class Matching:
    """How a dataset and a model meet in the same classes.

    Attributes:
        dataset: from the dataset's classes to those that are scored; a scored class may have none of them.
        model: from the model's classes to the same; every scored class has one or more.
    """

    dataset: ClassMap
    model: ClassMap

    @property
    def remark(self) -> str:
        """A sentence, with a blank before it, on classes of either side scored by other names; may be empty."""
        joined = (
            (theirs or ours) if ours == (name,) else tuple(dict.fromkeys(ours + theirs))
            for name, ours, theirs in zip(self.model.names, self.model.parts, self.dataset.parts, strict=True)
        )
        items = ClassMap(self.model.names, tuple(joined)).items
        renamed = [item for item, name in zip(items, self.model.names, strict=True) if item != name]
        return f" Scored as: {', '.join(renamed)}." if renamed else ""


def match_classes(
    name: str,
    found: Sequence[str],
    known: Sequence[str],
    trained: Sequence[str] | None = None,
    asked: Sequence[str] | None = None,
    own: bool = False,
) -> Matching:
    """Match the classes of a dataset with those of a model.

    A model that was trained on merged classes takes the parts of each for what they became. Names that stand for the
    same expression, such as anger and angry, are one class.

    Args:
        name: of the dataset.
        found: the dataset's classes.
        known: the model's classes, in its order.
        trained: the option ``classes`` of the experiment, whose items became ``known``.
        asked: classes to score, as ``fer_tl.data.merging.parse_classes`` takes them, of either side; None for the
            model's.
        own: whether it is the dataset that the model was trained on, so that what ``trained`` leaves out is left out.

    Raises:
        UserError: the dataset has a class that the model does not know, or no class of the model is in an item; with
            the classes of both.
    """
    as_trained = {each: _name_of(each, known, trained) for each in found}
    sides = f"{name} has {', '.join(found)}; the model knows {', '.join(known)}"
    if asked is None:
        merged = ClassMap(tuple(known), tuple((each,) for each in known))
        strange = [each for each in found if as_trained[each] not in known]
        if strange and not (own and trained):
            common = [each for each in known if each in as_trained.values()]
            leave = f"leave classes out with --classes '[{','.join(common)}]', or " if len(common) > 1 else ""
            raise UserError(
                f"the model does not know {', '.join(strange)} ({sides}): {leave}merge classes of both by "
                "NAME=PART+PART in --classes"
            )
    else:
        merged = parse_classes(asked, list(dict.fromkeys([*known, *as_trained.values()])))
        for item, parts in zip(merged.items, merged.parts, strict=True):
            if not set(parts) & set(known):
                raise UserError(
                    f"classes: the model knows nothing of '{item}' ({sides}): write NAME=PART+PART with a class of the "
                    "model among the parts"
                )
    theirs = tuple(tuple(each for each in found if as_trained[each] in parts) for parts in merged.parts)
    return Matching(ClassMap(merged.names, theirs), merged)


def _name_of(name: str, known: Sequence[str], trained: Sequence[str] | None) -> str:
    """What a class of a dataset is called in a model that knows some classes; its own name if it knows it not."""
    for merged, (_, parts) in zip(known, split_items(trained) if trained else [], strict=False):
        if find_class(name, parts):
            return merged
    return find_class(name, known) or name


def answers_without_images(predictions: Predictions) -> str:
    """A sentence, with a blank before it, on answers in classes of which there is no image; empty if there are none.

    Those answers are wrong, whatever the image shows.
    """
    answers = predictions.logits.argmax(axis=1)  # [N]
    absent = [k for k in range(len(predictions.class_names)) if not (predictions.labels == k).any()]
    if not absent:
        return ""
    counts = ", ".join(f"{(answers == k).sum():,} {predictions.class_names[k]}" for k in absent)
    return f" No image here is of these classes, so answers in them are wrong: {counts} of {len(answers):,}."
