"""Text in the form that a reward model was trained on, conversations or plain, as its folder says. No torch.

A chat template in a tokenizer does not say it: many base models have one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.integrations.dialogues import convert
from w2s_rm.integrations.texts import is_rendered
from w2s_rm.training.facts import CONVERSATIONS, TEXT
from w2s_rm.types import Example, Messages, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


def needs_messages(
    kind: str | None, path: str, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Text], first: Text
) -> bool:
    """Whether plain text must become messages for a reward model.

    Text is not, that begins as the model's own chat template begins, or holds its marks: it is rendered already.

    Args:
        kind (`str`, *optional*): What the model was trained on, where that is known.
        path (`str`): Names the model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        prompts (`Sequence` of `str` or `Messages`): What is to be scored, all of one kind.
        first (`str` or `Messages`): One of the responses.

    Raises:
        ConfigError: Conversations for a model that was trained on text.
    """
    if not isinstance(first, str):
        if kind == TEXT:
            raise ConfigError(
                f"the reward model {path!r} was trained on plain text, and these are conversations: its rewards of "
                "what a chat template writes mean nothing; give text as it was trained on"
            )
        return False
    # Where it is not known, text is scored as it is: a template alone is no sign.
    if kind != CONVERSATIONS or tokenizer.chat_template is None or is_rendered(tokenizer, list(map(str, prompts))):
        return False
    logger.warning(
        "%s was trained on conversations: text is scored as messages of a user and an assistant, in its chat template",
        path,
    )
    return True


def warn_of_unknown(kind: str | None, path: str, tokenizer: PreTrainedTokenizerBase, first: Text) -> None:
    """Say that nobody knows whether a model with a chat template, which is given text, was trained on conversations.

    Args:
        kind (`str`, *optional*): What the model was trained on, where that is known.
        path (`str`): Names the model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        first (`str` or `Messages`): One of the prompts, or what stands for it.
    """
    templated = isinstance(first, str) and tokenizer.chat_template is not None
    if kind is None and templated and not is_rendered(tokenizer, [str(first)]):
        logger.warning(
            "%s has a chat template and does not say what it was trained on: text is scored as it is; if it was "
            "trained on conversations, give messages",
            path,
        )


def as_trained(kind: str | None, path: str, tokenizer: Any, examples: Sequence[Example]) -> Sequence[Example]:
    """Return examples as a reward model reads them: text as conversations, where it was trained on these.

    Args:
        kind (`str`, *optional*): What the model was trained on, where that is known.
        path (`str`): Names the model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        examples (`Sequence[Example]`): All text or all conversations.

    Raises:
        ConfigError: Conversations for a model that was trained on text.
    """
    if not examples:
        return examples
    # Without a prompt, the beginning that a template would have written is that of the candidates.
    prompts = [example.prompt or example.candidates[0] for example in examples]
    warn_of_unknown(kind, path, tokenizer, prompts[0])
    if not needs_messages(kind, path, tokenizer, prompts, examples[0].candidates[0]):
        return examples
    return [_spoken_example(example) for example in examples]


def _spoken_example(example: Example) -> Example:
    try:
        prompt, candidates = convert(example.prompt, example.candidates, "conversational")
    except DataError:
        # Text without turns is a question, and what follows it the answer.
        pairs = [spoken(str(example.prompt), str(candidate)) for candidate in example.candidates]
        prompt, candidates = pairs[0][0], tuple(answer for _, answer in pairs)
    return dataclasses.replace(example, prompt=prompt, candidates=candidates)


def spoken_all(prompts: Iterable[Text], responses: Iterable[Text]) -> tuple[list[Text], list[Text]]:
    """Turn prompts and what a model wrote into messages, one row after the other; see [`spoken`].

    Args:
        prompts (`Iterable[str]`): Text.
        responses (`Iterable[str]`): Text.
    """
    pairs = [spoken(str(prompt), str(response)) for prompt, response in zip(prompts, responses, strict=True)]
    return [prompt for prompt, _ in pairs], [answer for _, answer in pairs]


def spoken(prompt: str, response: str) -> tuple[Messages, Messages]:
    """Turn a prompt into messages and a response into one: whatever a model writes, it says itself.

    Args:
        prompt (`str`): A question, or a transcript up to where the model goes on.
        response (`str`): What was written.
    """
    asked: Text
    begun = ""
    try:
        # An empty response: what comes back as the answer is what the prompt had begun to say for the assistant.
        asked, (answer,) = convert(prompt, ("",), "conversational")
    except DataError:
        asked = ({"role": "user", "content": prompt.strip()},) if prompt.strip() else ()
    else:
        assert not isinstance(answer, str)
        begun = answer[0]["content"]
    assert not isinstance(asked, str)
    return asked, ({"role": "assistant", "content": f"{begun}{response}".strip()},)
