"""What to build, as a person asked for it: checked before anything is read, then opened."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_tl.core.csv_tables import digest_rows
from fer_tl.core.errors import UserError, suggest
from fer_tl.data.building.curation import Curation
from fer_tl.data.building.exclusions import read_exclusions
from fer_tl.data.building.given_groups import GivenGroups, read_groups, read_pattern
from fer_tl.data.building.options import options_of, takers
from fer_tl.data.splits import DEFAULT_SHARE, SMALLEST_SHARE, read_splits
from fer_tl.faces.box_table import read_box_table
from fer_tl.faces.detection import check_align, check_detector, open_detected_crop
from fer_tl.faces.detectors import WITH_EYES
from fer_tl.sources.format import BOX_MARGIN, find_format

if TYPE_CHECKING:
    from fer_tl.sources.records import Source


class BuildRequest:
    """A dataset to build.

    Args:
        name: "fer2013", or "folder/mine" for a format with variants.
        source: file, archive or folder to read.
        options: those of ``fer_tl.data.building.options``, None where one is not given.

    Attributes:
        name: of the dataset; as given, but for letters' cases and the like.
        format: the format of the dataset.
        config: the name after the slash, "" if none was given.
        given: the options that were given, the source as well.

    Raises:
        UserError: a value that cannot be, or an option of another format.
    """

    def __init__(self, name: str, source: str | Path | None = None, **options: Any) -> None:
        self.format, self.config = find_format(name), name.partition("/")[2]
        name = self.name = self.format.name + name[len(name.partition("/")[0]) :]
        self.format.check_variant(name)
        taken = options_of(self.format)
        given = {key: value for key, value in {"source": source, **options}.items() if value is not None}
        for key in given.keys() - taken.keys():
            having = [form.name for form, _ in takers().get(key, ())]
            if not having:
                raise UserError(f"a build has no option {key!r}{suggest(key, takers())}")
            flag = f"--{key.replace('_', '-')}"
            raise UserError(f"{flag} is for {', '.join(having)}, not for {self.format.name}: leave it out")
        self.given = {
            key: value if key == "detector" and callable(value) else taken[key].read(value)
            for key, value in given.items()
        }
        self._check_pairs()
        self._check_detector()

    def _check_pairs(self) -> None:
        given = self.given
        for key in ("split_seed", "test_share"):
            if "splits" in given and key in given:
                raise UserError(f"--splits gives the split and --{key.replace('_', '-')} draws one: use one of them")
        if 0 < given.get("test_share", 1) < SMALLEST_SHARE:
            raise UserError(f"--test-share is {given['test_share']:g}, not 0 or {SMALLEST_SHARE} to 0.5")
        if "split_seed" in given and given.get("test_share") == 0:
            raise UserError("--split-seed draws a split, and --test-share 0 draws none: leave one out")
        if "split_seed" in given and "test_share" not in given and not self.format.splits:
            raise UserError("--split-seed draws the split of --test-share: give that as well, or leave it out")
        if "groups" in given and "group_regex" in given:
            raise UserError("--groups gives the groups and --group-regex reads them from names: use one of them")
        if "boxes" in given and "detector" in given:
            raise UserError("--boxes gives the faces and --detector looks for them: use one of them")
        if "box_columns" in given and {"boxes", "detector"} & given.keys():
            raise UserError("--box-columns gives the faces: leave --boxes and --detector out, or leave it out")
        for key in {"boxes", "detector"} & given.keys():
            if "source" not in given:
                raise UserError(f"--{key} crops the images of --source: give that as well")
        cuts = {"boxes", "detector", "box_columns"} & given.keys()
        if self.format.crops and not self._may_have_boxes and "box_margin" in given and not cuts:
            raise UserError("--box-margin widens the boxes of --boxes or --detector: give one, or leave it out")

    @property
    def _may_have_boxes(self) -> bool:
        """Whether sources of the format have boxes of their own at times."""
        return any(option.name == BOX_MARGIN.name for option in self.format.options)

    def _check_boxes(self, source: Source) -> None:
        """Raise ``UserError`` if faces are given twice, or a margin for none."""
        cuts = {"boxes", "detector"} & self.given.keys()
        if self.format.crops and source.has_boxes and cuts:
            raise UserError(
                f"{source.name} says where the faces are, and they are cut by that: leave --{min(cuts)} out"
            )
        if self.format.crops and "box_margin" in self.given and not source.has_boxes and not cuts:
            raise UserError(
                f"{source.name} has no boxes for --box-margin to widen: leave it out, or give --boxes or --detector"
            )

    def _check_detector(self) -> None:
        given = self.given
        if "detector_model" in given and given.get("detector") != "yunet":
            raise UserError("--detector-model is for --detector yunet: give that as well, or leave it out")
        if given.get("align") and "detector" not in given:
            raise UserError(
                f"--align turns faces by the eyes that a detector finds: give --detector {' or '.join(WITH_EYES)}"
            )
        if "detector" not in given:
            return
        if given["detector"] == "none":
            raise UserError("--detector none: leave --detector out, and the images stay whole")
        check_detector(given["detector"])
        if given.get("align"):
            check_align(given["detector"])

    @cached_property
    def curation(self) -> Curation:
        """How the dataset is looked after; reads the tables of splits, groups and what to leave out."""
        given = self.given
        groups: GivenGroups | None = read_groups(given["groups"]) if "groups" in given else None
        if "group_regex" in given:
            groups = read_pattern(given["group_regex"])
        return Curation(
            # Drawn faces are all different, and alike to a hash of photographs.
            duplicates=given.get("duplicates", "keep" if self.format.drawn else "group"),
            encoding=given.get("encoding", "png"),
            split_seed=given.get("split_seed", 0),
            test_share=given.get("test_share"),
            splits=read_splits(given["splits"]) if "splits" in given else None,
            exclude=read_exclusions(given["exclude"]) if "exclude" in given else None,
            groups=groups,
        )

    @cached_property
    def options(self) -> dict[str, str]:
        """What changes the dataset besides the source and its own options, as text for the manifest."""
        curation = self.curation
        found = {"duplicates": curation.duplicates, "encoding": curation.encoding}
        if curation.exclude is not None:
            found["exclude"] = curation.exclude.option
        if curation.groups is not None:
            found[curation.groups.key] = curation.groups.option
        if curation.splits is not None:
            digest = digest_rows(curation.splits.items())
            return found | {"splits": f"{len(curation.splits)} ids, sha256 {digest}"}
        if curation.test_share != 0 and (self.format.splits or curation.test_share is not None):
            found["split_seed"] = str(curation.split_seed)
        # What is drawn without being asked for was once the only share.
        if curation.test_share not in (None, DEFAULT_SHARE if self.format.splits else None):
            found["test_share"] = str(curation.test_share)
        return found

    def open(self) -> Source:
        """Open the source, without TensorFlow.

        Raises:
            UserError: it is not what it should be.
        """
        given = self.given
        margin, align = given.get("box_margin"), given.get("align", False)
        table = read_box_table(given["boxes"]) if "boxes" in given else None
        detected = (
            open_detected_crop(given["detector"], given.get("detector_model"), margin, align)
            if "detector" in given
            else None
        )
        own = {option.name: given[option.name] for option in self.format.options if option.name in given}
        source = self.format.open(given.get("source"), **own)
        source.on_error = given.get("on_error", "stop")
        try:
            self._check_boxes(source)
        except BaseException:
            source.close()
            raise
        if table:
            source.use_boxes(table, margin or 0.0)
        if detected:
            source.use_detector(detected)
        return source
