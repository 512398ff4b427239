"""What a page needs besides text, tables and pictures: choices without a script, notices, folded parts.

As in ``fer_tl.reports.page``, plain text is escaped, and only what is called ``html`` is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from fer_tl.core.safe_text import for_html as escape
from fer_tl.reports.page import paragraph

STYLE = """
pre { max-width: 62rem; margin: .5rem 0; padding: .6rem .8rem; background: var(--panel); white-space: pre-wrap; }
tbody th { max-width: 11rem; overflow-wrap: break-word; }
summary { cursor: pointer; padding: .3rem 0; }
.notice { max-width: 46rem; padding: .2rem .9rem; border: 2px solid var(--ink); background: var(--panel); }
.switch { display: flex; flex-wrap: wrap; align-items: center; margin: .6rem 0; padding: 0; border: 0; min-width: 0;
  position: relative; }
.switch > legend { float: left; padding: 0 .6rem 0 0; color: var(--quiet); font-size: .85rem; }
.switch > input { position: absolute; opacity: 0; }
.switch > label { margin-right: .9rem; padding: .45rem .2rem; border-radius: 4px; cursor: pointer; }
.switch > label::before { content: ""; display: inline-block; box-sizing: border-box; width: 1.1em; height: 1.1em;
  margin-right: .35em; vertical-align: -.18em; border: 2px solid var(--quiet); border-radius: 50%; }
.switch > input:checked + label { font-weight: 600; }
.switch > input:checked + label::before { border: .36em solid var(--link); }
.switch > input:focus-visible + label { outline: 3px solid var(--link); outline-offset: 2px; }
.switch > :is(.choice, .shown) { order: 1; width: 100%; min-width: 0; }
.switch > .choice { display: none; }
.switch > input:checked + label + .choice { display: block; }
.switch > .first:checked ~ .shown .as-second, .switch > .second:checked ~ .shown .as-first { display: none; }
"""


def notice(text: str) -> str:
    """Running text that must not be overlooked."""
    return f'<div class="notice" role="note">{paragraph(text)}</div>\n'


def command(text: str) -> str:
    """Something to type, as it is typed."""
    return f"<pre><code>{escape(text)}</code></pre>\n"


def folded(heading: str, html: str) -> str:
    """What few readers need, shown when they ask for it."""
    return f"<details>\n<summary>{escape(heading)}</summary>\n{html}</details>\n"


def switch(name: str, legend: str, choices: Sequence[tuple[str, str]]) -> str:
    """Radio buttons, each of which shows its own part; the first one at the beginning. Without a script: the style
    shows what follows the button that is chosen.

    Args:
        name: unique on the page, letters and ``-`` only.
        legend: what is chosen.
        choices: what each button says, and its HTML.
    """
    buttons = "".join(
        _button(f"{name}-{number}", name, label, number == 0) + f'<div class="choice">\n{html}</div>\n'
        for number, (label, html) in enumerate(choices)
    )
    return f'<fieldset class="switch"><legend>{escape(legend)}</legend>\n{buttons}</fieldset>\n'


def alternate(name: str, legend: str, labels: tuple[str, str], html: str) -> str:
    """Two radio buttons over something that says everything in two ways: the first one shows what ``as_first`` has
    made, the second one what ``as_second`` has.

    Arguments as of ``switch``.
    """
    buttons = "".join(
        _button(f"{name}-{kind}", name, label, kind == "first", kind)
        for kind, label in zip(("first", "second"), labels, strict=True)
    )
    return (
        f'<fieldset class="switch"><legend>{escape(legend)}</legend>\n{buttons}<div class="shown">\n{html}</div>'
        "</fieldset>\n"
    )


def as_first(text: str) -> str:
    """What is shown in an ``alternate`` while its first button is chosen."""
    return f'<span class="as-first">{escape(text)}</span>'


def as_second(text: str) -> str:
    """What is shown in an ``alternate`` while its second button is chosen."""
    return f'<span class="as-second">{escape(text)}</span>'


def _button(identity: str, name: str, label: str, checked: bool, kind: str = "") -> str:
    state = ' checked=""' if checked else ""
    of_kind = f' class="{kind}"' if kind else ""
    return (
        f'<input type="radio" name="{name}" id="{identity}"{of_kind}{state}>'
        f'<label for="{identity}">{escape(label)}</label>\n'
    )
