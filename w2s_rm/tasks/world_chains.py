"""The embedded world's own process task: derivations of which entity is the highest, with and without a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from w2s_rm.corpora import EOS
from w2s_rm.errors import OptionError
from w2s_rm.tasks._process import WRONG_RIGHT, Solution, checked_steps, step_examples
from w2s_rm.testbed.chains import derive, first_that_matters
from w2s_rm.testbed.world import ATTRIBUTES, World, world_problems
from w2s_rm.types import Example, Row, content_hash

SEPARATOR = f" {EOS} "
"""Stands behind each step."""


@dataclass(frozen=True)
class WorldChains:
    """Problems of the embedded world with several derivations each, of which one is right.

    A problem names entities and asks for the highest or the lowest; a derivation compares them in an order of its own,
    one comparison a step. All derivations of a problem but one hold a mistake, and end with another entity.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same as in the models' pretraining.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same as in the models' pretraining.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same as in the models' pretraining.
        n_steps (`int`, *optional*, defaults to `4`): Steps of a derivation, which compares one entity more.
        n_solutions (`int`, *optional*, defaults to `4`): Derivations of a problem.
        n_problems (`int`, *optional*, defaults to `1000`): How many problems, drawn at random.

    Raises:
        OptionError: An option out of range.
    """

    setting: ClassVar[str] = "process"
    has_ground_truth: ClassVar[bool] = True
    classes: ClassVar[tuple[str, ...]] = WRONG_RIGHT
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "id": "0-0",
        "problem": "which is up_size : E3 , E9 , E17 ?",
        "steps": ["E17 or E3 ? E17", "E17 or E9 ? E9"],
        "mistake": 1,
    }

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    n_steps: int = 4
    n_solutions: int = 4
    n_problems: int = 1000

    def __post_init__(self) -> None:
        """Check the options."""
        wrong = world_problems(self.world_seed, self.n_entities, self.n_attributes)
        if "n_entities" not in wrong and not 1 <= self.n_steps < self.n_entities:
            wrong["n_steps"] = f"is {self.n_steps}; use 1 to {self.n_entities - 1}, one less than entities"
        if self.n_solutions < 2:
            wrong["n_solutions"] = f"is {self.n_solutions}; use 2 or more, to choose among them"
        if self.n_problems < 1:
            wrong["n_problems"] = f"is {self.n_problems}; use 1 or more"
        if wrong:
            raise OptionError("world_chains", wrong)

    def content_version(self) -> str:
        """Identify the content by the options, from which it is generated."""
        return content_hash("world_chains", 1, asdict(self))

    def rows(self) -> Iterator[Row]:
        """Generate the derivations, the right one of each problem first."""
        world = World(self.world_seed, self.n_entities, self.n_attributes)
        for problem in range(self.n_problems):
            # A stream for each: more problems do not change those before them.
            rng = np.random.default_rng([self.world_seed, 7, problem])
            attribute, down = int(rng.integers(self.n_attributes)), int(rng.integers(2))
            entities = rng.permutation(self.n_entities)[: self.n_steps + 1]
            order_NC = np.stack([rng.permutation(entities) for _ in range(self.n_solutions)])
            worth_NC = world.ranks_AE[attribute][order_NC] * (-1.0 if down else 1.0)
            # Any other mistake would not show in the answer.
            first_N = first_that_matters(worth_NC)
            mistake_N = first_N + (rng.random(self.n_solutions) * (self.n_steps - first_N)).astype(np.int64)
            # A place behind the last step: none.
            mistake_N[0] = self.n_steps
            derived = derive(order_NC, worth_NC, mistake_N)
            relation = f"{'down' if down else 'up'}_{ATTRIBUTES[attribute]}"
            # Sorted, so that the order in which they are named says nothing of their ranks.
            asked = " , ".join(f"E{entity}" for entity in sorted(entities.tolist()))
            for number in range(self.n_solutions):
                places = zip(derived.best_NM[number], derived.next_NM[number], derived.named_NM[number], strict=True)
                steps = [f"E{best} or E{other} ? E{named}" for best, other, named in places]
                mistake = int(derived.mistake_N[number])
                yield Row(
                    f"world_chains row {problem * self.n_solutions + number}",
                    {
                        "id": f"{problem}-{number}",
                        "problem": f"which is {relation} : {asked} ?",
                        "steps": steps,
                        "mistake": mistake if mistake < self.n_steps else None,
                    },
                )

    def to_examples(self, row: Row) -> list[Example]:
        """Turn a record into an example for each step.

        Args:
            row ([`~w2s_rm.types.Row`]): A record as [`rows`] gives them.
        """
        values = row.values
        # Checked against themselves: the record has no label for each step, but the place of the mistake.
        steps = checked_steps(row, values["steps"], values["steps"], ("steps", "steps"))
        good = len(steps) if values["mistake"] is None else values["mistake"]
        labels = tuple(int(number < good) for number in range(len(steps)))
        solution = Solution(f"{values['problem']} ", steps, labels, values["mistake"] is None, id=values["id"])
        return step_examples(solution, SEPARATOR)

    def to_example(self, row: Row) -> Example:
        """Turn a record into the example of its last step.

        Args:
            row ([`~w2s_rm.types.Row`]): A record as [`rows`] gives them.
        """
        return self.to_examples(row)[-1]
