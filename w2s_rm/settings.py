"""The settings: families of tasks with one way to encode them. One row each; no torch at import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.errors import UnknownNameError, nearest
from w2s_rm.heads import HEADS
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Setting:
    """What differs between families of tasks.

    Args:
        name (`str`): The word of tasks and reports.
        about (`str`): What is asked, and what the candidates are.
        question (`str`): How a person is asked.
        heads (`tuple[str, ...]`): The heads that score its candidates, the default first.
        classes (`bool`, *optional*, defaults to `False`): Whether its tasks may have candidates with a fixed meaning by
            position. In other settings candidates are exchangeable, so no loss may use a class prior.
        steps (`bool`, *optional*, defaults to `False`): Whether its examples are steps of solutions.
        distinct (`tuple[str, ...]`, *optional*): Heads under which candidates must differ in their tokens, and consist
            of what the tokenizer knows where they are written.
    """

    name: str
    about: str
    question: str
    heads: tuple[str, ...]
    classes: bool = False
    steps: bool = False
    distinct: tuple[str, ...] = ()

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None, head: str
    ) -> list[Encoded]:
        """Tokenise examples; see [`~w2s_rm.heads.Head.encode`].

        Args:
            tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
            examples (`Sequence[Example]`): What to encode.
            max_length (`int`, *optional*): Most tokens in a row.
            head (`str`): One of `heads`.

        Raises:
            DataError: The tokenizer cannot write a candidate, or tell two of them apart, where that counts.
        """
        encoded = HEADS[head].encode(tokenizer, examples, max_length)
        if head in self.distinct:
            HEADS[head].check_candidates(tokenizer, examples, encoded)
        return encoded


_ROWS = (
    # For K = 2 the softmax of the scores is Bradley-Terry, for K > 2 Plackett-Luce's first choice (not all pairs).
    # Texts that differ in case or white space alone may get the same reward.
    Setting("reward_modeling", "a prompt and the responses to it", "Which one is better?", heads=("reward",)),
    # The head of the paper is `classification`, K logits at the prompt's end, for tasks with fixed classes.
    Setting(
        "classification",
        "a text and its classes, or a question and its answers",
        "Which one is right?",
        heads=("classification", "reward", "lm"),
        classes=True,
        distinct=("lm",),
    ),
    # Steps have the classes wrong and right; where prefixes are shared, all of a solution are read in one pass.
    Setting(
        "process",
        "a problem with the steps of a solution, the last of which is judged",
        "Is the last step right, and all before it?",
        heads=("steps", "reward"),
        classes=True,
        steps=True,
    ),
    # Under `lm` an untrained student has a score as well; `reward` is a move head, a scalar at each move's last token.
    Setting(
        "chess",
        "a position and its legal moves",
        "Which move is best?",
        heads=("lm", "reward"),
        distinct=("lm", "reward"),
    ),
)
SETTINGS: Mapping[str, Setting] = {row.name: row for row in _ROWS}
"""All settings by name."""


def find_setting(name: str) -> Setting:
    """Return the setting of a name.

    Args:
        name (`str`): What a task calls its setting.

    Raises:
        UnknownNameError: There is none; the message gives the nearest right one.
    """
    if name not in SETTINGS:
        raise UnknownNameError(f"unknown setting {name!r}; {nearest(name, sorted(SETTINGS))}")
    return SETTINGS[name]
