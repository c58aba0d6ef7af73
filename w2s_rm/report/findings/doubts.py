"""What takes from verdicts, whatever their intervals say: few seeds, or one pretrained model for all of them."""

from __future__ import annotations

LEAST_SEEDS = 3
"""Fewer say next to nothing of how much seeds differ."""


def doubts(n_seeds: int, shares_models: bool) -> list[str]:
    """Say what a reader of the verdicts should know.

    Args:
        n_seeds (`int`): The fewest seeds that a finding rests on.
        shares_models (`bool`): Whether all seeds of a run start from the same pretrained models.
    """
    said = []
    if n_seeds == 1:
        said.append("The findings rest on one seed: their verdicts say nothing about how another one would come out.")
    elif n_seeds < LEAST_SEEDS:
        said.append(
            f"The findings rest on {n_seeds} seeds, which say little of how much seeds differ: "
            f"take {LEAST_SEEDS} or more."
        )
    if shares_models and n_seeds > 1:
        said.append(
            "All seeds start from the same pretrained models: the verdicts are about these, and not about models that "
            "are pretrained so; set `pretrain: {seed: by_seed}`."
        )
    return said
