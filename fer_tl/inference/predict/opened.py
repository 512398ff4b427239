"""What a predict call reads: pictures, one video or a stream, found and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fer_tl.core.errors import UserError

if TYPE_CHECKING:
    from fer_tl.core.archive_members import PassedOver
    from fer_tl.faces.films import VideoReader
    from fer_tl.inference.predict.animation import AnimationReader
    from fer_tl.inference.predict.request import Request
    from fer_tl.inference.predict.sources import PictureFile

STDIN = STDOUT = "-"


class Opened(NamedTuple):
    """What to predict on: files of pictures, pictures that arrive on stdin, or a video: also an
    animated picture that is given alone."""

    pictures: Sequence[PictureFile]
    video: VideoReader | AnimationReader | None
    live: bool
    name: str
    passed: dict[str, dict[str, object]] = {}  # noqa: RUF012  # see `Manifest.passed_over`; never changed

    @property
    def rate(self) -> float | None:
        """Frames a second of a video, None for pictures."""
        return None if self.video is None else self.video.rate

    @property
    def promised(self) -> int:
        """Frames that a video says it has, 0 where it does not."""
        return 0 if self.video is None else self.video.frames

    @property
    def damaged(self) -> int:
        """Frames of a camera or stream that were passed over so far; a file's are told by how many it promised."""
        return getattr(self.video, "damaged", 0) if self.live else 0


def open(sources: Sequence[str]) -> Opened:
    from fer_tl.core.archive_members import summarize_passed_over
    from fer_tl.inference.predict.sources import find_pictures, is_stream

    name = sources[0] if len(sources) == 1 else f"{len(sources)} sources"
    if not sources:
        raise UserError("nothing to predict on: give pictures, a folder, a video, the index of a camera, or -")
    if sources == [STDIN]:
        return Opened((), None, False, "stdin")
    stream = next((source for source in sources if is_stream(source) and not Path(source).exists()), None)
    if len(sources) > 1 and (stream is not None or STDIN in sources):
        raise UserError(f"{STDIN if stream is None else stream} among several sources: give it alone")
    passed: PassedOver = {}
    pictures = None if stream is not None else find_pictures(sources, passed)
    if pictures is not None and len(pictures) == 1 and Path(name).is_file():
        from fer_tl.inference.predict.animation import AnimationReader, is_animation

        if is_animation(pictures[0].path):
            return Opened((), AnimationReader(pictures[0].path), False, name)
    if pictures is not None:
        return Opened(pictures, None, False, name, summarize_passed_over(passed))
    from fer_tl.faces.films import VideoReader

    return Opened((), VideoReader(sources[0], stream is not None), stream is not None, name)


def refuse_misplaced(opened: Opened, every: int, smooth: float, boxes: Path | str | None) -> None:
    """Options of videos for pictures, and the other way round."""
    if opened.video is None and (every > 1 or smooth):
        raise UserError(f"{'--every' if every > 1 else '--smooth'} is for videos: {opened.name} is none")
    if boxes is not None and not opened.pictures:
        raise UserError(f"--boxes is for files of pictures: {opened.name} is none")


def refuse_undivided(request: Request, folder: Path | None) -> None:
    """Raise ``UserError`` for what cannot be predicted in parts, before any source is opened."""
    from fer_tl.inference.predict.sources import is_stream
    from fer_tl.inference.predictor import check_precision

    stream = next((one for one in request.sources if is_stream(one) and not Path(one).exists()), None)
    if stream is not None or STDIN in request.sources:
        raise _undivided("stdin is" if stream is None else f"{stream} is a camera or stream,")
    if folder is None:
        raise UserError("--jobs and --executor write into a folder: give another --out than -")
    if not isinstance(request.detector, str):
        raise UserError("--jobs takes a detector by name, package.module:function, for other processes to import it")
    check_precision(request.precision)
    if request.precision == "auto":
        raise UserError(
            "--precision auto tries which is faster, and processes may find otherwise: with --jobs and --executor give "
            "float32 or bfloat16"
        )


def refuse_video(opened: Opened) -> None:
    """The same, close it and raise, for a video in a file."""
    if opened.video is not None:
        opened.video.close()
        raise _undivided(f"{opened.name} is a video,")


def _undivided(what: str) -> UserError:
    return UserError(f"--jobs and --executor are for pictures in files: {what} read by one process; leave them out")
