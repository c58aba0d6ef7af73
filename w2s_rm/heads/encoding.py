"""From a prompt and its candidates to tokens: the one seam that every head and layout reads.

A row is tokenised as TRL does it, prompt and candidate together, so that scores agree with TRL's to the last token.
What the rows of an example share from the left is the prompt, the rest are the candidates; a layout may then feed the
shared part once per candidate or once per example without changing a token.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.heads.template_date import with_fixed_date, writes_date
from w2s_rm.types import Encoded, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# With less, special tokens leave no room for prompt and candidate.
_SMALLEST_MAX_LENGTH = 8


def encode_batch(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Text],
    candidates: Sequence[Sequence[Text]],
    max_length: int | None,
    template_kwargs: Sequence[Mapping[str, Any]] | None = None,
    *,
    end: bool = True,
    names: Sequence[str] | None = None,
) -> list[Encoded]:
    """Tokenise examples, cut to `max_length`, never dropping one.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        prompts (`Sequence` of text or messages): One for each example; empty when the prompt is implicit.
        candidates (`Sequence` of sequences of text or messages): K continuations for each example.
        max_length (`int`, *optional*): Most tokens in a row. Longer prompts lose tokens on the left, longer candidates
            on the right; leading and closing special tokens stay.
        template_kwargs (`Sequence[Mapping]`, *optional*): For each example, keyword arguments of the chat template.
        end (`bool`, *optional*, defaults to `True`): Whether plain text ends with the eos token, as TRL's rewards do;
            without, one that the tokenizer appends by itself is taken off again.
        names (`Sequence[str]`, *optional*): What messages call each example; by default its number.

    Raises:
        ConfigError: `max_length` is too small, messages come without a chat template, or the tokenizer makes no tokens
            of any text.
        DataError: The chat template refuses conversations, or leaves messages out; names all of them.
    """
    _check_max_length(max_length)
    texts = render_batch(tokenizer, prompts, candidates, template_kwargs, end=end, names=names)
    from_template = bool(prompts) and not isinstance(candidates[0][0], str)
    # Templates write special tokens themselves; the tokenizer would put another bos token before them.
    rows = _tokenise(tokenizer, texts, special=not from_template)
    _check_it_reads(tokenizer, texts, rows)
    if not end and not from_template:
        rows = [_without_eos(tokenizer, row) for row in rows]
    if not from_template and any(_begins_twice(tokenizer, row) for row in rows):
        _warn_of_two_beginnings(tokenizer.name_or_path, str(tokenizer.bos_token))
    # All texts went to the tokenizer in one call, which its threads share; here each example gets its rows back: its
    # prompt's, then one for each candidate.
    encoded, position = [], 0
    for options in candidates:
        example_rows = rows[position : position + 1 + len(options)]
        position += 1 + len(options)
        encoded.append(_cut(tokenizer, *_separate(tokenizer, example_rows[0], example_rows[1:]), max_length))
    return encoded


def _check_it_reads(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], rows: Sequence[Sequence[int]]) -> None:
    """Refuse a tokenizer to which all texts are nothing: every row would be the same, and a model trained on none."""
    # For a folder of a Qwen2 with a tokenizer of words, transformers 5 takes its class for Qwen2 all the same.
    # An unknown word is a word all the same.
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    if any(token not in special for row in rows for token in row):
        return
    spoken = next((text for text in texts if text.replace(str(tokenizer.eos_token), "").strip()), None)
    if spoken is not None:
        raise ConfigError(
            f"tokenizer {tokenizer.name_or_path!r} ({type(tokenizer).__name__}) makes no tokens of any text, such as "
            f"{spoken[:60]!r}; transformers chose its class by the model's type, and the vocabulary in the folder is "
            "that of another class: save a tokenizer of that class beside the model"
        )


def render_batch(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Text],
    candidates: Sequence[Sequence[Text]],
    template_kwargs: Sequence[Mapping[str, Any]] | None = None,
    *,
    end: bool = True,
    names: Sequence[str] | None = None,
) -> list[str]:
    """Write examples as the texts that are tokenised: for each its prompt alone, then its prompt with each candidate.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer, with its chat template.
        prompts (`Sequence` of text or messages): See [`encode_batch`].
        candidates (`Sequence` of sequences of text or messages): See [`encode_batch`].
        template_kwargs (`Sequence[Mapping]`, *optional*): See [`encode_batch`].
        end (`bool`, *optional*, defaults to `True`): See [`encode_batch`].
        names (`Sequence[str]`, *optional*): See [`encode_batch`].

    Raises:
        ConfigError: Messages come without a chat template.
        DataError: The chat template refuses conversations, or leaves messages out; names all of them.
    """
    kwargs = template_kwargs or [{}] * len(prompts)
    texts: list[str] = []
    problems: list[str] = []
    for index, (prompt, options, extra) in enumerate(zip(prompts, candidates, kwargs, strict=True)):
        try:
            rows = [_render(tokenizer, prompt, candidate, extra, end) for candidate in options]
        except DataError as error:
            problems.append(f"{f'row {index}' if names is None else names[index]}: {error}")
            continue
        try:
            start = _render_prompt(tokenizer, prompt, extra)
        except DataError:
            # Some refuse a prompt by itself, such as a system message; what the rows share is then the prompt.
            start = ""
        texts += [start, *rows]
    if problems:
        raise DataError(
            join_problems(
                f"the chat template of tokenizer {tokenizer.name_or_path!r} does not fit these conversations; use "
                "another one (chat_template_path), or mend the roles in the data (options of the task preference: "
                "roles, tools_column)",
                problems,
            )
        )
    return texts


def share_tokens(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[Sequence[int]]], max_length: int | None
) -> list[Encoded]:
    """Split rows that are tokens already at the end of what they share, cut as in [`encode_batch`].

    Args:
        tokenizer (`PreTrainedTokenizerBase`): Knows the special tokens.
        rows (`Sequence` of sequences of tokens): The K rows of each example, prompt and candidate together.
        max_length (`int`, *optional*): Most tokens in a row.

    Raises:
        ConfigError: `max_length` is too small.
    """
    _check_max_length(max_length)
    row_lists = [[list(row) for row in options] for options in rows]
    return [_cut(tokenizer, *_separate(tokenizer, [], options), max_length) for options in row_lists]


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Text],
    n_classes: Sequence[int],
    max_length: int | None,
    template_kwargs: Sequence[Mapping[str, Any]] | None = None,
) -> list[Encoded]:
    """Tokenise prompts alone, for a head with a logit for each class; prompts that are too long lose their left.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        prompts (`Sequence` of text or messages): One for each example.
        n_classes (`Sequence[int]`): Number of candidates of each, which have no tokens here.
        max_length (`int`, *optional*): Most tokens in a row.
        template_kwargs (`Sequence[Mapping]`, *optional*): For each prompt, keyword arguments of the chat template.

    Raises:
        ConfigError: `max_length` is too small, messages come without a chat template, or the tokenizer makes no tokens
            of any text.
    """
    _check_max_length(max_length)
    kwargs = template_kwargs or [{}] * len(prompts)
    texts = [_render_prompt(tokenizer, prompt, extra) for prompt, extra in zip(prompts, kwargs, strict=True)]
    from_template = bool(prompts) and not isinstance(prompts[0], str)
    rows = _tokenise(tokenizer, texts, special=not from_template)
    _check_it_reads(tokenizer, texts, rows)
    encoded = []
    for row, count in zip(rows, n_classes, strict=True):
        kept = row if max_length is None else _cut_left(row, max_length, _opening(tokenizer, row))
        encoded.append(Encoded(kept, [[] for _ in range(count)], cut_prompt_tokens=len(row) - len(kept)))
    return encoded


def encode_pieces(
    tokenizer: PreTrainedTokenizerBase,
    pieces: Sequence[Sequence[str]],
    n_classes: Sequence[int],
    max_length: int | None,
) -> list[Encoded]:
    """Tokenise texts piece by piece, so that texts which begin with the same pieces begin with the same tokens.

    As TRL's trainer of process reward models writes them: no special tokens but a bos token before the first piece.
    Texts that are too long lose their left, behind that token.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        pieces (`Sequence[Sequence[str]]`): The pieces of each text, to be joined as they are.
        n_classes (`Sequence[int]`): Number of candidates of each, which have no tokens here.
        max_length (`int`, *optional*): Most tokens in a row.

    Raises:
        ConfigError: `max_length` is too small, or the tokenizer makes no tokens of any text.
    """
    _check_max_length(max_length)
    # Texts share most of their pieces: each is tokenised once.
    distinct = list(dict.fromkeys(piece for text in pieces for piece in text))
    tokens = _tokenise(tokenizer, distinct, special=False)
    _check_it_reads(tokenizer, distinct, tokens)
    ids_of = dict(zip(distinct, tokens, strict=True))
    opening = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    encoded = []
    for text, count in zip(pieces, n_classes, strict=True):
        row = [*opening, *(token for piece in text for token in ids_of[piece])]
        kept = row if max_length is None else _cut_left(row, max_length, len(opening))
        encoded.append(Encoded(kept, [[] for _ in range(count)], cut_prompt_tokens=len(row) - len(kept)))
    return encoded


def count_shared(rows: Sequence[list[int]]) -> int:
    """Count the tokens with which all rows begin.

    Args:
        rows (`Sequence[list[int]]`): At least one.
    """
    # What the first and the last in sorted order begin with, all between them begin with.
    first, last = min(rows), max(rows)
    return next(
        (index for index, (own, other) in enumerate(zip(first, last, strict=False)) if own != other), len(first)
    )


def first_alike(candidates: Sequence[Sequence[int]]) -> list[int]:
    """Find for each candidate the first one of the same tokens, itself where none comes before it.

    Args:
        candidates (`Sequence[Sequence[int]]`): Tokens of K candidates; classes, which have none, are all their own.
    """
    if not any(candidates):
        return list(range(len(candidates)))
    seen: dict[tuple[int, ...], int] = {}
    return [seen.setdefault(tuple(ids), index) for index, ids in enumerate(candidates)]


def _tokenise(tokenizer: PreTrainedTokenizerBase, texts: list[str], *, special: bool) -> list[list[int]]:
    # For no texts at all, fast tokenizers raise an IndexError.
    if not texts:
        return []
    # Masks that nobody reads would take a third of the time.
    output = tokenizer(texts, add_special_tokens=special, return_attention_mask=False, return_token_type_ids=False)
    ids: list[list[int]] = output["input_ids"]
    return ids


def _begins_twice(tokenizer: PreTrainedTokenizerBase, row: Sequence[int]) -> bool:
    return tokenizer.bos_token_id is not None and list(row[:2]) == [tokenizer.bos_token_id] * 2


@functools.cache
def _warn_of_two_beginnings(name: str, token: str) -> None:
    """Say it once for a tokenizer: it is true of all rows of a dataset, or of none."""
    logger.warning(
        "texts begin with %s, and the tokenizer %r puts another one before them: they look rendered already; give the "
        "prompt column as messages, or without this token",
        token,
        name,
    )


def _check_max_length(max_length: int | None) -> None:
    if max_length is not None and max_length < _SMALLEST_MAX_LENGTH:
        raise ConfigError(f"max_length is {max_length} tokens; use at least {_SMALLEST_MAX_LENGTH}")


def _render(
    tokenizer: PreTrainedTokenizerBase, prompt: Text, candidate: Text, extra: Mapping[str, Any], end: bool
) -> str:
    if isinstance(candidate, str):
        text = str(prompt) + candidate
        eos = tokenizer.eos_token
        # As in TRL: what ends with the eos token already gets no second one.
        return text if not end or eos is None or text.endswith(eos) else text + eos
    return _apply_template(tokenizer, [*prompt, *candidate], extra)


def _render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Text, extra: Mapping[str, Any]) -> str:
    if isinstance(prompt, str) or not prompt:
        return str(prompt) if prompt else ""
    return _apply_template(tokenizer, list(prompt), extra)


def _apply_template(tokenizer: PreTrainedTokenizerBase, messages: list[Any], extra: Mapping[str, Any]) -> str:
    if tokenizer.chat_template is None:
        raise ConfigError(
            f"the examples are conversations but the tokenizer {tokenizer.name_or_path!r} has no chat template; "
            "set chat_template_path, or give the task plain text"
        )
    # Loaded by the template anyway, and by nothing that reads plain text.
    from jinja2 import TemplateError

    try:
        template_kwargs = {**_fixed_date(tokenizer), **extra}
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, **template_kwargs))
    # What a template joins to text it takes for text: a null content, arguments that are no JSON. And templates are
    # code of others, kept in a sandbox, in which anything may go wrong.
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        spoken = ", ".join(str(message.get("role")) for message in messages)
        raise DataError(f"the template refuses the roles {spoken}: {error}") from error
    # Marks show what is left out whatever it says; the words themselves, what is left out for what it says.
    unheard = _left_out(tokenizer, messages, template_kwargs)
    lost = [
        f"role {message.get('role')!r}"
        for position, message in enumerate(messages)
        if position in unheard or not all(_stands_in(text, said) for said in _said(message.get("content")))
    ]
    tools = [f"the tool {name!r}" for name in _tool_names(messages, extra.get("tools")) if name not in text]
    if lost or tools:
        said = [f"what is said by {', '.join(dict.fromkeys(lost))}"] if lost else []
        raise DataError(f"the template leaves out {', '.join([*said, *dict.fromkeys(tools)])}")
    return text


def _left_out(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, Any]], template_kwargs: Mapping[str, Any]
) -> frozenset[int]:
    """Positions of messages that a template leaves out whatever they say: a short one may stand there by chance."""
    marked = [
        {**message, **({"content": _marked(message["content"], position)} if "content" in message else {})}
        for position, message in enumerate(messages)
    ]
    # As JSON, which a cache takes for a key: conversations of one shape are asked about once.
    return _unwritten(tokenizer, tokenizer.chat_template, json.dumps(marked), json.dumps(template_kwargs))


@functools.lru_cache(maxsize=256)
def _unwritten(tokenizer: PreTrainedTokenizerBase, template: str, marked: str, template_kwargs: str) -> frozenset[int]:
    # The template is a part of the key: it may be set anew.
    from jinja2 import TemplateError

    messages = json.loads(marked)
    try:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, **json.loads(template_kwargs)))
    except (TemplateError, TypeError, ValueError):
        # It reads what is said, as JSON for example, and marks are none; then what is said itself must be looked for.
        return frozenset()
    return frozenset(
        position
        for position, message in enumerate(messages)
        if any(said.strip() and said not in text for said in _said(message.get("content")))
    )


def _marked(content: Any, position: int | str) -> Any:
    """A content of the same form that says nothing but its place in the conversation."""
    if isinstance(content, str):
        # Empty contents stay empty: templates ask whether there is one.
        return f"said{position}here" if content.strip() else content
    if not isinstance(content, list | tuple):
        return content
    return [
        {**part, "text": _marked(part["text"], f"{position}part{index}")} if _is_text(part) else part
        for index, part in enumerate(content)
    ]


def _is_text(part: object) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def _said(content: object) -> list[str]:
    """The texts of a message, which may come in parts."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if _is_text(part)] if isinstance(content, list | tuple) else []


def _fixed_date(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    template = tokenizer.chat_template
    return {"chat_template": with_fixed_date(template)} if writes_date(template) else {}


def _tool_names(messages: Sequence[Mapping[str, Any]], tools: Any) -> list[str]:
    """Names of the tools that messages call or may call; those in forms of their own have none here."""
    declared = tools if isinstance(tools, list | tuple) else ()
    entries = [*declared, *(call for message in messages for call in message.get("tool_calls") or ())]
    functions = [entry.get("function", entry) for entry in entries if isinstance(entry, Mapping)]
    names = [function.get("name") for function in functions if isinstance(function, Mapping)]
    return [name for name in names if isinstance(name, str)]


def _stands_in(text: str, content: str) -> bool:
    """Whether a rendered text holds what a message says."""
    # Templates of reasoning models drop the thoughts of earlier turns on purpose.
    said = content.rsplit("</think>", 1)[-1].strip()
    # Some templates write contents as JSON, escapes and all.
    return said in text or json.dumps(said, ensure_ascii=False)[1:-1] in text


def _without_eos(tokenizer: PreTrainedTokenizerBase, row: list[int]) -> list[int]:
    return row[:-1] if len(row) > 1 and row[-1] == tokenizer.eos_token_id else row


def _separate(
    tokenizer: PreTrainedTokenizerBase, prompt_row: list[int], rows: list[list[int]]
) -> tuple[list[int], list[list[int]]]:
    """Split rows at the end of what they share; every candidate keeps at least one token."""
    # An implicit prompt gives no row of its own to compare with: only special tokens, or nothing at all.
    implicit = len(prompt_row) <= _opening(tokenizer, prompt_row) + _closing(tokenizer, prompt_row)
    # With the prompt's own row among them, tokens with which all candidates begin stay with the candidates, and so does
    # a token that reaches over the end of the prompt.
    compared = rows if implicit else [prompt_row, *rows]
    shared = min(count_shared(compared), min(map(len, rows)) - 1)
    return rows[0][:shared], [row[shared:] for row in rows]


def _cut(
    tokenizer: PreTrainedTokenizerBase, prompt: list[int], candidates: list[list[int]], max_length: int | None
) -> Encoded:
    # By the longest candidate, and once for all: rows of an example share their prompt, so none may have more of it.
    longest = max(len(candidate) for candidate in candidates)
    if max_length is None or len(prompt) + longest <= max_length:
        return Encoded(prompt, candidates)
    # Candidates are what is compared: they get at least half, and all that a shorter prompt leaves.
    room = min(longest, max(max_length - len(prompt), max_length // 2))
    kept_candidates = [_cut_right(candidate, room, _closing(tokenizer, candidate)) for candidate in candidates]
    opening = _opening(tokenizer, prompt)
    kept_prompt = _cut_left(prompt, max_length - room, opening)
    return Encoded(
        kept_prompt,
        kept_candidates,
        cut_prompt_tokens=len(prompt) - len(kept_prompt),
        cut_candidate_tokens=sum(map(len, candidates)) - sum(map(len, kept_candidates)),
    )


def _cut_right(tokens: list[int], length: int, closing: int) -> list[int]:
    if len(tokens) <= length:
        return tokens
    closing = min(closing, length)
    # What closes a text stays: it is the token at which a reward is read.
    return tokens[: length - closing] + tokens[len(tokens) - closing :]


def _cut_left(tokens: list[int], length: int, opening: int) -> list[int]:
    if len(tokens) <= length:
        return tokens
    opening = min(opening, length)
    return tokens[:opening] + tokens[len(tokens) - (length - opening) :]


def _opening(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> int:
    return int(bool(tokens) and tokens[0] in (tokenizer.bos_token_id, tokenizer.cls_token_id))


def _closing(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> int:
    closers = (tokenizer.eos_token_id, tokenizer.sep_token_id)
    # Many chat templates put a line break after the token that ends a message.
    return next((back for back in (1, 2) if len(tokens) >= back and tokens[-back] in closers), 0)
