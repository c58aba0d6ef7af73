"""Read the hidden states of a frozen model, shard by shard: memory does not grow with the features of all examples.

Shape suffixes: F things that are scored (candidates, or prompts), in one flat row, D width.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import PartialState
from torch import Tensor
from tqdm.auto import tqdm

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import NonFiniteError
from w2s_rm.features.hidden_states import LayerReader, places, pool
from w2s_rm.features.options import TOKENS, parse_column
from w2s_rm.features.store import shard_key, shard_path, write_shard
from w2s_rm.heads import HEADS, Collator, Head
from w2s_rm.heads.encoding import first_alike
from w2s_rm.heads.trees import Tree
from w2s_rm.programs.launched import (
    Configured,
    held,
    is_main_process,
    parse_model_stage,
    refuse_finished,
    reporter,
    shows_progress,
)
from w2s_rm.programs.scoring import encode, encoding_counts, template_counts, to_rows
from w2s_rm.runs.progress import Report
from w2s_rm.training.frozen_layers import fed_tokens
from w2s_rm.training.layouts import (
    Layout,
    choose_layout,
    feeds,
    make_collator,
    max_tokens,
    refuse_long_rows,
    row_lengths,
    units,
)
from w2s_rm.training.modeling import load_model, stage_tokenizer
from w2s_rm.training.token_budget import Footprint, refuse_too_large, split_units
from w2s_rm.types import content_hash

# Examples: what an interruption costs at most, and what is held in memory at once.
_SHARD = 256
_NAMED = 10


def features(argv: Sequence[str], kind: Configured) -> None:
    """Run the stage. Every process holds the whole model, and makes shards of its own.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
        kind ([`~w2s_rm.programs.launched.Configured`]): The stage's class.
    """
    # Nothing is trained; were the model itself spread out, no process could make shards on its own.
    os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)
    stage_args, args, model_args, output = parse_model_stage(argv, kind)
    with held(output) as folder:
        refuse_finished(folder)
        files = [stage_args.examples, *stage_args.other_examples]
        # Several seeds may draw the same example: it is read once.
        examples = list({example.id: example for file in files for example in read_examples(Path(file))}.values())
        tokenizer = stage_tokenizer(model_args, args)
        encoded = encode(stage_args.setting, tokenizer, examples, args.max_length, stage_args.head)
        rows = to_rows(examples, encoded)
        model = load_model(stage_args.head, model_args, args, stage_args.classes)
        refuse_long_rows(model, (rows,))
        layout = choose_layout(HEADS[stage_args.head], model, args)
        head = HEADS[stage_args.head]
        reading = make_reading(head, stage_args.columns, args, model, layout, rows, int(tokenizer.pad_token_id))
        # What features depend on beside the tokens; a shard of an earlier try with the same key is kept.
        source = [(stage_args.inputs or {}).get("model_name_or_path", model_args.model_name_or_path), args.max_length]
        shards = plan_shards(output / "shards", rows, content_hash(source, stage_args.columns), reading.units(rows))
        made = make_shards(shards, reading, rows, reporter(output, "shards"))
        # The manifest vouches for the shards of all processes.
        PartialState().wait_for_everyone()
        if is_main_process():
            folder.remove("trainer")
            counts = {
                **encoding_counts(encoded),
                **template_counts(tokenizer),
                "layout": f"{layout.name}: {layout.reason}",
                "shards": len(shards),
                "kept_shards": len(shards[args.process_index :: args.world_size]) - made,
            }
            config = {"stage_hash": stage_args.stage_hash, "inputs": stage_args.inputs}
            folder.finish(stage="features", counts=counts, config=config)


def make_reading(
    head: Head,
    columns: Sequence[str],
    args: Any,
    model: Any,
    layout: Layout,
    rows: datasets.Dataset,
    pad_token_id: int,
) -> Reading:
    """Say how features of examples are read with a model.

    Args:
        head ([`~w2s_rm.heads.Head`]): What is scored: candidates, or prompts.
        columns (`Sequence[str]`): What is read, names of [`~w2s_rm.features.options.column`].
        args ([`~w2s_rm.training.config.W2SRewardConfig`]): Device, precision and batches.
        model (`PreTrainedModel`): Changed in place: layers above those that are read are removed.
        layout ([`~w2s_rm.training.layouts.Layout`]): How examples become rows.
        rows (`Dataset`): Encoded examples.
        pad_token_id (`int`): The filler.

    Raises:
        ConfigError: The model lacks a layer, or an example has more tokens than a pass may.
    """
    footprint = feeds(head, layout, rows, args.pad_to_multiple_of)
    budget = max_tokens(args)
    if budget is None:
        largest = max(footprint.tokens([index]) for index in range(len(rows)))
        # As many tokens as a batch of the longest example would have, so that memory is bounded either way and short
        # examples come in larger batches.
        budget = int(largest * args.eval_batch_size)
    else:
        refuse_too_large(footprint, budget, rows["id"])
    collator = make_collator(layout, head, model, args, pad_token_id)
    # With `bf16_full_eval` as transformers' trainer scores (`Trainer.evaluation_loop`): weights and all in bfloat16.
    model.to(args.device, **({"dtype": torch.bfloat16} if args.bf16_full_eval else {})).eval()
    reader = LayerReader(model, [parse_column(name)[0] for name in columns])
    tree = functools.partial(head.tree, pad_token_id=pad_token_id)
    together = functools.partial(units, head, layout)
    return Reading(reader, tuple(columns), collator, tree, together, footprint, budget, args.device, bool(args.bf16))


@dataclass(frozen=True)
class Shard:
    """A part of the examples.

    Args:
        path (`Path`): Where their features go.
        indices (`list[int]`): Which examples.
        key (`str`): Identifies what their features are made of.
    """

    path: Path
    indices: list[int]
    key: str


def plan_shards(folder: Path, rows: datasets.Dataset, source: str, units: Sequence[Sequence[int]]) -> list[Shard]:
    """Share examples out to shards, the longest first: what does not fit in memory fails at once.

    Args:
        folder (`Path`): Of the shards.
        rows (`Dataset`): Encoded examples.
        source (`str`): Identifies the model and what is read of it.
        units (`Sequence[Sequence[int]]`): Examples that are read together, from [`~w2s_rm.training.layouts.units`].
    """
    lengths = row_lengths(rows)
    order = sorted(units, key=lambda unit: -max(lengths[index] for index in unit))
    shards: list[Shard] = []
    for indices in _fill(order):
        read = rows.select(indices)
        # Of tokens and not of texts: with another template or another `max_length` an example has other features.
        key = content_hash(source, read["id"][:], read["prompt_ids"][:], read["candidate_ids"][:])
        shards.append(Shard(shard_path(folder, len(shards)), indices, key))
    return shards


def _fill(units: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Put units into shards that are full with the last of them."""
    shard: list[int] = []
    for unit in units:
        shard += unit
        if len(shard) >= _SHARD:
            yield shard
            shard = []
    if shard:
        yield shard


def make_shards(
    shards: Sequence[Shard],
    reading: Reading,
    rows: datasets.Dataset,
    report: Report | None = None,
) -> int:
    """Make the shards of this process that are not there; return how many.

    Args:
        shards (`Sequence[Shard]`): Those of all processes.
        reading ([`Reading`]): How.
        rows (`Dataset`): Encoded examples.
        report (`Callable[[int, int], None]`, *optional*): Is told after each how many of this process are done, and
            how many there are.

    Raises:
        NonFiniteError: A hidden state is NaN or infinite; names the examples.
    """
    state = PartialState()
    # By turns: shards come with the longest examples first, and a block of them would leave one process with all of
    # these.
    own = shards[state.process_index :: state.num_processes]
    missing = [shard for shard in own if shard_key(shard.path) != shard.key]
    with tqdm(total=len(own), initial=len(own) - len(missing), desc="Features", disable=not shows_progress()) as bar:
        for done, shard in enumerate(missing, start=len(own) - len(missing) + 1):
            shard.path.parent.mkdir(parents=True, exist_ok=True)
            write_shard(shard.path, *reading(rows, shard.indices), shard.key)
            bar.update()
            if report is not None:
                report(done, len(own))
    return len(missing)


@dataclass(frozen=True)
class Reading:
    """Reads the features of examples.

    Args:
        reader ([`~w2s_rm.features.hidden_states.LayerReader`]): Feeds the model.
        columns (`tuple[str, ...]`): What is read, names of [`~w2s_rm.features.options.column`].
        collator (`Callable`): Lays the examples of a pass out.
        tree (`Callable`): Says of what parts an example consists.
        units (`Callable`): Says which examples one row holds together.
        footprint ([`~w2s_rm.training.token_budget.Footprint`]): What each example feeds.
        budget (`int`): Most tokens in a pass.
        device (`torch.device`): Where the model is.
        bf16 (`bool`): Whether it computes under autocast to bfloat16.
    """

    reader: LayerReader
    columns: tuple[str, ...]
    collator: Collator
    tree: Callable[[Mapping[str, Any]], Tree]
    units: Callable[..., list[list[int]]]
    footprint: Footprint
    budget: int
    device: torch.device
    bf16: bool

    def __call__(
        self, rows: datasets.Dataset, indices: Sequence[int]
    ) -> tuple[list[str], list[int], dict[str, Tensor]]:
        """Return ids, numbers of rows, and features of shape `(F, D)` by column, in an order of their own.

        Of the states of tokens a row is a token that is fed, in the layout's order.

        Args:
            rows (`Dataset`): Encoded examples.
            indices (`Sequence[int]`): Which of them.
        """
        ids: list[str] = []
        counts: list[int] = []
        parts: dict[str, list[Tensor]] = {name: [] for name in self.columns}
        for group in split_units(self.units(rows, indices), self.footprint, self.budget):
            examples = [rows[index] for index in group]
            trees = [self.tree(example) for example in examples]
            own = [str(example["id"]) for example in examples]
            values, sizes = self._feed(examples, trees, group)
            for name, values_FD in values.items():
                _check_finite(values_FD, own, sizes, name)
                parts[name].append(values_FD)
            ids += own
            counts += sizes
        return ids, counts, {name: torch.cat(values) for name, values in parts.items()}

    # Of all that is done here, the norm and the pooling too: what follows a weight would keep the states of all passes.
    @torch.no_grad()
    def _feed(
        self, examples: Sequence[Mapping[str, Any]], trees: Sequence[Tree], indices: Sequence[int]
    ) -> tuple[dict[str, Tensor], list[int]]:
        batch = self.collator(examples)
        columns = {name: parse_column(name) for name in self.columns}
        # A stage reads the states of tokens or pooled ones: nothing plans both in one.
        of_tokens = TOKENS in {pooling for _, pooling in columns.values()}
        if not of_tokens:
            batch |= places(trees, batch)
        inputs = {name: value.to(self.device) for name, value in batch.items() if isinstance(value, Tensor)}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            hidden = self.reader(inputs)
        if of_tokens:
            fed_N = fed_tokens(inputs)
            states = {name: hidden[layer].flatten(0, 1)[fed_N].float() for name, (layer, _) in columns.items()}
            return {name: states_ND.cpu() for name, states_ND in states.items()}, self._tokens(batch, indices)
        first_F = torch.tensor(_first_alike(trees))
        # Through the norm behind the model's last layer, as if the model ended at this one.
        pooled = {
            name: pool(self.reader.norm(hidden[layer]), inputs, pooling) for name, (layer, pooling) in columns.items()
        }
        values = {name: values_FD.cpu()[first_F] for name, values_FD in pooled.items()}
        # Without branches it is the prompt that is scored.
        return values, [max(1, len(tree.branches)) for tree in trees]

    def _tokens(self, batch: Mapping[str, Any], indices: Sequence[int]) -> list[int]:
        """How many tokens of each example are fed."""
        if "segments" in batch:
            # Segment 0 is padding.
            return torch.bincount(batch["segments"].flatten())[1:].tolist()
        # Padded rows come example by example, as many of each as it feeds.
        rows = [self.footprint.rows[index] for index in indices]
        return [int(lengths.sum()) for lengths in batch["attention_mask"].sum(dim=1).split(rows)]


def _first_alike(trees: Sequence[Tree]) -> list[int]:
    """For each thing to be scored the first of its example that has the same tokens: rounding is no difference."""
    firsts: list[int] = []
    for tree in trees:
        firsts += [len(firsts) + first for first in first_alike(tree.branches)] if tree.branches else [len(firsts)]
    return firsts


def _check_finite(values_FD: Tensor, ids: Sequence[str], counts: Sequence[int], column: str) -> None:
    rows = values_FD.isfinite().all(dim=1).split(list(counts))
    bad = [name for name, finite_K in zip(ids, rows, strict=True) if not bool(finite_K.all())]
    if bad:
        named = ", ".join(bad[:_NAMED]) + (", ..." if len(bad) > _NAMED else "")
        raise NonFiniteError(
            f"NaN or infinite features {column} of {len(bad)} examples: {named}; look at these examples, or read the "
            "model in a precision with a larger range (dtype: float32, bf16: false)"
        )
