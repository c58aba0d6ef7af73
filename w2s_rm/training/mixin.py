"""What every trainer here has in common: which examples form a step, the loss over candidates, the metrics.

Shape suffixes: B examples of a micro-batch, N of the global batch, K candidates.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterator, Sized
from typing import Any

import datasets
import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler
from transformers import EvalPrediction, Trainer
from transformers.integrations.deepspeed import deepspeed_init

from w2s_rm.errors import ConfigError, NonFiniteError
from w2s_rm.heads import Head
from w2s_rm.heads.scores import Scored
from w2s_rm.training.anchor import Anchor, excess
from w2s_rm.training.batching import GlobalBatchLoader, GlobalBatchSampler, Order, PassCollator, SlotDataset
from w2s_rm.training.config import W2SRewardConfig
from w2s_rm.training.frozen_layers import FrozenLayers
from w2s_rm.training.layouts import Layout, chains, feeds, lay_out, max_tokens, refuse_long_rows, row_lengths
from w2s_rm.training.scoring import ScoredRow, score, scoring_by
from w2s_rm.training.token_budget import Footprint, refuse_too_large
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
    deepspeed: Any
    _signature_columns: Any
    # `compute_loss` divides by the examples of the whole step; the Trainer must not divide by micro-batches again.
    loss_is_scaled_for_ga = True
    exchangeable: bool = True
    head: Head
    w2s_loss: Loss
    layout: Layout
    frozen: FrozenLayers | None = None
    """What feeds stored hidden states in place of the first layers, to what is trained on."""
    _anchor: Anchor | None = None
    _examples_in_step: float = 1.0
    _statistics: Tensor | None = None

    def _lay_out(self, data_collator: Any) -> None:
        """Choose the layout of rows, unless a data collator is given, make its collator, and let the model read it."""
        # Accelerate would slice batches of a stream by their first tensor: one example has several rows.
        self.accelerator.dataloader_config.dispatch_batches = False
        refuse_long_rows(self.model, (self.train_dataset, self.eval_dataset))
        pad_token_id = int(self.processing_class.pad_token_id)
        if data_collator is None:
            self.layout, self.data_collator = lay_out(self.head, self.model, self.args, pad_token_id)
        else:
            self.layout = Layout("padded", "a data collator is given")
        if isinstance(self.args, W2SRewardConfig) and self.args.anchor_coefficient is not None:
            # Last, so that a copy reads the layout too; and before training, or a checkpoint would be its start.
            self._anchor = Anchor(self.head, self.model, pad_token_id)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            # Else the Trainer drops columns that the model's forward does not name.
            self._signature_columns = [*ENCODED_COLUMNS, "margin", "id"]

    def score(self, model: nn.Module, inputs: dict[str, Any]) -> Scored:
        """Score the candidates of a batch with the trainer's head; see [`~w2s_rm.heads.Head`]."""
        return self.head.score(model, inputs)

    def score_rows(self, rows: datasets.Dataset, *, window: int = 8192) -> Iterator[list[ScoredRow]]:
        """Score encoded rows with the trainer's model, wrapped as it is, on all ranks, as [`score`] does.

        Args:
            rows (`Dataset`): Encoded rows with `prompt_ids`, `candidate_ids` and perhaps `id`.
            window (`int`, *optional*, defaults to `8192`): Examples whose scores are held at a time.
        """
        collate: Any = self.data_collator
        scoring = scoring_by(self.args, collate, context=self.compute_loss_context_manager)
        yield from score(self._ready_to_score(), self.head, self.layout, rows, scoring, window=window)

    def _ready_to_score(self) -> nn.Module:
        """Wrap, place and cast the model as [`~transformers.Trainer.evaluation_loop`] does."""
        args, accelerator = self.args, self.accelerator
        if self.is_deepspeed_enabled and self.deepspeed is None:
            deepspeed_init(self, num_training_steps=0, inference=True)
        model: Any = self._wrap_model(self.model, training=False)
        # Without a training before, nothing is prepared yet.
        if not accelerator._models and model is self.model:
            sharded = self.is_deepspeed_enabled or (self.is_fsdp_enabled and not args.torch_compile)
            model = accelerator.prepare(model) if sharded else accelerator.prepare_model(model, evaluation_mode=True)
            if self.is_fsdp_enabled:
                self.model = model
            if model is not self.model:
                self.model_wrapped = model
            if self.is_deepspeed_enabled:
                self.deepspeed = self.model_wrapped
        # A cast in the midst of training would round the weights that are being trained.
        if not self.is_in_train and (args.fp16_full_eval or args.bf16_full_eval):
            model = model.to(dtype=torch.float16 if args.fp16_full_eval else torch.bfloat16, device=args.device)
        # Schedule-free optimizers keep two sets of weights, and only one of them is meant to be judged.
        if isinstance(self.optimizer, AcceleratedOptimizer):
            self.optimizer.eval()
        model.eval()
        ready: nn.Module = model
        return ready

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """Let a training go on afterwards as if nothing had been, whatever is scored and logged between two steps.

        Put back are the modes of all modules, what was about to be logged, and the weights of an optimizer that keeps
        two sets of them: to turn one into the other and back rounds. They wait in main memory, not on the device.
        """
        modes = [(module, module.training) for module in self.model.modules()]
        log_is_due, two_sets = self.control.should_log, self._optimizer_of_two_sets()
        weights = [] if two_sets is None else [weight for group in two_sets.param_groups for weight in group["params"]]
        copies = [weight.detach().to("cpu", copy=True) for weight in weights]
        yield
        if two_sets is not None:
            two_sets.train()
            with torch.no_grad():
                for weight, copied in zip(weights, copies, strict=True):
                    weight.copy_(copied)
        for module, mode in modes:
            module.training = mode
        # To log is to have logged: what training has gathered for the same step would be passed over.
        self.control.should_log = log_is_due

    def _optimizer_of_two_sets(self) -> Any | None:
        """The optimizer, where it is schedule-free: it has weights to train, and others to judge."""
        inner = getattr(self.optimizer, "optimizer", None)
        # DeepSpeed's wraps another one.
        wrapped = (inner, getattr(inner, "optimizer", None))
        return next((optimizer for optimizer in wrapped if callable(getattr(optimizer, "eval", None))), None)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Load micro-batches as lists of passes; a step's examples depend on seed, epoch and global batch size only.

        Raises:
            ConfigError: `max_tokens_per_batch` is set, and the dataset cannot be planned for.
            DataError: Examples exceed `max_tokens_per_batch`; the message names them.
        """
        budget = max_tokens(self.args)
        if not isinstance(self.train_dataset, datasets.Dataset):
            if budget is not None:
                raise ConfigError("max_tokens_per_batch plans for all examples; remove it, or give a datasets.Dataset")
            return super().get_train_dataloader()
        # The loader that super() would make is accelerate's, which repeats examples to even the last batch out, and
        # knows no passes.
        args, grouped = self.args, self.args.train_sampling_strategy == "group_by_length"
        batch_size = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        order = Order(
            len(self.train_dataset),
            args.seed if args.data_seed is None else args.data_seed,
            args.train_sampling_strategy,
            row_lengths(self.train_dataset) if grouped else (),
            batch_size,
            chains(self.head, self.train_dataset) if self.head.chains else (),
        )
        sampler = GlobalBatchSampler(
            order,
            args.process_index,
            args.world_size,
            args.train_batch_size,
            args.gradient_accumulation_steps,
            args.dataloader_drop_last,
            None if budget is None else self._footprint_within(budget),
            budget or 0,
        )
        # Not prepared by accelerate, which would share the batches out among the ranks a second time.
        return GlobalBatchLoader(
            SlotDataset(self.train_dataset),
            batch_sampler=sampler,
            collate_fn=PassCollator(self.data_collator),
            num_workers=args.dataloader_num_workers,
            # Without a GPU torch warns that pinned memory is of no use.
            pin_memory=args.dataloader_pin_memory and args.device.type == "cuda",
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
        )

    def _footprint_within(self, budget: int) -> Footprint:
        data: Any = self.train_dataset
        footprint = feeds(self.head, self.layout, data, self.args.pad_to_multiple_of)
        ids = data["id"] if "id" in data.column_names else range(len(data))
        refuse_too_large(footprint, budget, [str(name) for name in ids])
        return footprint

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # Transformers groups evaluation by length too, and would return scores in another order than the examples'.
        return SequentialSampler(eval_dataset) if isinstance(eval_dataset, Sized) else None

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[list[dict[str, Any]]], None]:
        """Fetch the micro-batches of a step, count its examples and take its statistics, over all ranks."""
        # The one place where all micro-batches of a step are at hand before the first of them is computed.
        fetched, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        # Loaders of iterable datasets are the Trainer's own, and know of no passes.
        batches = [batch if isinstance(batch, list) else [batch] for batch in fetched]
        passes = [one_pass for batch in batches for one_pass in batch]
        # A rank whose stream has ended still takes part in the sum, or the others would wait for it.
        local = torch.stack([one_pass["weights"].sum() for one_pass in passes]).sum() if passes else torch.tensor(0.0)
        self._examples_in_step = float(self.accelerator.reduce(local.to(device), "sum"))
        self._statistics = self._take_statistics(passes) if passes else None
        # No number of items, by which transformers divides losses of tokens: here they are divided by examples.
        return batches, None

    def _take_statistics(self, passes: list[dict[str, Any]]) -> Tensor | None:
        if self.exchangeable or not self.w2s_loss.needs_batch_statistics:
            return None
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        with torch.no_grad(), self.compute_loss_context_manager():
            for one_pass in passes:
                inputs = self._prepare_inputs(dict(one_pass))
                # Wrapped, for ZeRO-3 and FSDP gather the weights in its forward.
                scores_BK, _ = self._score_in_training(self.model_wrapped, inputs)
                # Padding turns truth values into numbers, and only on the ranks that are padded.
                parts.append((scores_BK, inputs["targets"], inputs["mask"].long(), inputs["weights"]))
        # Ranks may have different numbers of examples; what evens them has weight 0.
        # From a list of passes with four tensors each to four tensors of all passes of this rank.
        local = [self.accelerator.pad_across_processes(torch.cat(part)) for part in zip(*parts, strict=True)]
        scores_NK, targets_NK, mask_NK, weights_N = [self.accelerator.gather(part) for part in local]
        real = weights_N > 0
        # Every rank has all N examples now, and so comes to the same statistics without a further exchange.
        return self.w2s_loss.batch_statistics(scores_NK[real], targets_NK[real], mask_NK[real].bool())

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Add up the gradients of a micro-batch's passes; its last pass does what the Trainer does after a micro-batch.

        Until then ranks need not exchange gradients, and DeepSpeed's engine must take no step.
        """
        gradient_state = self.accelerator.gradient_state
        # What the Trainer has set for this micro-batch: whether it is the last one of its step.
        synchronize, losses = gradient_state.sync_gradients, []
        # Wherever this is true, `Accelerator.backward` lets DeepSpeed's engine take its step.
        gradient_state._set_sync_gradients(False)
        try:
            for one_pass in inputs[:-1]:
                with self.accelerator.no_sync(model):
                    losses.append(super().training_step(model, one_pass, num_items_in_batch))
        finally:
            gradient_state._set_sync_gradients(synchronize)
        losses.append(super().training_step(model, inputs[-1], num_items_in_batch))
        # A sum: each pass has been divided by the examples of the whole step already.
        return torch.stack(losses).sum()

    def floating_point_ops(self, inputs: Any) -> int:
        """Count the operations of all passes of a micro-batch."""
        # Without arguments `super` finds nothing inside a generator expression.
        count = super().floating_point_ops
        return sum(count(one_pass) for one_pass in inputs)

    def _track_num_input_tokens(self, inputs: Any) -> None:
        for one_pass in inputs:
            super()._track_num_input_tokens(one_pass)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Score the candidates and apply the loss; raises `NonFiniteError` naming the step and the batch's ids."""
        (scores_BK, greedy_B), drift_B = self._score_and_drift(model, inputs)
        targets_BK, mask_BK, weights_B = inputs["targets"], inputs["mask"], inputs["weights"]
        # An evaluation before any training has no last step.
        progress = self.state.global_step / self.state.max_steps if self.state.max_steps > 0 else 0.0
        compared_BK = less_margins(scores_BK, inputs.get("margins"))
        output = self.w2s_loss(compared_BK, targets_BK, mask_BK, progress=progress, statistics=self._statistics)
        per_example_B = output.per_example_B + self.regularizer(scores_BK, mask_BK)
        if drift_B is not None:
            per_example_B = per_example_B + excess(drift_B, self.args.anchor_coefficient, self.args.anchor_tolerance)
            output = dataclasses.replace(output, metrics={**output.metrics, "drift": drift_B})
        # Before fillers are weighed with 0, for 0 times NaN is NaN, and nobody could tell whose it was.
        self._check_finite(scores_BK, mask_BK, per_example_B, inputs["ids"])
        total = (per_example_B * weights_B).sum()
        if model.training:
            # DDP and DeepSpeed average gradients over ranks; undo it, so that the sum over ranks divides by the count.
            loss = total * self.accelerator.num_processes / self._examples_in_step
            self._add_metrics(scores_BK, targets_BK, mask_BK, weights_B, output)
        else:
            # In an evaluation there are no fillers, and the Trainer averages over batches by itself.
            loss = total / weights_B.sum()
        return (loss, {"scores": scores_BK, "greedy": greedy_B, "targets": targets_BK}) if return_outputs else loss

    def _score_and_drift(self, model: nn.Module, inputs: dict[str, Any]) -> tuple[Scored, Tensor | None]:
        """Scores, and in training the drift of each example where it is asked for."""
        if not model.training:
            return self.score(model, inputs), None
        if self._anchor is None:
            return self._score_in_training(model, inputs), None
        return self._anchor.score(self.score, model, inputs)

    def _score_in_training(self, model: nn.Module, inputs: dict[str, Any]) -> Scored:
        with contextlib.nullcontext() if self.frozen is None else self.frozen.feeding(inputs):
            return self.score(model, inputs)

    def regularizer(self, scores_BK: Tensor, mask_BK: Tensor) -> Tensor | float:
        """Terms of each example's loss besides the label.

        TRL's `center_rewards_coefficient` weighs the squared sum of the scores, `candidate_mass_coefficient` minus the
        log of the probability of all candidates together.
        """
        total: Tensor | float = 0.0
        if self.args.center_rewards_coefficient is not None:
            # TRL has mean((chosen + rejected)²) over pairs: the squared sum of an example's scores, here of any number
            # of candidates.
            total += self.args.center_rewards_coefficient * torch.where(mask_BK, scores_BK, 0.0).sum(dim=1) ** 2
        mass = self.args.candidate_mass_coefficient if isinstance(self.args, W2SRewardConfig) else None
        if mass is not None:
            # Padding holds the lowest number, of which the exponential is 0, so the sum needs no mask.
            total -= mass * scores_BK.logsumexp(dim=1)
        return total

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Tensor | None]:
        """Return the loss, `scores_BK` (with `greedy_B`, where the head writes) and `targets_BK` of a batch."""
        # What the last step of training left is of other examples.
        self._statistics = None
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        scores_BK, greedy_B = outputs["scores"].detach(), outputs["greedy"]
        # Without greedy answers a tensor and not a tuple, as TRL's trainer returns it and metrics expect it.
        return loss.detach(), scores_BK if greedy_B is None else (scores_BK, greedy_B), outputs["targets"]

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
            # Sum and count, not means: micro-batches have different numbers of examples, and fillers have none. Nothing
            # leaves the device until a log is due.
            self._sums[name] += torch.stack([(values_B.detach().float() * weights_B).sum(), weights_B.sum()]).double()

    # Between the constructors of two trainers the mixin has none of its own to make it in.
    @functools.cached_property
    def _sums(self) -> dict[str, Any]:
        return defaultdict(float)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log, over all ranks."""
        # Evaluations log, too, and must not use up what training has added since its last log.
        if self._sums and self.model.training:
            # All names in one exchange between ranks, which must have the same ones in the same order.
            sums = self.accelerator.reduce(torch.stack(list(self._sums.values())), "sum")
            means = {name: (total, count) for name, (total, count) in zip(self._sums, sums.tolist(), strict=True)}
            logs.update({name: total / count for name, (total, count) in means.items() if count})
            self._sums.clear()
        super().log(logs, start_time)


def less_margins(scores_BK: Tensor, margins_B: Tensor | None) -> Tensor:
    """Take margins off the scores of `chosen`, for the loss alone: predictions and accuracies know none.

    With two candidates and cross-entropy the loss is then TRL's, `-log sigmoid(chosen - rejected - margin)`.

    Args:
        scores_BK (`Tensor` of shape `(B, K)`): Scores, `chosen` first.
        margins_B (`Tensor` of shape `(B,)`, *optional*): In units of the scores.
    """
    if margins_B is None:
        return scores_BK
    return torch.cat([scores_BK[:, :1] - margins_B[:, None], scores_BK[:, 1:]], dim=1)


def candidate_accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Share of examples whose highest score is at the highest target; see [`agreement`].

    Args:
        prediction (`EvalPrediction`): `scores_BK` and `targets_BK`, padded with -100 across processes.
    """
    scores: Any = prediction.predictions
    scores_BK = torch.as_tensor(scores[0] if isinstance(scores, tuple) else scores)
    targets_BK = torch.as_tensor(prediction.label_ids)
    # Transformers pads what ranks return with -100, which may be the highest of negative scores.
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
    # One of t candidates at the top is picked by chance, and one of b best labels: of the t·b pairs those agree that
    # name the same candidate.
    return (top_BK & best_BK).sum(dim=1) / (top_BK.sum(dim=1) * best_BK.sum(dim=1))
