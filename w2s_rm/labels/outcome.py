"""The outcome alone: of each solution only the label of its last step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.labels._base import Evidence, OfSolutions, check_kept, check_labels, needed_places


@dataclass(frozen=True)
class Outcome(OfSolutions):
    """Of each solution in steps only the label of its last step, which judges the whole; the others are left out.

    What is left is outcome supervision by the same supervisor, one label for each solution: the last step is judged
    together with all before it.

    Source: Uesato et al. 2022, "Solving math word problems with process- and outcome-based feedback" (arXiv
    2211.14275), which compares the two. TRL's `PRMTrainer` calls it `train_on_last_step_only`.
    """

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            ConfigError: The task has no steps.
            DataError: Only one class is left.
        """
        check_labels("outcome", labels)
        places = needed_places("outcome", labels, evidence)
        kept = [label for label in labels if places[label.id].last]
        check_kept("outcome", kept, len(labels), evidence, "take more solutions, or keep the labels of all steps")
        return kept
