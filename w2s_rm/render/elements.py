"""The elements of a report, which Markdown and HTML format each in its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hover:
    """A `text` (`str`) of which a page says `more` (`str`) where a pointer rests on it; Markdown has the text alone."""

    text: str
    more: str


Cell = str | Hover
"""What stands in a table."""


def plain_text(cell: Cell) -> str:
    """What is always to be read of a cell.

    Args:
        cell (`str` or [`Hover`]): The cell.
    """
    return cell if isinstance(cell, str) else cell.text


@dataclass(frozen=True)
class Heading:
    """A heading: `text` (`str`) and `level` (`int`, 1 is the title)."""

    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    """A paragraph: its `words` (`str`, or a tuple of `str` and [`Hover`] that follow each other)."""

    words: str | tuple[Cell, ...]

    @property
    def text(self) -> str:
        """What is always to be read."""
        return self.words if isinstance(self.words, str) else "".join(map(plain_text, self.words))


@dataclass(frozen=True)
class Bullets:
    """A list of sentences, `items` (`tuple[str, ...]`); `warning` (`bool`) when they are warnings."""

    items: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `header` (`tuple[str, ...]`), `lines` (tuples of [`Cell`]); the first `n_text` columns are text."""

    header: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    n_text: int = 1


@dataclass(frozen=True)
class Figure:
    """The place of a plot: its `description` (`str`) and the `name` (`str`) of its files without their ends."""

    description: str
    name: str = "plot"


@dataclass(frozen=True)
class Code:
    """Text to be shown as it is, such as a file: `text` (`str`)."""

    text: str


@dataclass(frozen=True)
class Examples:
    """The place where a page lets one look through examples.

    Args:
        runs (`tuple[Mapping[str, Any], ...]`): Plain data for the page's script, one for each run.
    """

    runs: tuple[Mapping[str, Any], ...]


Block = Heading | Paragraph | Bullets | Table | Figure
PageBlock = Block | Code | Examples
"""What a page has besides is too long for Markdown, or needs its script."""
