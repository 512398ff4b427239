"""Confusion matrices as tables of a page: shaded cells, counts or shares, pooled or of one fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_tl.core.safe_text import for_html as escape
from fer_tl.evaluation.metrics import Metrics
from fer_tl.reports.controls import alternate, as_first, as_second, switch
from fer_tl.reports.page import scrolled

_SHADES = 20
# From no image of a class to all of it: one hue, ordered by lightness, so for every kind of colour vision and in grey.
_LIGHT = ("#ffffff", "#08306b")
_DARK = ("#14181c", "#a8d4f7")


def confusion_matrices(named: Sequence[tuple[str, Metrics]]) -> str:
    """All matrices behind two rows of radio buttons: what the cells say, and of which images.

    Args:
        named: what each is of, and its metrics; one or more.
    """
    tables = [(name, _matrix(metrics, f"Confusion matrix, {name}")) for name, metrics in named]
    html = switch("matrix", "Images:", tables) if len(tables) > 1 else tables[0][1]
    return alternate("cells", "Cells:", ("counts", "share of the true class"), html)


def _matrix(metrics: Metrics, what: str) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in metrics.class_names)
    rows = []
    for k, name in enumerate(metrics.class_names):
        images = int(metrics.support[k])
        cells = "".join(_cell(count, images, k == j) for j, count in enumerate(metrics.confusion[k].tolist()))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}<td>{images:,}</td></tr>\n')
    caption = f"{what}. Row: true class. Column: predicted class. The stronger the shade, the larger the share"
    return scrolled(
        f'<thead><tr><th scope="col">true \\ predicted</th>{head}<th scope="col">images</th></tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n",
        f"{caption} of the true class.",
        "matrix",
    )


def _cell(count: int, images: int, is_right: bool) -> str:
    share = count / images if images else 0.0
    spelled = f"{100 * share:.1f} %" if images else "–"
    text = as_first(f"{count:,}") + as_second(spelled)
    return f'<td class="shade-{round(_SHADES * share)}">{f"<strong>{text}</strong>" if is_right else text}</td>'


def _rules(ends: tuple[str, str]) -> str:
    """A rule for each shade: its ground, and black or white letters, whichever read better: at least 4.5 to 1."""
    low, high = (np.array([int(end[at : at + 2], 16) for at in (1, 3, 5)]) for end in ends)  # [3] each
    rules = []
    for shade in range(_SHADES + 1):
        red, green, blue = (round(value) for value in (low + (high - low) * shade / _SHADES).tolist())
        ink = "#000" if _luminance(red, green, blue) > 0.179 else "#fff"  # where both have a contrast of 4.58
        rules.append(f".shade-{shade} {{ background: #{red:02x}{green:02x}{blue:02x}; color: {ink}; }}\n")
    return "".join(rules)


def _luminance(*channels: int) -> float:
    """Relative luminance of WCAG 2 of channels 0..255: 0..1."""
    values = np.array(channels) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


STYLE = f"""
.matrix td {{ min-width: 3.6rem; width: 5.2rem; border: 1px solid var(--rule); padding: .35rem .4rem;
  text-align: center; print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
.matrix th {{ max-width: 8rem; overflow-wrap: break-word; text-align: center; }}
.matrix tbody th {{ position: sticky; left: 0; background: var(--ground); text-align: left; }}
{_rules(_LIGHT)}@media (prefers-color-scheme: dark) {{
{_rules(_DARK)}}}
"""
