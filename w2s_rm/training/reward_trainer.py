"""The trainer of reward models: TRL's, with a weak-to-strong loss over the scores of candidates.

Shape suffixes: B examples of a micro-batch, K candidates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from w2s_rm.heads import HEADS
from w2s_rm.heads.collation import PaddedCollator
from w2s_rm.heads.scores import keep_in_float32, set_padding
from w2s_rm.training.config import W2SRewardConfig, build_loss, refuse_mass
from w2s_rm.training.facts import ScoringFacts, write_facts
from w2s_rm.training.layout_probe import without_adapter
from w2s_rm.training.mixin import ENCODED_COLUMNS, WeakToStrongMixin, agreement, candidate_accuracy
from w2s_rm.training.preference_rows import TOKEN_COLUMNS, encode_preferences, kind_of_first, refuse_cells
from w2s_rm.types import LossOutput

# TRL's statistics are of pairs; among more candidates, padded to as many, they would mean nothing.
_PAIR = 2


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
            refuse_mass(self.head, args)
        arguments = (data_collator, train_dataset, eval_dataset, processing_class, compute_metrics, *others)
        # The options above are refused before this loads a model, and it calls our `_prepare_dataset`.
        super().__init__(model, args, *arguments, **kwargs)
        # After TRL's constructor, which may put an adapter around the model, and tells its own configuration alone.
        set_padding(without_adapter(self.model), int(self.processing_class.pad_token_id))
        keep_in_float32(self.head.output_layers(self.model))
        if isinstance(data_collator, DataCollatorForPreference):
            # Its rows are those of the padded layout, to which TRL's collator would add no labels.
            data_collator = PaddedCollator(data_collator.pad_token_id, data_collator.pad_to_multiple_of)
            self.data_collator = data_collator
        self._lay_out(data_collator)
        # With batch_eval_metrics the Trainer calls metrics batch by batch, with another argument.
        if compute_metrics is None and not self.args.batch_eval_metrics:
            self.compute_metrics = candidate_accuracy

    def _prepare_dataset(
        self, dataset: Any, processing_class: PreTrainedTokenizerBase, args: RewardConfig, dataset_name: str
    ) -> Any:
        # A stream may not know its columns before its first row is read.
        columns = dataset.column_names or list(next(iter(dataset)))
        if set(ENCODED_COLUMNS) <= set(columns):
            return dataset
        if dataset_name == "train":
            self._trained_on = kind_of_first(dataset)
        for name in TOKEN_COLUMNS:
            # As TRL called them in earlier versions.
            if (older := name.replace("_ids", "_input_ids")) in columns and name not in columns:
                dataset, columns = dataset.rename_column(older, name), [*columns, name]
        # What was renamed still stands in the list under its older name, by which nothing can be removed.
        columns = [name for name in columns if not name.endswith("_input_ids")]
        label_column = args.label_column if isinstance(args, W2SRewardConfig) else "chosen_probability"
        kept = [name for name in ("id", "margin") if name in columns]
        # `remove_columns` must name columns that are there, and `map` of a stream knows neither a bar nor processes.
        settings: dict[str, Any] = {"batched": True, "remove_columns": [name for name in columns if name not in kept]}
        if isinstance(dataset, datasets.Dataset):
            settings |= {"desc": f"Encoding {dataset_name} dataset", "num_proc": args.dataset_num_proc}
        arguments = {"tokenizer": processing_class, "max_length": args.max_length, "label_column": label_column}
        if isinstance(dataset, datasets.Dataset):
            refuse_cells(dataset, label_column)
        with PartialState().main_process_first():
            # Collators read lists, in whatever form a dataset gives its own rows.
            return dataset.with_format(None).map(encode_preferences, with_indices=True, fn_kwargs=arguments, **settings)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model, and beside it what scoring it as in training needs to know."""
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            facts = ScoringFacts(self._trained_on, self.head.name, self.args.max_length, bool(self.args.bf16))
            write_facts(Path(output_dir or str(self.args.output_dir)), facts)

    def _add_metrics(
        self, scores_BK: Tensor, targets_BK: Tensor, mask_BK: Tensor, weights_B: Tensor, output: LossOutput
    ) -> None:
        super()._add_metrics(scores_BK, targets_BK, mask_BK, weights_B, output)
        # Of other numbers of candidates nothing is added, under the same names: another rank's batch may be of pairs,
        # and all must have the same to exchange.
        counted_B = weights_B if scores_BK.shape[1] == _PAIR else torch.zeros_like(weights_B)
        count = counted_B.sum()
        for name, value in _rewards(scores_BK[counted_B > 0]).items():
            self._sums[name] += torch.stack([value * count, count]).double()

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Tensor | None]:
        """Return the loss, `scores_BK` and `targets_BK` of a batch, and keep what TRL's `log` adds to evaluations."""
        loss, scores_BK, targets_BK = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        # All ranks gather, or none: one that waited for a batch of three candidates elsewhere would wait for ever.
        pairs = self.accelerator.gather(scores_BK.new_tensor([scores_BK.shape[1] == _PAIR])).all()
        statistics = _rewards(scores_BK) if pairs else {}
        # With metrics of one's own, the accuracy that TRL logs would be missing.
        if self.compute_metrics is not candidate_accuracy and targets_BK is not None:
            statistics["accuracy"] = agreement(scores_BK, targets_BK).double().mean()
        for name, value in statistics.items():
            # TRL averages what is kept here and does not gather it: every rank keeps the same.
            everywhere = self.accelerator.gather(value.float()).reshape(-1)
            reduce = {"min_reward": torch.min, "max_reward": torch.max}.get(name, torch.mean)
            self._metrics["eval"][name].append(float(reduce(everywhere)))
        return loss, scores_BK, targets_BK

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict as the Trainer does; what was seen is no part of a later evaluation."""
        output = super().predict(*args, **kwargs)
        # TRL's `log` empties this list when an evaluation is logged; a prediction is not.
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
        # TRL's `evaluate` has prepared its dataset already; encoded rows come back as they are.
        return self._prepare_dataset(dataset, self.processing_class, self.args, "eval")


def _rewards(scores_BK: Tensor) -> dict[str, Tensor]:
    """Statistics of a batch under the names that TRL logs."""
    scores_BK = scores_BK.detach()
    if not len(scores_BK):
        # A pass of fillers alone has no rewards; its count is 0, and with it what is added.
        return dict.fromkeys(("min_reward", "mean_reward", "max_reward", "margin"), scores_BK.new_zeros(()))
    return {
        "min_reward": scores_BK.min(),
        "mean_reward": scores_BK.mean(),
        "max_reward": scores_BK.max(),
        "margin": (scores_BK[:, 0] - scores_BK[:, 1]).mean(),
    }
