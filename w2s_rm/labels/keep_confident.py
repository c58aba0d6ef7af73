"""The labels that the supervisor is most sure of."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.data.distributions import best_candidates
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import OptionError
from w2s_rm.labels._base import Evidence, TransformBase, check_kept, check_labels, is_number, needed_classes
from w2s_rm.types import hash_fraction


@dataclass(frozen=True)
class KeepConfident(TransformBase):
    """The share of the labels with the highest confidence; the others are left out.

        confidence_n = max_k w_nk,    kept: the round(share * N) labels of highest confidence, at least one

    Labels of the same confidence are taken by a hash of their ids. Of candidates that differ in number, confidence
    favours the examples that have few.

    Source: Sohn et al. 2020, "FixMatch" (arXiv 2001.07685), equation 4, keep the labels of an unlabelled example whose
    confidence is above a threshold. A share instead of a threshold says how many examples are left, whatever the
    calibration.

    Args:
        share (`float`, *optional*, defaults to `0.5`): Share to keep, in (0, 1]; 1 keeps all.
        balanced (`bool`, *optional*, defaults to `False`): Keep that share of each class, by the most probable class of
            each label, so that a class of which the supervisor is less sure is not lost. Only for fixed classes.

    Raises:
        OptionError: The share is out of range, or `balanced` is no truth value.
    """

    share: float = 0.5
    balanced: bool = False

    def __post_init__(self) -> None:
        wrong = {}
        if not (is_number(self.share) and 0 < self.share <= 1):
            wrong["share"] = f"is {self.share!r}; give a number in (0, 1]"
        if not isinstance(self.balanced, bool):
            wrong["balanced"] = f"is {self.balanced!r}; give true or false"
        if wrong:
            raise OptionError("labels 'keep_confident'", wrong)

    @property
    def needs(self) -> frozenset[str]:
        """`classes` where it is balanced."""
        return frozenset({"classes"}) if self.balanced else frozenset()

    def most_left(self, n: int) -> int:
        """That share of them; of several classes each is rounded by itself, and not known yet."""
        return n if self.balanced else self._kept(n)

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            ConfigError: Balanced over exchangeable candidates.
            DataError: Only one class is left.
        """
        check_labels("keep_confident", labels)
        if self.balanced:
            needed_classes("keep_confident", evidence, "set balanced to false")
        pools: dict[str | None, list[WeakLabel]] = defaultdict(list)
        for label in labels:
            # One pool where it is not balanced, of all labels.
            pools[_choice(label) if self.balanced else None].append(label)
        ids = {label.id for pool in pools.values() for label in self._surest(pool)}
        # Picked from what was given, so that labels stay in their order.
        kept = [label for label in labels if label.id in ids]
        check_kept("keep_confident", kept, len(labels), evidence, "keep a larger share, or set balanced to true")
        return kept

    def _surest(self, labels: Sequence[WeakLabel]) -> list[WeakLabel]:
        ordered = sorted(labels, key=lambda x: (-max(x.probabilities), hash_fraction("keep_confident", x.id), x.id))
        return ordered[: self._kept(len(labels))]

    def _kept(self, n: int) -> int:
        # `round` takes halves to the even number.
        return max(1, math.floor(self.share * n + 0.5))


def _choice(label: WeakLabel) -> str:
    """The most probable candidate, of a tie the one that a hash picks."""
    tied = [label.candidate_ids[k] for k in best_candidates(label)]
    # Not the first: of tied classes one would gain all of them.
    return min(tied, key=lambda candidate: hash_fraction("keep_confident", label.id, candidate))
