"""What is known of a run's test examples.

Shape suffixes: K candidates of an example, M models of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

from w2s_rm.types import Example


@dataclass(frozen=True)
class Pair:
    """A student and its supervisor.

    Args:
        method (`str`): The method.
        student (`int`): The student's place among the run's models.
        supervisor (`int` or `None`): The supervisor's place; `None` where its predictions are not on file.
    """

    method: str
    student: int
    supervisor: int | None


@dataclass(frozen=True)
class JudgedExample:
    """A test example and what each model says of it.

    Args:
        example ([`~w2s_rm.types.Example`]): The example.
        seeds (`int`): In how many seeds' test split it is.
        shares_MK (`tuple` of `tuple[float, ...]` or `None`): Probabilities of the candidates, means over these seeds;
            `None` for a model that did not score it.
        choices_M (`tuple[int | None, ...]`): Which candidate is the most probable; `None` for a tie, or no scores.
    """

    example: Example
    seeds: int
    shares_MK: tuple[tuple[float, ...] | None, ...]
    choices_M: tuple[int | None, ...]

    def right(self, model: int) -> bool:
        """Whether a model chooses the right candidate; not where there is no ground truth.

        Args:
            model (`int`): Its place.
        """
        return self.example.gold is not None and self.choices_M[model] == self.example.gold

    def wrong(self, model: int) -> bool:
        """Whether a model chooses another candidate than the right one; a tie is neither right nor wrong.

        Args:
            model (`int`): Its place.
        """
        return self.example.gold is not None and self.choices_M[model] not in (None, self.example.gold)

    def difference(self, pair: Pair) -> float:
        """How far student and supervisor are apart, in [0, 1]: the total variation distance of their probabilities.

        For two candidates, by how much their probabilities of either differ; 0 where one of them has none.

        Args:
            pair ([`Pair`]): Student and supervisor.
        """
        student = self.shares_MK[pair.student]
        supervisor = None if pair.supervisor is None else self.shares_MK[pair.supervisor]
        if student is None or supervisor is None:
            return 0.0
        return sum(abs(a - b) for a, b in zip(student, supervisor, strict=True)) / 2


@dataclass(frozen=True)
class RunExamples:
    """The test examples of a run.

    Args:
        recipe (`str`): Name of the recipe.
        n_seeds (`int`): The run's seeds.
        models (`tuple[str, ...]`): Names of the models.
        pairs (`tuple[Pair, ...]`): One for each method, in the recipe's order.
        examples (`tuple[JudgedExample, ...]`): In their order in the test splits, each once; empty where the splits
            are not on file.
    """

    recipe: str
    n_seeds: int
    models: tuple[str, ...]
    pairs: tuple[Pair, ...]
    examples: tuple[JudgedExample, ...]
