"""Which comparisons must stay in one split, by what they share. No torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from w2s_rm.data.messages import words
from w2s_rm.errors import ConfigError
from w2s_rm.types import Example, Text, content_hash

GroupBy = str | dict[str, int]
"""The option `group_by`: `prompt`, `chosen`, `candidates`, or `{first_words: n}`."""
# A question is seldom asked more than ten times, and a share of 1 % in one group moves no split by much.
_INSTRUCTION_COUNT = 10
_INSTRUCTION_SHARE = 0.01


def check_group_by(group_by: GroupBy) -> None:
    """Check the option `group_by`.

    Args:
        group_by (`str` or `dict`): From a recipe.

    Raises:
        ConfigError: It is none of the known ways.
    """
    if group_by not in ("prompt", "chosen", "candidates") and _n_words(group_by) is None:
        raise ConfigError(f"group_by is {group_by!r}; write prompt, chosen, candidates, or {{first_words: 5}}")


def own_group(group_by: GroupBy, better: Text) -> str | None:
    """Say what of the better response keeps rows together; `None` where it is the prompt.

    Args:
        group_by (`str` or `dict`): From a recipe, checked.
        better (`str` or `Messages`): The better response.
    """
    if group_by == "chosen":
        return content_hash(better)
    n_words = _n_words(group_by)
    return None if n_words is None else first_words(better, n_words)


def first_words(text: Text, n: int) -> str:
    """Return the first n words with single spaces.

    Args:
        text (`str` or `Messages`): What the words of all messages are taken from.
        n (`int`): How many; of shorter texts all.
    """
    said = text if isinstance(text, str) else "\n".join(map(words, text))
    return " ".join(said.split()[:n])


def join_shared_candidates(examples: list[Example], *, whole: bool = False) -> list[Example]:
    """Put examples that have a candidate in common into one group, and with them all that share one with those.

    These are the connected components of the graph whose edges are comparisons, and whose nodes are candidates and the
    groups that the examples have, such as prompts, but for those of an instruction, see [`is_instruction`]. Nothing
    leaks between them, but one may hold a large part of the data, and a new row may join two.

    Args:
        examples (`list[Example]`): All examples of a task.
        whole (`bool`, *optional*, defaults to `False`): A candidate is known by prompt and candidate together: for
            prompts that are only what the texts of a comparison begin with.
    """
    parents: dict[str, str] = {}

    def root(node: str) -> str:
        # Union-find: each step on the way to the root also halves the way for the next who asks.
        while parents.setdefault(node, node) != node:
            parents[node] = node = parents[parents[node]]
        return node

    sizes = Counter(example.group for example in examples)
    texts = [_candidate_nodes(example, whole) for example in examples]
    for example, (first, *others) in zip(examples, texts, strict=True):
        if not is_instruction(sizes[example.group], len(examples)):
            others.append(f"group {example.group}")
        for other in others:
            # The smaller name is the root, so that a group's name does not depend on the order of the rows.
            low, high = sorted((root(first), root(other)))
            parents[high] = low
    return [replace(example, group=root(nodes[0])) for example, nodes in zip(examples, texts, strict=True)]


def is_instruction(count: int, of: int) -> bool:
    """Whether a prompt is so frequent that it is no question, but an instruction that says nothing about its rows.

    Args:
        count (`int`): How many examples have it.
        of (`int`): Of how many.
    """
    return count > max(_INSTRUCTION_COUNT, _INSTRUCTION_SHARE * of)


def _candidate_nodes(example: Example, whole: bool) -> list[str]:
    if whole and isinstance(example.prompt, str):
        # Wherever prompt and response are parted: datasets repeat a dialogue with the cut at another place.
        return [f"candidate {content_hash(f'{example.prompt}{text}')}" for text in example.candidates]
    return [f"candidate {key}" for key in example.candidate_ids]


def _n_words(group_by: GroupBy) -> int | None:
    if not isinstance(group_by, dict) or set(group_by) != {"first_words"}:
        return None
    n = group_by["first_words"]
    return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None
