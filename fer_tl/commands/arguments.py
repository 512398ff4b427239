"""What each command of ``fer-tl`` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fer_tl.core.errors import UserError, suggest
from fer_tl.core.options import add_options, parse_values, read_yaml
from fer_tl.core.version import __version__

INTRO = "Transfer learning for facial expressions: from a dataset file to a table that can be trusted."
CV = "cross-validate a backbone on the training split of a dataset"
TRAIN = "train one model and score the validation split"
COMMANDS = {
    "build": "turn FER-2013, ExpW, a folder of images or drawn faces into sharded TFRecords",
    "verify": "read a dataset's records again and name every one that is damaged or missing",
    "clean": "list what is kept beside the datasets and can be made again, with sizes, and remove it",
    "inspect": "show what is in a dataset: counts, duplicates, blank images, samples of each class",
    "folds": "draw, write and check the folds of a cross validation",
    "cv": CV,
    "train": TRAIN,
    "collect": "join folds of one cross validation that were trained in several places",
    "sweep": "run a grid of experiments from one file and print one table",
    "evaluate": "open a split that a run has not seen: fold ensemble and each fold alone",
    "ensemble": "average the probabilities that several runs saved (soft voting)",
    "compare": "put runs side by side: how good, how surely better, how large, how fast",
    "report": "write what a run found as one HTML page: tables, figures, mistakes, how to reproduce it",
    "explain": "show what a run's answers depend on: Grad-CAM, saliency and SmoothGrad over images",
    "export": "write a model as a file for other programs: Keras, SavedModel, TensorFlow Lite or ONNX",
    "predict": "find faces in pictures, videos or a camera and say what a run sees in them",
    "serve": "serve a run as a local web page: pictures, webcam, what an answer depends on; and as an API",
    "audit": "list and show the labels that a run's held-out predictions contradict",
    "doctor": "say what this machine can do with fer-tl, and what to install for the rest",
    "models": "list the backbones: parameters, sizes, weights and which of them are here, licences",
    "profile": "show where the time of a run goes: start, steps, input, scoring, files",
}
# Those whose options are an experiment's.
EXPERIMENTS = ("cv", "train", "profile")


def parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """The command and its values by option name, defaults and config file filled in.

    Raises:
        UserError: unknown command or option, or a value of the wrong type.
        SystemExit: ``--help`` and ``--version``, which print and leave.
    """
    if not arguments:
        arguments = ["--help"]
    command = arguments[0]
    parser, options, shown = _parsers(command)
    if command in COMMANDS:
        arguments = _spread_config(arguments) if command in EXPERIMENTS else arguments
        _refuse_unknown(command, arguments, options)
    elif not command.startswith("-"):
        raise UserError(f"there is no command '{command}'{suggest(command, COMMANDS)}")
    try:
        values = parse_values(lambda: parser.parse_args(arguments))
    except UserError as error:
        text = str(error)
        if " required: " in text:
            for name, typed in shown.items():
                text = text.replace(f"{command}.{name}", typed)
        raise UserError(text) from None
    start = f"{command}."
    return command, {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}


def _parsers(command: str) -> tuple[Any, set[str], dict[str, str]]:
    """The parser of all commands; of the one that is given its options, and how each argument is typed, by name. To add
    those of all takes 0.1 s."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="fer-tl", description=INTRO, exit_on_error=False, add_help=True)
    parser.add_argument("--version", action="version", version=f"fer-tl {__version__}")
    commands = parser.add_subcommands(dest="command", required=False)
    options: set[str] = set()
    shown: dict[str, str] = {}
    for name, text in COMMANDS.items():
        sub = ArgumentParser(description=text, exit_on_error=False)
        if name == command:
            if name in _ADD:
                _ADD[name](sub)
            options = {option for action in sub._actions for option in action.option_strings}
            shown = {each.dest: (each.option_strings or [each.metavar or each.dest])[0] for each in sub._actions}
        commands.add_subcommand(name, sub, help=text)
    return parser, options, shown


def _add_build(parser: Any) -> None:
    from fer_tl.sources.label_orders import LABEL_ORDERS

    add = parser.add_argument
    add("name", help="fer2013, expw, folder/NAME (a name of your choice), or toyfaces")
    add(
        "--source", type=str | None, help="the file or folder that you have: CSV, archive, image folders, ExpW's folder"
    )
    add("--data-dir", type=str, default="data", help="folder for built datasets (default: data)")
    add("--duplicates", type=str | None, help="group: copies share a fold, training copies of validation and test "
        "images are left out; drop: also all but one training copy; keep: do not look (default: group)")  # fmt: skip
    add("--accept-copies", action="store_true", help="go on where copies make up so much that a build stops to let you "
        "look at examples of them")  # fmt: skip
    add("--image-size", type=int | None, help="expw, folder: side in pixels of the stored images (default: 96)")
    add("--fit", type=str | None, help="folder: pad, crop or stretch images that are not square (default: pad)")
    add("--channels", type=int | None, help="folder: 1 for grey, 3 for colour (default: 1 if all are stored in grey)")
    add("--bits", type=int | None, help="folder: bits used of images of 16 bits that do not say so, 8 to 16 (default: "
        "16, if values as large occur)")  # fmt: skip
    add("--labels", type=str | None, help=f"fer2013, folder: what numbers mean as classes: {', '.join(LABEL_ORDERS)} "
        "(default: fer2013: its own 0-6 if that is certain)")  # fmt: skip
    add("--ferplus", type=str | None, help="fer2013 as CSV: FER+'s fer2013new.csv, whose votes replace the labels")
    add("--votes", type=str | None, help="--ferplus, cleaned expw: majority, or soft: train on the shares of votes "
        "(default: majority)")  # fmt: skip
    add("--boxes", type=str | None, help="fer2013, folder: CSV of face boxes to crop to, columns id, top, left, "
        "bottom, right in pixels of the original image; id: row number from 0 of a CSV source, else the image's file "
        "name or path in the source; others stay whole")  # fmt: skip
    add("--detector", type=str | None, help="fer2013, folder: haar or yunet: crop each image to the largest face that "
        "is found in it; others stay whole")  # fmt: skip
    add("--detector-model", type=str | None, help="--detector yunet: file of its model (default: fetched once)")
    add("--box-margin", type=float | None, help="what to add on each side of a box, as a fraction of it (default: 0, "
        "with --detector its own)")  # fmt: skip
    add("--min-confidence", type=float | None, help="expw: leave out faces with a lower detector score")
    add("--on-error", type=str | None, help="stop if images, rows or lines cannot be used, and name them, or "
        "skip them, at most 5 % (default: stop)")  # fmt: skip
    add("--splits", type=str | None, help="expw: CSV with columns id and split to use, such as another's examples.csv")
    add("--split-seed", type=int | None, help="expw: seed of the 80:20 split (default: 0)")
    add("--encoding", type=str | None, help="png, or jpeg: a third of the size, not exact (default: png)")
    add("--shards", type=int | None, help="TFRecord files a split (default: 16)")
    add("--overwrite", action="store_true", help="replace a dataset that is built from something else")


def _add_inspect(parser: Any) -> None:
    parser.add_argument("data", type=str, metavar="DATASET", help="a built dataset: fer2013, expw, folder/mine")
    parser.add_argument("--data-dir", type=str, default="data", help="folder that holds it (default: data)")
    parser.add_argument("--out", type=str | None, help="folder of page and pictures (default: inspect/DATASET)")


def _add_verify(parser: Any) -> None:
    parser.add_argument("name", type=str, metavar="DATASET", help="a built dataset: fer2013, expw, folder/mine")
    parser.add_argument("--data-dir", type=str, default="data", help="folder that holds it (default: data)")


def _add_clean(parser: Any) -> None:
    add = parser.add_argument
    add("--data-dir", type=str, default="data", help="folder for built datasets (default: data)")
    add("--keep", type=float | None, help="gigabytes that may stay: what was used last (default: nothing stays)")
    add("--yes", action="store_true", help="remove it; without, only say what there is")


def _add_collect(parser: Any) -> None:
    parser.add_argument("run_dirs", type=str, nargs="+", metavar="RUN", help="folders of runs with some folds each")
    parser.add_argument("--out", type=str, required=True, help="folder of the whole run")
    parser.add_argument(
        "--data-dir", type=str | None, help="where the dataset is now (default: where the runs found it)"
    )


def _add_folds(parser: Any) -> None:
    parser.add_argument("data", type=str, metavar="DATASET", help="a built dataset: fer2013, expw, folder/mine")
    parser.add_argument("--data-dir", type=str, default="data", help="folder that holds it (default: data)")
    parser.add_argument("--folds", type=int | None, help="number of folds (default: 4)")
    parser.add_argument("--seed", type=int | None, help="seed of the folds (default: 0)")
    parser.add_argument("--table", type=str | None, help="check this table, columns id and fold, in place of drawing")
    parser.add_argument("--out", type=str | None, help="file to write (default: folds-DATASET-FOLDS-SEED.csv)")


def _add_experiment(parser: Any) -> None:
    parser.add_argument("--config", type=str | None, help="YAML file of these options; flags override it")
    add_options(parser)


def _add_sweep(parser: Any) -> None:
    parser.add_argument("path", type=str, metavar="FILE", help="YAML file with a 'sweep' key; flags hold in every cell")
    add_options(parser, defaults=False)


def _add_evaluate(parser: Any) -> None:
    parser.add_argument("run_dir", type=str, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--data", type=str | None, help="score on another dataset, as built (default: the run's own)")
    parser.add_argument(
        "--split", type=str | None, help="test or validation, of another dataset train too (default: test)"
    )
    parser.add_argument("--data-dir", type=str | None, help="where the dataset is now (default: where it was)")
    parser.add_argument(
        "--classes",
        type=tuple[str, ...] | None,
        help="merge classes of images and answers: a list of names and of NAME=PART+PART, others are left out",
    )
    parser.add_argument(
        "--tta", type=str, default="none", help="average over views of each image: none, flip, ten-crop (default: none)"
    )


def _add_ensemble(parser: Any) -> None:
    parser.add_argument("run_dirs", type=str, nargs="+", metavar="RUN", help="folders of finished runs, two or more")
    parser.add_argument(
        "--split", type=str | None, help="average what fer-tl evaluate saved of it (default: held-out predictions)"
    )
    parser.add_argument("--tta", type=str, default="none", help="--tta of those evaluations (default: none)")
    parser.add_argument(
        "--weights", type=str, default="equal", help="equal, or validation: fitted on held-out images (default: equal)"
    )
    parser.add_argument("--out", type=str | None, help="folder of the result (default: runs/ensemble-<hash>)")


def _add_audit(parser: Any) -> None:
    parser.add_argument("run_dir", type=str, metavar="RUN", help="folder of a finished cv or train run")
    parser.add_argument("--data-dir", type=str | None, help="where the dataset is now (default: where it was)")
    parser.add_argument("--top", type=int, default=60, help="images to show (default: 60)")
    parser.add_argument("--out", type=str | None, help="folder to write to (default: RUN/audit)")


def _add_compare(parser: Any) -> None:
    add = parser.add_argument
    add("run_dirs", type=str, nargs="+", metavar="RUN", help="folders of runs, two or more; one is enough with --paper")
    add("--split", type=str | None, help="compare what fer-tl evaluate saved of it (default: held-out predictions)")
    add("--tta", type=str, default="none", help="--tta of those evaluations (default: none)")
    add("--data-dir", type=str | None, help="where the dataset is now (default: where the runs found it)")
    add("--paper", type=str, action="append", default=[], help="show a paper's claims too: liu, pham, du, li or sikic; "
        "may be given several times")  # fmt: skip
    add("--unpaired", action="store_true", help="show runs of other data or folds too, marked and not tested")
    add("--out", type=str | None, help="folder of the tables (default: runs/comparison-<hash>)")


def _add_report(parser: Any) -> None:
    parser.add_argument("run_dir", type=str, metavar="RUN", help="folder of a cv or train run, finished or not")
    parser.add_argument("--out", type=str | None, help="the page to write (default: RUN/report.html)")
    parser.add_argument("--data-dir", type=str | None, help="where the dataset is now (default: where it was)")
    parser.add_argument("--top", type=int, default=24, help="mistakes to show as images (default: 24)")


def _add_explain(parser: Any) -> None:
    add = parser.add_argument
    add("run_dir", type=str, metavar="RUN", help="folder of a run, finished or not")
    add("images", type=str, nargs="*", metavar="IMAGE", help="files of faces; or --errors")
    add("--errors", type=int, default=0, help="explain the N most confident mistakes on held-out images")
    add("--method", type=str, default="gradcam,saliency,smoothgrad", help="one of these or several (default: all)")
    add("--layer", type=str | None, help="whose features Grad-CAM looks at (default: the last convolution's)")
    add("--class", dest="class_name", type=str | None, help="the class to explain (default: the predicted one)")
    add("--fold", type=int | None, help="whose model explains files (default: 0), or whose mistakes (default: all)")
    add("--data-dir", type=str | None, help="where the dataset is now (default: where it was)")
    add("--out", type=str | None, help="folder to write to (default: RUN/explain)")


def _add_export(parser: Any) -> None:
    add = parser.add_argument
    add("run_dir", type=str, metavar="RUN", help="folder of a run, finished or not")
    add("--format", type=str, default="keras", help="keras, savedmodel, tflite or onnx (default: keras)")
    add("--int8", action="store_true", help="tflite, onnx: numbers of 8 bits; what that costs is shown")
    add("--fold", type=str | None, help="whose model: a number, or all for their average (default: the first trained)")
    add("--data-dir", type=str | None, help="where the dataset is now (default: where it was)")
    add("--out", type=str | None, help="folder to write to (default: RUN/export/FORMAT)")


def _add_predict(parser: Any) -> None:
    add = parser.add_argument
    add("run_dir", type=str, metavar="RUN", help="folder of a run, finished or not")
    add("source", type=str, nargs="+", metavar="SOURCE", help="pictures, folders of them or patterns; or one video, "
        "index of a camera, address of a stream, or - for stdin")  # fmt: skip
    add("--faces", type=str, default="detect", help="detect them, or crop: each picture is a face (default: detect)")
    add(
        "--detector",
        type=str,
        default="auto",
        help="haar, yunet, none or auto (default: auto, that of the training, else haar where it is)",
    )
    add("--detector-model", type=str | None, help="YuNet's ONNX file (default: fetched once)")
    add("--boxes", type=str | None, help="CSV with id, top, left, bottom, right in place of a detector")
    add("--margin", type=float | None, help="around a box, as a fraction of it (default: as in the training)")
    add("--largest", action="store_true", help="only the largest face of each picture")
    add("--fold", type=str | None, help="whose model answers, or all for their average (default: the first trained)")
    add("--every", type=int, default=1, help="analyse each Nth frame of a video (default: 1)")
    add("--min-confidence", type=float, default=0.0, help="no label below this probability (default: 0)")
    add("--smooth", type=float, default=0.0, help="seconds over which a face of a video is smoothed (default: 0)")
    add("--save", type=str | None, help="csv, jsonl, pictures, with commas (default: csv,pictures; csv for crops)")
    add("--out", type=str | None, help="folder to write to, or - for JSON lines on stdout (default: RUN/predict)")


def _add_serve(parser: Any) -> None:
    add = parser.add_argument
    add("run_dir", type=str, metavar="RUN", help="folder of a run, finished or not")
    add("--host", type=str, default="127.0.0.1", help="address to listen at; 0.0.0.0: all, so that others can use it "
        "(default: 127.0.0.1, this machine alone)")  # fmt: skip
    add("--port", type=int, default=8000, help="port to listen at; 0: any that is free (default: 8000)")
    add("--fold", type=str | None, help="whose model answers, or all: their average (default: the first trained)")
    add(
        "--detector",
        type=str,
        default="auto",
        help="finds the faces: auto, haar, yunet or none (default: auto, that of the training)",
    )
    add("--detector-model", type=str | None, help="file of YuNet's model (default: fetched once)")
    add("--margin", type=float | None, help="what to add on each side of a face, as a fraction of it (default: as "
        "in the training)")  # fmt: skip
    add("--allowed-host", type=str, default="", help="more names by which browsers may ask for it, with commas: "
        "that of a proxy in front, say")  # fmt: skip


_ADD = {
    "build": _add_build,
    "verify": _add_verify,
    "clean": _add_clean,
    "inspect": _add_inspect,
    "folds": _add_folds,
    "cv": _add_experiment,
    "train": _add_experiment,
    "profile": _add_experiment,
    "collect": _add_collect,
    "sweep": _add_sweep,
    "evaluate": _add_evaluate,
    "ensemble": _add_ensemble,
    "compare": _add_compare,
    "report": _add_report,
    "explain": _add_explain,
    "export": _add_export,
    "predict": _add_predict,
    "serve": _add_serve,
    "audit": _add_audit,
}


def _spread_config(arguments: list[str]) -> list[str]:
    """Put the keys of ``--config FILE`` as flags before all other arguments, so that flags override it wherever it
    stands."""
    if sum(argument.partition("=")[0] == "--config" for argument in arguments) > 1:
        raise UserError("--config is given twice: give one file, and flags for what differs")
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--config":
            if not equals and index + 1 == len(arguments):
                raise UserError("--config needs a file")
            path = Path(value if equals else arguments[index + 1])
            keys = [
                f"--{key.replace('_', '-')}={value if isinstance(value, str) else json.dumps(value)}"
                for key, value in read_yaml(path).items()
            ]
            return [arguments[0], *keys, *arguments[1:]]
    return arguments


def _refuse_unknown(command: str, arguments: list[str], known: set[str]) -> None:
    """Name the nearest valid flag for an unknown one, before the parser lists them all."""
    for argument in arguments[1:]:
        flag = argument.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            raise UserError(f"fer-tl {command} has no option {flag}{suggest(flag, known)}")
