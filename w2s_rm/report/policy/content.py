"""What the report says about policies, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Cell, Figure, Heading, Paragraph
from w2s_rm.render.numbers import percent, percent_hover, ratio, ratio_hover
from w2s_rm.report.policy.notes import no_policy_pgr_reason
from w2s_rm.report.policy.rows import PolicyRow, policies_by_run
from w2s_rm.report.policy.tables import policies_table, policy_pgr_text, policy_seeds_table, training_table

FIGURE = "policy"
_HOW_TO_READ = (
    "One starting policy is optimised against the reward of the weak, the student and the ceiling reward model, each "
    "in the same way. Success is the share of its sampled completions of held-out prompts that are truly right: the "
    "truth judges, not a reward model.",
    "Policy PGR is the same formula as PGR with these success rates in place of accuracies: (student − weak) / "
    "(ceiling − weak). Brackets are 95 % intervals of the same kind, over test prompts and seeds.",
    "A policy need not be as good as its reward model is accurate. It may know more than its reward model and so do "
    "better, or find what the reward model mistakes for good and do worse.",
    "KL says how far a policy went from where it started: the mean of log p − log p_start over its completions, in "
    "nats for a whole completion. The proxy reward is what it was optimised for, in standard deviations of the "
    "starting policy's rewards for one prompt, above its mean reward; "
    "proxy rewards of different reward models are on different scales.",
    "All results are those of the final policy; none is chosen by looking at the truth. The peak, the best place of "
    "the mean curve, only shows over-optimisation: what was lost after it, while the proxy reward went on rising. As "
    "the best of several noisy measurements it is somewhat too high.",
)


def policy_blocks(rows: Sequence[PolicyRow]) -> list[Block]:
    """Compose the section about policies.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    return [
        Heading("Policies", 2),
        policies_table(rows),
        Figure(_description(rows), FIGURE),
        training_table(rows),
        Bullets(_HOW_TO_READ),
        policy_seeds_table(rows),
    ]


def policy_findings(rows: Sequence[PolicyRow]) -> list[Block]:
    """Say what came out, in a sentence for each trainer of each run.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    groups = policies_by_run(rows)
    findings: list[Block] = []
    for group in groups:
        run = f"{group[0].recipe}: " if len(groups) > 1 else ""
        for trainer in dict.fromkeys(row.trainer for row in group):
            findings.append(Paragraph((run, *_finding([row for row in group if row.trainer == trainer]))))
    return findings


def _finding(rows: Sequence[PolicyRow]) -> tuple[Cell, ...]:
    first = rows[0]
    start = f"Optimised with {first.trainer}, a policy that is right in {percent(first.start_success)} % at the start"
    reliable = [row for row in rows if row.policy_reliable and row.policy_pgr is not None]
    if not reliable:
        reached = [(", ", _student(row), f" % against the student of {row.method}") for row in rows]
        reason = no_policy_pgr_reason(first) or "The gap is too small for a reliable policy PGR (see the warnings)."
        # Without the comma before the first.
        return (f"{start} reaches ", *[cell for cells in reached for cell in cells][1:], f". {reason}")
    # As with reward models: the best of several is somewhat too high, and the sentence says of how many it is.
    best = max(reliable, key=lambda row: row.policy_pgr or 0.0)
    which = (
        f"the best student of {len(rows)} methods, {best.method}" if len(rows) > 1 else f"the student ({best.method})"
    )
    beside: tuple[Cell, ...] = ()
    # A PGR that is no result is not set beside one that is.
    if best.reward_model_reliable:
        own = (best.reward_model_pgr, best.reward_model_pgr_low, best.reward_model_pgr_high)
        beside = (", its reward model ", ratio_hover(*own, ratio(best.reward_model_pgr)))
    return (
        f"{start} reaches ",
        percent_hover(best.weak_success, best.weak_success_low, best.weak_success_high),
        " % against the weak reward model, ",
        percent_hover(best.ceiling_success, best.ceiling_success_low, best.ceiling_success_high),
        " % against the ceiling's and ",
        _student(best),
        f" % against that of {which}: the policy recovers ",
        ratio_hover(best.policy_pgr, best.policy_pgr_low, best.policy_pgr_high, ratio(best.policy_pgr)),
        " of the gap",
        *beside,
        ".",
    )


def _student(row: PolicyRow) -> Cell:
    return percent_hover(row.student_success, row.student_success_low, row.student_success_high)


def _description(rows: Sequence[PolicyRow]) -> str:
    parts = [f"{row.recipe}, {row.trainer}, {row.method}: policy PGR {policy_pgr_text(row)}" for row in rows]
    return "True success rate and proxy reward of the policies over their KL from the start. " + "; ".join(parts)
