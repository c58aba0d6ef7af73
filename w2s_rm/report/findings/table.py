"""The rows about findings, computed from the runs' files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from w2s_rm.metrics.intervals import Interval
from w2s_rm.metrics.simultaneous import holm, holm_errors
from w2s_rm.report.findings.asked import Asked
from w2s_rm.report.findings.rows import FindingRow, Verdict
from w2s_rm.report.hypotheses import Evidence, Results, needed_runs
from w2s_rm.roles import STUDENT
from w2s_rm.runs.plan import Run


def find_out(asked: Asked, run_dirs: Sequence[Path]) -> list[FindingRow]:
    """Test what is asked of runs: verdicts that hold all together with 95 %, by Holm's procedure.

    Args:
        asked ([`~w2s_rm.report.findings.asked.Asked`]): The hypotheses.
        run_dirs (`Sequence[Path]`): Folders of the runs, all that are asked about among them.

    Returns:
        `list[FindingRow]`: In the order in which they are asked.

    Raises:
        ArtifactError: A run is not finished, or lacks what a hypothesis is about.
        ConfigError: A hypothesis is not known.
    """
    # What was asked names runs by their folders' names, wherever these lie.
    folders = {folder.name: folder for folder in run_dirs}
    # Once for a run, however many hypotheses are about it: files are read once.
    results = cache(lambda name: Results(folders[asked.runs[name]]))
    hypotheses = [question.built() for question in asked.questions]
    tested = [hypothesis.test({name: results(name) for name in needed_runs(hypothesis)}) for hypothesis in hypotheses]
    p_values = [evidence.p_value() for evidence in tested]
    rows = []
    for question, hypothesis, evidence, p, p_holm, error in zip(
        asked.questions, hypotheses, tested, p_values, holm(p_values), holm_errors(p_values), strict=True
    ):
        # An interval at the error of its own step in Holm's procedure: it leaves zero out where Holm claims the
        # finding.
        corrected, alone = evidence.interval(error), evidence.interval()
        rows.append(
            FindingRow(
                finding=question.finding,
                verdict=_verdict(corrected),
                effect=evidence.effect,
                low=_bounded(corrected.low),
                high=_bounded(corrected.high),
                recipe=", ".join(asked.runs[name] for name in needed_runs(hypothesis)),
                hypothesis=str(question.hypothesis["name"]),
                effect_is=hypothesis.effect,
                is_ratio=hypothesis.is_ratio,
                alone_low=_bounded(alone.low),
                alone_high=_bounded(alone.high),
                p=p,
                p_holm=p_holm,
                n_seeds=_seeds(evidence),
                shares_models=any(_shares_models(results(run).run, method) for run, method in hypothesis.students()),
                note=question.note,
                panel=evidence.panel,
            )
        )
    return rows


def _verdict(interval: Interval) -> Verdict:
    if interval.low > 0:
        return "shown"
    return "opposite" if interval.high < 0 else "not shown"


def _bounded(end: float) -> float | None:
    return None if math.isinf(end) else end


def _shares_models(run: Run, method: str) -> bool:
    """Whether students of all seeds lead back to the same pretrained models; those from elsewhere are given."""
    students = run.find_all("evaluate", STUDENT, method)
    behind = {frozenset(one.folder for one in run.behind(stage) if one.stage == "pretrain") for stage in students}
    return len(run.seeds) > 1 and len(behind) == 1 and behind != {frozenset()}


def _seeds(evidence: Evidence) -> int:
    return min(len(number.means_S) for number in evidence.numbers)
