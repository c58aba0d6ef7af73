"""The report as one HTML page that needs nothing else: no network, and of its script only what it does by itself.

The page is whole without its script; this sorts and filters tables and shows examples (`page.js`, with
`texts.js` for what they say).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from w2s_rm.render.elements import (
    Bullets,
    Cell,
    Code,
    Examples,
    Figure,
    Heading,
    PageBlock,
    Paragraph,
    Table,
    plain_text,
)

_FOLDER = Path(__file__).parent
STYLE, TEXTS = _FOLDER / "page.css", _FOLDER / "texts.js"
"""How pages look, and the part of the script that shows prompts and candidates."""


@dataclass(frozen=True)
class Drawing:
    """A figure for a page: `svg` (`str`), and the numbers that it shows as `csv` (`bytes`)."""

    svg: str
    csv: bytes


@dataclass(frozen=True)
class _Section:
    """What follows a heading of level 1 or 2."""

    heading: Heading
    content: tuple[PageBlock, ...]

    @property
    def has_figure(self) -> bool:
        return any(isinstance(block, Figure) for block in self.content)

    @property
    def warns(self) -> bool:
        return any(isinstance(block, Bullets) and block.warning for block in self.content)


def page(content: Sequence[PageBlock], drawings: Mapping[str, Drawing]) -> str:
    """Format a report as a self-contained HTML page.

    Sections up to the first figure are open, so are those that warn; the others are folded.

    Args:
        content (`Sequence[PageBlock]`): Its elements, in their order, a heading first.
        drawings (`Mapping[str, Drawing]`): Each figure by its name.
    """
    body = "\n".join(_body(content, drawings))
    texts, own = (path.read_text(encoding="utf-8") for path in (TEXTS, _FOLDER / "page.js"))
    return document(_title(content), body, style=base_style(), script=f"{texts}\n{own}")


def base_style() -> str:
    """Return the style that all pages have in common."""
    return STYLE.read_text(encoding="utf-8")


def document(title: str, body: str, *, style: str, script: str, connects: bool = False) -> str:
    """Put together a page of its own, which runs no script but its own.

    Args:
        title (`str`): Text.
        body (`str`): Markup.
        style (`str`): CSS.
        script (`str`): JavaScript.
        connects (`bool`, *optional*, defaults to `False`): Whether the script may ask where the page came from.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # A policy holds for what comes after it, so it stands before styles and scripts.
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, connects)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        # No line break between the tags and the script: the policy has the hash of all that stands there.
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _policy(script: str, connects: bool) -> str:
    """Nothing from elsewhere, and no script but ours: what a text brings along would not run even unescaped."""
    # A hash and no nonce: a page that is a file has no server that could draw one anew.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Figures have their styles in attributes, which have no hash.
    styles = "style-src 'unsafe-inline'; " + ("connect-src 'self'; " if connects else "")
    return f"default-src 'none'; script-src 'sha256-{digest}'; {styles}base-uri 'none'; form-action 'none'"


def _title(content: Sequence[PageBlock]) -> str:
    return next(block.text for block in content if isinstance(block, Heading))


def _body(content: Sequence[PageBlock], drawings: Mapping[str, Drawing]) -> Iterator[str]:
    seen, figure_was = set[str](), False
    for section in _sections(content):
        # Two sections may have one heading, and each needs a name of its own to be linked to.
        name = _fresh(_slug(section.heading.text), seen)
        heading = _block(section.heading, drawings)
        inner = "\n".join(_block(block, drawings) for block in section.content)
        if figure_was:
            state = " open" if section.warns else ""
            yield f'<details id="{name}"{state}>\n<summary>{heading}</summary>\n{inner}\n</details>'
        else:
            yield f'<section id="{name}">\n{heading}\n{inner}\n</section>'
        # After the section, so that the one with the figure is itself open.
        figure_was = figure_was or section.has_figure


def _sections(content: Sequence[PageBlock]) -> list[_Section]:
    sections: list[_Section] = []
    for block in content:
        if isinstance(block, Heading) and block.level <= 2:
            sections.append(_Section(block, ()))
        else:
            # A page begins with a heading, so there is a section to add to.
            sections[-1] = _Section(sections[-1].heading, (*sections[-1].content, block))
    return sections


def _slug(text: str) -> str:
    return "section-" + re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _fresh(name: str, seen: set[str]) -> str:
    # One more number than names were taken, so one of them is free.
    number = next(n for n in range(1, len(seen) + 2) if (name if n == 1 else f"{name}-{n}") not in seen)
    seen.add(name if number == 1 else f"{name}-{number}")
    return name if number == 1 else f"{name}-{number}"


def _block(block: PageBlock, drawings: Mapping[str, Drawing]) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(words):
            return f"<p>{''.join(map(_cell, (words,) if isinstance(words, str) else words))}</p>"
        case Bullets(items, warning):
            inner = "\n".join(f"<li>{escape(item)}</li>" for item in items)
            return f'<ul class="warning">\n{inner}\n</ul>' if warning else f"<ul>\n{inner}\n</ul>"
        case Figure(description, name):
            return _figure(description, name, drawings[name])
        case Table():
            return _table(block)
        case Code(text):
            return f'<pre tabindex="0">{escape(text)}</pre>'
        case Examples(runs):
            # Inside a script only "<" can mean an end or another beginning.
            data = json.dumps(runs, separators=(",", ":")).replace("<", "\\u003c")
            note = "<noscript><p>Examples are shown by the page's script, which does not run here.</p></noscript>"
            return f'<div id="examples">{note}</div>\n<script type="application/json" id="data">{data}</script>'


def _figure(description: str, name: str, drawing: Drawing) -> str:
    # An XML declaration and a doctype are not allowed inside HTML.
    svg = drawing.svg[drawing.svg.index("<svg") :]
    picture = f'<div class="scroll" tabindex="0" role="img" aria-label="{escape(description)}">\n{svg}\n</div>'
    # In the page itself, which may be sent about without the files beside it.
    data = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(drawing.csv).decode()}"
    link = f'<a download="{escape(name)}.csv" href="{data}">The figure’s data as CSV</a>'
    return f"<figure>\n{picture}\n<figcaption>{link}</figcaption>\n</figure>"


def _table(table: Table) -> str:
    head = _line(table.header, "th", table.n_text)
    body = "\n".join(_line(line, "td", table.n_text) for line in table.lines)
    name = escape(", ".join(table.header))
    place = f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {name}">'
    return f"{place}<table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"


def _line(cells: Sequence[Cell], tag: str, n_text: int) -> str:
    # By this class the script sorts as numbers and not as texts.
    kinds = [tag if column < n_text else f'{tag} class="number"' for column in range(len(cells))]
    return f"<tr>{''.join(f'<{kind}>{_cell(cell)}</{tag}>' for kind, cell in zip(kinds, cells, strict=True))}</tr>"


def _cell(cell: Cell) -> str:
    text = escape(plain_text(cell))
    # With a place in the order of the keyboard, because a finger cannot hover and a keyboard does not point.
    return text if isinstance(cell, str) else f'<abbr tabindex="0" title="{escape(cell.more)}">{text}</abbr>'
