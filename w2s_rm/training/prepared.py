"""A model made ready to score without a trainer: placed, cast, sharded where its engine shards, in a layout of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations.deepspeed import deepspeed_init, propagate_args_to_deepspeed

from w2s_rm.errors import ConfigError
from w2s_rm.heads import Head
from w2s_rm.heads.scores import keep_in_float32, set_padding
from w2s_rm.training.layouts import Layout, Rows, lay_out, refuse_long_rows
from w2s_rm.training.scoring import Scoring, scoring_by


@dataclass(frozen=True)
class Prepared:
    """What [`~w2s_rm.training.scoring.score`] takes beside head and rows.

    Args:
        model (`nn.Module`): In evaluation mode, on its device, wrapped where its engine asks for it.
        layout ([`~w2s_rm.training.layouts.Layout`]): The layout of rows that it reads.
        scoring ([`~w2s_rm.training.scoring.Scoring`]): How.
    """

    model: nn.Module
    layout: Layout
    scoring: Scoring


def prepare(
    head: Head, model: PreTrainedModel, args: Any, tokenizer: PreTrainedTokenizerBase, rows: Rows, **others: Any
) -> Prepared:
    """Make a model ready to score, as a trainer of the same arguments would.

    Args:
        head ([`~w2s_rm.heads.Head`]): The head.
        model (`PreTrainedModel`): Changed in place.
        args ([`~w2s_rm.W2SRewardConfig`]): Precision, layout, batches; where the process is in its launch.
        tokenizer (`PreTrainedTokenizerBase`): Has a pad token.
        rows (`Dataset` or `Sequence[Mapping]`): What will be scored.
        others (`Any`): Further fields of [`~w2s_rm.training.scoring.Scoring`].

    Raises:
        ConfigError: Rows are longer than the model has positions, the layout cannot be had, or the engine is one of
            DeepSpeed's that does not shard the model, for which it has no inference.
    """
    accelerator = _accelerator(args)
    set_padding(model, int(tokenizer.pad_token_id))
    keep_in_float32(head.output_layers(model))
    refuse_long_rows(model, (rows,))
    # Before the model is wrapped: a layout is made by changing its own `forward`.
    layout, collate = lay_out(head, model, args, int(tokenizer.pad_token_id))
    placed = _placed(model, args, accelerator)
    placed.eval()
    return Prepared(placed, layout, scoring_by(args, collate, **others))


def _accelerator(args: Any) -> Accelerator:
    """Make the accelerator of a trainer with these arguments."""
    sharding = args.fsdp_plugin_args
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision,
        deepspeed_plugin=args.deepspeed_plugin,
        fsdp_plugin=None if sharding is None else FullyShardedDataParallelPlugin(**sharding),
    )
    # The DeepSpeed part of accelerate's config leaves fields open that the arguments fill, as in the Trainer.
    if _plugin(accelerator, "deepspeed_plugin") is not None and getattr(args, "hf_deepspeed_config", None) is None:
        propagate_args_to_deepspeed(accelerator, args)
    return accelerator


class _Subject(NamedTuple):
    """What transformers' `deepspeed_init` asks a trainer for."""

    model: nn.Module
    args: Any
    accelerator: Accelerator


def _plugin(accelerator: Accelerator, name: str) -> Any:
    # The state has these only where an engine of the kind is in use.
    return getattr(accelerator.state, name, None)


def _placed(model: nn.Module, args: Any, accelerator: Accelerator) -> nn.Module:
    """Do what [`~transformers.Trainer.evaluation_loop`] does before its first batch."""
    engine = _plugin(accelerator, "deepspeed_plugin")
    if engine is not None:
        if not engine.hf_ds_config.is_zero3():
            raise ConfigError("DeepSpeed has no inference engine for ZeRO-1 and ZeRO-2; launch with ddp or zero3")
        deepspeed_init(_Subject(model, args, accelerator), num_training_steps=0, inference=True)
        model = accelerator.prepare(model)
    elif _plugin(accelerator, "fsdp_plugin") is not None:
        model = accelerator.prepare(model)
    else:
        # Without DDP around it: there are no gradients to exchange.
        model = accelerator.prepare_model(model, evaluation_mode=True)
    if args.fp16_full_eval or args.bf16_full_eval:
        model = model.to(dtype=torch.float16 if args.fp16_full_eval else torch.bfloat16, device=args.device)
    return model
