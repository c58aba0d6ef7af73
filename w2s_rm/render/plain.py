"""Tables as aligned plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(
    lines: Iterable[Sequence[str]], *, n_text: int = 1, n_aligned: int | None = None, indent: str = "  "
) -> str:
    """Align cells: texts to the left, then numbers to the right, further ones as they are.

    Args:
        lines (`Iterable[Sequence[str]]`): Cells, the header first.
        n_text (`int`, *optional*, defaults to `1`): Columns of text.
        n_aligned (`int`, *optional*): Columns that are aligned, texts and numbers; by default all that the header has.
        indent (`str`, *optional*, defaults to two blanks): Before each line.
    """
    header, *rest = lines
    n_aligned = len(header) if n_aligned is None else n_aligned
    widths = [max(len(line[column]) for line in (header, *rest)) for column in range(n_aligned)]
    return "\n".join(_line(line, widths, n_text, indent) for line in (header, *rest))


def _line(cells: Sequence[str], widths: Sequence[int], n_text: int, indent: str) -> str:
    # Not `strict`: a line may have more cells than are aligned, or end early.
    placed = [
        cell.ljust(width) if column < n_text else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    # An empty last cell leaves no blanks at the end of the line.
    return (indent + "  ".join([*placed, *cells[len(widths) :]])).rstrip()
