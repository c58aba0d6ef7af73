"""What a recipe says of scoring held-out examples during a training: `train: {evaluations: 10}`. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from w2s_rm.errors import ConfigError, OptionError, nearest
from w2s_rm.options import Mistake, build_options, option_mistakes, type_problem
from w2s_rm.types import END, WEAK_VALIDATION

SPACINGS = ("log", "even")
"""How evaluations lie over the steps: at even ratios, so that most are early, or at even distances."""


@dataclass(frozen=True)
class Evaluations:
    """How often a training scores the validation and the test split, and which of its models it saves.

    With `keep: weak_validation` a student is saved as it was where it agreed most with the supervisor's labels of the
    validation split, a model that is trained on the truth where it was right most often there; among equals, the
    earliest. Nothing is chosen by the test split.

    Args:
        evaluations (`int`): How often, beside once before the first step; the last is at the end.
        evaluation_spacing (`str`, *optional*, defaults to `"log"`): `log` or `even`.
        keep (`str`, *optional*, defaults to `"end"`): `end` or `weak_validation`.

    Raises:
        OptionError: A value out of range.
    """

    evaluations: int
    evaluation_spacing: str = "log"
    keep: str = END

    def __post_init__(self) -> None:
        wrong = {}
        if self.evaluations < 1:
            wrong["evaluations"] = f"is {self.evaluations}; use 1 or more, or leave it out"
        for name, value, known in (
            ("evaluation_spacing", self.evaluation_spacing, SPACINGS),
            ("keep", self.keep, (END, WEAK_VALIDATION)),
        ):
            if value not in known:
                wrong[name] = f"is {value!r}; {nearest(value, known)}"
        if wrong:
            raise OptionError("evaluations", wrong)

    @property
    def chooses(self) -> bool:
        """Whether the validation split says which model is saved."""
        return self.keep == WEAK_VALIDATION

    def steps(self, training_steps: int) -> list[int]:
        """Return the steps after which splits are scored: 0, then as many as asked for, all different.

        Args:
            training_steps (`int`): Steps of the training; the last one is among them.

        Raises:
            ConfigError: There are fewer of these than evaluations.
        """
        count = self.evaluations
        if count > training_steps:
            raise ConfigError(too_many(count, training_steps))
        if self.evaluation_spacing == "even":
            # Rounded up: the last is the last step, and with no more evaluations than steps no two are the same.
            return [-(-training_steps * number // count) for number in range(count + 1)]
        steps = [0]
        for left in range(count, 0, -1):
            # The ratio that leads from here to the end; the first begins from 1, for 0 has no ratio to anything.
            here = max(steps[-1], 1)
            planned = round(here * (training_steps / here) ** (1 / left))
            # Later than the one before, and early enough that each of the others still finds a step of its own.
            steps.append(min(max(planned, steps[-1] + 1), training_steps - left + 1))
        return steps


def too_many(evaluations: int, steps: int) -> str:
    """Say that a training has fewer steps than evaluations.

    Args:
        evaluations (`int`): How many are asked for.
        steps (`int`): How many steps there are.
    """
    if steps == 0:
        return f"evaluations is {evaluations}, and the training has no step; give it more examples, or smaller batches"
    has = f"{steps} step{'' if steps == 1 else 's'}"
    return f"evaluations is {evaluations}, and the training has {has}; use {steps} or fewer, or train longer"


EVALUATION_OPTIONS = {option.name: f"{option.type} | None" for option in fields(Evaluations)}
"""The options of evaluations among training options, with their types; null takes those of a wider place away."""


def evaluation_mistakes(train: Mapping[str, Any]) -> Iterator[Mistake]:
    """Say what is wrong with the options of evaluations in one mapping of a recipe; others may stand in another one.

    Args:
        train (`Mapping`): Training options, their types checked.
    """
    own = {name: train[name] for name in EVALUATION_OPTIONS if train.get(name) is not None}
    if all(type_problem(value, EVALUATION_OPTIONS[name]) is None for name, value in own.items()):
        # The number may stand in another mapping, such as the recipe's own `train`; 1 holds its place.
        yield from option_mistakes(Evaluations, {"evaluations": 1, **own}, "evaluations")
    if switches_off(train):
        for name in own:
            yield Mistake((name,), "only with evaluations, which are null beside it; say how many, or leave it out")


def switches_off(train: Mapping[str, Any]) -> bool:
    """Whether training options say that nothing is evaluated, whatever options of a wider place say.

    Args:
        train (`Mapping`): Training options.
    """
    return "evaluations" in train and train["evaluations"] is None


def overlaid(*places: Mapping[str, Any]) -> dict[str, Any]:
    """Lay training options of several places over each other; null evaluations take those of wider places away, whole.

    Args:
        *places (`Mapping`): The widest first.
    """
    train: dict[str, Any] = {}
    for place in places:
        if switches_off(place):
            train = {name: value for name, value in train.items() if name not in EVALUATION_OPTIONS}
        train |= place
    return train


def part_evaluations(train: Mapping[str, Any]) -> tuple[Evaluations | None, dict[str, Any]]:
    """Part training options into those of evaluations, where there are any, and all others.

    Args:
        train (`Mapping`): Training options of a model, those of several places laid over each other.

    Raises:
        ConfigError: A value out of range, or options without the number of evaluations.
    """
    others = {name: value for name, value in train.items() if name not in EVALUATION_OPTIONS}
    own = {name: train[name] for name in EVALUATION_OPTIONS if train.get(name) is not None}
    # Where they are switched off, what says how is left over from a wider place.
    if not own or switches_off(train):
        return None, others
    options: Evaluations = build_options(Evaluations, own, "evaluations")
    return options, others
