"""What debaters argued in finished runs, a few examples of it."""

from w2s_rm.report.transcripts.rows import TranscriptRow, collect_transcripts

__all__ = ["TranscriptRow", "collect_transcripts"]
