"""Of the options of TRL's trainers and models: which of them change a result, and which scoring needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Fields that say how a stage is run, watched or stored, and not what it computes.
# Batches per device are among them, for what counts is their product over processes and accumulation; the layout and
# the tokens of a pass too, which change steps and scores by rounding alone.
_LAUNCH_WORDS = """
run_name report_to logging_strategy logging_steps logging_first_step log_level log_level_replica log_on_each_node
disable_tqdm save_strategy save_steps save_total_limit save_on_each_node eval_strategy
dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor dataset_num_proc
per_device_train_batch_size gradient_accumulation_steps per_device_eval_batch_size eval_accumulation_steps
layout max_tokens_per_batch
ddp_timeout push_to_hub hub_model_id hub_strategy hub_token hub_private_repo hub_always_push hub_revision
project trackio_space_id trackio_bucket_id trackio_static_space_id
include_num_input_tokens_seen torch_empty_cache_steps
"""
_LAUNCH_ONLY = frozenset(_LAUNCH_WORDS.split())
# What changes no result either, or only with something that no training here has, such as a split of transformers' own
# evaluations. Not among those above: these are in the hashes of models that were trained with them.
_IDLE_WORDS = """
eval_steps eval_delay eval_on_start eval_do_concat_batches eval_use_gather_object batch_eval_metrics include_for_metrics
prediction_loss_only load_best_model_at_end metric_for_best_model greater_is_better label_names length_column_name
save_only_model enable_jit_checkpoint restore_callback_states_from_checkpoint ignore_data_skip
logging_nan_inf_filter skip_memory_metrics debug do_train do_eval do_predict local_rank
dataloader_multiprocessing_context dataloader_in_order
ddp_backend ddp_bucket_cap_mb ddp_broadcast_buffers ddp_find_unused_parameters ddp_static_graph
gradient_checkpointing gradient_checkpointing_kwargs activation_checkpointing activation_checkpointing_kwargs
"""
_IDLE = frozenset(_IDLE_WORDS.split())
_SCORING_WORDS = """
max_length per_device_eval_batch_size layout max_tokens_per_batch dataloader_num_workers
bf16 fp16 bf16_full_eval fp16_full_eval tf32 use_cpu use_liger_kernel
trust_remote_code pad_to_multiple_of chat_template_path eos_token pad_token model_init_kwargs disable_tqdm
"""
_SCORING = _SCORING_WORDS.split()
_SEEDS = ("seed", "data_seed")
_OF_BATCH_SIZE = ("per_device_train_batch_size", "gradient_accumulation_steps")
# Of a model that was trained here: in which precision and how it is computed; the rest is merged into its weights.
_MERGED = ("dtype", "attn_implementation")
WHOLE = ("model_revision", *_MERGED)
"""Options of a model under which it is loaded as it was saved: neither quantised nor with an adapter."""


def computing(options: Mapping[str, Any], *, keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the options that a result depends on, with the content of a chat template in place of its path.

    Args:
        options (`Mapping`): Fields of TRL's configurations of trainers and of its `ModelConfig`.
        keep (`tuple[str, ...]`, *optional*): Options that count here although they say only how a stage is launched.
    """
    kept = {name: value for name, value in options.items() if name not in _LAUNCH_ONLY or name in keep}
    template = Path(str(options.get("chat_template_path")))
    if template.is_file():
        kept["chat_template_path"] = hashlib.sha256(template.read_bytes()).hexdigest()
    return kept


def untunable(name: str) -> str | None:
    """Say why trainings of which one is chosen cannot differ in an option; `None` where they can.

    Args:
        name (`str`): A field of `TrainingArguments` or of `RewardConfig`.
    """
    if name in _SCORING:
        return "says how examples are read, also by whoever labels and scores later: make it a recipe of its own"
    if name in _SEEDS:
        return "is a seed, and the best of several seeds is luck: seeds are repetitions"
    if name in _IDLE or (name in _LAUNCH_ONLY and name not in _OF_BATCH_SIZE):
        return "changes no result"
    return None


def batch_size(options: Mapping[str, Any], processes: int) -> int:
    """Examples in an optimizer step: per device x accumulation x processes.

    Args:
        options (`Mapping`): Fields of `TrainingArguments`.
        processes (`int`): How many work on a batch.
    """
    per_device = int(options.get("per_device_train_batch_size", 8))
    return per_device * int(options.get("gradient_accumulation_steps", 1)) * processes


def scoring(train: Mapping[str, Any], model: Mapping[str, Any], *, as_given: bool) -> dict[str, Any]:
    """Return what of a model's options matters when it scores.

    Args:
        train (`Mapping`): Its training options.
        model (`Mapping`): Its own: dtype, attention, LoRA, quantisation.
        as_given (`bool`): Whether the model was not trained here: one that was carries its own number of layers in its
            config, and its adapter and quantisation are merged.
    """
    names = [name for name in _SCORING if name in train and (as_given or name != "model_init_kwargs")]
    kept = model if as_given else [name for name in _MERGED if name in model]
    return {"report_to": "none", **{name: train[name] for name in names}, **{name: model[name] for name in kept}}
