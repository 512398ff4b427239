"""Labelled image files as a source of examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.errors import UserError
from fer_tl.faces.opening import is_grey, open_image, several_frames
from fer_tl.sources.class_counts import tabulate
from fer_tl.sources.images import is_constant
from fer_tl.sources.origin import FileSource, Origin
from fer_tl.sources.records import Record, Skipped, reason_of

_HALF_WHITE = 1 << 15
_USUAL_BITS = (8, 10, 12, 14, 15)  # of cameras and scanners


@dataclass(frozen=True)
class Entry:
    """One image file: its name in ``files``, and what is known about it, see ``Record``."""

    name: str
    id: str
    split: str | None
    label: int
    person: str = ""


class ImageSource(FileSource):
    """Image files with labels; the group of an image is its id.

    Attributes:
        unusable: examples that are no use before an image is read.

    Args:
        origin: where the files were found.
        files: the folder or archive that holds the images.
        entries: the images.
        class_names: names in label order.
        size: height and width of the images to hand out, pixels.
        channels: 1, 3, or None for 1 if every image is stored in grey, else 3.
        options: see ``Source``.
        notes: see ``Source``.
        fit: see ``Source``.
    """

    kind = "images"
    unusable: Sequence[Skipped] = ()

    def __init__(
        self,
        origin: Origin,
        files: Files,
        entries: list[Entry],
        *,
        class_names: tuple[str, ...],
        size: int,
        channels: int | None,
        options: dict[str, str],
        notes: list[str],
        fit: str = "pad",
    ) -> None:
        super().__init__(origin, class_names, options, notes)
        self._files, self._entries = files, entries
        self._size, self._channels, self.fit = size, channels, fit
        self.converted = 0  # images read that had another size or colour mode
        self._several = 0
        self._largest: list[int] = []  # of each image of 16 bits that does not say how many are used
        self._skipped: list[Skipped] = []

    @property
    def image_shape(self) -> tuple[int, int, int]:
        if self._channels is None:
            self._channels = 1 if all(map(self._may_be_grey, self._entries)) else 3
        return (self._size, self._size, self._channels)

    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each split and class, without decoding one; {} where no split is known."""
        found = Counter((entry.split, entry.label) for entry in self._entries if entry.split is not None)
        return tabulate(found, self.class_names)

    def names(self) -> dict[str, str | None]:
        """Ids, paths in the folder or archive, and file names with and without their ending."""
        found: dict[str, str | None] = {}
        for entry in self._entries:
            path = PurePosixPath(entry.name)
            for name in {entry.name, path.name, path.stem}:
                found[name] = None if name in found else entry.id
        return {**found, **{entry.id: entry.id for entry in self._entries}}

    def total(self) -> int:
        return len(self._entries)

    def records(self) -> Iterator[Record]:
        channels, _ = self.image_shape[2], self.crop  # before the loop: what these refuse is no fault of one image
        self._skipped = [*self.unusable]
        self._largest, self._constant, self._several, self.converted, good = [], 0, 0, 0, 0
        for entry in self._entries:
            try:
                record = self._record(entry, channels)
            except UserError as error:
                reason = reason_of(error, self._files.where(entry.name))
                self._skipped.append(Skipped(entry.name, entry.id, reason))
                continue
            good += 1
            yield record
        self.stop_at_errors(good)
        self._refuse_unused_bits()

    def skipped(self) -> list[Skipped]:
        return self._skipped

    def _record(self, entry: Entry, channels: int) -> Record:
        files, size = self._files, self._size
        picture, converted, several, largest = open_image(
            files.read(entry.name), channels, files.where(entry.name), self.bits
        )
        if largest is not None:
            self._largest.append(largest)
        self.converted += converted or picture.size != (size, size)
        self._several += several
        photo = self.photo_of(picture)
        image, shape, crop = self.cut(picture, entry.id, size)  # [size, size, channels]
        self._constant += is_constant(image)
        return Record(
            entry.split, entry.id, entry.label, image, entry.id, crop=crop, size=shape, photo=photo, person=entry.person
        )

    def _refuse_unused_bits(self) -> None:
        """What white is must be the same for all images, so it is not told from each one's own brightest pixel."""
        largest = max(self._largest, default=_HALF_WHITE)
        if largest < _HALF_WHITE:
            likely = next(bits for bits in _USUAL_BITS if largest < 1 << bits)
            raise UserError(
                f"{len(self._largest):,} images of {self.name} have samples of 16 bits, but none uses all of them: the "
                f"largest value is {largest:,} of 65,535, and the files do not say which is white. Say how many bits "
                f"are used with `fer-tl build folder/NAME --bits {likely}`, or --bits 16 if they are that dark"
            )

    def _may_be_grey(self, entry: Entry) -> bool:
        """False if an image is stored in colour; one that cannot be read says nothing, and ``records`` tells of it."""
        try:
            # The whole file is read though the header would do: an archive's members cannot be read piecewise.
            return is_grey(self._files.read(entry.name), self._files.where(entry.name))
        except UserError:
            return True

    def warnings(self) -> list[str]:
        return super().warnings() + ([f"{several_frames(self._several)}."] if self._several else [])
