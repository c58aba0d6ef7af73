"""Hypotheses about finished runs: one file for each, which a suite of recipes names under `findings`."""

from w2s_rm.report.hypotheses._base import Evidence, Hypothesis, Need, Needing, Panel, Point, Series, needed_runs
from w2s_rm.report.hypotheses._results import Results

__all__ = ["Evidence", "Hypothesis", "Need", "Needing", "Panel", "Point", "Results", "Series", "needed_runs"]
