"""How results show themselves: a line in a console, tables by ``print``, tables and a figure in a notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fer_tl.core.safe_text import for_html, for_terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fer_tl.evaluation.metrics import Metrics
    from fer_tl.reports.rendering import Table

_DOTS_PER_INCH = 100
_LONGEST = 160  # characters of a line that stands for a result


class Shown:
    """What a command returns. A console shows a line of it, ``print`` its tables, a notebook both."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        place = getattr(self, "run_dir", None) or getattr(self, "out_dir", None) or getattr(self, "path", None)
        words = [type(self).__name__, self._line(), *([f"in {place}"] if place else [])]
        return f"<{', '.join(word for word in words if word)}; print it for its tables>"

    def _line(self) -> str:
        """What is most worth knowing, in a few words: the first line of its text."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        first = for_terminal(lines[0]) if lines else ""
        return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 1]}…"

    def _repr_html_(self) -> str:
        return f"<pre>{for_html(self.text)}</pre>"


class Scored(Shown):
    """A result of which one row matters most: a cross validation's pooled answers, a model, an ensemble."""

    def _headline(self) -> tuple[Metrics, Mapping[str, tuple[float, float]]]:
        """The metrics of that row, and their 95 % intervals by name."""
        raise NotImplementedError

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0..1."""
        return float(self._headline()[0].accuracy)

    def plot_confusion(self, title: str = "") -> Figure:
        """The confusion matrix, rows are true classes, as a matplotlib figure; ``savefig`` of it writes a file.

        Args:
            title: above it; by default what was scored.
        """
        from fer_tl.reports.figures import confusion_figure

        return confusion_figure(self._headline()[0], title or Shown._line(self))

    def _line(self) -> str:
        from fer_tl.reports.run_tables import spell_interval, spell_metric

        metrics, intervals = self._headline()
        found = intervals.get("accuracy")
        within = f" (95 % interval {spell_interval('accuracy', found)})" if found else ""
        images = f"{metrics.images:,} answers in {len(metrics.class_names)} classes"
        return f"accuracy {spell_metric('accuracy', metrics.accuracy)}{within} of {images}"

    def _repr_html_(self) -> str:
        from fer_tl.evaluation.measures import MEASURES
        from fer_tl.reports.run_tables import measure_table

        metrics, intervals = self._headline()
        heading = f"<p><b>{for_html(Shown._line(self))}</b></p>"
        # Of imported labels without probabilities some measures are not known.
        table = _table(measure_table(metrics, intervals)) if intervals.keys() >= MEASURES.keys() else ""
        matrix = _picture(self.plot_confusion(), "confusion matrix, rows are true classes")
        more = f"<details><summary>all tables</summary>{super()._repr_html_()}</details>"
        return f"<div>{heading}{table}{matrix}{more}</div>"


def _table(table: Table) -> str:
    def row(cells: list[str], tag: str) -> str:
        sides = ["left" if column in table.left else "right" for column in range(len(cells))]
        return "".join(
            f'<{tag} style="text-align:{side}">{for_html(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )

    rows = [row(cells, "td") for block in table.blocks for cells in block]
    body = "".join(f"<tr>{each}</tr>" for each in rows)
    return f"<table><thead><tr>{row(table.header, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def _picture(figure: Figure, described: str) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DOTS_PER_INCH)
    data = base64.b64encode(drawn.getvalue()).decode()
    return f'<img alt="{described}" src="data:image/png;base64,{data}">'
