"""Labels from a file: of people, of a model behind an interface, of another toolkit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.data.reading import content_version
from w2s_rm.roles import WEAK
from w2s_rm.runs.places import find_labels
from w2s_rm.stages import Labels
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.relabel import Relabel
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route

_SPLITS = ("weak", "relabel", "validation", "test", "unused")


@dataclass(frozen=True)
class File:
    """A file of labels.

    Args:
        path (`str`): File or folder; `package:` paths too.
    """

    path: str

    needs_truth: ClassVar[bool] = False

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Take the labels of the file: those of the examples to relabel, and of the test examples what there are."""
        path = find_labels(self.path, "supervisor.path")
        labels = Labels(str(path.resolve()), content_version(str(path)))

        def judging(judged_split: str) -> dict[str, object]:
            # So that a file with labels of all splits is no error, and one with labels of no example is.
            others = tuple(route.examples(split) for split in _SPLITS if split != judged_split)
            return {
                "runs": route.runs,
                "examples": route.examples(judged_split),
                "labels": labels,
                "other_examples": others,
            }

        def label(split: str) -> Labels:
            return Relabel(**judging(split)).weak_labels  # type: ignore[arg-type]

        evaluation = Evaluate(**judging("test"), of=WEAK, method=method)  # type: ignore[arg-type]
        return Supervision(label, (evaluation,) if route.has_truth else ())
