"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Paragraph, Table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
figure { margin: 1.5rem 0; } figure svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e1e6eb; text-align: left; vertical-align: top; }
th.number, td.number { text-align: right; white-space: nowrap; }
ul.warning { background: #fff6e0; border-left: 4px solid #d99a1c; padding: .6rem 1rem .6rem 2rem; }
"""


def page(content: Sequence[Block], svgs: Mapping[str, str]) -> str:
    """Format a report as a self-contained HTML page.

    Args:
        content (`Sequence[Block]`): Its elements, in their order.
        svgs (`Mapping[str, str]`): Each figure as SVG by its name; they are put into the page.
    """
    body = "\n".join(_block(block, svgs) for block in content)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Weak-to-strong report</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block, svgs: Mapping[str, str]) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Bullets(items, warning):
            inner = "\n".join(f"<li>{escape(item)}</li>" for item in items)
            return f'<ul class="warning">\n{inner}\n</ul>' if warning else f"<ul>\n{inner}\n</ul>"
        case Figure(description, name):
            # An XML declaration and a doctype are not allowed inside HTML.
            svg = svgs[name][svgs[name].index("<svg") :]
            return f'<figure role="img" aria-label="{escape(description, quote=True)}">\n{svg}\n</figure>'
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    head = _line(table.header, "th", table.n_text)
    body = "\n".join(_line(line, "td", table.n_text) for line in table.lines)
    return f'<div class="scroll"><table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _line(cells: Sequence[str], tag: str, n_text: int) -> str:
    parts = [
        f"<{tag}>{escape(cell)}</{tag}>" if column < n_text else f'<{tag} class="number">{escape(cell)}</{tag}>'
        for column, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(parts)}</tr>"
