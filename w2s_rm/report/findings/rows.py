"""The rows about findings: a hypothesis, what the runs say, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from w2s_rm.report.hypotheses import Panel

Verdict = Literal["shown", "not shown", "opposite"]


@dataclass(frozen=True)
class FindingRow:
    """A finding with its verdict.

    Args:
        finding (`str`): What is stated.
        verdict (`str`): `shown` where the corrected interval lies above zero, `opposite` where it lies below, else
            `not shown`.
        effect (`float`): The number that decides; above zero speaks for the finding.
        low (`float` or `None`): Lower end of its interval, corrected for the number of findings; `None` without bound.
        high (`float` or `None`): Upper end.
        recipe (`str`): The runs that it is about.
        hypothesis (`str`): Name of the hypothesis.
        effect_is (`str`): What the number is, in words.
        is_ratio (`bool`): Whether it is of shares of a gap, and not of shares of examples.
        alone_low (`float` or `None`): Lower end of its 95 % interval by itself.
        alone_high (`float` or `None`): Upper end.
        p (`float`): Of an effect of zero, by itself.
        p_holm (`float`): Adjusted for the number of findings.
        n_seeds (`int`): Seeds of the runs.
        shares_models (`bool`): Whether all seeds of one of its runs start from the same models, pretrained for them.
        note (`str` or `None`): What the suite says of it.
        panel ([`~w2s_rm.report.hypotheses.Panel`]): What the figure shows.
    """

    finding: str
    verdict: Verdict
    effect: float
    low: float | None
    high: float | None
    recipe: str
    hypothesis: str
    effect_is: str
    is_ratio: bool
    alone_low: float | None
    alone_high: float | None
    p: float
    p_holm: float
    n_seeds: int
    shares_models: bool
    note: str | None
    panel: Panel
