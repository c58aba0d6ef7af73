"""The larger a student is, the fewer of its supervisor's mistakes it makes too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, list_problem, mean, refuse, shares
from w2s_rm.report.hypotheses._results import Results


@dataclass(frozen=True)
class ImitationFallsWithSize:
    """The share of a supervisor's mistakes that its student makes too falls from small students to large ones.

    The fall is that of a straight line through the shares, at even distances, from its first point to its last.

    Args:
        by_size (`Mapping[str, list]`): From small to large, by a word for the size: run and method of the student.

    Raises:
        OptionError: Fewer than two sizes, an entry that is no run and method, or the same of both twice.
    """

    by_size: Mapping[str, Any] = field(hash=False)

    effect: ClassVar[str] = (
        "share of the supervisor's mistakes imitated, smallest student minus largest, by a straight line"
    )
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        # Looked at here, for `Mapping` says nothing of the entries: YAML gives what was written.
        whole = all(
            isinstance(entry, list) and len(entry) == 2 and all(isinstance(word, str) for word in entry)
            for entry in self.by_size.values()
        )
        text: str | None = f"is {dict(self.by_size)!r}; give two sizes or more, each as word: [run, method]"
        if len(self.by_size) >= 2 and whole:
            text = list_problem([tuple(entry) for entry in self.by_size.values()], "students")
        words = {str(size): entry for size, entry in self.by_size.items()}
        if text is None and len(words) < len(self.by_size):
            text = f"is {dict(self.by_size)!r}; two sizes are the same word"
        refuse("imitation_falls_with_size", {"by_size": text})
        # YAML reads `32:` as a number, and a panel would take it for a place on a scale; JSON has words alone.
        object.__setattr__(self, "by_size", words)

    def students(self) -> Sequence[Student]:
        """Return the students from small to large."""
        return [(run, method) for run, method in self.by_size.values()]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Fit the line."""
        imitated = {size: results[run].imitation(method) for size, (run, method) in self.by_size.items()}
        # By a line, so that the sizes between the first and the last count as well.
        number, centre = len(imitated), (len(imitated) - 1) / 2
        squares = sum((place - centre) ** 2 for place in range(number))
        # Minus the slope, times the steps between first and last; a mean of the terms is their sum over their number.
        weights = [-(place - centre) / squares * (number - 1) * number for place in range(number)]
        fall = mean([share.times(weight) for share, weight in zip(imitated.values(), weights, strict=True)])
        return Evidence((fall,), Panel("mistakes imitated", (shares("students", imitated),)))
