"""How many tokens a forward pass feeds, and into how many passes examples are split to stay within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from w2s_rm.errors import DataError

_NAMED = 10


@dataclass(frozen=True)
class Footprint:
    """What each example feeds to the model.

    Args:
        rows (`Sequence[int]`): Rows that each example becomes.
        lengths (`Sequence[int]`): Tokens of the longest of them.
        packed (`bool`): Whether rows are filled up with other examples, so that padding costs nothing.
    """

    rows: Sequence[int]
    lengths: Sequence[int]
    packed: bool

    def tokens(self, indices: Iterable[int]) -> int:
        """Count the tokens of a pass over these examples, with padding.

        Args:
            indices (`Iterable[int]`): Examples.
        """
        group = _Pass(self.packed)
        for index in indices:
            group.add(index, self.rows[index], self.lengths[index])
        return group.tokens_with(0, 0)

    def joined(self, units: Sequence[Sequence[int]]) -> Footprint:
        """Say what units of examples feed that share a row where rows are filled up: of chains the longest example.

        Args:
            units (`Sequence[Sequence[int]]`): Examples of each unit, from [`~w2s_rm.training.layouts.units`].
        """
        # Where rows are filled up, the longest example of a chain is fed and the others are read in it.
        rows = [1 if self.packed else sum(self.rows[index] for index in unit) for unit in units]
        return Footprint(rows, [max(self.lengths[index] for index in unit) for unit in units], self.packed)


@dataclass(eq=False)
class _Pass:
    """A pass that is being filled, with what is needed to count its tokens."""

    packed: bool
    examples: list[int] = field(default_factory=list)
    rows: int = 0
    longest: int = 0
    total: int = 0

    def tokens_with(self, rows: int, length: int) -> int:
        """Count its tokens with one more example."""
        if self.packed:
            # Of packed rows the sum counts, of padded ones the rectangle that they make.
            return self.total + rows * length
        return (self.rows + rows) * max(self.longest, length)

    def add(self, index: int, rows: int, length: int) -> None:
        self.examples.append(index)
        self.rows += rows
        self.longest = max(self.longest, length)
        self.total += rows * length


def split(indices: Iterable[int], footprint: Footprint, max_tokens: int, least: int = 1) -> list[list[int]]:
    """Split examples into passes of at most so many tokens, the largest pass first.

    Args:
        indices (`Iterable[int]`): Examples, none larger than the budget; see [`refuse_too_large`].
        footprint ([`Footprint`]): What they feed.
        max_tokens (`int`): The budget of a pass.
        least (`int`, *optional*, defaults to `1`): Passes to make even where fewer would do, as far as there are
            examples for them.
    """
    # First fit with the longest first comes near the fewest passes, and rows of like length pad little.
    order = sorted(indices, key=lambda index: -footprint.lengths[index])
    passes = _fill(order, footprint, max_tokens)
    while len(passes) < min(least, len(order)):
        # There is one while there are fewer passes than examples.
        largest = max((group for group in passes if len(group) > 1), key=footprint.tokens)
        passes.remove(largest)
        passes += _halves(largest, footprint)
    # Ranks compute their passes side by side, the largest with the largest.
    return sorted(passes, key=footprint.tokens, reverse=True)


def split_units(
    units: Sequence[Sequence[int]], footprint: Footprint, max_tokens: int, least: int = 1
) -> list[list[int]]:
    """Split examples into passes as [`split`] does, those of a unit together.

    Args:
        units (`Sequence[Sequence[int]]`): Examples of each unit, from [`~w2s_rm.training.layouts.units`].
        footprint ([`Footprint`]): What the examples feed.
        max_tokens (`int`): The budget of a pass.
        least (`int`, *optional*, defaults to `1`): As in [`split`].
    """
    passes = split(range(len(units)), footprint.joined(units), max_tokens, least)
    return [[index for number in group for index in units[number]] for group in passes]


def _fill(order: Sequence[int], footprint: Footprint, max_tokens: int) -> list[list[int]]:
    """Put each example into the first pass that has room for it."""
    fewest = min((footprint.rows[index] for index in order), default=0)
    shortest = min((footprint.lengths[index] for index in order), default=0)
    passes: list[_Pass] = []
    unfilled: list[_Pass] = []
    for index in order:
        size = footprint.rows[index], footprint.lengths[index]
        target = next((pass_ for pass_ in unfilled if pass_.tokens_with(*size) <= max_tokens), None)
        if target is None:
            target = _Pass(footprint.packed)
            passes.append(target)
            unfilled.append(target)
        target.add(index, *size)
        # What has no room for the least there is need not be asked again: thousands of examples take no time.
        if target.tokens_with(fewest, shortest) > max_tokens:
            unfilled.remove(target)
    return [pass_.examples for pass_ in passes]


def _halves(indices: list[int], footprint: Footprint) -> list[list[int]]:
    """Halve what is sorted by length: in turns where only the sum counts, otherwise so that like stays with like."""
    if footprint.packed:
        return [indices[::2], indices[1::2]]
    middle = len(indices) // 2
    return [indices[:middle], indices[middle:]]


def deal(indices: Iterable[int], micro_batches: int, ranks: int, footprint: Footprint) -> list[list[list[int]]]:
    """Deal the examples of a step out: like lengths to a micro-batch, and in it similar tokens to each rank.

    Ranks compute a micro-batch at the same time, so they should have the same to do; micro-batches come one after the
    other, and may be as different as saves most padding. Counts differ by one at most between a micro-batch's ranks.

    Args:
        indices (`Iterable[int]`): Examples.
        micro_batches (`int`): Most micro-batches to make.
        ranks (`int`): Number of processes; where there are more of them than examples, the last ones get none.
        footprint ([`Footprint`]): What the examples feed.
    """
    order = sorted(indices, key=lambda index: -footprint.lengths[index])
    # `micro_batches` being the fewest that hold all examples, as samplers ask for, slices of this size are exactly as
    # many: the trainer has counted on that number.
    size = -(-len(order) // micro_batches)
    return [_to_and_fro(order[start : start + size], ranks, footprint) for start in range(0, len(order), size)]


def _to_and_fro(indices: list[int], ranks: int, footprint: Footprint) -> list[list[int]]:
    dealt: list[list[int]] = [[] for _ in range(ranks)]
    for position, index in enumerate(sorted(indices, key=lambda index: -footprint.tokens([index]))):
        # There and back: who got the largest of one turn gets the smallest of the next.
        turn, rank = divmod(position, ranks)
        dealt[rank if turn % 2 == 0 else ranks - 1 - rank].append(index)
    return dealt


def refuse_too_large(footprint: Footprint, max_tokens: int, ids: Sequence[str]) -> None:
    """Refuse examples of which a single one exceeds the budget.

    Args:
        footprint ([`Footprint`]): What all examples feed.
        max_tokens (`int`): The budget of a pass.
        ids (`Sequence[str]`): Their names.

    Raises:
        DataError: There are such examples; the message names them, with their tokens.
    """
    sizes = [rows * length for rows, length in zip(footprint.rows, footprint.lengths, strict=True)]
    large = [(name, tokens) for name, tokens in zip(ids, sizes, strict=True) if tokens > max_tokens]
    if not large:
        return
    named = ", ".join(f"{name!r} ({tokens})" for name, tokens in large[:_NAMED])
    rest = f" and {len(large) - _NAMED} more" if len(large) > _NAMED else ""
    raise DataError(
        f"max_tokens_per_batch is {max_tokens}, and {len(large)} of {len(sizes)} examples have more tokens by "
        f"themselves: {named}{rest}; set max_tokens_per_batch to {max(sizes)} or more, or lower max_length"
    )
