"""A trained reward model as a reward function of TRL's trainers: batched, in its own chat template, checked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.data.messages import parse_template_kwargs, words
from w2s_rm.heads.encoding import first_alike
from w2s_rm.integrations.reward_model import load_reward_model
from w2s_rm.integrations.scorer import Scorer, share_prompts
from w2s_rm.integrations.texts import check_columns, check_markup, check_template
from w2s_rm.integrations.trained_on import needs_messages, spoken_all
from w2s_rm.types import Encoded, Text

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_SHOWN = 40


def reward_function(
    model_name_or_path: str,
    *,
    batch_size: int = 64,
    max_length: int | None = None,
    device: str | torch.device | None = None,
    bf16: bool | None = None,
) -> RewardFunction:
    """Make a reward function from a saved reward model, for `reward_funcs` of TRL's GRPO, RLOO and Online DPO trainers.

    Rewards are the scores seen in training: conversations are rendered with the chat template that was saved with the
    reward model, whatever the policy's is, and plain text ends with the reward model's eos token.

    Example:

    ```python
    >>> from trl import GRPOTrainer
    >>> from w2s_rm.integrations.rewards import reward_function

    >>> reward = reward_function("runs/stages/student-0123456789ab/model")
    >>> trainer = GRPOTrainer(model="Qwen/Qwen3-0.6B", reward_funcs=reward, train_dataset=dataset)
    ```

    Args:
        model_name_or_path (`str`): Folder or hub id of a sequence classifier with one output.
        batch_size (`int`, *optional*, defaults to `64`): Most responses in one forward pass.
        max_length (`int`, *optional*): Tokens to which a prompt with its response is cut. By default as in training, if
            the model's folder knows it; otherwise what model and tokenizer take.
        device (`str` or `torch.device`, *optional*): Where to compute; by default, from the first call on, on the
            accelerator of the process.
        bf16 (`bool`, *optional*): Compute in bfloat16, the score layer excepted. By default as training did, where
            the model's folder knows it; otherwise on accelerators only.

    Raises:
        ConfigError: The folder is incomplete, the model is no reward model or has no pad token, or an option is wrong.
    """
    loaded = load_reward_model(model_name_or_path)
    return RewardFunction(Scorer(loaded, batch_size=batch_size, max_length=max_length, device=device, bf16=bf16))


class RewardFunction:
    """Rewards of completions, called as TRL's trainers call reward functions; made by [`reward_function`].

    It is no `nn.Module`, so trainers neither wrap, shard nor save the reward model: each process has a whole copy.

    Args:
        scorer ([`~w2s_rm.integrations.scorer.Scorer`]): Encodes and scores.

    Attributes:
        n_scored (`int`): Completions scored so far in this process.
        n_cut (`int`): Of these, how many were cut, prompt or completion, to fit `max_length`.
        n_empty (`int`): Of these, how many were empty: what is scored then is the prompt and the end.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        # TRL logs rewards under this name.
        self.__name__ = scorer.loaded.name
        self.n_scored = self.n_cut = self.n_empty = 0
        self._as_messages: bool | None = None

    def __call__(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        *,
        tools: Sequence[Any] | None = None,
        chat_template_kwargs: Sequence[Any] | None = None,
        # TRL gives besides every other column, the tokens, the trainer's state and functions for its log.
        **_: Any,
    ) -> list[float]:
        """Score completions, each by itself: a reward does not depend on what else is in the batch.

        Args:
            prompts (`Sequence` of text or messages): One for each completion.
            completions (`Sequence` of text or messages): What the policy wrote.
            tools (`Sequence`, *optional*): For conversations, the tools of each, as a list or JSON: a dataset's column.
            chat_template_kwargs (`Sequence`, *optional*): Further arguments of the chat template for each.

        Raises:
            DataError: Columns are missing, mixed up or of different kinds, or a row has no token; names the rows.
            ConfigError: Conversations for a reward model without chat template, or text that was rendered with another
                chat template than the reward model's.
            NonFiniteError: A reward is NaN or infinite; names the rows.
        """
        columns = {"tools": tools, "chat_template_kwargs": chat_template_kwargs}
        # TRL hands every further column of its dataset to a reward function; these two change how a conversation is
        # rendered.
        present = {name: column for name, column in columns.items() if column is not None}
        kwargs = None
        if present and check_columns(prompts, completions):
            rows = [dict(zip(present, cells, strict=True)) for cells in zip(*present.values(), strict=True)]
            kwargs = list(map(parse_template_kwargs, rows))
        return self.named(prompts, completions, template_kwargs=kwargs)

    def named(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        names: Sequence[str] | None = None,
        template_kwargs: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[float]:
        """Score completions, with names for messages.

        Args:
            prompts (`Sequence` of text or messages): As for a call.
            completions (`Sequence` of text or messages): As for a call.
            names (`Sequence[str]`, *optional*): What they are called; by default `row 0` and so on.
            template_kwargs (`Sequence[Mapping]`, *optional*): For each, keyword arguments of the chat template.
        """
        loaded = self.scorer.loaded
        if check_columns(prompts, completions):
            check_template(loaded.tokenizer, loaded.path)
        names = names or [f"row {row}" for row in range(len(prompts))]
        if not prompts:
            return []
        # Before they become messages, inside of which the markup of another template would stand.
        if isinstance(prompts[0], str):
            check_markup(loaded.tokenizer, loaded.path, list(map(str, prompts)), names)
        if self._needs_messages(prompts, completions):
            prompts, completions = spoken_all(prompts, completions)
        encoded = self.scorer.encode(prompts, [(completion,) for completion in completions], names, template_kwargs)
        self._count(completions, encoded)
        rewards = self._score(prompts, encoded)
        self.scorer.check_finite(rewards, [f"{n} (prompt {_shown(p)})" for n, p in zip(names, prompts, strict=True)])
        return rewards

    def _needs_messages(self, prompts: Sequence[Text], completions: Sequence[Text]) -> bool:
        """Decide at the first text, and say it then: rows of one dataset are not to be scored in two ways."""
        loaded = self.scorer.loaded
        # Conversations need no decision, but may have to be refused.
        if self._as_messages is None or not isinstance(completions[0], str):
            needed = needs_messages(loaded.trained_on, loaded.path, loaded.tokenizer, prompts, completions[0])
            if not isinstance(completions[0], str):
                return needed
            self._as_messages = needed
        return self._as_messages

    def _score(self, prompts: Sequence[Text], encoded: Sequence[Encoded]) -> list[float]:
        """Score what differs once: equal tokens have equal rewards, which rounding would tell apart between groups."""
        tokens = [row.prompt_ids + row.candidate_ids[0] for row in encoded]
        first = first_alike(tokens)
        distinct = sorted(set(first))
        groups = share_prompts(
            [tokens[row] for row in distinct], [prompts[row] for row in distinct], self.scorer.batch_size
        )
        rewards: dict[int, float] = {}
        for (rows, _), scores in zip(groups, self.scorer.score([group for _, group in groups]), strict=True):
            # `rows` count among the distinct ones.
            rewards |= {distinct[row]: score for row, score in zip(rows, scores, strict=True)}
        return [rewards[row] for row in first]

    def _count(self, completions: Sequence[Text], encoded: Sequence[Encoded]) -> None:
        """Count what was cut and what was empty; say so once."""
        cut = sum(row.cut_prompt_tokens + row.cut_candidate_tokens > 0 for row in encoded)
        empty = sum(map(_is_empty, completions))
        if cut and not self.n_cut:
            text = "%s: %d of %d prompts with completions exceed %s tokens and were cut; counted in n_cut"
            logger.warning(text, self.__name__, cut, len(encoded), self.scorer.max_length)
        if empty and not self.n_empty:
            text = "%s: %d of %d completions are empty, the reward is that of an ended prompt; counted in n_empty"
            logger.warning(text, self.__name__, empty, len(encoded))
        self.n_scored += len(encoded)
        self.n_cut += cut
        self.n_empty += empty


def _is_empty(completion: Text) -> bool:
    if isinstance(completion, str):
        return not completion
    return not any(map(words, completion))


def _shown(prompt: Text) -> str:
    text = prompt if isinstance(prompt, str) else str(_last(prompt))
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")


def _last(messages: Sequence[Mapping[str, Any]]) -> Any:
    return words(messages[-1]) if messages else ""
