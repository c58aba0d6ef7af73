"""What a report says about the policies that one trainer optimised for one method of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from w2s_rm.report.rows import group_runs, plain
from w2s_rm.roles import TRAINED

_NESTED = ("optimised", "per_seed")


@dataclass(frozen=True)
class CurvePoint:
    """A policy, or the mean of several, at one step of its training.

    Args:
        step (`int`): Optimiser steps so far; 0 is the starting policy.
        kl (`float`): Mean of log p - log p_start over sampled completions, nats for a whole completion.
        reward (`float`): Mean proxy reward, in standard deviations of the starting policy's rewards for one prompt,
            above its mean reward.
        success (`float`): Share of sampled completions that are truly right.
    """

    step: int
    kl: float
    reward: float
    success: float


@dataclass(frozen=True)
class Optimised:
    """The policies of all seeds that were optimised against the reward models of one kind.

    Args:
        of (`str`): What the reward models are: a word of [`w2s_rm.roles`].
        kl (`float`): KL at the end, mean over test prompts and seeds, nats for a whole completion.
        reward (`float`): Proxy reward at the end, mean over test prompts and seeds.
        peak ([`CurvePoint`]): Where the mean curve has its highest success rate; the first such place.
        lost (`float`): How much of that success rate is gone at the curve's end, at least 0: over-optimisation.
        curve (`tuple[CurvePoint, ...]`): Mean over seeds at the steps that all seeds measured, then the mean of the
            ends.
        seed_curves (`tuple[tuple[CurvePoint, ...], ...]`): The curve of each seed.
    """

    of: str
    kl: float
    reward: float
    peak: CurvePoint
    lost: float
    curve: tuple[CurvePoint, ...]
    seed_curves: tuple[tuple[CurvePoint, ...], ...]


@dataclass(frozen=True)
class PolicySeed:
    """What one seed gave.

    Args:
        seed (`int`): The seed.
        weak (`float` or `None`): Success rate of the policy optimised against the weak reward model.
        student (`float`): The same for the student's.
        ceiling (`float` or `None`): The same for the ceiling's.
        pgr (`float` or `None`): Policy PGR.
    """

    seed: int
    weak: float | None
    student: float
    ceiling: float | None
    pgr: float | None


@dataclass(frozen=True)
class PolicyRow:
    """One trainer and one method of one run. Rates are shares in [0, 1], `_low` and `_high` ends of 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        supervisor (`str`): `"model"` or `"labels"`.
        policy_model (`str`): Name of the starting policy, the same for all reward models.
        trainer (`str`): What optimised it, such as `"dpo"`.
        method (`str`): The method of the student's reward model.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        n_test (`int`): Test prompts.
        n_samples (`int`): Completions drawn for each of them.
        weak_accuracy (`float` or `None`): Of the weak reward model, as it was saved; so the others.
        student_accuracy (`float` or `None`): Of the student's.
        ceiling_accuracy (`float` or `None`): Of the ceiling's.
        reward_model_pgr (`float` or `None`): PGR of the reward models.
        reward_model_pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        reward_model_pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reward_model_reliable (`bool` or `None`): Whether the interval of that gap is above zero.
        start_success (`float`): Success rate of the starting policy: the share of sampled completions that are truly
            right, mean over all policies of the run before their training.
        weak_success (`float` or `None`): Success rate of the policies optimised against the weak reward models, at the
            end of training, mean over seeds; `None` where there are none.
        weak_success_low (`float` or `None`): Lower end.
        weak_success_high (`float` or `None`): Upper end.
        student_success (`float`): The same for the students' reward models.
        student_success_low (`float`): Lower end.
        student_success_high (`float`): Upper end.
        ceiling_success (`float` or `None`): The same for the ceilings'; `None` where there are none.
        ceiling_success_low (`float` or `None`): Lower end.
        ceiling_success_high (`float` or `None`): Upper end.
        policy_gap (`float` or `None`): Ceiling minus weak success rate.
        policy_gap_low (`float` or `None`): Lower end.
        policy_gap_high (`float` or `None`): Upper end.
        policy_pgr (`float` or `None`): Performance gap recovered, of the mean success rates.
        policy_pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        policy_pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        policy_reliable (`bool` or `None`): Whether the interval of the gap is above zero; `None` when there is no gap.
        optimised (`tuple[Optimised, ...]`): What the training did, for each kind of reward model that there is.
        per_seed (`tuple[PolicySeed, ...]`): Each seed on its own.
    """

    recipe: str
    setting: str
    task: str
    supervisor: str
    policy_model: str
    trainer: str
    method: str
    seeds: tuple[int, ...]
    n_test: int
    n_samples: int
    weak_accuracy: float | None
    student_accuracy: float | None
    ceiling_accuracy: float | None
    reward_model_pgr: float | None
    reward_model_pgr_low: float | None
    reward_model_pgr_high: float | None
    reward_model_reliable: bool | None
    start_success: float
    weak_success: float | None
    weak_success_low: float | None
    weak_success_high: float | None
    student_success: float
    student_success_low: float
    student_success_high: float
    ceiling_success: float | None
    ceiling_success_low: float | None
    ceiling_success_high: float | None
    policy_gap: float | None
    policy_gap_low: float | None
    policy_gap_high: float | None
    policy_pgr: float | None
    policy_pgr_low: float | None
    policy_pgr_high: float | None
    policy_reliable: bool | None
    optimised: tuple[Optimised, ...]
    per_seed: tuple[PolicySeed, ...]


def policy_record(row: PolicyRow) -> dict[str, Any]:
    """Return a row as plain data for JSON, floats rounded to six digits.

    Args:
        row ([`PolicyRow`]): The row.
    """
    return {name: plain(value) for name, value in asdict(row).items()}


def flat_record(row: PolicyRow) -> dict[str, Any]:
    """Return a row without its nested parts: of each policy's training only KL, reward, peak and loss, as columns.

    Args:
        row ([`PolicyRow`]): The row.
    """
    record = {name: value for name, value in policy_record(row).items() if name not in _NESTED}
    # A model that a run lacks has its columns, empty: tables of several runs have the same ones.
    by_model = {optimised.of: optimised for optimised in row.optimised}
    for of in TRAINED:
        optimised = by_model.get(of)
        record |= {
            f"{of}_kl": plain(optimised.kl) if optimised else None,
            f"{of}_reward": plain(optimised.reward) if optimised else None,
            f"{of}_peak_success": plain(optimised.peak.success) if optimised else None,
            f"{of}_peak_step": optimised.peak.step if optimised else None,
            f"{of}_peak_kl": plain(optimised.peak.kl) if optimised else None,
            f"{of}_lost": plain(optimised.lost) if optimised else None,
        }
    return record


def policies_by_run(rows: Sequence[PolicyRow]) -> list[list[PolicyRow]]:
    """Group rows by run, in their order.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    return group_runs(rows, _run_of, lambda row: (row.trainer, row.method))


def _run_of(row: PolicyRow) -> tuple[object, ...]:
    return row.recipe, row.setting, row.task, row.policy_model, row.seeds
