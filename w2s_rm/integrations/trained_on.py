"""What a reward model was trained on, conversations or text, as its folder says; other text is made the same. No torch.

A chat template in a tokenizer does not say it: many base models have one.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.integrations.dialogues import convert
from w2s_rm.integrations.texts import is_rendered
from w2s_rm.runs.folder import write_json
from w2s_rm.types import Example, Messages, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

FILE = "w2s_rm.json"
CONVERSATIONS, TEXT = "conversations", "text"


def kind_of(text: Text) -> str:
    """Name the kind of a text.

    Args:
        text (`str` or `Messages`): Text or messages.
    """
    return TEXT if isinstance(text, str) else CONVERSATIONS


@dataclass(frozen=True)
class ScoringFacts:
    """What a saved reward model must know of its training to be scored as it was there; it lies in the model's folder.

    Args:
        trained_on (`str`, *optional*): `conversations` or `text`; `None` where that is not known.
        head (`str`, *optional*): How it scores candidates.
        max_length (`int`, *optional*): Tokens to which rows were cut; `None` for no limit, or where it is not known.
        bf16 (`bool`, *optional*): Whether training computed in bfloat16; `None` where that is not known.
    """

    trained_on: str | None = None
    head: str | None = None
    max_length: int | None = None
    bf16: bool | None = None


def write_facts(folder: Path, facts: ScoringFacts) -> None:
    """Write the facts beside a saved model.

    Args:
        folder (`Path`): The model's folder.
        facts ([`ScoringFacts`]): What to write.
    """
    write_json(folder / FILE, dataclasses.asdict(facts))


def read_facts(model_name_or_path: str) -> ScoringFacts:
    """Return what is known of a model's training: nothing, where its folder has no such file.

    Args:
        model_name_or_path (`str`): Folder or hub id.

    Raises:
        ConfigError: The file does not parse, or says something that no model has.
    """
    from transformers.utils import cached_file

    found = cached_file(
        model_name_or_path,
        FILE,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if found is None:
        return ScoringFacts()
    remedy = "write it again, or remove the file"
    try:
        facts = ScoringFacts(**json.loads(Path(found).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{found}: says something else than {', '.join(_FACTS)} ({error}); {remedy}") from error
    if facts.trained_on not in (CONVERSATIONS, TEXT, None):
        raise ConfigError(f"{found}: trained_on is {facts.trained_on!r}; write {CONVERSATIONS} or {TEXT}")
    if facts.max_length is not None and (not isinstance(facts.max_length, int) or facts.max_length < 1):
        raise ConfigError(f"{found}: max_length is {facts.max_length!r}, no number of tokens; {remedy}")
    return facts


_FACTS = tuple(option.name for option in dataclasses.fields(ScoringFacts))


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
    prompts = [example.prompt or example.candidates[0] for example in examples]
    warn_of_unknown(kind, path, tokenizer, prompts[0])
    if not needs_messages(kind, path, tokenizer, prompts, examples[0].candidates[0]):
        return examples
    return [_spoken_example(example) for example in examples]


def _spoken_example(example: Example) -> Example:
    try:
        prompt, candidates = convert(example.prompt, example.candidates, "conversational")
    except DataError:
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
        asked, (answer,) = convert(prompt, ("",), "conversational")
    except DataError:
        asked = ({"role": "user", "content": prompt.strip()},) if prompt.strip() else ()
    else:
        assert not isinstance(answer, str)
        begun = answer[0]["content"]
    assert not isinstance(asked, str)
    return asked, ({"role": "assistant", "content": f"{begun}{response}".strip()},)
