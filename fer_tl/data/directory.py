"""Where built datasets lie: their folders by name and version, whether their files are whole, and what builds them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from fer_tl.core.checksums import find_damage
from fer_tl.core.counting import fitting
from fer_tl.core.errors import UserError
from fer_tl.core.staging import recover_all
from fer_tl.data.building.options import options_of
from fer_tl.data.manifest import CACHE, DEFAULT_SHARDS, FILE_NAME, Manifest, read_manifest
from fer_tl.sources.format import formats, known_format

_VERSION = re.compile(r"\d+\.\d+\.\d+")
# What is a file by its name: it has an ending, or stands in a folder.
_FILE = re.compile(r"[\\/]|\.\w+$")


def newest_version(data_dir: Path | str, name: str) -> Path:
    """Find the newest version of a prepared dataset, whole or not.

    Args:
        data_dir: the folder that holds the datasets.
        name: "fer2013", or "folder/mine" for a dataset with a configuration.

    Returns:
        ``<data_dir>/<name>/<version>``, which has a manifest.

    Raises:
        UserError: it is not built, or so little of it that there is no manifest.
    """
    root = Path(data_dir)
    recover_all(root / name)
    versions = _versions(root / name)
    if not versions:
        built = ", ".join(built_datasets(root)) or "nothing"
        form = known_format(name)
        known = form is not None and form.is_name(name)
        if form is None and _FILE.search(name) and not Path(name).exists():
            raise UserError(f"{name} does not exist: give a file, archive or folder, or the name of a dataset")
        names = ", ".join(form.shown for form in formats().values())
        advice = f"run `{build_command(name, data_dir)}`" if known else f"there are {names}"
        raise UserError(f"{name} is not built under {data_dir} (there: {built}); {advice}")
    directory = versions[-1]
    if not (directory / FILE_NAME).is_file():
        raise UserError(
            f"{directory} is half built: it has no {FILE_NAME}. Run `{build_command(name, data_dir)} --overwrite`"
        )
    return directory


def dataset_directory(data_dir: Path | str, name: str) -> Path:
    """Find the newest version of a prepared dataset and check that all its files are there.

    Args and returns as ``newest_version``.

    Raises:
        UserError: it is not built, or only half.
    """
    directory = newest_version(data_dir, name)
    expected = ["dataset_info.json", "features.json", *read_manifest(directory).shard_names]
    missing = [file for file in expected if not (directory / file).is_file()]
    if missing:
        raise UserError(
            f"{directory} is half built: {len(missing)} of {len(expected)} files {fitting(len(missing), 'is', 'are')} "
            f"missing (first: {missing[0]}). Run `{build_command(name, data_dir)} --overwrite`"
        )
    return directory


def check_shards(directory: Path, manifest: Manifest, splits: Iterable[str]) -> None:
    """Check that the shards of some splits are byte for byte what the build has written.

    Reads 900 MB/s a core the first time, and later only the shards that have been touched since, see ``find_damage``.
    Of a dataset that was built before format 3 nothing is known here.

    Raises:
        UserError: naming the first file that is damaged or missing.
    """
    for split in splits if manifest.checksums else ():
        expected = {name: manifest.checksums[name] for name in manifest.shards_of(split)}
        damage = find_damage(directory, expected, stamps_file(directory, manifest))
        if damage:
            (file, fault), *others = damage.items()
            more = (
                f", and {len(others)} more of its {len(expected)} files {fitting(len(others), 'is', 'are')} damaged"
                if others
                else ""
            )
            root = data_dir_of(directory, manifest)
            raise UserError(
                f"{directory}: split '{split}' is damaged ({file} {fault}{more}); build it again: "
                f"`{build_command(manifest.dataset, root, manifest)} --overwrite`"
            )


def data_dir_of(directory: Path, manifest: Manifest) -> Path:
    """The folder that holds all datasets, from that of one."""
    return directory.parents[2 if manifest.config else 1]


def stamps_file(directory: Path, manifest: Manifest) -> Path:
    """Where it is kept which files of a dataset were found whole, see ``find_damage``."""
    name = f"{manifest.dataset.replace('/', '-')}-{directory.name}.json"
    return data_dir_of(directory, manifest) / CACHE / name


def built_datasets(data_dir: Path | str) -> list[str]:
    """Names of the datasets under a folder that have a manifest, sorted."""
    root = Path(data_dir)
    found = {
        path.parent.parent.relative_to(root).as_posix()
        for pattern in (f"*/*/{FILE_NAME}", f"*/*/*/{FILE_NAME}")
        for path in root.glob(pattern)
        if _VERSION.fullmatch(path.parent.name)
    }
    return sorted(name for name in found if not name.startswith("."))


def build_command(name: str, data_dir: Path | str, manifest: Manifest | None = None) -> str:
    """What makes a dataset: "fer-tl build fer2013 --source PATH --data-dir data"; see ``build_arguments``."""
    return f"fer-tl build {build_arguments(name, manifest)} --data-dir {shlex.quote(str(data_dir))}"


def build_arguments(name: str, manifest: Manifest | None = None) -> str:
    """What follows ``fer-tl build`` to make a dataset: "fer2013 --source PATH".

    Args:
        name: of the dataset.
        manifest: of one that was built, whose options are given again; files stand by their kind, as PATH does.
    """
    form = known_format(name)  # None of a package that is gone
    words = [name] if form and form.drawn else [name, "--source", "PATH"]
    if manifest is None:
        return " ".join(words)
    given = manifest.source
    for key, option in options_of(form).items() if form else ():
        if key in given and given[key] != str(option.default):
            value = key.upper() if option.type is Path else shlex.quote(given[key])
            words += [option.flag] if option.type is bool else [option.flag, value]
    if manifest.skipped:
        words += ["--on-error", "skip"]
    shards, smallest = max(manifest.shards.values()), min(sum(split.values()) for split in manifest.counts.values())
    if shards < min(DEFAULT_SHARDS, smallest):
        words += ["--shards", str(shards)]
    return " ".join(words)


def _versions(folder: Path) -> list[Path]:
    """Version folders below a dataset's folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and _VERSION.fullmatch(path.name)]
    return sorted(found, key=lambda path: tuple(map(int, path.name.split("."))))
