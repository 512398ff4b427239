"""Write into the network that ships which images it was trained on, where its file does not say so yet.

usage: python benchmarks/ship_digests.py [--data-dir DATA]

DATA holds the build that it was trained on, known by its fingerprint. What `ship_model.py` ships from now on brings its
digests along; this is for a network that was trained before there were any. Its teachers and their weights must have
learnt the same images, or none: the network that ships has a teacher that was cross-validated on the same training
split, from ImageNet's weights.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path

from ship_card import card_markdown

from fer_tl.core.errors import UserError
from fer_tl.core.files import write_atomically, write_json, write_text
from fer_tl.data.dataset import load_dataset
from fer_tl.data.merging import take_classes
from fer_tl.data.splits import FIT_SPLITS
from fer_tl.evaluation.run_contents import open_contents
from fer_tl.models import shipped
from fer_tl.runs.folder import RunFolder
from fer_tl.runs.lineage import DIGESTS_MEMBER, Lineage, lineage_of, read_lineage, write_lineage
from fer_tl.runs.part import CLASSES_MEMBER, RESULT, describe_files, read_result


def main() -> None:
    """Write the digests, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default="data", help="where the dataset is")
    try:
        print(add_digests(Path(parser.parse_args().data_dir)))
    except UserError as error:
        parser.exit(2, f"ship_digests: {error}\n")


def add_digests(data_dir: Path) -> str:
    """Add the digests to the network that ships, renew the checksums and the sizes that its card says; the same twice
    changes nothing.

    Raises:
        UserError: another build of the dataset, a network that does not ship, or one of other teachers' images.
    """
    network = shipped.find_shipped()
    run, part = RunFolder(network.folder), RunFolder(network.folder).part("model")
    lineage = _training_images(run, data_dir)
    _add(network.weights, lineage)
    write_json(part / RESULT, {**read_result(part), "files": describe_files(part)})
    facts = {**network.card, "bytes": network.weights.stat().st_size}
    write_json(network.folder / shipped.CARD, facts)
    contents = open_contents(run, data_dir, lambda line: None)
    write_text(network.folder / shipped.CARD_TEXT, card_markdown(contents, facts))
    shipped.seal(network.folder)
    found = read_lineage(network.weights, shipped.NAME)
    return f"{len(found.digests):,} digests in {facts['bytes']:,} bytes; {shipped.find_shipped().describe()}"


def _training_images(run: RunFolder, data_dir: Path) -> Lineage:
    about, experiment = run.read_run(), run.read_experiment()
    dataset = load_dataset(about["dataset"], data_dir, FIT_SPLITS, digests=True)
    dataset = take_classes(dataset, experiment.classes, lambda line: None)
    trained = dataset.splits == "train"
    count = read_result(run.part("model"))["trained_on"]
    if dataset.fingerprint != about["fingerprint"] or int(trained.sum()) != count:
        raise UserError(
            f"{data_dir} holds another build of {about['dataset']} (fingerprint {dataset.fingerprint[:12]}, "
            f"{trained.sum():,} training images) than it was trained on ({about['fingerprint'][:12]}, {count:,})"
        )
    if experiment.weights != "none":
        raise UserError(
            f"it began with the weights '{experiment.weights}': what these were trained on is not looked up"
        )
    return lineage_of(dataset.digests[trained])


def _add(path: Path, lineage: Lineage) -> None:
    """Every member of the archive as it is, but for the record of what it was trained on."""

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(temporary, "w") as copy:
            about = json.loads(source.read(CLASSES_MEMBER))
            for info in source.infolist():
                if info.filename not in (CLASSES_MEMBER, DIGESTS_MEMBER):
                    member = zipfile.ZipInfo(info.filename)  # without a date
                    member.compress_type = info.compress_type
                    copy.writestr(member, source.read(info))
            about |= write_lineage(copy, lineage)
            copy.writestr(zipfile.ZipInfo(CLASSES_MEMBER), json.dumps(about))

    write_atomically(path, write)


if __name__ == "__main__":
    main()
