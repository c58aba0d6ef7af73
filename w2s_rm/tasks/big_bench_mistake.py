"""BIG-Bench Mistake: where the first mistake is in a model's reasoning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from w2s_rm.errors import DataError, OptionError, nearest
from w2s_rm.tasks._process import ProcessTask, Solution, checked_steps
from w2s_rm.tasks._source import cell, text
from w2s_rm.types import Example, Row, content_hash

KINDS = (
    "dyck_languages",
    "logical_deduction",
    "multistep_arithmetic",
    "tracking_shuffled_objects",
    "word_sorting",
)


@dataclass(frozen=True)
class BigBenchMistake(ProcessTask):
    """Chains of thought on five kinds of problems, with the place of the first mistake as people see it.

    Source: Tyen et al. 2024, "LLMs cannot find reasoning errors, but can correct them given the error location" (arXiv
    2311.08516). Each problem has one solution, so a group is no problem but a contest: a solution with the right answer
    and its share of those of the same kind with a wrong one, dealt out by a hash.

    Args:
        kinds (`list[str]`, *optional*): Which kinds of problems, of `dyck_languages`, `logical_deduction`,
            `multistep_arithmetic`, `tracking_shuffled_objects` and `word_sorting`; by default all.
    """

    kinds: list[str] | None = None

    example_row: ClassVar[Mapping[str, Any]] = {
        "task": "multistep_arithmetic",
        "prompt": "(2 + 3) * 4 =",
        "steps": ["2 + 3 = 5.", "5 * 4 = 24.", "So the answer is 24."],
        "answer": "24",
        "target": "20",
        "first_mistake": 1,
    }

    def __post_init__(self) -> None:
        """Check the kinds."""
        if self.kinds is not None and not self.kinds:
            raise OptionError(
                "big_bench_mistake",
                {"kinds": f"is empty; name some of {', '.join(KINDS)}, or leave it out to have all"},
            )
        unknown = [kind for kind in self.kinds or () if kind not in KINDS]
        if unknown:
            raise OptionError("big_bench_mistake", {"kinds": f"holds {unknown[0]!r}; {nearest(unknown[0], KINDS)}"})

    def rows(self) -> Iterator[Row]:
        """Read the dataset, only the kinds that are asked for; a row that does not say its own `solution` names."""
        others, found = set[str](), False
        for row in super().rows():
            kind = row.values.get("task")
            if self.kinds is None or kind in (None, *self.kinds):
                found = True
                yield row
            else:
                others.add(str(kind))
        if not found:
            raise DataError(
                f"{self.path}: no row is of the kinds {', '.join(self.kinds or ())}; those that it holds are "
                f"{', '.join(sorted(others))}"
            )

    def solution(self, row: Row) -> Solution:
        """Read a record; all from the first mistake on is wrong."""
        written = cell(row, "steps")
        # Checked against themselves: the record has no label for each step, but the place of the first mistake.
        steps = checked_steps(row, written, written, ("steps", "steps"))
        first = cell(row, "first_mistake")
        # A float too: a column of whole numbers with gaps becomes one in a data frame.
        if first is not None and not (isinstance(first, int | float) and first in range(len(steps))):
            raise DataError(
                f"{row.place}: 'first_mistake' is {first!r} in a solution of {len(steps)} steps; give its place from "
                "0, or null for none"
            )
        good = len(steps) if first is None else int(first)
        labels = tuple(int(number < good) for number in range(len(steps)))
        kind, problem = text(row, "task"), text(row, "prompt")
        # A solution may end without an answer.
        right = str(cell(row, "answer") or "").strip() == text(row, "target")
        # The kind stands for the contest until `regroup`, which has to see all solutions.
        return Solution(f"{problem}\n", steps, labels, right, group=kind, id=f"{kind}-{content_hash(problem, steps)}")

    def regroup(self, examples: list[Example]) -> list[Example]:
        """Put solutions of a kind into contests; see [`Regrouping`][w2s_rm.types.Regrouping].

        Args:
            examples (`list[Example]`): Of all solutions, each in the group of its kind.
        """
        solutions: dict[str, dict[bool, set[str]]] = defaultdict(lambda: {True: set(), False: set()})
        for example in examples:
            if example.step is not None:
                solutions[example.group][bool(example.step.right)].add(example.step.solution)
        contest: dict[str, str] = {}
        for of in solutions.values():
            right, wrong = (
                sorted(of[is_right], key=lambda id: content_hash("contest", id)) for is_right in (True, False)
            )
            for number, id in enumerate((*right, *wrong)):
                # Without a right one there is nothing to choose, and each is alone.
                contest[id] = right[number % len(right)] if right else id
        return [
            replace(example, group=contest[example.step.solution]) for example in examples if example.step is not None
        ]
