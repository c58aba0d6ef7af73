"""The trainer of classifiers and of language models that choose: transformers', with a weak-to-strong loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, set_seed
from trl.trainer.utils import disable_dropout_in_model

from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.heads.scores import keep_in_float32, set_padding
from w2s_rm.training.candidate_rows import check_columns, encode_rows, first_classes
from w2s_rm.training.config import W2SRewardConfig, build_loss, refuse_mass
from w2s_rm.training.mixin import ENCODED_COLUMNS, WeakToStrongMixin, candidate_accuracy
from w2s_rm.training.modeling import load_for_trainer


class W2STrainer(WeakToStrongMixin, Trainer):
    """
    Trainer for classifiers, answers to questions and chess moves on weak, soft or true labels.

    It shares losses, batches and metrics with [`W2SRewardTrainer`]; only the model's head differs.

    Example:

    ```python
    >>> from datasets import Dataset
    >>> from w2s_rm import W2SRewardConfig, W2STrainer

    >>> rows = [{"prompt": "Bees make honey. True?", "candidates": [" no", " yes"], "probabilities": [0.2, 0.8]}]
    >>> trainer = W2STrainer(
    ...     model="Qwen/Qwen3-0.6B",
    ...     head="lm",
    ...     args=W2SRewardConfig(loss={"name": "log_confidence"}),
    ...     train_dataset=Dataset.from_list(rows),
    ... )
    >>> trainer.train()
    ```

    Args:
        model (`str` or [`~transformers.PreTrainedModel`]):
            Path or hub id, or a model that fits the head: `AutoModelForCausalLM` for `lm`, otherwise
            `AutoModelForSequenceClassification`.
        args ([`W2SRewardConfig`], *optional*):
            Configuration, with the loss.
        train_dataset ([`~datasets.Dataset`]):
            Rows with `prompt`, `candidates` and either `label` (index of the right one) or `probabilities`; or encoded
            rows with `prompt_ids`, `candidate_ids` and `targets`.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            The tokenizer; by default the model's.
        head (`str`, *optional*, defaults to `"classification"`):
            `classification` (a logit for each class at the prompt's end), `lm` (log-probability of each candidate) or
            `steps` (a logit for each class at the prompt's last token, of a token classifier).
        exchangeable (`bool`, *optional*):
            Whether candidates have no fixed meaning by position; by default so, but for `classification`.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Train an adapter.
        kwargs (`Any`):
            All other arguments of [`~transformers.Trainer`].

    Raises:
        ConfigError: The head is unknown, or `reward`, which [`W2SRewardTrainer`] trains.
        DataError: A row without label, or a label that is no distribution; the message names the rows.
        NonFiniteError: During training, when a score or the loss is NaN or infinite.
    """

    def __init__(
        self,
        model: Any,
        args: W2SRewardConfig | None = None,
        train_dataset: Any = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        *,
        head: str = "classification",
        exchangeable: bool | None = None,
        peft_config: PeftConfig | None = None,
        eval_dataset: Any = None,
        **kwargs: Any,
    ) -> None:
        if head not in HEADS or HEADS[head].gives_rewards:
            raise ConfigError(f"head {head!r}: use classification, lm or steps here, and W2SRewardTrainer for reward")
        args = args or W2SRewardConfig("w2s_model")
        self.head = HEADS[head]
        refuse_mass(self.head, args)
        self.exchangeable = not self.head.needs_classes if exchangeable is None else exchangeable
        self.w2s_loss = build_loss(args.loss)
        # The Trainer does so too, but after a model is loaded and an adapter drawn.
        set_seed(args.seed)
        # Before the model is loaded, which may take minutes.
        for dataset in (train_dataset, eval_dataset):
            if isinstance(dataset, Mapping):
                raise ConfigError("eval_dataset: give one dataset; W2SRewardTrainer alone takes several by name")
            check_columns(dataset)
        self._classes = first_classes(eval_dataset if train_dataset is None else train_dataset)
        if isinstance(model, str):
            model, own_tokenizer = load_for_trainer(head, model, args, self._classes)
            processing_class = processing_class or own_tokenizer
        if processing_class is None:
            raise ConfigError("give the model's tokenizer as processing_class")
        _prepare_model(model, args, processing_class)
        if self.head.needs_classes and self._classes is not None and model.config.num_labels != len(self._classes):
            raise ConfigError(f"the model has {model.config.num_labels} outputs, the data {len(self._classes)} classes")
        if peft_config is not None:
            model = _with_adapter(model, peft_config, args)
        collator = kwargs.pop("data_collator", None)
        super().__init__(
            model=model,
            args=args,
            train_dataset=self._encoded(train_dataset, processing_class, args),
            eval_dataset=self._encoded(eval_dataset, processing_class, args),
            processing_class=processing_class,
            # Only so that the constructor takes none of its own; `_lay_out` puts that of the layout in its place.
            data_collator=collator or self.head.collator(int(processing_class.pad_token_id), args.pad_to_multiple_of),
            compute_metrics=kwargs.pop("compute_metrics", candidate_accuracy),
            **kwargs,
        )
        # As in TRL: evaluation has a loss although no column is called labels, and gradients are not scaled again.
        self.can_return_loss, self.label_names, self.model_accepts_loss_kwargs = True, [], False
        keep_in_float32(self.head.output_layers(self.model))
        self._lay_out(collator)

    def _encoded(self, dataset: Any, tokenizer: PreTrainedTokenizerBase, args: W2SRewardConfig) -> Any:
        if dataset is None or set(ENCODED_COLUMNS) <= set(dataset.column_names):
            return dataset
        dropped = [name for name in dataset.column_names if name != "id"]
        arguments = {
            "tokenizer": tokenizer,
            "max_length": args.max_length,
            "head": self.head.name,
            "classes": self._classes if self.head.needs_classes else None,
        }
        # One process encodes and fills the cache of datasets, from which the others then read.
        with PartialState().main_process_first():
            return dataset.map(
                encode_rows, with_indices=True, fn_kwargs=arguments, batched=True, remove_columns=dropped
            )


def _prepare_model(model: PreTrainedModel, args: W2SRewardConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    if args.activation_offloading:
        raise ConfigError("activation_offloading is TRL's, for reward models; remove it for this head")
    if args.disable_dropout:
        disable_dropout_in_model(model)
    if tokenizer.pad_token_id is None:
        raise ConfigError("the tokenizer has no pad token; set it, for example to the eos token")
    set_padding(model, int(tokenizer.pad_token_id))


def _with_adapter(model: PreTrainedModel, config: PeftConfig, args: W2SRewardConfig) -> PeftModel:
    """Add an adapter as TRL's trainers do, with the same settings for ZeRO-3 and gradient checkpointing."""
    quantized = any(parameter.dtype in (torch.uint8, torch.int8) for parameter in model.parameters())
    zero3 = args.deepspeed_plugin is not None and args.deepspeed_plugin.zero_stage == 3
    # ZeRO-3 gathers parameters into buffers of one dtype: a float32 adapter in a bfloat16 model fails at the first
    # step (huggingface/trl#6089, deepspeedai/DeepSpeed#8072).
    adapted: Any = get_peft_model(model, config, autocast_adapter_dtype=not (zero3 and not quantized))
    if args.gradient_checkpointing:
        if zero3:
            # Without re-entry torch compares shapes, and by then ZeRO-3 has emptied frozen weights
            # (huggingface/trl#2514, deepspeedai/DeepSpeed#4332).
            kwargs: Any = args.gradient_checkpointing_kwargs or {}
            args.gradient_checkpointing_kwargs = {**kwargs, "use_reentrant": True}
        # The Trainer forgets this for adapters (huggingface/transformers#42489).
        adapted.enable_input_require_grads()
    # bfloat16 as in QLoRA's paper; PEFT has no option for it on quantised models (huggingface/peft#2889).
    if quantized:
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    result: PeftModel = adapted
    return result
