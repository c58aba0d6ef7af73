"""Files of prompts and responses: read whole and checked before a model is loaded, then rewarded. No torch."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.data.json_text import parse_json
from w2s_rm.data.messages import parse_template_kwargs, words, written_messages
from w2s_rm.errors import ConfigError, DataError, join_problems, nearest
from w2s_rm.integrations.texts import pair_problem
from w2s_rm.types import Text, content_hash

_SEVERAL = "responses"
_HALF = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Asked:
    """A line of the file.

    Args:
        place (`str`): File and line.
        values (`Mapping[str, Any]`): All its fields.
        prompt (`str` or `Messages`): The prompt.
        responses (`tuple` of `str` or `Messages`): Its responses: one, or those of the field `responses`.
        several (`bool`): Whether they come from the field `responses`.
        template_kwargs (`Mapping[str, Any]`): For the chat template: the fields `tools` and `chat_template_kwargs`.
    """

    place: str
    values: Mapping[str, Any]
    prompt: Text
    responses: tuple[Text, ...]
    several: bool
    template_kwargs: Mapping[str, Any]


def read_responses(path: Path, prompt_column: str, response_column: str) -> list[Asked]:
    """Read a JSONL file, gzipped or not.

    Args:
        path (`Path`): An object a line, with a prompt and a response, or a list of `responses`; text or messages.
        prompt_column (`str`): Field of the prompt.
        response_column (`str`): Field of the response.

    Raises:
        ConfigError: Both columns are one.
        DataError: No such file, or all lines that are broken, lack a field, have an empty response, or mix up kinds.
    """
    if prompt_column == response_column:
        raise ConfigError(f"prompt and response are both the column {prompt_column!r}; name two columns")
    asked: list[Asked] = []
    problems: list[str] = []
    # Not `splitlines`, which also splits at separators that JSON leaves inside a text.
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            asked.append(_parse(f"{path}:{number}", line, prompt_column, response_column))
        except DataError as error:
            problems.append(f"line {number}: {error}")
    texts = [parsed.place.rpartition(":")[2] for parsed in asked if isinstance(parsed.prompt, str)]
    if 0 < len(texts) < len(asked):
        problems.append(f"lines {', '.join(texts[:10])} are text, others conversations; score one kind at a time")
    if problems:
        raise DataError(join_problems(f"{path}: {len(problems)} problems:", problems))
    if not asked:
        raise DataError(f"{path}: holds no lines")
    return asked


def _read(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        # By the first bytes and not the name: files are renamed, and both kinds are common.
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        # Also with the mark that some editors put first.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: gzip truncated or damaged ({error}); fetch the file again") from error


def _parse(place: str, line: str, prompt_column: str, response_column: str) -> Asked:
    try:
        values = parse_json(line)
    except json.JSONDecodeError as error:
        raise DataError(f"broken JSON ({error.msg}, column {error.colno})") from error
    if not isinstance(values, dict):
        raise DataError(f"{type(values).__name__} instead of an object")
    # Written as JSON, half a character is an escape; in a text, nothing that a file or a tokenizer takes.
    if "\\u" in line and (half := _HALF.search(json.dumps(values, ensure_ascii=False))):
        raise DataError(f"holds half of a character ({ascii(half[0])}); mend or drop the line")
    # The column that is named goes before the list.
    several = response_column not in values and _SEVERAL in values
    lacking = [name for name in (prompt_column, response_column) if name not in values]
    if several:
        lacking.remove(response_column)
    if lacking:
        hints = "; ".join(
            f"no field {name!r} ({nearest(name, values) if values else 'the line is empty'})" for name in lacking
        )
        raise DataError(f"{hints}; --prompt-column and --response-column name others")
    prompt, answers = values[prompt_column], values[_SEVERAL] if several else [values[response_column]]
    if not isinstance(answers, list) or not answers:
        raise DataError(f"{_SEVERAL} is {answers!r:.60}, not a list of responses")
    prompt, *answers = (_read_messages(cell) for cell in (prompt, *answers))
    problems = dict.fromkeys(problem for response in answers if (problem := _problem(prompt, response)))
    if problems:
        raise DataError("; ".join(problems))
    responses = tuple(response if isinstance(response, str) else tuple(response) for response in answers)
    template_kwargs: dict[str, Any] = {} if isinstance(prompt, str) else parse_template_kwargs(values)
    return Asked(
        place, values, prompt if isinstance(prompt, str) else tuple(prompt), responses, several, template_kwargs
    )


def _problem(prompt: Any, response: Any) -> str | None:
    problem = pair_problem(prompt, response)
    if problem is not None:
        # Checked as what a policy wrote, told in the words of a file.
        return problem.replace("completion", "response")
    said = [response] if isinstance(response, str) else map(words, response)
    return None if any(text.strip() for text in said) else "the response is empty"


def _read_messages(cell: Any) -> Any:
    """The messages of a conversation that was written as JSON; anything else as it is."""
    spoken = written_messages(cell, "a field") if isinstance(cell, str) else None
    return cell if spoken is None else spoken if isinstance(spoken, list) else [spoken]


def rewarded(asked: Sequence[Asked], rewards: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """Add to each line `reward`, or where it has a list of responses the list `rewards`.

    Args:
        asked (`Sequence[Asked]`): The lines.
        rewards (`Sequence[Sequence[float]]`): Those of the responses of each.
    """
    return [
        {**line.values, "rewards": list(values)} if line.several else {**line.values, "reward": values[0]}
        for line, values in zip(asked, rewards, strict=True)
    ]


def best_of_n(asked: Sequence[Asked], rewards: Sequence[Sequence[float]], response_column: str) -> list[dict[str, Any]]:
    """Choose for each prompt the response with the highest reward, the first of equal ones.

    Args:
        asked (`Sequence[Asked]`): The lines; those with equal prompts belong together.
        rewards (`Sequence[Sequence[float]]`): Those of the responses of each.
        response_column (`str`): Field for the response.

    Returns:
        `list[dict]`: In the order of the prompts, the other fields of the best response's line, it, its `reward`, the
        number `n` of responses and their `mean_reward`.

    Raises:
        DataError: No prompt has more than one response.
    """
    by_prompt: dict[str, list[tuple[float, Asked, Text]]] = {}
    for line, values in zip(asked, rewards, strict=True):
        # With other tools, the same words are another question.
        answers = by_prompt.setdefault(content_hash(line.prompt, line.template_kwargs), [])
        answers += [(value, line, response) for value, response in zip(values, line.responses, strict=True)]
    if all(len(answers) == 1 for answers in by_prompt.values()):
        raise DataError(
            "no prompt has more than one response to choose from; are prompt and response columns mixed up?"
        )
    chosen = []
    for answers in by_prompt.values():
        # By the reward alone: tuples would go on to compare lines, which have no order.
        value, line, response = max(answers, key=lambda answer: answer[0])
        kept = {name: field for name, field in line.values.items() if name != _SEVERAL}
        mean = sum(reward for reward, _, _ in answers) / len(answers)
        chosen.append({**kept, response_column: response, "reward": value, "n": len(answers), "mean_reward": mean})
    return chosen


def to_jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write an object a line.

    Args:
        rows (`Sequence[Mapping]`): What to write.
    """
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
