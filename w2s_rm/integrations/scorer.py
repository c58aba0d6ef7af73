"""Scores of a reward model outside a trainer: in batches of like length, each prompt fed once where the model can.

Shape suffixes: B prompts of a batch, K responses of a prompt.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import PartialState

from w2s_rm.errors import ConfigError, DataError, NonFiniteError, join_problems
from w2s_rm.heads import HEADS, Collator
from w2s_rm.heads.attention import read_branches
from w2s_rm.heads.collation import PaddedCollator
from w2s_rm.heads.encoding import count_shared, encode_batch
from w2s_rm.heads.trees import SharedPrefixCollator
from w2s_rm.integrations.reward_model import RewardModel, unsharded
from w2s_rm.integrations.texts import check_template
from w2s_rm.integrations.trained_on import as_trained
from w2s_rm.training.layout_probe import why_not_shared
from w2s_rm.training.layouts import Layout, attention_length, refuse_long_rows
from w2s_rm.training.scoring import Scoring, score
from w2s_rm.types import Encoded, Example, Text

logger = logging.getLogger(__name__)

Group = Mapping[str, Any]
"""A prompt's tokens with those of its responses, as the collators take them."""

_HEAD = HEADS["reward"]
_NAMED = 10


class Scorer:
    """Encodes and scores as training did.

    Args:
        loaded ([`~w2s_rm.integrations.reward_model.RewardModel`]): The reward model.
        batch_size (`int`, *optional*, defaults to `64`): Most responses in one forward pass.
        max_length (`int`, *optional*): Tokens to which rows are cut; by default the reward model's.
        device (`str` or `torch.device`, *optional*): Where to compute; by default, from the first scores on, the
            process's accelerator.
        bf16 (`bool`, *optional*): Compute in bfloat16, the score layer excepted; by default as training did, where that
            is known, otherwise on accelerators only.

    Raises:
        ConfigError: An option is wrong, or `max_length` exceeds the positions that the model has learned.
    """

    def __init__(
        self,
        loaded: RewardModel,
        *,
        batch_size: int = 64,
        max_length: int | None = None,
        device: str | torch.device | None = None,
        bf16: bool | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; use 1 or more")
        self.loaded, self.batch_size = loaded, batch_size
        self.max_length = loaded.max_length if max_length is None else max_length
        self._device, self._bf16 = device, loaded.bf16 if bf16 is None else bf16
        self._prepared: tuple[Layout, Scoring] | None = None
        if self.max_length is not None:
            # One row of this length stands for all that may come.
            refuse_long_rows(loaded.model, [[{"prompt_ids": [0] * self.max_length, "candidate_ids": [[]]}]])

    def score_examples(self, examples: Sequence[Example]) -> list[tuple[float, ...]]:
        """Score all candidates of examples, which are cut together where they are too long: the stages' own scores.

        Args:
            examples (`Sequence[Example]`): All text or all conversations.

        Raises:
            DataError: Text and conversations are mixed.
            ConfigError: Conversations for a reward model without chat template.
            NonFiniteError: A score is NaN or infinite; names the examples.
        """
        if len({isinstance(example.candidates[0], str) for example in examples}) > 1:
            raise DataError("some examples are text and some conversations; score them one kind at a time")
        loaded = self.loaded
        examples = as_trained(loaded.trained_on, loaded.path, loaded.tokenizer, examples)
        if examples and not isinstance(examples[0].candidates[0], str):
            check_template(self.loaded.tokenizer, self.loaded.path)
        example_names = [f"example {example.id!r}" for example in examples]
        kwargs = [e.template_kwargs for e in examples]
        encoded = self.encode([e.prompt for e in examples], [e.candidates for e in examples], example_names, kwargs)
        scores = self.score([to_group(row.prompt_ids, row.candidate_ids) for row in encoded])
        # One name for each score: candidates have none of their own.
        names = [name for name, example in zip(example_names, examples, strict=True) for _ in example.candidates]
        self.check_finite([score for row in scores for score in row], names)
        return list(map(tuple, scores))

    def encode(
        self,
        prompts: Sequence[Text],
        candidates: Sequence[Sequence[Text]],
        names: Sequence[str],
        template_kwargs: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[Encoded]:
        """Tokenise prompts with their candidates as in training.

        Args:
            prompts (`Sequence` of text or messages): One for each row.
            candidates (`Sequence` of sequences of text or messages): Their continuations.
            names (`Sequence[str]`): What rows are called in messages.
            template_kwargs (`Sequence[Mapping]`, *optional*): For each row, keyword arguments of the chat template.

        Raises:
            DataError: A row has no token, or the chat template refuses it or leaves messages out; names the rows.
        """
        encoded = encode_batch(
            self.loaded.tokenizer, prompts, candidates, self.max_length, template_kwargs, names=names
        )
        empty = [name for name, row in zip(names, encoded, strict=True) if not all(row.candidate_ids)]
        if empty:
            raise DataError(f"nothing to score: prompt and response have no token in {', '.join(empty[:_NAMED])}")
        return encoded

    def score(self, groups: Sequence[Group]) -> list[list[float]]:
        """Score groups of responses that share a prompt, in their order.

        Args:
            groups (`Sequence[Mapping]`): From [`to_group`] or [`share_prompts`].
        """
        if not groups:
            return []
        layout, scoring = self._prepare()
        # One window over all groups: they are sorted by length among each other and come back in one piece, in their
        # order.
        (scored,) = score(self.loaded.model, _HEAD, layout, groups, scoring, window=len(groups))
        return [list(row.scores) for row in scored]

    def _prepare(self) -> tuple[Layout, Scoring]:
        """Place the model and choose how it reads rows; not before the first scores: then a trainer has its device."""
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        if self._prepared is None:
            device = PartialState().device if self._device is None else torch.device(self._device)
            module: Any = model
            module.to(device)
            pad_token_id = int(tokenizer.pad_token_id)
            with unsharded():
                reason = why_not_shared(_HEAD, model, self.max_length, device)
            layout = Layout("padded", reason) if reason else Layout("shared_prefix", "the model reads it")
            if reason is None:
                read_branches(model)
                length = attention_length(model)
                collator: Collator = SharedPrefixCollator(_HEAD.tree, pad_token_id, attention_length=length)
            else:
                collator = PaddedCollator(pad_token_id)
            logger.info("%s: layout %s", self.loaded.name, f"padded: {reason}" if reason else "shared_prefix")
            bf16 = device.type != "cpu" if self._bf16 is None else self._bf16
            scoring = Scoring(
                collator,
                device,
                most_candidates=self.batch_size,
                # The message names rows as their caller does.
                finite=False,
                context=lambda: torch.autocast(device.type, torch.bfloat16, enabled=bf16),
            )
            self._prepared = layout, scoring
        return self._prepared

    def check_finite(self, scores: Sequence[float], names: Sequence[str]) -> None:
        """Stop at a NaN or infinite score: trainers would go on with it.

        Args:
            scores (`Sequence[float]`): Rewards.
            names (`Sequence[str]`): What each belongs to, for the message.

        Raises:
            NonFiniteError: Names what has one.
        """
        bad = [name for name, score in zip(names, scores, strict=True) if not math.isfinite(score)]
        if bad:
            counts = f"NaN or infinite reward for {len(bad)} of {len(scores)} responses"
            heading = f"reward model {self.loaded.path!r}: {counts}; look at these, or at how the model was trained:"
            raise NonFiniteError(join_problems(heading, bad))


def to_group(prompt_ids: list[int], candidate_ids: list[list[int]]) -> Group:
    """Make a group of a prompt's tokens and those of its responses, none of which is empty."""
    return {"prompt_ids": prompt_ids, "candidate_ids": candidate_ids}


def share_prompts(rows: Sequence[list[int]], prompts: Sequence[Text], most: int) -> list[tuple[list[int], Group]]:
    """Group responses to equal prompts, so that their common beginning is fed once; the tokens stay what they are.

    Args:
        rows (`Sequence[list[int]]`): Tokens of prompt and response.
        prompts (`Sequence` of text or messages): What they answer.
        most (`int`): Most responses in a group.

    Returns:
        `list`: For each group the indices of its rows, and the group.
    """
    answers: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        # Messages are dictionaries, which have no hash.
        answers[prompt if isinstance(prompt, str) else repr(prompt)].append(row)
    groups = []
    for indices in answers.values():
        for start in range(0, len(indices), most):
            part = indices[start : start + most]
            answered = [rows[index] for index in part]
            # Each row keeps at least one token of its own.
            shared = min(count_shared(answered), min(map(len, answered)) - 1)
            groups.append((part, to_group(answered[0][:shared], [row[shared:] for row in answered])))
    return groups
