"""Prompts with their candidates as branches, several to a row: every token that examples have is fed once.

Shape suffixes: R rows fed to the model, T tokens, F places whose outputs are read, P pieces (prompts and branches),
M tokens of all candidates.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from w2s_rm.heads.collation import labels, share_prefixes

PROMPT = -1
"""Stands for the prompt where a branch is named by its number."""

# Up to this many examples, `pack` tries every number of rows around the best.
_FEW = 64


@dataclass(frozen=True)
class Tree:
    """One example as a model reads it: the prompt, then branches that each see the prompt and themselves.

    Args:
        prompt (`Sequence[int]`): Tokens.
        branches (`Sequence[Sequence[int]]`): Tokens of each branch, none of them empty.
        reads (`Sequence[tuple[int, int]]`): Branch (or `PROMPT`) and offset of each token whose output is needed.
        tokens (`Sequence[tuple[int, int, int]]`, *optional*): For each token of each candidate, in flat order: the
            index in `reads` of the output that predicts it, the token, and the number of its candidate.
    """

    prompt: Sequence[int]
    branches: Sequence[Sequence[int]]
    reads: Sequence[tuple[int, int]]
    tokens: Sequence[tuple[int, int, int]] = field(default=())

    @property
    def size(self) -> int:
        """Number of tokens to feed."""
        return len(self.prompt) + sum(map(len, self.branches))


def candidate_tree(example: Mapping[str, Any], pad_token_id: int) -> Tree:
    """Branches are candidates, each read where transformers reads a row: at the last token that is no padding.

    Where padding is the eos token, that is the token before it.

    Args:
        example (`Mapping`): Row with `prompt_ids` and `candidate_ids`.
        pad_token_id (`int`): What counts as padding.
    """
    prompt, branches = example["prompt_ids"], example["candidate_ids"]
    reads = []
    for number, branch in enumerate(branches):
        # Transformers reads a row at its last token that is no padding; a branch of nothing else leaves the prompt's.
        last = _last(branch, pad_token_id)
        reads.append((number, last) if last is not None else _prompt_read(prompt, pad_token_id) or (number, 0))
    return Tree(prompt, branches, reads)


def prompt_tree(example: Mapping[str, Any], pad_token_id: int) -> Tree:
    """No branches: the prompt alone, read as [`candidate_tree`] reads candidates.

    Args:
        example (`Mapping`): Row with `prompt_ids`, which is not empty.
        pad_token_id (`int`): What counts as padding.
    """
    prompt = example["prompt_ids"]
    return Tree(prompt, [], [_prompt_read(prompt, pad_token_id) or (PROMPT, 0)])


def _prompt_read(prompt: Sequence[int], pad_token_id: int) -> tuple[int, int] | None:
    """Where to read a row that ends in padding; without any other token transformers reads the row's first."""
    last = _last(prompt, pad_token_id)
    return (PROMPT, last or 0) if prompt else None


def _last(ids: Sequence[int], pad_token_id: int) -> int | None:
    return next((index for index in range(len(ids) - 1, -1, -1) if ids[index] != pad_token_id), None)


def token_tree(example: Mapping[str, Any], pad_token_id: int) -> Tree:
    """Branches are candidates without their last tokens, once where one begins another; read at every token.

    Args:
        example (`Mapping`): Row with `prompt_ids`, which is not empty, and `candidate_ids`.
        pad_token_id (`int`): Of no account: every token is predicted.
    """
    prompt, candidates = example["prompt_ids"], example["candidate_ids"]
    # The last token of a candidate is predicted but predicts nothing. "e2e4" and "e2e5" then share one branch.
    branch_of, branches = share_prefixes([tuple(ids[:-1]) for ids in candidates])
    # With candidates of one token nothing is left to branch.
    branches = [branch for branch in branches if branch]
    # The prompt's last output predicts the first token of every candidate.
    reads, first = [(PROMPT, len(prompt) - 1)], []
    for number, branch in enumerate(branches):
        first.append(len(reads))
        reads.extend((number, offset) for offset in range(len(branch)))
    tokens = []
    for candidate, ids in enumerate(candidates):
        tokens.append((0, ids[0], candidate))
        # The output at a branch's token `offset` predicts the candidate's token `offset + 1`; the branch may be a
        # longer candidate's that begins with this one.
        start = first[branch_of[tuple(ids[:-1])]] if len(ids) > 1 else 0
        tokens.extend((start + offset, token, candidate) for offset, token in enumerate(ids[1:]))
    return Tree(prompt, branches, reads, tokens)


@dataclass(frozen=True)
class SharedPrefixCollator:
    """Collate examples into rows of trees.

    Returns, of shape `(R, T)`: `input_ids`, `position_ids` (those of a branch go on from the prompt's), `segments` (the
    example's number in the batch, from 1; 0 is padding) and `branches` (from 1; 0 is the prompt). `read_at`, of shape
    `(F,)`, holds flat positions in `(R, T)`. Labels are as in [`~w2s_rm.heads.collation.PaddedCollator`]; trees with
    `tokens` add `token_places` (indices into `read_at`), `token_ids` and `token_candidates`, all of shape `(M,)`.

    Args:
        tree (`Callable`): Makes the tree of a row.
        pad_token_id (`int`): Token to pad with.
        pad_to_multiple_of (`int`, *optional*): Round T up to a multiple of this.
        max_tokens (`int`, *optional*): Keep R x T within this where the examples' own tokens allow it.
        attention_length (`int`, *optional*, defaults to `4096`): T at which attention costs as much as all else in the
            model does; the shorter it is, the more padding is taken for short rows.
        one_row (`bool`, *optional*, defaults to `False`): Put all examples in one row, for attention that skips what a
            block mask leaves out.
        chains (`bool`, *optional*, defaults to `False`): Feed prompts that begin another one of the batch with that
            one, once; for trees without branches.
    """

    tree: Callable[[Mapping[str, Any], int], Tree]
    pad_token_id: int
    pad_to_multiple_of: int | None = None
    max_tokens: int | None = None
    attention_length: int = 4096
    one_row: bool = False
    chains: bool = False

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate one batch."""
        trees = [self.tree(example, self.pad_token_id) for example in examples]
        hosts = hosts_of([tree.prompt for tree in trees]) if self.chains else list(range(len(trees)))
        # Numbers of trees in the batch; from here on `sizes` and `packed` count only those that are fed.
        fed = sorted(set(hosts))
        sizes = [trees[index].size for index in fed]
        multiple = self.pad_to_multiple_of or 1
        # FlexAttention skips blocks that see nothing, so one long row costs no more than many and has no padding.
        everything = [list(range(len(fed)))]
        packed = everything if self.one_row else pack(sizes, self.max_tokens, self.attention_length, multiple)
        length = _row_length(packed, sizes, multiple)
        # Back to numbers in the batch, which become segments.
        rows = [[fed[place] for place in row] for row in packed]
        batch = {**_lay_out(trees, hosts, rows, length, self.pad_token_id), **labels(examples)}
        if trees[0].tokens:
            batch |= _token_tensors(trees)
        return batch


def hosts_of(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Find for each prompt one that it begins, itself where it begins no other: what is fed in its place.

    Args:
        prompts (`Sequence[Sequence[int]]`): Tokens.
    """
    sequences = [tuple(prompt) for prompt in prompts]
    kept_of, kept = share_prefixes(sequences)
    first: dict[tuple[int, ...], int] = {}
    for index, sequence in enumerate(sequences):
        # Of equal prompts one is enough.
        first.setdefault(sequence, index)
    return [first[kept[kept_of[sequence]]] for sequence in sequences]


def pack(
    sizes: Sequence[int], max_tokens: int | None = None, attention_length: int = 4096, multiple: int = 1
) -> list[list[int]]:
    """Share examples out to rows of nearly equal length, in the number of rows that costs least.

    Args:
        sizes (`Sequence[int]`): Tokens of each example.
        max_tokens (`int`, *optional*): Prefer numbers of rows that keep rows x longest row within this.
        attention_length (`int`, *optional*, defaults to `4096`): As in [`SharedPrefixCollator`].
        multiple (`int`, *optional*, defaults to `1`): Rows will be rounded up to a multiple of this.

    Returns:
        `list[list[int]]`: The indices of each row.
    """
    # The longest first: what is left to even the rows out with is short.
    order = sorted(range(len(sizes)), key=lambda index: -sizes[index])
    # No row is shorter than the longest example, so with about this many rows there is least padding.
    ideal = max(1, sum(sizes) // max(sizes))
    # Many examples fill rows well in any number; trying each number would cost more than it saves.
    parts = range(10, 31, 1 if len(sizes) <= _FEW else 5)
    # From half to one and a half times the ideal, and the two ends: all in one row, and each in its own.
    counts = {1, len(sizes), ideal - 1, ideal + 1, ideal + 2, *(round(ideal * part / 20) for part in parts)}
    shared = [_share_out(order, sizes, count) for count in sorted(counts) if 1 <= count <= len(sizes)]

    def cost(rows: list[list[int]]) -> tuple[bool, float]:
        length = _row_length(rows, sizes, multiple)
        tokens = len(rows) * length
        # Within the budget before outside of it, then tokens fed, dearer in long rows for attention's square.
        return max_tokens is not None and tokens > max_tokens, tokens * (1 + length / attention_length)

    return min(shared, key=cost)


def _row_length(rows: Iterable[Iterable[int]], sizes: Sequence[int], multiple: int) -> int:
    return -(-max(sum(sizes[index] for index in row) for row in rows) // multiple) * multiple


def _share_out(order: Sequence[int], sizes: Sequence[int], count: int) -> list[list[int]]:
    """Give each example, the longest first, to the row that is the shortest so far."""
    rows: list[list[int]] = [[] for _ in range(count)]
    heap = [(0, number) for number in range(count)]
    for index in order:
        length, number = heap[0]
        rows[number].append(index)
        heapq.heapreplace(heap, (length + sizes[index], number))
    return rows


def _lay_out(
    trees: Sequence[Tree], hosts: Sequence[int], rows: Iterable[Sequence[int]], length: int, pad: int
) -> dict[str, Tensor]:
    """Place the trees that are fed, and read all in them; work on tokens is done on whole tensors."""
    pieces: list[tuple[int, int, int, int, int]] = []
    tokens: list[Sequence[int]] = []
    starts: dict[tuple[int, int], int] = {}
    count = 0
    for number, row in enumerate(rows):
        count, at = number + 1, number * length
        for index in row:
            tree = trees[index]
            for branch, ids in enumerate((tree.prompt, *tree.branches), start=PROMPT):
                # Where the piece begins in all rows laid end to end.
                starts[index, branch] = at
                # Positions of every branch go on from the prompt, as if it were the only one.
                offset = 0 if branch == PROMPT else len(tree.prompt)
                # Segments count from 1, so that 0 is left for padding; PROMPT is -1, so that prompts are branch 0.
                pieces.append((at, len(ids), offset, index + 1, branch + 1))
                tokens.append(ids)
                at += len(ids)
    flat = torch.tensor(list(chain.from_iterable(tokens)))
    start_P, length_P, offset_P, segment_P, branch_P = torch.tensor(pieces).T
    # Counts on from 0 in each piece: the number of a token among all tokens, less that of the first one of its piece.
    within = torch.arange(len(flat)) - (length_P.cumsum(0) - length_P).repeat_interleave(length_P)
    flat_positions = start_P.repeat_interleave(length_P) + within
    columns = {
        "input_ids": (flat, pad),
        "position_ids": (within + offset_P.repeat_interleave(length_P), 0),
        "segments": (segment_P.repeat_interleave(length_P), 0),
        "branches": (branch_P.repeat_interleave(length_P), 0),
    }
    laid = {
        name: torch.full((count * length,), filler).index_copy(0, flat_positions, values).view(count, length)
        for name, (values, filler) in columns.items()
    }
    # A prompt that is not fed is read in its host: it is the beginning of that, so its offsets are the same.
    reads = [
        starts[host, branch] + offset for host, tree in zip(hosts, trees, strict=True) for branch, offset in tree.reads
    ]
    return {**laid, "read_at": torch.tensor(reads)}


def _token_tensors(trees: Sequence[Tree]) -> dict[str, Tensor]:
    rows: list[tuple[int, int, int]] = []
    reads = candidates = 0
    for tree in trees:
        # Numbers within a tree become numbers within the batch: `reads` and `candidates` count what the trees before it
        # have.
        rows.extend((reads + read, token, candidates + candidate) for read, token, candidate in tree.tokens)
        reads += len(tree.reads)
        # Tokens stand in flat order, so that the last one is the last candidate's.
        candidates += tree.tokens[-1][2] + 1
    place_M, token_M, candidate_M = torch.tensor(rows).T
    return {"token_places": place_M, "token_ids": token_M, "token_candidates": candidate_M}
