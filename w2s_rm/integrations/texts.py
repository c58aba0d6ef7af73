"""What a policy trainer hands to a reward function: checked before a reward model reads it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from w2s_rm.data.messages import written_messages
from w2s_rm.errors import ConfigError, DataError, join_problems

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What chat templates of published models put between messages; plain words, such as "User:", are no sure sign.
_MARKUP = re.compile(r"<\|[\w ]{2,40}\|>|<｜[^｜<>]{2,40}｜>|</?(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>")
# Some templates write other markup around a later turn than around the first.
_PROBE = ("user", "assistant", "user")


def check_columns(prompts: Any, completions: Any) -> bool:
    """Check prompts and completions, and tell which kind they are.

    Args:
        prompts (`Sequence` of text or messages): One for each completion.
        completions (`Sequence` of text or messages): What a policy wrote.

    Returns:
        `bool`: Whether they are conversations.

    Raises:
        DataError: They are missing, of different lengths or kinds, or no text and no messages; names all such rows.
    """
    columns = {"prompts": prompts, "completions": completions}
    wrong = [f"{name} is {type(column).__name__}" for name, column in columns.items() if not _is_column(column)]
    if wrong:
        raise DataError(f"a reward function takes lists of prompts and completions, but {', '.join(wrong)}")
    if len(prompts) != len(completions):
        raise DataError(
            f"{len(prompts)} prompts and {len(completions)} completions; each completion needs its own prompt"
        )
    problems = [
        f"row {row}: {problem}"
        for row, pair in enumerate(zip(prompts, completions, strict=True))
        if (problem := pair_problem(*pair))
    ]
    kinds = {isinstance(completion, str) for completion in completions}
    if not problems and len(kinds) > 1:
        texts = [str(row) for row, completion in enumerate(completions) if isinstance(completion, str)]
        problems = [f"rows {', '.join(texts[:10])} are text, the others conversations"]
    if problems:
        raise DataError(join_problems("prompts and completions must be all text or all conversations:", problems))
    # Of no rows at all it is not known, and they count as text.
    return kinds == {False}


def _is_column(column: Any) -> bool:
    return isinstance(column, Sequence) and not isinstance(column, str)


def pair_problem(prompt: Any, completion: Any) -> str | None:
    """Say what is wrong with a prompt and its completion, `None` if they fit together.

    Args:
        prompt (`Any`): Should be text or messages.
        completion (`Any`): Should be of the same kind; a conversation begins with the model's own message.
    """
    kinds = [_kind(prompt), _kind(completion)]
    for name, kind, value in zip(("prompt", "completion"), kinds, (prompt, completion), strict=True):
        if kind is None:
            return f"{name} is {_shown(value)}, neither text nor messages with role and content"
    if kinds[0] != kinds[1]:
        return f"prompt is {kinds[0]}, completion is {kinds[1]}; both must be of one kind"
    if kinds[1] == "text":
        return _written(prompt, completion)
    if not completion:
        return "completion has no message"
    if completion[0]["role"] in ("user", "system"):
        return f"completion begins with the role {completion[0]['role']!r}; are prompts and completions mixed up?"
    return None


def _written(prompt: str, completion: str) -> str | None:
    """Whether text is a conversation that somebody wrote as text."""
    for name, text in (("prompt", prompt), ("completion", completion)):
        try:
            if written_messages(text, name) is not None:
                return f"{name} is a list of messages written as JSON; read it with json.loads"
        except DataError as error:
            return str(error)
    return None


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    messages = isinstance(value, list | tuple) and all(
        isinstance(message, Mapping)
        and isinstance(message.get("role"), str)
        # A message that calls tools may say nothing.
        and ("content" in message or message.get("tool_calls"))
        for message in value
    )
    return "a conversation" if messages else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_template(tokenizer: PreTrainedTokenizerBase, path: str) -> None:
    """Refuse conversations where the reward model knows none.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The reward model's.
        path (`str`): Names it.

    Raises:
        ConfigError: It has no chat template.
    """
    if tokenizer.chat_template is None:
        raise ConfigError(
            f"prompts are conversations, but the reward model {path!r} has no chat template: it was trained on plain "
            "text; give the policy plain text prompts, or train the reward model on conversations (chat_template_path)"
        )


def check_markup(tokenizer: PreTrainedTokenizerBase, path: str, prompts: Sequence[str], names: Sequence[str]) -> None:
    """Refuse plain text in which another chat template than the reward model's has left its markup.

    Seen is markup in special tokens and brackets (`<|im_start|>`, `[INST]`), not roles in plain words; and a reward
    model without chat template may have been trained on any text, so nothing is refused for it.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The reward model's.
        path (`str`): Names it.
        prompts (`Sequence[str]`): Plain text.
        names (`Sequence[str]`): What they are called in the message.

    Raises:
        ConfigError: Names the markup and the rows.
    """
    if tokenizer.chat_template is None:
        return
    own_markup = _own_markup(tokenizer)
    markup = [set(_MARKUP.findall(prompt)) - own_markup for prompt in prompts]
    foreign = [name for name, marks in zip(names, markup, strict=True) if marks]
    if not foreign:
        return
    shown = ", ".join(sorted(set().union(*markup))[:6])
    raise ConfigError(
        f"prompts contain chat markup ({shown}) that the chat template of the reward model {path!r} does not use, in "
        f"{', '.join(foreign[:10])}: they look rendered with the policy's template. Give "
        "conversations (lists of messages), which are rendered with the reward model's own; or, if it was trained on "
        "this very text, remove its template (tokenizer.chat_template = None) and save the tokenizer"
    )


def is_rendered(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> bool:
    """Whether texts are what the tokenizer's chat template writes: all begin as it begins, or hold its marks.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): With a chat template.
        texts (`Sequence[str]`): Plain text.
    """
    own_markup = _own_markup(tokenizer)
    # With and without a system message: some templates put a standard one where there is none. An opening that is empty
    # would be the beginning of any text.
    openings = tuple(filter(None, (_opening_of(tokenizer, roles) for roles in (("user",), ("system", "user")))))
    return all(text.lstrip().startswith(openings) or own_markup & set(_MARKUP.findall(text)) for text in texts)


def _opening_of(tokenizer: PreTrainedTokenizerBase, roles: Sequence[str]) -> str:
    """What a template writes before the first message; empty where it takes no such message."""
    messages = [{"role": role, "content": f"what the {role} says"} for role in roles]
    with contextlib.suppress(TemplateError, TypeError, ValueError):
        return (
            str(tokenizer.apply_chat_template(messages, tokenize=False)).partition(messages[0]["content"])[0].lstrip()
        )
    return ""


def _own_markup(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Everything that the template writes, also where it puts markup together from roles."""
    ends = {tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token}
    # Its source as well: it may write marks around tools or thoughts that these messages have not.
    written = str(tokenizer.chat_template)
    for roles in (_PROBE, ("system", *_PROBE)):
        messages = [{"role": role, "content": "text"} for role in roles]
        # Not every template takes a system message.
        with contextlib.suppress(TemplateError, TypeError, ValueError):
            written += str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return {*_MARKUP.findall(written), *(end for end in ends if end is not None)}
