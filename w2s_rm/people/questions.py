"""Examples as one labeller sees them: without ids and places, which may tell the right candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from w2s_rm.types import Example, Text, content_hash, hash_fraction

TIE = "tie"
"""What is chosen where no candidate is better."""
Choice = int | str
"""A place among the candidates as they are shown, from 0, or [`TIE`]."""


@dataclass(frozen=True)
class Question:
    """An example, with its candidates in the order in which they are shown.

    Args:
        example (`Example`): What is asked.
        order (`tuple[int, ...]`): Which candidate stands at each of the K places.
        salt (`str`, *optional*, defaults to `""`): What the page does not know, for the question's name.
    """

    example: Example
    order: tuple[int, ...]
    salt: str = ""

    @property
    def name(self) -> str:
        """What the page calls it: the id might tell the answer, and so might a hash of nothing but the id."""
        return content_hash("question", self.salt, self.example.id)

    @property
    def candidate_ids(self) -> tuple[str, ...]:
        """The hashes of the K candidates as they are shown."""
        return tuple(self.example.candidate_ids[k] for k in self.order)

    def shown(self) -> dict[str, Any]:
        """What the page shows: prompt and candidates, and nothing that the labeller shall find out."""
        return {"prompt": self.example.prompt, "candidates": [self.example.candidates[k] for k in self.order]}

    def probabilities(self, choice: Choice) -> tuple[float, ...]:
        """The label that a choice stands for, over the K candidates as they are shown.

        Args:
            choice (`int` or `str`): A place or [`TIE`].
        """
        places = range(len(self.order))
        return tuple(1 / len(self.order) if choice == TIE else float(place == choice) for place in places)

    def choice(self, label: dict[str, float]) -> Choice:
        """The choice that a label stands for: its best candidate's place, or [`TIE`] between several.

        Args:
            label (`dict[str, float]`): Probabilities by candidate id.
        """
        # The highest, whatever it is: a line of the file may have been written by hand.
        highest = max(label.values())
        best = [place for place, name in enumerate(self.candidate_ids) if label[name] == highest]
        return best[0] if len(best) == 1 else TIE


def questions(examples: Sequence[Example], labeller: str, *, has_classes: bool, salt: str = "") -> list[Question]:
    """Put examples and their candidates into the order in which a labeller sees them.

    What belongs together comes together, so that a prompt is read once, and with growing prompts, so that the steps of
    a solution come in their order. Solutions of a problem, and candidates, are put in an order that depends on the
    labeller and their ids alone: over all examples none has an advantage from its place, and labellers do not share
    one. Classes keep their places, and so their keys.

    Args:
        examples (`Sequence[Example]`): In any order.
        labeller (`str`): Who sees them.
        has_classes (`bool`): Whether the candidates are classes.
        salt (`str`, *optional*, defaults to `""`): See [`Question`].
    """
    # Groups come in the order of their first examples: a name, which may be a hash or a text, is no order.
    first: dict[str, int] = {}
    for place, example in enumerate(examples):
        first.setdefault(example.group, place)
    ordered = sorted(
        examples,
        key=lambda example: (first[example.group], _solution(example, labeller), _length(example.prompt)),
    )
    return [Question(example, _order(example, labeller, has_classes), salt) for example in ordered]


def _order(example: Example, labeller: str, has_classes: bool) -> tuple[int, ...]:
    places = range(len(example.candidates))
    if has_classes:
        return tuple(places)
    # By content and not by place: the order in which a dataset stores candidates may tell the right one.
    keys = [hash_fraction("shown", labeller, example.id, name) for name in example.candidate_ids]
    return tuple(sorted(places, key=keys.__getitem__))


def _solution(example: Example, labeller: str) -> str:
    # By a hash and not by the id: tasks number solutions, and some begin with the right one.
    return "" if example.step is None else content_hash("solution", labeller, example.step.solution)


def _length(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(len(str(message)) for message in text)
