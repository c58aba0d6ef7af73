"""Weak labels join examples by example id and candidate id, strictly, and leave as a dataset for TRL. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.data.distributions import shape_problem, value_problem
from w2s_rm.data.examples import write_parquet
from w2s_rm.data.label_files import WeakLabel, loose_ids, read_labels, whole_text, write_labels
from w2s_rm.data.messages import template_columns
from w2s_rm.errors import DataError, join_problems
from w2s_rm.types import Example

if TYPE_CHECKING:
    import pyarrow

__all__ = ["WeakLabel", "join_labels", "labelled", "read_labels", "to_trl_rows", "write_labels", "write_trl_dataset"]


def join_labels(
    examples: Sequence[Example],
    labels: Iterable[WeakLabel],
    *,
    source: str = "weak labels",
    others: Iterable[Example] = (),
) -> list[tuple[float, ...]]:
    """Give each example its label, in the order of its own candidates.

    Args:
        examples (`Sequence[Example]`): What must be labelled.
        labels (`Iterable[WeakLabel]`): One for each example, in any order.
        source (`str`, *optional*, defaults to `"weak labels"`): Where the labels come from, for messages.
        others (`Iterable[Example]`, *optional*): Examples of other splits; labels for these are ignored.

    Raises:
        DataError: All labels that are missing, duplicate, unknown, or no distribution, with their ids.
    """
    labels, others = list(labels), list(others)
    by_id = {label.id: label for label in labels}
    problems = [f"id {id!r}: {count} labels" for id, count in Counter(x.id for x in labels).items() if count > 1]
    # Labels that were made here carry the examples' own ids: only others need to be found by content, which is slow.
    by_content = not by_id.keys() <= {example.id for example in (*examples, *others)}
    used = {name for example in examples for name in _names(example, by_content)}
    known = used | {name for example in others for name in _names(example, by_content)}
    # Labels of other splits are not used, but a file with wrong ones among them is not to be trusted.
    problems += [problem for label in labels if label.id in known - used and (problem := value_problem(label))]
    joined: list[tuple[float, ...]] = []
    for example in examples:
        # By its id and by its content: who labels under both names has said two things.
        found = [by_id[name] for name in dict.fromkeys(_names(example, by_content)) if name in by_id]
        if len(found) != 1:
            names = " and ".join(repr(label.id) for label in found)
            problems.append(f"id {example.id!r}: " + (f"{len(found)} labels, as {names}" if found else "no label"))
            continue
        (label,) = found
        candidate_ids = _candidate_ids(example, label)
        if problem := _problem(label, candidate_ids):
            problems.append(problem)
            continue
        # By id: a supervisor has its own order of candidates.
        values = dict(zip(label.candidate_ids, label.probabilities, strict=True))
        joined.append(tuple(values[key] for key in candidate_ids))
    problems += [f"id {id!r}: unknown, no example has it" for id in by_id if id not in known]
    if problems:
        raise DataError(join_problems(f"{source}: do not fit the {len(examples)} examples; mend or remove", problems))
    return joined


def labelled(examples: Sequence[Example], labels: Iterable[WeakLabel]) -> list[Example]:
    """Return the examples that have a label, by id or by content, in their order.

    Args:
        examples (`Sequence[Example]`): Examples, of which none, some or all are labelled.
        labels (`Iterable[WeakLabel]`): Labels of these and of any others.
    """
    # Ids are looked at first: to know examples by content is slow.
    labelled_ids = {label.id for label in labels}
    return [
        example
        for example in examples
        if labelled_ids & set(_names(example, by_content=example.id not in labelled_ids))
    ]


def to_trl_rows(examples: Sequence[Example], labels: Iterable[WeakLabel]) -> list[dict[str, Any]]:
    """Write labelled pairs in TRL's preference format, `chosen` being what the supervisor prefers.

    Args:
        examples (`Sequence[Example]`): Pairs, all text or all conversations.
        labels (`Iterable[WeakLabel]`): One for each.

    Returns:
        `list[dict]`: id, prompt, chosen, rejected, chosen_probability (at least 0.5; the first candidate where both are
        equal), and tools and chat_template_kwargs where any example has them. Conversations come without the column
        prompt if one of them has no common beginning, because TRL reads no empty conversation: chosen and rejected then
        hold all messages.

    Raises:
        DataError: An example has more than two candidates, kinds are mixed, or labels do not fit.
    """
    examples = list(examples)
    if any(len(example.candidates) != 2 for example in examples):
        raise DataError("only comparisons of two candidates have a TRL preference format; this task has more")
    if len({isinstance(example.prompt, str) for example in examples}) > 1:
        raise DataError("some examples are text and some conversations; TRL reads a dataset of one kind")
    implicit = any(example.prompt == () for example in examples)
    extra_columns = template_columns([example.template_kwargs for example in examples])
    return [
        _trl_row(example, probabilities, implicit) | columns
        for example, probabilities, columns in zip(examples, join_labels(examples, labels), extra_columns, strict=True)
    ]


def write_trl_dataset(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a folder that `datasets.load_dataset(folder)` loads as its split train.

    Args:
        folder (`Path`): Folder to write `train.parquet` into.
        rows (`Sequence[dict]`): From [`to_trl_rows`].
    """
    write_parquet(folder / "train.parquet", to_table(rows))


def to_table(rows: Sequence[dict[str, Any]]) -> pyarrow.Table:
    """Make a table of rows in TRL's format, in which each call of a tool keeps its own arguments and no others.

    Args:
        rows (`Sequence[dict]`): Text, or messages.
    """
    import pyarrow

    if not any(message.get("tool_calls") for row in rows for cell in row.values() for message in _messages(cell)):
        return pyarrow.Table.from_pylist(list(rows))
    import datasets

    # A column of mappings would give every call the arguments that any call has.
    return datasets.Dataset.from_list(list(rows), on_mixed_types="use_json").data.table


def _messages(cell: Any) -> list[dict[str, Any]]:
    return cell if isinstance(cell, list) else []


def _names(example: Example, by_content: bool) -> tuple[str, ...]:
    return (example.id, loose_ids(example.prompt, example.candidates)[0]) if by_content else (example.id,)


def _candidate_ids(example: Example, label: WeakLabel) -> tuple[str, ...]:
    """Return the candidates' ids of the kind that the label uses, in the example's order."""
    if set(label.candidate_ids) != set(example.candidate_ids):
        loose = loose_ids(example.prompt, example.candidates)[1]
        # One in common tells of which kind they are; what is missing is then named in that kind.
        if set(loose) & set(label.candidate_ids):
            return loose
    return example.candidate_ids


def _problem(label: WeakLabel, candidate_ids: Sequence[str]) -> str | None:
    """What is wrong with the label of an example, if anything."""
    if problem := shape_problem(label):
        return problem
    present, expected = set(label.candidate_ids), set(candidate_ids)
    if present - expected:
        return f"id {label.id!r}: unknown candidates {', '.join(sorted(present - expected))}"
    if expected - present:
        return f"id {label.id!r}: no probability for candidates {', '.join(sorted(expected - present))}"
    return value_problem(label)


def _trl_row(example: Example, probabilities: Sequence[float], implicit: bool) -> dict[str, Any]:
    best = 0 if probabilities[0] >= probabilities[1] else 1
    texts = {"prompt": example.prompt, "chosen": example.candidates[best], "rejected": example.candidates[1 - best]}
    if implicit:
        texts = {key: whole_text(example.prompt, texts[key]) for key in ("chosen", "rejected")}
    cells = {key: text if isinstance(text, str) else list(map(dict, text)) for key, text in texts.items()}
    return {"id": example.id, **cells, "chosen_probability": max(probabilities)}
