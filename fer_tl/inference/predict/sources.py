"""Pictures to predict on: which files are meant, and their pixels."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fer_tl.core.archive_members import DEAD_LINKS, SPECIAL, PassedOver, describe_passed_over, summarize_passed_over
from fer_tl.core.archives import open_files
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import is_archive
from fer_tl.core.files import unreadable
from fer_tl.faces.opening import Opened, open_file, open_image, size_of
from fer_tl.sources.images import IMAGE_SUFFIXES, NO_IMAGES, find_images, image_paths

_VIDEOS = "videos, which are given alone"
_VIDEO_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".flv"))


class PictureFile(NamedTuple):
    """A picture in a file: what its row is called, as a dataset builder calls it, and the file."""

    id: str
    path: Path

    def read(self, channels: int, bits: int | None = None) -> Opened:
        """Its pixels, see ``fer_tl.faces.opening.open_image``."""
        return open_file(self.path, channels, bits)


class PictureBytes(NamedTuple):
    """A picture that is in memory: what its row is called, the bytes of its file, how a message names it, and what is
    known to be wrong with it."""

    id: str
    data: bytes
    where: str
    problem: str = ""

    def read(self, channels: int, bits: int | None = None) -> Opened:
        """Its pixels, see ``fer_tl.faces.opening.open_image``."""
        if self.problem:
            raise UserError(self.problem)
        return open_image(self.data, channels, self.where, bits)


def is_stream(source: str) -> bool:
    """Whether a source is a camera's index or the address of a stream."""
    return source.isdecimal() or bool(re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE))


def find_pictures(sources: Sequence[str], passed: PassedOver | None = None) -> list[PictureFile] | None:
    """The picture files that are meant by files, folders (with all below them) and patterns such as ``a/*.jpg``.

    A picture is told by the ending of its name, else by its first bytes.

    Args:
        sources: what was asked for.
        passed: gets what is not read in folders and of patterns: ``{why: names}``.

    Returns:
        In the order of their names within each source; None if the source is one file that is not a picture: a video.

    Raises:
        UserError: there is no such file, no picture in a folder, or a video among several sources.
    """
    if len(sources) == 1 and Path(sources[0]).is_file() and not _is_picture(Path(sources[0])):
        _refuse_archive(Path(sources[0]))
        return None
    passed = {} if passed is None else passed
    paths = [path for source in sources for path in _expand(source, passed)]
    named = {each.name: each for each in image_paths(map(str, paths))}
    ids = [named[str(path)].id if str(path) in named else path.stem for path in paths]
    times = Counter(ids)
    # The stem of one can be the whole name of another.
    return [PictureFile(name if times[name] == 1 else str(path), path) for name, path in zip(ids, paths, strict=True)]


def _expand(source: str, passed: PassedOver) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        names, others = find_images(open_files(path))
        videos = [name for name in others.get(NO_IMAGES, ()) if Path(name).suffix.lower() in _VIDEO_SUFFIXES]
        others[NO_IMAGES] = [name for name in others.get(NO_IMAGES, ()) if name not in set(videos)]
        for why, left in {**others, _VIDEOS: videos}.items():
            passed.setdefault(why, []).extend(str(path / name) for name in left)
        if not names:
            told = describe_passed_over(summarize_passed_over(passed))
            raise UserError(
                f"{path} holds no picture ({', '.join(sorted(IMAGE_SUFFIXES)[:6])}, ...), nor do its folders"
                + (f". {told}" if told else "")
            )
        return sorted(path / name for name in names)
    if path.is_file():
        if not _is_picture(path):
            raise UserError(f"{path} is not a picture: give a video alone, or leave it out")
        return [path]
    if glob.has_magic(source):
        matched = sorted(each for each in map(Path, glob.glob(source, recursive=True)) if not each.is_dir())
        found = []
        for each in matched:
            why = "" if each.is_file() else DEAD_LINKS if not each.exists() else SPECIAL
            why = why or ("" if _is_picture(each) else NO_IMAGES)
            (passed.setdefault(why, []).append(str(each)) if why else found.append(each))
        if found:
            return found
        raise UserError(f"{source}: no picture matches")
    what = "is neither a file nor a folder" if path.exists() else "does not exist"
    raise UserError(f"{source} {what}: give pictures, a folder, a video, the index of a camera, or - for stdin")


def _refuse_archive(path: Path) -> None:
    """Raise ``UserError`` for an archive: OpenCV takes a zip with pictures for a film of them."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise unreadable(path, error) from None
    if is_archive(head):
        raise UserError(
            f"{path} is an archive, neither a picture nor a video: unpack it, and give the folder; a dataset is scored "
            "with fer-tl build and fer-tl evaluate RUN --data"
        )


def _is_picture(path: Path) -> bool:
    """By its name, else by its header."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as stream:
            return size_of(stream.read(1 << 16)) != (0, 0)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
