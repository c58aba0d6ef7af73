"""The embedded world's own preference dataset: a question, the right answer and the wrong one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._world import WorldTask
from w2s_rm.testbed.world import ATTRIBUTES
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class WorldPreference(WorldTask):
    """Questions about an embedded world, each with a right and a wrong answer.

    A fact is asked upwards and downwards, with either entity named first.
    """

    name: ClassVar[str] = "world_preference"
    wordings: ClassVar[int] = 4
    unit: ClassVar[str] = "questions"
    stream: ClassVar[int] = 4
    setting: ClassVar[str] = "reward_modeling"
    classes: ClassVar[None] = None
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "id": "size-3-17-up-3",
        "fact": "size-3-17",
        "prompt": "which is up_size , E3 or E17 ?",
        "chosen": " E3",
        "rejected": " E17",
    }

    def rows(self) -> Iterator[Row]:
        """Generate the questions, in a random order that depends on `world_seed` alone."""
        for draw in self.draws():
            # Two choices in one number from 0 to 3: which way is asked, and who is named first.
            record = self._record(*draw.fact, *divmod(draw.wording, 2))
            record["prompt"] = draw.before + record["prompt"]
            # Only the record errs; `judge` asks the world.
            if draw.errs:
                record |= {"chosen": record["rejected"], "rejected": record["chosen"]}
            yield Row(draw.place, record)

    def to_example(self, row: Row) -> Example:
        """Turn one record into an example, right answer first; all questions on a fact are one group.

        Args:
            row (`Row`): A record as [`rows`] gives them.
        """
        values = row.values
        return Example(
            id=values["id"],
            group=values["fact"],
            prompt=values["prompt"],
            candidates=(values["chosen"], values["rejected"]),
            gold=0,
        )

    def judge(self, example: Example, completion: str) -> bool:
        """Say whether what a policy wrote is the right answer, and nothing else; also where the record is wrong.

        Args:
            example (`Example`): The question.
            completion (`str`): What followed it.
        """
        return completion.split() == [f"E{self.world.right_answer(str(example.prompt))}"]

    def _record(self, attribute: int, low: int, high: int, down: int, high_first: int) -> dict[str, str]:
        first, second = (high, low) if high_first else (low, high)
        right, wrong = (low, high) if down else (high, low)
        # Smaller number first, and not the lower entity: the name would tell the answer.
        fact = f"{ATTRIBUTES[attribute]}-{min(low, high)}-{max(low, high)}"
        return {
            "id": f"{fact}-{'down' if down else 'up'}-{first}",
            "fact": fact,
            "prompt": self.world.question(attribute, bool(down), first, second),
            "chosen": f" E{right}",
            "rejected": f" E{wrong}",
        }
