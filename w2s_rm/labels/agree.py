"""The labels that two supervisors give alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from w2s_rm.data.distributions import best_candidates
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import DataError, join_problems
from w2s_rm.labels._base import Evidence, TransformBase, check_kept, check_labels


@dataclass(frozen=True)
class Agree(TransformBase):
    """The labels whose most probable candidate is also that of a second supervisor; the others are left out.

        kept: the n with argmax_k w_nk = argmax_k v_nk,    v the second supervisor's labels

    Labels stay as they are: the second supervisor selects and is not mixed in. A tie for the most probable candidate is
    no choice and agrees with nothing. The second supervisor's labels are its own, whatever transforms came before.

    Source: agreement of two learners as in Blum and Mitchell 1998, "Combining Labeled and Unlabeled Data with
    Co-Training", and of two networks in Malach and Shalev-Shwartz 2017, "Decoupling 'when to update' from 'how to
    update'" (arXiv 1706.02613), which keeps the labels on which they do *not* agree.

    Args:
        supervisor (`Mapping` or `str`): The second supervisor, as a recipe names one.
    """

    supervisor: Mapping[str, Any] | str = field(hash=False, metadata={"component": "supervisors"})

    @property
    def needs(self) -> frozenset[str]:
        """`other`."""
        return frozenset({"other"})

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            DataError: The second supervisor lacks an example or labels other candidates; or no label, or one class
                only, is left.
        """
        check_labels("agree", labels)
        # Looked at before anything is left out: a supervisor that does not label the same would seem to disagree.
        problems = [problem for label in labels if (problem := _problem(label, evidence.other.get(label.id)))]
        if problems:
            heading = "labels 'agree': the second supervisor does not label the same; let it label the same split"
            raise DataError(join_problems(heading, problems))
        # Only now, for the second supervisor may have labelled more than is asked for here.
        check_labels("agree", [evidence.other[label.id] for label in labels])
        kept = [label for label in labels if _agrees(label, evidence.other[label.id])]
        check_kept("agree", kept, len(labels), evidence, "take a second supervisor that agrees more often")
        return kept


def _problem(label: WeakLabel, other: WeakLabel | None) -> str | None:
    if other is None:
        return f"id {label.id!r}: no label"
    if set(other.candidate_ids) != set(label.candidate_ids):
        return (
            f"id {label.id!r}: labels candidates {', '.join(other.candidate_ids)}, not {', '.join(label.candidate_ids)}"
        )
    return None


def _agrees(label: WeakLabel, other: WeakLabel) -> bool:
    # By id and not by place: each supervisor has its own order of candidates.
    first, second = ([x.candidate_ids[k] for k in best_candidates(x)] for x in (label, other))
    return len(first) == 1 and first == second
