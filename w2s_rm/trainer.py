"""The trainers: Hugging Face's loops with a weak-to-strong loss over the scores of candidates.

Shape suffixes: B examples of a micro-batch, N of the global batch, K candidates, R rows (candidates) fed to the model.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Mapping, Sized
from typing import Any

import datasets
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler
from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer
from trl import RewardConfig, RewardTrainer
from trl.data_utils import is_conversational

from w2s_rm.config import W2SRewardConfig, build_loss
from w2s_rm.data.batching import GlobalBatchLoader, GlobalBatchSampler, Order, SlotDataset
from w2s_rm.data.collation import PaddedCollator
from w2s_rm.data.encoding import encode_batch
from w2s_rm.errors import DataError, NonFiniteError
from w2s_rm.types import Loss, LossOutput

ENCODED_COLUMNS = ("prompt_ids", "candidate_ids", "targets")


class WeakToStrongMixin(Trainer):
    """Gather and loss: sums per example, divided by the number of examples in the global batch.

    So one process with 32 examples, two with 16 and two with 4 over 4 accumulation steps take the same step, also in a
    ragged last batch. A loss that needs statistics of the batch gets them over the global batch.
    """

    args: Any
    model: Any
    processing_class: Any
    loss_is_scaled_for_ga = True
    exchangeable: bool = True
    w2s_loss: Loss
    _examples_in_step: float = 1.0
    _statistics: Tensor | None = None

    def score(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """Return `scores_BK` in float32, `finfo.min` at padding candidates."""
        raise TypeError(f"{type(self).__name__} must define how candidates are scored")

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Load batches whose examples depend on seed, epoch and global batch size only."""
        if not isinstance(self.train_dataset, datasets.Dataset):
            return super().get_train_dataloader()
        args, grouped = self.args, self.args.train_sampling_strategy == "group_by_length"
        batch_size = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        order = Order(
            len(self.train_dataset),
            args.seed if args.data_seed is None else args.data_seed,
            args.train_sampling_strategy,
            _lengths(self.train_dataset) if grouped else (),
            batch_size,
        )
        sampler = GlobalBatchSampler(
            order,
            args.process_index,
            args.world_size,
            args.train_batch_size,
            args.gradient_accumulation_steps,
            args.dataloader_drop_last,
        )
        return GlobalBatchLoader(
            SlotDataset(self.train_dataset),
            batch_sampler=sampler,
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory and args.device.type == "cuda",
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
        )

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # Transformers groups evaluation by length too, and would return scores in another order than the examples'.
        return SequentialSampler(eval_dataset) if isinstance(eval_dataset, Sized) else None

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], None]:
        """Fetch the micro-batches of a step, count its examples and take its statistics, over all ranks."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        local = torch.stack([batch["weights"].sum() for batch in batches]).sum() if batches else torch.tensor(0.0)
        self._examples_in_step = float(self.accelerator.reduce(local.to(device), "sum"))
        self._statistics = self._take_statistics(batches) if batches else None
        return batches, None

    def _take_statistics(self, batches: list[dict[str, Any]]) -> Tensor | None:
        if self.exchangeable or not self.w2s_loss.needs_batch_statistics:
            return None
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in batches:
                inputs = self._prepare_inputs(dict(batch))
                scores_BK = self.score(self.model_wrapped, inputs)
                parts.append((scores_BK, inputs["targets"], inputs["mask"], inputs["weights"]))
        gathered = [self.accelerator.gather(torch.cat(part)) for part in zip(*parts, strict=True)]
        scores_NK, targets_NK, mask_NK, weights_N = gathered
        real = weights_N > 0
        return self.w2s_loss.batch_statistics(scores_NK[real], targets_NK[real], mask_NK[real])

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Score the candidates and apply the loss; raises `NonFiniteError` naming the step and the batch's ids."""
        scores_BK = self.score(model, inputs)
        targets_BK, mask_BK, weights_B = inputs["targets"], inputs["mask"], inputs["weights"]
        progress = self.state.global_step / self.state.max_steps if self.state.max_steps > 0 else 0.0
        output = self.w2s_loss(scores_BK, targets_BK, mask_BK, progress=progress, statistics=self._statistics)
        per_example_B = output.per_example_B + self.regularizer(scores_BK, mask_BK)
        self._check_finite(scores_BK, mask_BK, per_example_B, inputs["ids"])
        total = (per_example_B * weights_B).sum()
        if model.training:
            # DDP and DeepSpeed average gradients over ranks; undo it, so that the sum over ranks divides by the count.
            loss = total * self.accelerator.num_processes / self._examples_in_step
            self._add_metrics(scores_BK, targets_BK, mask_BK, weights_B, output)
        else:
            loss = total / weights_B.sum()
        return (loss, {"scores": scores_BK, "targets": targets_BK}) if return_outputs else loss

    def regularizer(self, scores_BK: Tensor, mask_BK: Tensor) -> Tensor | float:
        """A term of each example's loss besides the label: none here."""
        return 0.0

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the loss, `scores_BK` and `targets_BK` of a batch."""
        self._statistics = None
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        return loss.detach(), outputs["scores"].detach(), outputs["targets"]

    def _check_finite(self, scores_BK: Tensor, mask_BK: Tensor, per_example_B: Tensor, ids: list[str]) -> None:
        bad_B = ~(torch.isfinite(scores_BK) | ~mask_BK).all(dim=1) | ~torch.isfinite(per_example_B)
        if bool(bad_B.any()):
            bad = [name for name, is_bad in zip(ids, bad_B.tolist(), strict=True) if is_bad]
            raise NonFiniteError(
                f"step {self.state.global_step + 1}: NaN or infinite score or loss for examples {', '.join(bad)} "
                f"(batch: {', '.join(ids)}); lower the learning rate, or look at these examples"
            )

    def _add_metrics(
        self, scores_BK: Tensor, targets_BK: Tensor, mask_BK: Tensor, weights_B: Tensor, output: LossOutput
    ) -> None:
        scores_BK = scores_BK.detach()
        agrees_B = agreement(scores_BK, targets_BK)
        counts_B = mask_BK.sum(dim=1)
        means_B = torch.where(mask_BK, scores_BK, 0.0).sum(dim=1) / counts_B
        for name, values_B in {"accuracy": agrees_B, "mean_score": means_B, **output.metrics}.items():
            self._sums[name] += torch.stack([(values_B.detach().float() * weights_B).sum(), weights_B.sum()]).double()

    @property
    def _sums(self) -> dict[str, Any]:
        return self.__dict__.setdefault("_metric_sums", defaultdict(float))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log, over all ranks."""
        if self._sums and self.model.training:
            sums = self.accelerator.reduce(torch.stack(list(self._sums.values())), "sum")
            logs.update({name: float(total / count) for name, (total, count) in zip(self._sums, sums, strict=True)})
            self._sums.clear()
        super().log(logs, start_time)


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

    _tag_names = ["trl", "reward-trainer", "w2s-rm"]
    _signature_columns: Any

    def __init__(self, model: Any, args: RewardConfig | None = None, **kwargs: Any) -> None:
        options = args.loss if isinstance(args, W2SRewardConfig) else "cross_entropy"
        self.w2s_loss = build_loss(options)
        super().__init__(model=model, args=args, **kwargs)
        _keep_head_in_float32(self.model)
        if kwargs.get("data_collator") is None:
            self.data_collator = PaddedCollator(self.processing_class.pad_token_id, self.args.pad_to_multiple_of)
        if kwargs.get("compute_metrics") is None:
            self.compute_metrics = preference_accuracy

    def _prepare_dataset(
        self, dataset: Any, processing_class: PreTrainedTokenizerBase, args: RewardConfig, dataset_name: str
    ) -> Any:
        columns = dataset.column_names or list(next(iter(dataset)))
        if set(ENCODED_COLUMNS) <= set(columns):
            return dataset
        label_column = args.label_column if isinstance(args, W2SRewardConfig) else "chosen_probability"
        kept = [name for name in ("id", "margin") if name in columns]
        settings: dict[str, Any] = {"batched": True, "remove_columns": [name for name in columns if name not in kept]}
        if isinstance(dataset, datasets.Dataset):
            settings |= {"desc": f"Encoding {dataset_name} dataset", "num_proc": args.dataset_num_proc}
        arguments = {"tokenizer": processing_class, "max_length": args.max_length, "label_column": label_column}
        with PartialState().main_process_first():
            return dataset.map(_encode_preferences, with_indices=True, fn_kwargs=arguments, **settings)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = [*ENCODED_COLUMNS, "margin", "id"]

    def score(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """Score each row with the model's scalar head."""
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        mask_BK = inputs["mask"]
        scores_BK = torch.full(mask_BK.shape, torch.finfo(torch.float32).min, device=mask_BK.device)
        scores_BK = scores_BK.masked_scatter(mask_BK, outputs.logits.float().squeeze(-1))
        if "margins" in inputs:
            scores_BK = torch.cat([scores_BK[:, :1] - inputs["margins"][:, None], scores_BK[:, 1:]], dim=1)
        return scores_BK

    def regularizer(self, scores_BK: Tensor, mask_BK: Tensor) -> Tensor | float:
        """TRL's `center_rewards_coefficient`: the squared sum of an example's rewards."""
        coefficient = self.args.center_rewards_coefficient
        return 0.0 if coefficient is None else coefficient * torch.where(mask_BK, scores_BK, 0.0).sum(dim=1) ** 2


def _keep_head_in_float32(model: nn.Module) -> None:
    # In bfloat16 a reward of about 1 comes in steps of 1/128: close candidates tie, and weak labels are coarse.
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.out_features == 1:
            module.forward = functools.partial(_float32_linear, module)  # type: ignore[method-assign]


def _float32_linear(module: nn.Linear, hidden: Tensor) -> Tensor:
    with torch.autocast(hidden.device.type, enabled=False):
        bias = None if module.bias is None else module.bias.float()
        return nn.functional.linear(hidden.float(), module.weight.float(), bias)


def preference_accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Share of examples whose highest score is at the highest target; see [`agreement`].

    Args:
        prediction (`EvalPrediction`): `scores_BK` and `targets_BK`, padded with -100 across processes.
    """
    scores_BK, targets_BK = torch.as_tensor(prediction.predictions), torch.as_tensor(prediction.label_ids)
    scores_BK = scores_BK.masked_fill(targets_BK < 0, -torch.inf)
    return {"accuracy": float(agreement(scores_BK, targets_BK).double().mean())}


def agreement(scores_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Whether the highest score is at the highest target: 1 or 0, and its chance where either is a tie.

    Without the second, a model that gives every candidate the same score would agree with all that is stored first.

    Args:
        scores_BK (`Tensor` of shape `(B, K)`): Scores; padding candidates hold the lowest.
        targets_BK (`Tensor` of shape `(B, K)`): Label distribution.
    """
    top_BK = scores_BK == scores_BK.amax(dim=1, keepdim=True)
    best_BK = targets_BK == targets_BK.amax(dim=1, keepdim=True)
    return (top_BK & best_BK).sum(dim=1) / (top_BK.sum(dim=1) * best_BK.sum(dim=1))


def _lengths(dataset: datasets.Dataset) -> list[int]:
    prompts, candidates = dataset["prompt_ids"], dataset["candidate_ids"]
    return [len(prompt) + max(map(len, options)) for prompt, options in zip(prompts, candidates, strict=True)]


def _template_kwargs(tools: Any, extra: Mapping[str, Any] | None) -> dict[str, Any]:
    # As in TRL, tools may be JSON: a column of schemas of different shapes has no type of its own.
    return {"tools": json.loads(tools) if isinstance(tools, str) else tools, **(extra or {})}


def _encode_preferences(
    batch: Mapping[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    label_column: str,
) -> dict[str, list[Any]]:
    """Encode a batch of a TRL preference dataset; `chosen` is candidate 0."""
    size = len(batch["chosen"])
    candidates = list(zip(batch["chosen"], batch["rejected"], strict=True))
    conversational = is_conversational({"chosen": batch["chosen"][0]})
    prompts: list[Any] = batch["prompt"] if "prompt" in batch else [[] if conversational else ""] * size
    tools, extra = (batch.get(name, [None] * size) for name in ("tools", "chat_template_kwargs"))
    template_kwargs = [_template_kwargs(*pair) for pair in zip(tools, extra, strict=True)]
    encoded = encode_batch(tokenizer, prompts, candidates, max_length, template_kwargs)
    probabilities = batch.get(label_column, [1.0] * size)
    wrong = [index for index, p in zip(indices, probabilities, strict=True) if p is None or not 0.0 <= p <= 1.0]
    if wrong:
        raise DataError(f"column {label_column!r} must hold probabilities in [0, 1]; rows {wrong[:10]} do not")
    return {
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [[p, 1.0 - p] for p in probabilities],
    }
