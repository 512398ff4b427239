"""Labelled image files as a source of examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fer_tl.core.archives import Files
from fer_tl.core.errors import UserError
from fer_tl.faces.opening import is_grey, open_image, several_frames
from fer_tl.sources.class_counts import tabulate
from fer_tl.sources.findings import Findings, Skipped
from fer_tl.sources.images import is_constant
from fer_tl.sources.origin import CONSTANT, FileSource, Origin
from fer_tl.sources.records import Record, reason_of

CONVERTED = "converted"
"""Counts images that had another size or colour mode, see ``Findings``."""

_SEVERAL = "several frames"
_WIDE = "16 bits"  # images that do not say how many are used
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
    divides = True

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
        return len(self.part.of(self._entries))

    def records(self) -> Iterator[Record]:
        channels, _ = self.image_shape[2], self.crop  # before the loop: what these refuse is no fault of one image
        self.findings, good = Findings(), 0
        for entry in self.part.of(self._entries):
            try:
                record = self._record(entry, channels)
            except UserError as error:
                reason = reason_of(error, self._files.where(entry.name))
                self.findings.skipped.append(Skipped(entry.name, entry.id, reason))
                continue
            good += 1
            yield record
        self.stop_at_errors(good)

    def judge(self) -> None:
        super().judge()
        self._refuse_unused_bits()

    def _record(self, entry: Entry, channels: int) -> Record:
        files, size, found = self._files, self._size, self.findings
        picture, converted, several, largest = open_image(
            files.read(entry.name), channels, files.where(entry.name), self.bits
        )
        if largest is not None:
            found.counts[_WIDE] += 1
            found.largest = max(found.largest, largest)
        found.counts[CONVERTED] += converted or picture.size != (size, size)
        found.counts[_SEVERAL] += several
        photo = self.photo_of(picture)
        image, shape, crop = self.cut(picture, entry.id, size)  # [size, size, channels]
        found.counts[CONSTANT] += is_constant(image)
        return Record(
            entry.split, entry.id, entry.label, image, entry.id, crop=crop, size=shape, photo=photo, person=entry.person
        )

    def _refuse_unused_bits(self) -> None:
        """What white is must be the same for all images, so it is not told from each one's own brightest pixel."""
        wide, largest = self.findings.counts[_WIDE], self.findings.largest
        if wide and largest < _HALF_WHITE:
            likely = next(bits for bits in _USUAL_BITS if largest < 1 << bits)
            raise UserError(
                f"{wide:,} images of {self.name} have samples of 16 bits, but none uses all of them: the "
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
        several = self.findings.counts[_SEVERAL]
        return super().warnings() + ([f"{several_frames(several)}."] if several else [])
