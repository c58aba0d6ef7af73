"""The stages of a run as a graph: columns from what is read first to what is made last, seeds side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Entry:
    """A stage to draw.

    Args:
        name (`str`): Its folder's name.
        label (`str`): Its title without the seed: stages of one label stand in one box.
        needs (`tuple[str, ...]`): Names of the stages that it reads.
    """

    name: str
    label: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Box:
    """Stages that differ in their seed alone.

    Args:
        label (`str`): What they have in common.
        column (`int`): From the left: one more than that of the last that they read.
        row (`int`): From the top of the column.
        stages (`tuple[str, ...]`): Their names.
        needs (`tuple[int, ...]`): Places of the boxes whose stages they read.
    """

    label: str
    column: int
    row: int
    stages: tuple[str, ...]
    needs: tuple[int, ...]


def lay_out(entries: Sequence[Entry]) -> list[Box]:
    """Put stages into boxes, and these into columns and rows, near to what they read.

    Args:
        entries (`Sequence[Entry]`): The stages, each after what it reads; what they read besides is not drawn.
    """
    depths: dict[str, int] = {}
    for entry in entries:
        # Stages come in an order in which each follows what it needs, so that the depths of those are known.
        depths[entry.name] = 1 + max((depths[name] for name in entry.needs if name in depths), default=-1)
    # Stages of one label need not have one depth, as where one seed shares what another computes.
    groups: defaultdict[tuple[int, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[depths[entry.name], entry.label].append(entry)
    places = {entry.name: place for place, group in enumerate(groups.values()) for entry in group}
    needs = [
        tuple(dict.fromkeys(places[name] for entry in group for name in entry.needs if name in places))
        for group in groups.values()
    ]
    rows = _rows([depth for depth, _ in groups], needs)
    return [
        Box(label, depth, rows[place], tuple(entry.name for entry in group), needs[place])
        for place, ((depth, label), group) in enumerate(groups.items())
    ]


def _rows(columns: Sequence[int], needs: Sequence[Sequence[int]]) -> Mapping[int, int]:
    """Order each column by the mean row of what its boxes read; equal ones stay in their order."""
    rows: dict[int, int] = {}
    # From the left: what a box reads stands in columns whose rows are known.
    for column in sorted(set(columns)):
        own = [place for place, its_column in enumerate(columns) if its_column == column]
        own.sort(key=lambda place: fmean(rows[needed] for needed in needs[place]) if needs[place] else 0.0)
        rows |= {place: row for row, place in enumerate(own)}
    return rows
