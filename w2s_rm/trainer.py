"""The trainers: TRL's and Hugging Face's loops with a weak-to-strong loss over the scores of candidates.

Shape suffixes: B examples of a micro-batch, K candidates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import PartialState
from peft import PeftConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, set_seed
from trl import RewardConfig, RewardTrainer
from trl.data_utils import is_conversational
from trl.trainer.reward_trainer import DataCollatorForPreference
from trl.trainer.utils import disable_dropout_in_model

from w2s_rm.config import W2SRewardConfig, build_loss
from w2s_rm.data.collation import PaddedCollator
from w2s_rm.data.encoding import encode_batch, share_tokens
from w2s_rm.data.head_encoding import check_candidates, encode_for
from w2s_rm.data.messages import written_messages
from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.heads import HEADS, keep_in_float32
from w2s_rm.integrations.trained_on import CONVERSATIONS, TEXT, ScoringFacts, write_facts
from w2s_rm.mixin import ENCODED_COLUMNS, WeakToStrongMixin, agreement, candidate_accuracy
from w2s_rm.types import Encoded, Example, LossOutput, content_hash

_CELLS = ("prompt", "chosen", "rejected")


class W2SRewardTrainer(WeakToStrongMixin, RewardTrainer):
    """
    Trainer for reward models on weak, soft or true labels; a drop-in for [`~trl.RewardTrainer`].

    With hard labels and cross-entropy it takes the same steps as TRL's trainer.

    Example:

    ```python
    >>> from datasets import load_dataset
    >>> from w2s_rm import W2SRewardConfig, W2SRewardTrainer

    >>> dataset = load_dataset("json", data_files="weakly_labelled.jsonl", split="train")  # + chosen_probability
    >>> trainer = W2SRewardTrainer(
    ...     model="Qwen/Qwen3-0.6B",
    ...     args=W2SRewardConfig(loss={"name": "log_confidence", "max_weight": 0.5}),
    ...     train_dataset=dataset,
    ... )
    >>> trainer.train()
    ```

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            As in [`~trl.RewardTrainer`].
        args ([`W2SRewardConfig`], *optional*):
            Configuration, with the loss. A plain [`~trl.RewardConfig`] means cross-entropy.
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            A TRL preference dataset (explicit or implicit prompt, text or conversational), optionally with a column of
            soft labels (`args.label_column`), `margin` and `id`; or encoded rows with `prompt_ids`, `candidate_ids`
            and `targets`.
        kwargs (`Any`):
            All other arguments of [`~trl.RewardTrainer`].

    Raises:
        DataError: A soft label is missing, NaN or outside [0, 1]; the message names the rows.
        NonFiniteError: During training, when a score or the loss is NaN or infinite.
    """

    head = HEADS["reward"]
    _tag_names = ["trl", "reward-trainer", "w2s-rm"]
    _signature_columns: Any
    _trained_on: str | None = None

    def __init__(
        self,
        model: Any,
        args: RewardConfig | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        compute_metrics: Any = None,
        *others: Any,
        **kwargs: Any,
    ) -> None:
        options = args.loss if isinstance(args, W2SRewardConfig) else "cross_entropy"
        self.w2s_loss = build_loss(options)
        if isinstance(args, W2SRewardConfig):
            _refuse_mass("reward", args)
        given = (data_collator, train_dataset, eval_dataset, processing_class, compute_metrics, *others)
        super().__init__(model, args, *given, **kwargs)
        keep_in_float32(self.head.output_layers(self.model))
        if isinstance(data_collator, DataCollatorForPreference):
            # Its rows are those of the padded layout, to which TRL's collator would add no labels.
            data_collator = PaddedCollator(data_collator.pad_token_id, data_collator.pad_to_multiple_of)
            self.data_collator = data_collator
        self._lay_out("reward", data_collator)
        if compute_metrics is None and not self.args.batch_eval_metrics:
            self.compute_metrics = candidate_accuracy

    def _prepare_dataset(
        self, dataset: Any, processing_class: PreTrainedTokenizerBase, args: RewardConfig, dataset_name: str
    ) -> Any:
        columns = dataset.column_names or list(next(iter(dataset)))
        if set(ENCODED_COLUMNS) <= set(columns):
            return dataset
        if dataset_name == "train":
            self._trained_on = _kind_of_first(dataset)
        for name in _TOKEN_COLUMNS:
            if (older := name.replace("_ids", "_input_ids")) in columns and name not in columns:
                dataset, columns = dataset.rename_column(older, name), [*columns, name]
        columns = [name for name in columns if not name.endswith("_input_ids")]
        label_column = args.label_column if isinstance(args, W2SRewardConfig) else "chosen_probability"
        kept = [name for name in ("id", "margin") if name in columns]
        settings: dict[str, Any] = {"batched": True, "remove_columns": [name for name in columns if name not in kept]}
        if isinstance(dataset, datasets.Dataset):
            settings |= {"desc": f"Encoding {dataset_name} dataset", "num_proc": args.dataset_num_proc}
        arguments = {"tokenizer": processing_class, "max_length": args.max_length, "label_column": label_column}
        encode = _encode_tokens if set(_TOKEN_COLUMNS) <= set(columns) else _encode_preferences
        if isinstance(dataset, datasets.Dataset):
            _refuse_cells(dataset, label_column)
        with PartialState().main_process_first():
            # Collators read lists, in whatever form a dataset gives its own rows.
            return dataset.with_format(None).map(encode, with_indices=True, fn_kwargs=arguments, **settings)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = [*ENCODED_COLUMNS, "margin", "id"]

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model, and beside it what scoring it as in training needs to know."""
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            facts = ScoringFacts(self._trained_on, "reward", self.args.max_length, bool(self.args.bf16))
            write_facts(Path(output_dir or str(self.args.output_dir)), facts)

    def _add_metrics(
        self, scores_BK: Tensor, targets_BK: Tensor, mask_BK: Tensor, weights_B: Tensor, output: LossOutput
    ) -> None:
        super()._add_metrics(scores_BK, targets_BK, mask_BK, weights_B, output)
        if scores_BK.shape[1] != _PAIR:
            return
        count = weights_B.sum()
        for name, value in _rewards(scores_BK[weights_B > 0]).items():
            self._sums[name] += torch.stack([value * count, count]).double()

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Tensor | None]:
        """Return the loss, `scores_BK` and `targets_BK` of a batch, and keep what TRL's `log` adds to evaluations."""
        loss, scores_BK, targets_BK = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        found = _rewards(scores_BK) if scores_BK.shape[1] == _PAIR else {}
        if self.compute_metrics is not candidate_accuracy and targets_BK is not None:
            found["accuracy"] = agreement(scores_BK, targets_BK).double().mean()
        for name, value in found.items():
            everywhere = self.accelerator.gather(value.float()).reshape(-1)
            reduce = {"min_reward": torch.min, "max_reward": torch.max}.get(name, torch.mean)
            self._metrics["eval"][name].append(float(reduce(everywhere)))
        return loss, scores_BK, targets_BK

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict as the Trainer does; what was seen is no part of a later evaluation."""
        output = super().predict(*args, **kwargs)
        self._metrics["eval"].clear()
        return output

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Load a dataset to evaluate, which may be one of those given at the start, or raw or encoded rows."""
        return super().get_eval_dataloader(self._encoded(eval_dataset))

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """Load a dataset to predict, of raw or encoded rows."""
        return super().get_test_dataloader(self._encoded(test_dataset))

    def _encoded(self, dataset: Any) -> Any:
        if dataset is None or isinstance(dataset, str):
            return dataset
        return self._prepare_dataset(dataset, self.processing_class, self.args, "eval")


_TOKEN_COLUMNS = ("chosen_ids", "rejected_ids")
# TRL's statistics are of pairs; among more candidates, padded to as many, they would mean nothing.
_PAIR = 2


def _rewards(scores_BK: Tensor) -> dict[str, Tensor]:
    """Statistics of a batch under the names that TRL logs."""
    scores_BK = scores_BK.detach()
    if not len(scores_BK):
        return dict.fromkeys(("min_reward", "mean_reward", "max_reward", "margin"), scores_BK.new_zeros(()))
    return {
        "min_reward": scores_BK.min(),
        "mean_reward": scores_BK.mean(),
        "max_reward": scores_BK.max(),
        "margin": (scores_BK[:, 0] - scores_BK[:, 1]).mean(),
    }


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
            `classification` (a logit for each class at the prompt's end) or `lm` (log-probability of each candidate).
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

    _signature_columns: Any

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
        if head not in ("classification", "lm"):
            raise ConfigError(f"head {head!r}: use classification or lm here, and W2SRewardTrainer for reward")
        args = args or W2SRewardConfig("w2s_model")
        _refuse_mass(head, args)
        self.head_name, self.head = head, HEADS[head]
        self.exchangeable = head != "classification" if exchangeable is None else exchangeable
        self.w2s_loss = build_loss(args.loss)
        set_seed(args.seed)
        for dataset in (train_dataset, eval_dataset):
            _check_columns(dataset)
        self._classes = _first_classes(eval_dataset if train_dataset is None else train_dataset)
        if isinstance(model, str):
            from w2s_rm.modeling import load_for_trainer

            model, own_tokenizer = load_for_trainer(head, model, args, self._classes)
            processing_class = processing_class or own_tokenizer
        if processing_class is None:
            raise ConfigError("give the model's tokenizer as processing_class")
        _prepare_model(model, args, processing_class)
        if head == "classification" and self._classes is not None and model.config.num_labels != len(self._classes):
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
            data_collator=collator or self.head.collator(int(processing_class.pad_token_id), args.pad_to_multiple_of),
            compute_metrics=kwargs.pop("compute_metrics", candidate_accuracy),
            **kwargs,
        )
        # As in TRL: evaluation has a loss although no column is called labels, and gradients are not scaled again.
        self.can_return_loss, self.label_names, self.model_accepts_loss_kwargs = True, [], False
        keep_in_float32(self.head.output_layers(self.model))
        self._lay_out(head, collator)

    def _encoded(self, dataset: Any, tokenizer: PreTrainedTokenizerBase, args: W2SRewardConfig) -> Any:
        if dataset is None or set(ENCODED_COLUMNS) <= set(dataset.column_names):
            return dataset
        dropped = [name for name in dataset.column_names if name != "id"]
        arguments = {
            "tokenizer": tokenizer,
            "max_length": args.max_length,
            "head": self.head_name,
            "classes": self._classes if self.head_name == "classification" else None,
        }
        with PartialState().main_process_first():
            return dataset.map(
                _encode_candidates, with_indices=True, fn_kwargs=arguments, batched=True, remove_columns=dropped
            )

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = [*ENCODED_COLUMNS, "id"]


def _check_columns(dataset: Any) -> None:
    if dataset is None or set(ENCODED_COLUMNS) <= set(dataset.column_names):
        return
    labelled = {"label", "probabilities"} & set(dataset.column_names)
    missing = [name for name in ("prompt", "candidates") if name not in dataset.column_names]
    missing += [] if labelled else ["label or probabilities"]
    if missing:
        raise DataError(f"the dataset has no column {', '.join(missing)}; it has {', '.join(dataset.column_names)}")


def _refuse_mass(head: str, args: W2SRewardConfig) -> None:
    if args.candidate_mass_coefficient is not None and head != "lm":
        raise ConfigError(
            f"candidate_mass_coefficient is for head lm, whose scores are log-probabilities; remove it for head {head}"
        )


def _first_classes(dataset: Any) -> list[str] | None:
    if dataset is None:
        return None
    row = dataset[0]
    return list(map(str, row["candidates"] if "candidates" in row else range(len(row["targets"]))))


def _prepare_model(model: PreTrainedModel, args: W2SRewardConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    if args.activation_offloading:
        raise ConfigError("activation_offloading is TRL's, for reward models; remove it for this head")
    if args.disable_dropout:
        disable_dropout_in_model(model)
    if tokenizer.pad_token_id is None:
        raise ConfigError("the tokenizer has no pad token; set it, for example to the eos token")
    # Sequence classification finds the last token of a row by it.
    model.config.pad_token_id = tokenizer.pad_token_id


def _with_adapter(model: PreTrainedModel, config: PeftConfig, args: W2SRewardConfig) -> PeftModel:
    """Add an adapter as TRL's trainers do, with the same settings for ZeRO-3 and gradient checkpointing."""
    quantized = any(parameter.dtype in (torch.uint8, torch.int8) for parameter in model.parameters())
    zero3 = args.deepspeed_plugin is not None and args.deepspeed_plugin.zero_stage == 3
    adapted: Any = get_peft_model(model, config, autocast_adapter_dtype=not (zero3 and not quantized))
    if args.gradient_checkpointing:
        if zero3:
            given: Any = args.gradient_checkpointing_kwargs or {}
            args.gradient_checkpointing_kwargs = {**given, "use_reentrant": True}
        adapted.enable_input_require_grads()
    if quantized:
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    result: PeftModel = adapted
    return result


def _encode_candidates(
    batch: Mapping[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    head: str,
    classes: list[str] | None,
) -> dict[str, list[Any]]:
    """Encode a batch of rows with `prompt`, `candidates` and `label` or `probabilities`."""
    if classes is not None:
        _check_classes(batch, indices, classes)
    ids = batch.get("id", indices)
    examples = [
        Example(str(name), content_hash(prompt), prompt, tuple(options), None)
        for name, prompt, options in zip(ids, batch["prompt"], batch["candidates"], strict=True)
    ]
    targets: list[Any] = batch["probabilities"] if "probabilities" in batch else _one_hot(batch)
    wrong = [
        index
        for index, example, target in zip(indices, examples, targets, strict=True)
        if target is None
        or len(target) != len(example.candidates)
        or any(p is None or not 0.0 <= p <= 1.0 for p in target)
        or abs(sum(target) - 1.0) > 1e-4
    ]
    if wrong:
        raise DataError(f"each row needs a distribution over its candidates; rows {wrong[:10]} have none")
    encoded = encode_for(head, tokenizer, examples, max_length)
    check_candidates(head, tokenizer, examples, encoded)
    return {
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [list(target) for target in targets],
    }


def _check_classes(batch: Mapping[str, list[Any]], indices: list[int], classes: list[str]) -> None:
    others = [index for index, options in zip(indices, batch["candidates"], strict=True) if options != classes]
    if others:
        raise DataError(
            f"head classification has one output for each of {classes}; rows {others[:10]} have other candidates, "
            "or these in another order"
        )


def _one_hot(batch: Mapping[str, list[Any]]) -> list[list[float] | None]:
    return [
        [float(k == label) for k in range(len(options))] if label in range(len(options)) else None
        for label, options in zip(batch["label"], batch["candidates"], strict=True)
    ]


def _template_kwargs(tools: Any, extra: Mapping[str, Any] | None) -> dict[str, Any]:
    # As in TRL, tools may be JSON: a column of schemas of different shapes has no type of its own.
    return {"tools": json.loads(tools) if isinstance(tools, str) else tools, **(extra or {})}


def _read_messages(name: str, cells: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    """Read conversations that were written as JSON; everything else stays as it is."""
    found = [
        (written_messages(cell, f"row {index}: {name}") if isinstance(cell, str) else None) or cell
        for index, cell in zip(indices, cells, strict=True)
    ]
    return [[cell] if isinstance(cell, Mapping) else cell for cell in found]


def _kind_of_first(dataset: Any) -> str | None:
    """Whether a dataset begins with text or a conversation; `None` where its first row is none, which is said later."""
    row: Mapping[str, Any] = next(iter(dataset), {})
    first = row.get("chosen")
    if isinstance(first, str) and written_messages(first, "row 0: chosen") is None:
        return TEXT
    return CONVERSATIONS if first else None


def _check_pairs(batch: Mapping[str, list[Any]], indices: list[int], columns: tuple[str, ...], label: str) -> None:
    """Refuse rows that are no pair of one kind.

    Raises:
        DataError: Missing columns, null cells, text beside messages, or labels that are no probabilities; names all
            rows of the batch.
    """
    if missing := [name for name in columns if name != "prompt" and name not in batch]:
        raise DataError(f"the dataset has no column {' and '.join(missing)}; it has {', '.join(batch)}")
    columns = tuple(name for name in columns if name in batch)
    problems = _cell_problems(batch, indices, columns, label)
    _refuse_rows(problems)
    kinds = [{isinstance(batch[name][place], str) for name in columns} for place in range(len(indices))]
    for index, kind in zip(indices, kinds, strict=True):
        if len(kind) > 1 or kind != kinds[0]:
            problems.append(f"row {index}: text and messages are mixed; use one kind in all columns and rows")
    _refuse_rows(problems)


def _refuse_rows(problems: list[str]) -> None:
    if problems:
        raise DataError(join_problems("rows that are no comparison:", problems))


def _cell_problems(
    batch: Mapping[str, list[Any]], indices: Sequence[int], columns: Sequence[str], label: str
) -> list[str]:
    problems = []
    for place, index in enumerate(indices):
        if empty := [name for name in columns if name in batch and batch[name][place] is None]:
            problems.append(f"row {index}: {' and '.join(empty)} is null; drop the row or fill it")
        if "margin" in batch and not _is_finite(batch["margin"][place]):
            problems.append(f"row {index}: margin {batch['margin'][place]} is no number; use 0 for none")
        if label in batch and not _is_probability(batch[label][place]):
            problems.append(f"row {index}: {label} {batch[label][place]} is no probability in [0, 1]")
    return problems


def _refuse_cells(dataset: datasets.Dataset, label: str) -> None:
    """Name the rows of the whole dataset at once: encoding stops at its first batch that has some."""
    cells = (*_CELLS, *_TOKEN_COLUMNS)
    names = [name for name in dataset.column_names if name in (*cells, "margin", label)]
    read = dataset.with_format(None).select_columns(names)
    problems: list[str] = []
    for start in range(0, len(read), 1000):
        batch = read[start : start + 1000]
        problems += _cell_problems(batch, range(start, min(start + 1000, len(read))), cells, label)
    _refuse_rows(problems)


def _is_finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _is_probability(value: Any) -> bool:
    return value is not None and 0.0 <= value <= 1.0


def _encode_tokens(
    batch: Mapping[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    label_column: str,
) -> dict[str, list[Any]]:
    """Take rows that are tokens already, as TRL prepares them."""
    _check_pairs(batch, indices, _TOKEN_COLUMNS, label_column)
    rows = list(zip(*(batch[name] for name in _TOKEN_COLUMNS), strict=True))
    return _encoded_columns(share_tokens(tokenizer, rows, max_length), batch, label_column)


def _encode_preferences(
    batch: Mapping[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    label_column: str,
) -> dict[str, list[Any]]:
    """Encode a batch of a TRL preference dataset; `chosen` is candidate 0."""
    batch = {**batch, **{name: _read_messages(name, batch[name], indices) for name in _CELLS if name in batch}}
    _check_pairs(batch, indices, ("prompt", "chosen", "rejected"), label_column)
    size = len(batch["chosen"])
    candidates = list(zip(batch["chosen"], batch["rejected"], strict=True))
    conversational = is_conversational({"chosen": batch["chosen"][0]})
    prompts: list[Any] = batch["prompt"] if "prompt" in batch else [[] if conversational else ""] * size
    tools, extra = (batch.get(name, [None] * size) for name in ("tools", "chat_template_kwargs"))
    template_kwargs = [_template_kwargs(*pair) for pair in zip(tools, extra, strict=True)]
    encoded = encode_batch(tokenizer, prompts, candidates, max_length, template_kwargs)
    return _encoded_columns(encoded, batch, label_column)


def _encoded_columns(
    encoded: Sequence[Encoded], batch: Mapping[str, list[Any]], label_column: str
) -> dict[str, list[Any]]:
    return {
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [[p, 1.0 - p] for p in batch.get(label_column, [1.0] * len(encoded))],
    }
