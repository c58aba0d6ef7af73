"""The test examples of runs with what each model said of them, for the report's page."""

from w2s_rm.report.examples.collect import collect_examples
from w2s_rm.report.examples.content import example_blocks
from w2s_rm.report.examples.rows import JudgedExample, Pair, RunExamples

__all__ = ["JudgedExample", "Pair", "RunExamples", "collect_examples", "example_blocks"]
