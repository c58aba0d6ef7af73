"""What a section of a report is: rows from the folders of runs, and these as elements, as records and as a figure."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from w2s_rm import catalog
from w2s_rm.render.elements import Block
from w2s_rm.report.rows import ReportRow, plain
from w2s_rm.report.scored import Scored, read_scored
from w2s_rm.report.table import reading_once
from w2s_rm.runs.plan import read_run

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images

Row = TypeVar("Row")


@dataclass(frozen=True)
class ReportedRun:
    """A finished run that a report is about.

    Args:
        folder (`Path`): The run's folder, `runs/<recipe>`.
        rows (`tuple[ReportRow, ...]`): What [`~w2s_rm.report.table.collect`] returned for it.
    """

    folder: Path
    rows: tuple[ReportRow, ...]

    # `cached_property` writes into the instance's dictionary, past the `__setattr__` with which a frozen dataclass
    # refuses.
    @functools.cached_property
    def models(self) -> list[Scored]:
        """What [`~w2s_rm.report.scored.read_scored`] reads of it, once for all sections: students as in the results."""
        return read_scored(read_run(self.folder), reading_once())


class Section(Generic[Row]):
    """A section: a class in `report/sections/<name>.py`, or in a file of one's own.

    Its name is that of its files, `<name>.csv`, `<name>.json`, `<name>.png` and `<name>.svg`, and of its figure in the
    elements. A section without rows is left out. Rows depend on the runs' results alone: same results, same bytes.
    """

    # With gaps between the numbers, into which a section of one's own fits.
    place: ClassVar[int]
    """Sections come in the order of this number."""

    def rows(self, runs: Sequence[ReportedRun]) -> list[Row]:
        """Compute the rows, from files and without models; empty where the section has nothing to say.

        Args:
            runs (`Sequence[ReportedRun]`): All runs of the report, in its order.

        Raises:
            ArtifactError: A file of a run is broken.
        """
        raise NotImplementedError

    def blocks(self, rows: Sequence[Row]) -> list[Block]:
        """Compose the section, its heading first.

        Args:
            rows (`Sequence`): What [`rows`] returned, at least one.
        """
        raise NotImplementedError

    def findings(self, rows: Sequence[Row]) -> list[Block]:
        """Say in a sentence what came out, for the beginning of the report; perhaps nothing.

        Args:
            rows (`Sequence`): What [`rows`] returned, at least one.
        """
        return []

    def warnings(self, rows: Sequence[Row]) -> list[str]:
        """Say what a reader must know before believing the rows.

        Args:
            rows (`Sequence`): What [`rows`] returned, at least one.
        """
        return []

    def figure(self, rows: Sequence[Row]) -> Images | None:
        """Draw the figure that the elements name; `None` where they name none.

        Args:
            rows (`Sequence`): What [`rows`] returned, at least one.
        """
        return None

    def record(self, row: Row) -> dict[str, Any]:
        """Return a row as plain data for JSON, floats rounded to six digits.

        Args:
            row: A row; a dataclass where this method is not replaced.
        """
        return {name: plain(value) for name, value in dataclasses.asdict(row).items()}  # type: ignore[call-overload]

    def flat_record(self, row: Row) -> dict[str, Any]:
        """Return a row as the columns of a table.

        Args:
            row: A row.
        """
        return self.record(row)


@dataclass(frozen=True)
class Collected:
    """A section with its rows, of which there is at least one.

    Args:
        name (`str`): The section's name.
        section ([`Section`]): The section.
        rows (`Sequence`): Its rows.
    """

    name: str
    section: Section[Any]
    rows: Sequence[Any]


def find_sections(more: Iterable[str] = ()) -> dict[str, Section[Any]]:
    """Return all sections by name, in the order of a report.

    Args:
        more (`Iterable[str]`, *optional*): Files with sections of one's own.

    Raises:
        ConfigError: A file cannot be imported or holds no class of its name.
    """
    # A file of one's own takes the place of a section of its name: it comes later.
    kinds = {Path(name).stem: catalog.lookup("sections", name) for name in (*catalog.names("sections"), *more)}
    # By name too, for one's own section may have the place of another.
    return {name: kind() for name, kind in sorted(kinds.items(), key=lambda item: (item[1].place, item[0]))}


def collect_sections(runs: Sequence[ReportedRun], more: Iterable[str] = ()) -> list[Collected]:
    """Compute the rows of all sections that have something to say, in the order of a report.

    Args:
        runs (`Sequence[ReportedRun]`): All runs of the report.
        more (`Iterable[str]`, *optional*): Files with sections of one's own.
    """
    rows = {name: (section, section.rows(runs)) for name, section in find_sections(more).items()}
    return [Collected(name, section, section_rows) for name, (section, section_rows) in rows.items() if section_rows]
