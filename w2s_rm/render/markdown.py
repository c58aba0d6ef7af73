"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Paragraph, Table, plain_text


def markdown(content: Sequence[Block]) -> str:
    """Format a report as Markdown; its figures are PNG files beside it.

    Args:
        content (`Sequence[Block]`): Its elements, in their order.
    """
    return "\n\n".join(_block(block) for block in content) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_escape(text)}"
        case Paragraph():
            return _escape(block.text)
        case Bullets(items):
            return "\n".join(f"- {_escape(item)}" for item in items)
        case Figure(description, name):
            # A bracket would end the description.
            return f"![{_escape(description).replace('[', '(').replace(']', ')')}]({name}.png)"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    # Texts to the left, numbers to the right.
    rule = [":--" if column < table.n_text else "--:" for column in range(len(table.header))]
    lines = [[_escape(plain_text(cell)) for cell in line] for line in (table.header, *table.lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def _escape(text: str) -> str:
    """Keep names such as `a_b_c` or `x|y` from becoming markup."""
    # The backslash first, or it would double those that the others are given.
    for sign in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text
