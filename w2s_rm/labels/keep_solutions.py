"""A share of the solutions, with the labels of all their steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import OptionError
from w2s_rm.labels._base import Evidence, OfSolutions, check_kept, check_labels, is_number, needed_places
from w2s_rm.types import hash_fraction


@dataclass(frozen=True)
class KeepSolutions(OfSolutions):
    """A share of the solutions in steps, by a hash, with the labels of all their steps; the others are left out.

        kept: the round(share * C) of C solutions with the smallest hash, at least one

    With a share of one over the number of steps as many labels are left as there were solutions: what a supervisor says
    of steps then costs as many judgements as [`~w2s_rm.labels.outcome.Outcome`].

    Source: Lightman et al. 2023, "Let's verify step by step" (arXiv 2305.20050), section 4, compare supervision of
    steps and outcomes on solutions that are the same, or as many labels as the other has.

    Args:
        share (`float`, *optional*, defaults to `0.5`): Share of the solutions to keep, in (0, 1]; 1 keeps all.

    Raises:
        OptionError: The share is out of range.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not (is_number(self.share) and 0 < self.share <= 1):
            raise OptionError("labels 'keep_solutions'", {"share": f"is {self.share!r}; give a number in (0, 1]"})

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            ConfigError: The task has no steps.
            DataError: Only one class is left.
        """
        check_labels("keep_solutions", labels)
        places = needed_places("keep_solutions", labels, evidence)
        # By a hash: what is kept must not depend on what the supervisor says, or its cost would not be the only
        # difference to outcomes.
        solutions = sorted(
            {places[label.id].solution for label in labels},
            key=lambda name: (hash_fraction("keep_solutions", evidence.seed, name), name),
        )
        # `round` takes halves to the even number.
        taken = set(solutions[: max(1, math.floor(self.share * len(solutions) + 0.5))])
        kept = [label for label in labels if places[label.id].solution in taken]
        check_kept("keep_solutions", kept, len(labels), evidence, "keep a larger share")
        return kept
