"""The embedded world's own classification task: a question with an answer, which is right or wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.corpora import EOS
from w2s_rm.tasks._world import WorldTask
from w2s_rm.testbed.world import ATTRIBUTES, RIGHT, WRONG, Fact
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class WorldClassification(WorldTask):
    """Answers to questions about an embedded world, half of them right.

    The models of the world have read remarks on answers: `certainly` after right ones, `honestly` after wrong ones.
    These are the classes. A fact is asked upwards and downwards, with either entity named first, and answered with
    either.
    """

    name: ClassVar[str] = "world_classification"
    wordings: ClassVar[int] = 8
    unit: ClassVar[str] = "answers"
    stream: ClassVar[int] = 5
    setting: ClassVar[str] = "classification"
    example_row: ClassVar[Mapping[str, Any]] = {
        "id": "size-3-17-up-3-17",
        "fact": "size-3-17",
        "text": "which is up_size , E3 or E17 ? E17 <eos>",
        "right": False,
    }

    @property
    def classes(self) -> tuple[str, str]:
        """The remark after a wrong answer, and that after a right one."""
        return f" {WRONG}", f" {RIGHT}"

    @property
    def balanced(self) -> bool:
        """Both classes take the same share of each split."""
        return True

    def rows(self) -> Iterator[Row]:
        """Generate the answers, in a random order that depends on `world_seed` alone."""
        for draw in self.draws():
            record = self._record(draw.fact, draw.wording)
            changed = {"text": draw.before + record["text"], "right": record["right"] != draw.errs}
            yield Row(draw.place, {**record, **changed})

    def to_example(self, row: Row) -> Example:
        """Turn one record into an example; all questions on a fact are one group.

        Args:
            row (`Row`): A record as [`rows`] gives them.
        """
        values = row.values
        return Example(values["id"], values["fact"], values["text"], self.classes, int(values["right"]))

    def _record(self, fact: Fact, wording: int) -> dict[str, Any]:
        # A wording is three choices in one number.
        down, high_first, says_high = (bool(wording >> bit & 1) for bit in (2, 1, 0))
        first, second = (fact.high, fact.low) if high_first else (fact.low, fact.high)
        answer = fact.high if says_high else fact.low
        # Smaller number first, and not the lower entity: the name would tell the answer.
        name = f"{ATTRIBUTES[fact.attribute]}-{min(fact.low, fact.high)}-{max(fact.low, fact.high)}"
        return {
            "id": f"{name}-{'down' if down else 'up'}-{first}-{answer}",
            "fact": name,
            "text": f"{self.world.question(fact.attribute, down, first, second)} E{answer} {EOS}",
            # The higher one is right where the question asks upwards, the lower one where it asks downwards.
            "right": says_high != down,
        }
