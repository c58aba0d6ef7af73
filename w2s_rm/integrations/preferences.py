"""Scores of candidates to TRL preference rows: what a policy learns from with DPO. Pure; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2s_rm.data.messages import template_columns
from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.integrations.dialogues import FORMATS, convert
from w2s_rm.types import Example, Text, content_hash

_ROUNDING = 1e-9
_ASKING = ("system", "user")


@dataclass(frozen=True)
class Preferences:
    """Rows of a preference dataset, and what became of the examples.

    Args:
        rows (`list[dict]`): `id`, `prompt`, `chosen`, `rejected`, `chosen_probability` (above 0.5) and `margin` (how
            much higher `chosen` scores).
        counts (`Mapping[str, int]`): `examples`; of these dropped: `ties`, `low_confidence`, `duplicates`,
            `without_prompt` and, where there are any, `without_turns`; and `rows`, which are left.
    """

    rows: list[dict[str, Any]]
    counts: Mapping[str, int]


def to_preferences(
    examples: Sequence[Example],
    scores: Sequence[Sequence[float]],
    *,
    min_confidence: float = 0.5,
    deduplicate: bool = False,
    form: str | None = None,
    guessed_prompts: bool = False,
) -> Preferences:
    """Make a pair of each example: the candidate with the highest score is chosen, that with the lowest rejected.

    So an example with more than two candidates gives one pair, the clearest one, and weighs as much as any other. The
    probability is that of Bradley and Terry for the pair, `sigmoid(margin)`. Where all candidates score the same there
    is nothing to prefer, and the example is dropped; of several equal best or worst ones the first is taken.

    Args:
        examples (`Sequence[Example]`): What was scored, all text or all conversations.
        scores (`Sequence[Sequence[float]]`): K scores for each, finite; logarithms of probabilities are scores too.
        min_confidence (`float`, *optional*, defaults to `0.5`): Drop pairs whose probability is below this.
        deduplicate (`bool`, *optional*, defaults to `False`): Keep only the first of equal pairs with equal prompts,
            whichever of the two is chosen.
        form (`str`, *optional*): `conversational` or `text`; by default as the examples are. Text of which no turns can
            be made is dropped and counted: see [`~w2s_rm.integrations.dialogues.convert`].
        guessed_prompts (`bool`, *optional*, defaults to `False`): The prompts of text are what the responses begin with
            in common: marks alone say where they end.

    Raises:
        ConfigError: `min_confidence` or `form` is none of these.
        DataError: Scores are missing or not finite, or kinds are mixed; names the examples.
    """
    if not 0.5 <= min_confidence < 1.0:
        raise ConfigError(
            f"min_confidence is {min_confidence}; the preferred response has at least 0.5, so use [0.5, 1)"
        )
    if form is not None and form not in FORMATS:
        raise ConfigError(f"format {form!r}: use {' or '.join(FORMATS)}")
    _check(examples, scores)
    rows: list[dict[str, Any]] = []
    dropped = {"ties": 0, "low_confidence": 0, "duplicates": 0, "without_prompt": 0}
    seen: set[str] = set()
    extra_columns = template_columns([example.template_kwargs for example in examples])
    for example, values, columns in zip(examples, scores, extra_columns, strict=True):
        best, worst = values.index(max(values)), values.index(min(values))
        margin = values[best] - values[worst]
        prompt, chosen, rejected = _explicit(example.prompt, example.candidates[best], example.candidates[worst])
        # The order left out: the same pair with the preference turned around is a duplicate too, of which the first
        # stands.
        key = content_hash(prompt, sorted((content_hash(chosen), content_hash(rejected))))
        reason = _why_dropped(prompt, margin, min_confidence, deduplicate and key in seen)
        if reason is not None:
            dropped[reason] += 1
            continue
        try:
            row = _row(example.id, convert(prompt, (chosen, rejected), form, guessed=guessed_prompts), margin)
        except DataError:
            dropped["without_turns"] = dropped.get("without_turns", 0) + 1
            continue
        seen.add(key)
        # A transcript is rendered by no chat template.
        rows.append(row | ({} if form == "text" else columns))
    return Preferences(rows, {"examples": len(examples), **dropped, "rows": len(rows)})


def _check(examples: Sequence[Example], scores: Sequence[Sequence[float]]) -> None:
    if len(examples) != len(scores):
        raise DataError(f"{len(examples)} examples and scores of {len(scores)}; score the examples themselves")
    problems = [
        f"example {example.id!r}: {len(example.candidates)} candidates, scores {list(values)}"
        for example, values in zip(examples, scores, strict=True)
        if len(values) != len(example.candidates) or not all(map(math.isfinite, values))
    ]
    if problems:
        raise DataError(join_problems("each candidate needs a finite score:", problems))
    if len({isinstance(example.prompt, str) for example in examples}) > 1:
        raise DataError("some examples are text and some conversations; TRL reads a dataset of one kind")


def _explicit(prompt: Text, chosen: Text, rejected: Text) -> tuple[Text, Text, Text]:
    """Take what candidates begin with in common for the prompt, where conversations come without one."""
    if prompt or isinstance(chosen, str) or isinstance(rejected, str):
        return prompt, chosen, rejected
    # At least one message of each is left to be compared.
    longest = min(len(chosen), len(rejected)) - 1
    shared = next((index for index in range(longest) if chosen[index] != rejected[index]), max(longest, 0))
    # A response begins with what the model says, also where the pair parts at a message of the user.
    while shared and any(messages[shared]["role"] in _ASKING for messages in (chosen, rejected)):
        shared -= 1
    return chosen[:shared], chosen[shared:], rejected[shared:]


def _why_dropped(prompt: Text, margin: float, min_confidence: float, again: bool) -> str | None:
    if not prompt:
        return "without_prompt"
    if margin == 0.0:
        return "ties"
    # Logarithms of a label of exactly this probability give it back to rounding.
    if _sigmoid(margin) < min_confidence - _ROUNDING:
        return "low_confidence"
    return "duplicates" if again else None


def _sigmoid(margin: float) -> float:
    # A margin is never negative, so the exponential cannot overflow.
    return 1.0 / (1.0 + math.exp(-margin))


def _row(name: str, converted: tuple[Text, tuple[Text, ...]], margin: float) -> dict[str, Any]:
    prompt, (chosen, rejected) = converted
    texts = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    cells = {key: text if isinstance(text, str) else list(map(dict, text)) for key, text in texts.items()}
    return {"id": name, **cells, "chosen_probability": _sigmoid(margin), "margin": margin}
