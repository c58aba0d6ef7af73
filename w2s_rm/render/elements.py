"""The elements of a report, which Markdown and HTML format each in its way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A heading: `text` (`str`) and `level` (`int`, 1 is the title)."""

    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain `text` (`str`)."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences, `items` (`tuple[str, ...]`); `warning` (`bool`) when they are warnings."""

    items: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `header` (`tuple[str, ...]`), `lines` (tuples of cells); the first `n_text` columns are text."""

    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    n_text: int = 1


@dataclass(frozen=True)
class Figure:
    """The place of a plot: its `description` (`str`) and the `name` (`str`) of its files without their ends."""

    description: str
    name: str = "plot"


Block = Heading | Paragraph | Bullets | Table | Figure
