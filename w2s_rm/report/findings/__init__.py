"""From hypotheses and finished runs to verdicts, a table and a figure."""

from w2s_rm.report.findings.asked import Asked, Question, read_asked, write_asked
from w2s_rm.report.findings.doubts import doubts
from w2s_rm.report.findings.rows import FindingRow
from w2s_rm.report.findings.section import Findings

__all__ = ["Asked", "FindingRow", "Findings", "Question", "doubts", "read_asked", "write_asked"]
