"""What a report says besides its results: one file for each section, which the report finds by itself."""

from w2s_rm.report.sections._base import Collected, ReportedRun, Section, collect_sections, find_sections

__all__ = ["Collected", "ReportedRun", "Section", "collect_sections", "find_sections"]
