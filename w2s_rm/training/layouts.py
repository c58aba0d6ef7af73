"""Which layout of rows a trainer uses, and what examples feed in it.

`padded` feeds each candidate with its prompt in a row of its own, which any model reads. `shared_prefix` feeds the
prompt once, with its candidates as branches: it needs a decoder that obeys a mask of four dimensions and position ids.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import datasets
from accelerate import PartialState
from torch import nn

from w2s_rm.errors import ConfigError
from w2s_rm.heads import Collator, Head
from w2s_rm.heads.attention import read_branches
from w2s_rm.heads.trees import SharedPrefixCollator, hosts_of
from w2s_rm.training.config import W2SRewardConfig
from w2s_rm.training.layout_probe import why_not_shared, without_adapter
from w2s_rm.training.token_budget import Footprint

logger = logging.getLogger(__name__)

Rows: TypeAlias = datasets.Dataset | Sequence[Mapping[str, Any]]
"""Encoded rows with `prompt_ids`, `candidate_ids` and perhaps `id`."""

# What GPT-2, OPT and BERT call their table of learned positions.
_POSITION_TABLES = {"wpe", "embed_positions", "position_embeddings"}
# FlexAttention's masks leave out blocks of this size.
_BLOCK = 128
# At this many widths attention costs as much as all else; see `attention_length`.
_WIDTHS = 6


@dataclass(frozen=True)
class Layout:
    """The layout that a trainer uses.

    Args:
        name (`str`): `shared_prefix` or `padded`.
        reason (`str`): Why this one.
    """

    name: str
    reason: str


def choose_layout(head: Head, model: Any, args: Any) -> Layout:
    """Take shared prefixes where the model gives the same scores with them, as `args.layout` allows; log which and why.

    The model is left as it is; [`~w2s_rm.heads.attention.read_branches`] is what makes it read shared prefixes.

    Args:
        head ([`~w2s_rm.heads.Head`]): The head.
        model (`PreTrainedModel` or `PeftModel`): The model of that head.
        args ([`~trl.RewardConfig`]): `max_length`, `device`; `layout` of a [`W2SRewardConfig`], otherwise `auto`.

    Raises:
        ConfigError: `layout` is `shared_prefix` and the model cannot share prefixes.
    """
    asked = args.layout if isinstance(args, W2SRewardConfig) else "auto"
    layout = Layout("padded", "as the configuration says")
    if asked != "padded":
        # Asked for `auto` and for `shared_prefix` alike: who insists is told why it cannot be, and does not get wrong
        # scores.
        reason = why_not_shared(head, model, args.max_length, args.device)
        if reason is None:
            name = type(without_adapter(model)).__name__
            layout = Layout("shared_prefix", f"{name} gives the same scores with it")
        elif asked == "shared_prefix":
            raise ConfigError(f"layout shared_prefix: {reason}; use layout auto or padded")
        else:
            layout = Layout("padded", reason)
    _say(layout, logging.WARNING if asked == "auto" and layout.name == "padded" else logging.INFO)
    return layout


@functools.cache
def _say(layout: Layout, level: int) -> None:
    # Once a process: the stages of a run tend to share their architecture.
    if PartialState().is_main_process:
        logger.log(level, "layout %s: %s", layout.name, layout.reason)


def make_collator(layout: Layout, head: Head, model: Any, args: Any, pad_token_id: int) -> Collator:
    """Make the collator of a layout.

    Args:
        layout ([`Layout`]): From [`choose_layout`].
        head ([`~w2s_rm.heads.Head`]): The head.
        model (`PreTrainedModel` or `PeftModel`): Says which attention reads the rows.
        args ([`~trl.RewardConfig`]): `pad_to_multiple_of`; `max_tokens_per_batch` of a [`W2SRewardConfig`].
        pad_token_id (`int`): Token to pad with.
    """
    if layout.name == "padded":
        return head.collator(pad_token_id, args.pad_to_multiple_of)
    blocks = without_adapter(model).config._attn_implementation == "flex_attention"
    return SharedPrefixCollator(
        head.tree,
        pad_token_id,
        # Kernels over blocks are compiled for a length; fewer lengths, fewer compilations.
        args.pad_to_multiple_of or (_BLOCK if blocks else None),
        max_tokens(args),
        attention_length(model),
        one_row=blocks,
        chains=head.chains,
    )


def attention_length(model: Any) -> int:
    """Return the length of rows at which attention costs as much as all else that a model does.

    Args:
        model (`PreTrainedModel` or `PeftModel`): The model.
    """
    # Multiplications for each token: about 12 x width^2 in a layer, and 2 x width for each token that it may see.
    # 12 are 4 matrices of width x width around attention and 8 such in a feed-forward layer of 4 x width; scores and
    # weighted values take a width each for every token seen: 12 w² = 2 w T gives T = 6 w.
    return int(_WIDTHS * without_adapter(model).config.get_text_config().hidden_size)


def lay_out(head: Head, model: Any, args: Any, pad_token_id: int) -> tuple[Layout, Collator]:
    """Choose the layout of rows, make its collator, and let the model read it; see [`choose_layout`].

    Args:
        head ([`~w2s_rm.heads.Head`]): The head.
        model (`PreTrainedModel` or `PeftModel`): Changed in place where it shares prefixes.
        args ([`~trl.RewardConfig`]): As in [`choose_layout`] and [`make_collator`].
        pad_token_id (`int`): Token to pad with.

    Raises:
        ConfigError: As [`choose_layout`].
    """
    layout = choose_layout(head, model, args)
    if layout.name == "shared_prefix":
        read_branches(without_adapter(model))
    return layout, make_collator(layout, head, model, args, pad_token_id)


def feeds(head: Head, layout: Layout, rows: Rows, multiple: int | None = None) -> Footprint:
    """Count what each example feeds.

    Args:
        head ([`~w2s_rm.heads.Head`]): The head.
        layout ([`Layout`]): The layout of rows.
        rows (`Dataset` or `Sequence[Mapping]`): Encoded rows.
        multiple (`int`, *optional*): Lengths are rounded up to a multiple of this; so packed rows stay within, too.
    """
    shared, multiple = layout.name == "shared_prefix", multiple or 1
    counts, lengths = [], []
    for prompt, candidates in zip(_column(rows, "prompt_ids"), _column(rows, "candidate_ids"), strict=True):
        branches = head.branch_lengths(candidates)
        # A tree is one row with all branches behind one prompt; padded rows are as long as the longest of them.
        length = len(prompt) + (sum(branches) if shared else max(branches))
        counts.append(1 if shared else len(branches))
        lengths.append(-(-length // multiple) * multiple)
    return Footprint(counts, lengths, shared)


def units(head: Head, layout: Layout, rows: Rows, indices: Iterable[int] | None = None) -> list[list[int]]:
    """Put the examples together that are fed as one where prefixes are shared; elsewhere each is alone.

    Args:
        head ([`~w2s_rm.heads.Head`]): The head.
        layout ([`Layout`]): The layout of rows.
        rows (`Dataset` or `Sequence[Mapping]`): Encoded rows.
        indices (`Iterable[int]`, *optional*): Which of them; by default all.
    """
    if layout.name == "shared_prefix":
        return chains(head, rows, indices)
    return [[index] for index in (range(len(rows)) if indices is None else indices)]


def chains(head: Head, rows: Rows, indices: Iterable[int] | None = None) -> list[list[int]]:
    """Put the examples together of which each begins the next one.

    Args:
        head ([`~w2s_rm.heads.Head`]): The head, which says whether there are any.
        rows (`Dataset` or `Sequence[Mapping]`): Encoded rows.
        indices (`Iterable[int]`, *optional*): Which of them; by default all.

    Returns:
        `list[list[int]]`: The shortest example of each chain first, chains in the order in which they occur.
    """
    wanted = list(range(len(rows)) if indices is None else indices)
    if not head.chains:
        return [[index] for index in wanted]
    part = rows.select(wanted) if isinstance(rows, datasets.Dataset) else [rows[index] for index in wanted]
    # A slice of a column is read from the disk once; item by item it would be read again for each.
    prompts = _column(part, "prompt_ids")[:]
    by_host: dict[int, list[int]] = {}
    for place, host in enumerate(hosts_of(prompts)):
        by_host.setdefault(host, []).append(place)
    return [[wanted[place] for place in sorted(chain, key=lambda at: len(prompts[at]))] for chain in by_host.values()]


def max_tokens(args: Any) -> int | None:
    """Return `max_tokens_per_batch`, which TRL's own configuration lacks.

    Args:
        args ([`~trl.RewardConfig`]): The trainer's arguments.
    """
    return args.max_tokens_per_batch if isinstance(args, W2SRewardConfig) else None


def refuse_long_rows(model: Any, row_sets: Iterable[Any]) -> None:
    """Refuse rows for whose end a model has learned no position.

    Args:
        model (`PreTrainedModel` or `PeftModel`): The model.
        row_sets (`Iterable`): Encoded rows, datasets or sequences of mappings, or several by name; `None` and streams
            are not looked at.

    Raises:
        ConfigError: Says how long rows may be.
    """
    places = _positions_learned(model)
    if places is None:
        return
    named = [list(data.values()) if isinstance(data, Mapping) else [data] for data in row_sets]
    whole = [
        data
        for data in itertools.chain.from_iterable(named)
        if isinstance(data, datasets.Dataset | Sequence) and len(data)
    ]
    longest = max((max(row_lengths(data)) for data in whole), default=0)
    if longest > places:
        raise ConfigError(
            f"rows have up to {longest} tokens, and the model has learned {places} positions; "
            f"set max_length to {places} or less"
        )


def row_lengths(rows: Rows) -> list[int]:
    """Return the tokens of each prompt with its longest candidate: what orders examples by length in any layout.

    Args:
        rows (`Dataset` or `Sequence[Mapping]`): Encoded rows.
    """
    prompts, candidates = _column(rows, "prompt_ids"), _column(rows, "candidate_ids")
    return [len(prompt) + max(map(len, options)) for prompt, options in zip(prompts, candidates, strict=True)]


def _column(rows: Rows, name: str) -> Sequence[Any]:
    # One column of a dataset is read much faster than all of its rows.
    return rows[name] if isinstance(rows, datasets.Dataset) else [row[name] for row in rows]


def _positions_learned(model: Any) -> int | None:
    # RoBERTa counts positions from behind the row of the padding token, so it has fewer of them than rows.
    sizes = [
        module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in _POSITION_TABLES
    ]
    # OPT's table has two rows more than positions; only the configuration knows.
    # Models without a table of positions, such as those with rotary ones, have nothing that could run out.
    return min([*sizes, without_adapter(model).config.get_text_config().max_position_embeddings]) if sizes else None
