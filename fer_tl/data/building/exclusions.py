"""Examples that a person wants left out, by a table of their ids: copies of a test set elsewhere, bad labels, people
who withdrew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_tl.core.csv_tables import digest_rows, find_examples, read_table
from fer_tl.core.errors import UserError

EXCLUDED = "excluded"
"""Why such an example is not in the records, in ``examples.csv`` and the manifest."""


@dataclass(frozen=True)
class Exclusions:
    """A table that was read.

    Attributes:
        name: base name of its file.
        rows: (how it calls the example, how a message names the row), in the file's order, at least one.
    """

    name: str
    rows: tuple[tuple[str, str], ...]

    @property
    def option(self) -> str:
        """What the manifest says of it: the same for the same ids in any order."""
        names = {name for name, _ in self.rows}
        return f"{len(names)} ids, sha256 {digest_rows(names)}"

    def match(self, names: Mapping[str, str | None]) -> frozenset[str]:
        """The ids of the examples; a row names its example as ``csv_tables.find_examples`` finds it.

        Args:
            names: {name: id} for every name that an example goes by, None if several do.

        Raises:
            UserError: a row's example cannot be told: leaving out fewer than were asked for must not go unseen.
        """
        identities = find_examples(self.rows, names)
        strangers = [row for row, identity in zip(self.rows, identities, strict=True) if identity is None]
        if strangers:
            name, place = strangers[0]
            known = next(identity for identity in names.values() if identity)
            raise UserError(
                f"{self.name}: {len(strangers):,} of its {len(self.rows):,} ids are no example's (the first is "
                f"{name[:80]!r}, {place.removeprefix(f'{self.name}, ')}; an example's is {known!r}): correct or remove "
                "those rows"
            )
        return frozenset(identity for identity in identities if identity is not None)


def read_exclusions(path: Path) -> Exclusions:
    """Read a CSV with the column id, among others, see ``csv_tables.read_table``.

    Raises:
        UserError: there is no such file, it is not such a table, or a row has no id.
    """
    table = read_table(path, ("id",), "examples to leave out")
    for row in table.rows:
        row.check_filled("id")
    return Exclusions(table.name, tuple((row.cells["id"], row.place) for row in table.rows))
