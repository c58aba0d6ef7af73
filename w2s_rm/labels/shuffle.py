"""The control: labels of the same confidence that say nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from w2s_rm.data.distributions import reordered
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import DataError, join_problems
from w2s_rm.labels._base import Evidence, TransformBase, check_labels
from w2s_rm.types import content_hash, text_hash


@dataclass(frozen=True)
class Shuffle(TransformBase):
    """Labels permuted by chance, so that they keep their shape and lose what they say.

    - *fixed classes*: whole labels change places among the examples, by a permutation from a hash of ids and seed. The
      labels as a collection stay exactly what they were, and so do mean label, confidences and the counts of classes;
      which example has which is independent of it. A shuffled label is right as often as two independent draws of a
      class from labels and truth are equal.
    - *exchangeable candidates*: in each label the probabilities change places among the candidates, by a permutation
      from a hash of id, candidate ids and seed. Each example keeps its own confidence, so which examples are easy is
      still to be seen; which candidate is the better one is not. A shuffled label is right once in K.

    A student that gains from shuffled labels has gained from something that is not in them.

    Source: the permutation test of Fisher 1935, "The Design of Experiments", chapter III; as a control for training in
    Zhang et al. 2017, "Understanding deep learning requires rethinking generalization" (arXiv 1611.03530), section 2.
    """

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            DataError: Labels of other candidates than the classes.
        """
        check_labels("shuffle", labels)
        if evidence.classes is None:
            # Exchangeable candidates of one example mean nothing in another one, so labels stay with their examples.
            return [_within(label, evidence.seed) for label in labels]
        class_ids = {text_hash(name) for name in evidence.classes}
        wrong = [
            f"id {label.id!r}: {', '.join(label.candidate_ids)}"
            for label in labels
            if set(label.candidate_ids) != class_ids
        ]
        if wrong:
            raise DataError(join_problems("labels 'shuffle': candidates that are not the task's classes", wrong))
        # Whole labels: permuted within each label, classes would lose their shares in the collection.
        givers = _givers([label.id for label in labels], evidence.seed)
        by_id = {label.id: label for label in labels}
        return [replace(reordered(by_id[givers[label.id]], label.candidate_ids), id=label.id) for label in labels]


def _givers(ids: Sequence[str], *salt: object) -> Mapping[str, str]:
    """From whom each of the ids gets what it gets."""
    shuffled = sorted(ids, key=lambda id: content_hash("shuffle", *salt, id))
    # Sorted on both sides, so that who gets what does not depend on the order in which labels came.
    return dict(zip(sorted(ids), shuffled, strict=True))


def _within(label: WeakLabel, seed: int) -> WeakLabel:
    givers = _givers(label.candidate_ids, seed, label.id)
    permuted = reordered(label, [givers[candidate] for candidate in label.candidate_ids])
    # The probabilities in the new order, under the candidates in the old one.
    return replace(permuted, candidate_ids=label.candidate_ids)
