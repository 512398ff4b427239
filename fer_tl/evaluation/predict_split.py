"""Predict a split that is opened for a run: write the opening down, run every model, save what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fer_tl.augment.adapt import adapt_images
from fer_tl.core.counting import counted
from fer_tl.core.progress import Clock
from fer_tl.core.saved_models import check_saved_model
from fer_tl.core.say import Say
from fer_tl.data.merging import merge_logits
from fer_tl.evaluation.learnt_images import write_left_out
from fer_tl.evaluation.open_split import Opening, ensemble_name, record_opened
from fer_tl.evaluation.saved_answers import forget_answers, write_answers
from fer_tl.evaluation.soft_voting import soft_vote
from fer_tl.evaluation.test_time_augmentation import make_views
from fer_tl.runs.part import check_model
from fer_tl.runs.predictions import Predictions, save_predictions
from fer_tl.runs.saved_model import load_model, predict_saved


def adapt_opening(opening: Opening) -> Opening:
    """Bring images of another dataset to the size and channels that the run's models take, and say so in the remark.

    Raises:
        UserError: a damaged model.
    """
    dataset = opening.dataset
    if not opening.foreign:
        return opening
    model, _ = load_model(opening.run.part(opening.run.parts[0]) / "model.keras")
    shape = model.input_shape[1:]
    if shape == dataset.image_shape:
        return opening
    theirs, ours = ("x".join(map(str, each)) for each in (dataset.image_shape, shape))
    remark = f"{opening.remark} Images of {theirs} were brought to the {ours} that the models take."
    return replace(opening, dataset=replace(dataset, images=adapt_images(dataset.images, shape)), remark=remark)


def predict_opening(opening: Opening, say: Say) -> dict[str, Predictions]:
    """Write down that the split is opened, and predict it.

    Args:
        opening: from ``prepare_opening``, its images as the models take them.
        say: prints a line.

    Returns:
        Predictions of every model of the run by name, in the classes that are scored; where there are several,
        ``ensemble``, the mean of their probabilities, comes first. They are saved as well.

    Raises:
        UserError: a damaged model (before the opening is recorded), or one of other image sizes.
    """
    run, dataset = opening.run, opening.dataset
    # What can fail without the split must fail before it is opened.
    for name in run.parts:
        check_model(run.part(name) / "model.keras")
        check_saved_model(run.part(name) / "model.keras")  # what cannot be loaded opens no split
    forget_answers(opening)
    unwritten = record_opened(opening)
    write_left_out(opening.folder, opening.left_out)
    if unwritten:
        say(unwritten)
    say(f"opening '{opening.split}' of {dataset.name}: {counted(len(dataset), 'image')}.{opening.remark}")
    views = make_views(opening.tta, dataset.image_shape[:2])
    known = tuple(run.read_run()["class_names"])
    # The models' answers do not depend on the labels, which are of the scored classes and may be of none of theirs.
    shown = replace(dataset, class_names=known, labels=np.zeros_like(dataset.labels))
    single = {}
    for name in run.parts:
        clock = Clock()
        logits = predict_saved(run.part(name) / "model.keras", shown, views)  # [V, N, K]
        logits = merge_logits(logits, known, opening.matching.model)  # [V, N, M]
        seen = [Predictions(dataset.ids, dataset.labels, each, dataset.class_names) for each in logits]
        single[name] = seen[0] if len(seen) == 1 else soft_vote(seen)
        seconds, each = clock.lap(), f", {len(views)} views each" if len(views) > 1 else ""
        say(f"{name}: predicted in {seconds:.1f} s, {len(dataset) / seconds:,.0f} images/s with loading{each}")
    first = {ensemble_name(run.parts): soft_vote(list(single.values()))} if len(single) > 1 else {}
    predictions = first | single
    for name, part in predictions.items():
        save_predictions(opening.folder / f"{name}.npz", part)
    write_answers(opening, list(predictions))
    return predictions
