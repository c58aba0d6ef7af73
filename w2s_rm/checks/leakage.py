"""Content that stands in more than one split."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from w2s_rm.checks.result import NearLeak, Overlap, Wins
from w2s_rm.checks.sampling import accuracy
from w2s_rm.checks.text import exact_content, normalised_content, plain
from w2s_rm.data.grouping import is_instruction
from w2s_rm.types import Example

MOST_IDS = 5
"""How many ids are named."""
# With fewer, a text is a word that many examples have, and not one that comes again.
_LEAST_WORDS = 3


def overlaps(splits: Mapping[str, Sequence[Example]]) -> tuple[Overlap, ...]:
    """Find the examples of each split whose content occurs in a split before it.

    Args:
        splits (`Mapping[str, Sequence[Example]]`): In order.
    """
    exact_seen: set[tuple[str, ...]] = set()
    seen: dict[tuple[str, ...], str] = {}
    results = []
    for split, examples in splits.items():
        contents = [exact_content(example) for example in examples]
        keys = [normalised_content(content) for content in contents]
        # The first split has none before it.
        if exact_seen:
            again = [index for index, key in enumerate(keys) if key in seen]
            exact = sum(contents[index] in exact_seen for index in again)
            ids = tuple(f"{examples[index].id} (as {seen[keys[index]]})" for index in again[:MOST_IDS])
            results.append(Overlap(split, exact, len(again), len(examples), ids))
        # After the split was looked at: what repeats within it is no leak.
        exact_seen.update(contents)
        for key, example in zip(keys, examples, strict=True):
            seen.setdefault(key, f"{example.id} in {split}")
    return tuple(results)


def near_leaks(train: Sequence[Example], test: Sequence[Example]) -> tuple[NearLeak, ...]:
    """Find the test examples with a prompt, or a candidate, that a training example has as well, to the letter.

    Blank prompts are no prompts, and one that more than ten, and more than a hundredth, of the training examples have
    is an instruction, not a question. For tasks without classes: with them, every candidate is in every example, and an
    example with the same prompt is a duplicate.

    Args:
        train (`Sequence[Example]`): Weak and relabel.
        test (`Sequence[Example]`): At least one.
    """
    prompts = _questions(train)
    candidates = {plain(text).strip() for example in train for text in example.candidates}
    same_prompt = [example.id for example in test if plain(example.prompt).strip() in prompts]
    same_candidate = [
        example.id for example in test if any(plain(text).strip() in candidates for text in example.candidates)
    ]
    return tuple(
        NearLeak(part, len(ids) / len(test), tuple(ids[:MOST_IDS]))
        for part, ids in (("prompt", same_prompt), ("candidate", same_candidate))
    )


def wins_in_training(train: Sequence[Example], test: Sequence[Example]) -> Wins | None:
    """Decide test examples by how often each candidate won and lost in training; `None` if that decides none.

    Candidates of one or two words, such as moves of chess, are a vocabulary and not texts that come again: they count
    for nothing here, and what they say is measured by the bag of words. A candidate also counts together with its
    prompt: where that is what two texts begin with, the same text is cut elsewhere in another comparison.

    Args:
        train (`Sequence[Example]`): Weak and relabel, with ground truth.
        test (`Sequence[Example]`): With ground truth.
    """
    wins: dict[str, int] = defaultdict(int)
    for example in train:
        for position, texts in enumerate(_texts(example)):
            for text in texts:
                wins[text] += 1 if position == example.gold else -1
    credits, chances = [], []
    for example in test:
        numbers = [sum([wins.get(text, 0) for text in texts]) for texts in _texts(example)]
        best = max(numbers)
        # A tie decides nothing; texts that training has not seen are such a tie, of zeros.
        if numbers.count(best) == 1:
            credits.append(float(numbers.index(best) == example.gold))
            chances.append(1 / len(numbers))
    if not credits:
        return None
    return Wins(len(credits) / len(test), accuracy(credits), math.fsum(chances) / len(chances))


def _texts(example: Example) -> Iterator[Collection[str]]:
    """What may come again of each candidate: it, and prompt and candidate together."""
    prompt = plain(example.prompt)
    long_prompt = _has_words(prompt)
    for candidate in map(plain, example.candidates):
        whole = prompt + candidate
        if _has_words(candidate):
            # A set: without a prompt both are one text, and count once.
            yield {candidate.strip(), whole.strip()}
        else:
            yield (whole.strip(),) if long_prompt or _has_words(whole) else ()


def _has_words(text: str) -> bool:
    # Long texts need not be split to their end for this.
    return len(text.split(maxsplit=_LEAST_WORDS - 1)) == _LEAST_WORDS


def _questions(examples: Sequence[Example]) -> set[str]:
    counts = Counter(plain(example.prompt).strip() for example in examples)
    return {prompt for prompt, count in counts.items() if prompt and not is_instruction(count, len(examples))}


def split_groups(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """Return the groups that stand in more than one split, sorted.

    Args:
        splits (`Mapping[str, Sequence[Example]]`): In order.
    """
    home: dict[str, str] = {}
    wrong = set()
    for split, examples in splits.items():
        for example in examples:
            if home.setdefault(example.group, split) != split:
                wrong.add(example.group)
    return sorted(wrong)
