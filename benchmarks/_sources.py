"""Where pairs and chess positions come from: a file, or a generator that always gives the same."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import chess

from benchmarks._settings import Settings
from w2s_rm.data.reading import read_rows
from w2s_rm.errors import DataError
from w2s_rm.tasks._chess import move_example
from w2s_rm.types import Example

POOL = 4096
"""Pairs that the tokenizer is trained on, and that the pairs of a round are drawn from."""
# With the end-of-text token and rare words of several tokens, medians of 68 and 17 tokens.
_PROMPT_WORDS, _RESPONSE_WORDS = 68, 16
# Standard deviations of log lengths in words, as measured on the single-turn harmless pairs of Anthropic HH.
_PROMPT_SPREAD, _RESPONSE_SPREAD = 0.47, 0.98


def draw_pairs(settings: Settings) -> list[Any]:
    """Draw the pool of pairs, in random order: a round takes the first of them.

    Args:
        settings ([`Settings`]): A file, or what to generate, and how many pairs a round needs.

    Raises:
        DataError: The file holds fewer pairs than a round needs.
    """
    count = max(POOL, settings.pairs)
    if settings.data is None:
        return long_prompts(count)
    pairs = [row.values for row in read_rows(settings.data)]
    if len(pairs) < settings.pairs:
        raise DataError(
            f"{settings.data}: holds {len(pairs)} pairs, fewer than --pairs {settings.pairs}; ask for fewer"
        )
    return random.Random(0).sample(pairs, min(count, len(pairs)))


def long_prompts(count: int) -> list[dict[str, str]]:
    """Generate pairs with log-normal lengths whose median prompt is 4 times as long as the median response.

    Args:
        count (`int`): Number of pairs.
    """
    generator = random.Random(0)
    syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
    words = [" " + "".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(8000)]
    # Frequencies fall with the rank, as in a language.
    weights = list(accumulate(1.0 / rank for rank in range(1, len(words) + 1)))

    def text(median: int, spread: float) -> str:
        length = max(1, round(generator.lognormvariate(math.log(median), spread)))
        return "".join(generator.choices(words, cum_weights=weights, k=length))

    response = (_RESPONSE_WORDS, _RESPONSE_SPREAD)
    return [
        {"prompt": text(_PROMPT_WORDS, _PROMPT_SPREAD), "chosen": text(*response), "rejected": text(*response)}
        for _ in range(count)
    ]


def texts_of(pairs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield all texts of pairs.

    Args:
        pairs (`Sequence[Mapping]`): Rows of a TRL preference dataset.
    """
    for pair in pairs:
        for part in (pair.get("prompt") or "", pair["chosen"], pair["rejected"]):
            yield from [part] if isinstance(part, str) else (str(message["content"]) for message in part)


def draw_positions(count: int) -> list[Example]:
    """Play random games up to their middle: each gives one position, with its legal moves as candidates.

    Args:
        count (`int`): Number of positions, all different.
    """
    generator = random.Random(0)
    found: dict[str, Example] = {}
    while len(found) < count:
        board = chess.Board()
        for _ in range(generator.randint(12, 40)):
            if board.is_game_over():
                break
            board.push(generator.choice(list(board.legal_moves)))
        moves = list(board.legal_moves)
        if len(moves) >= 2:
            fen = board.fen()
            example = move_example(board, moves, generator.choice(moves), fen, "uci", fen)
            found[example.id] = example
    return list(found.values())
