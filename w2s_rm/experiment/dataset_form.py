"""Which task reads a dataset, and with which options: told from the columns and values of its first rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from w2s_rm import catalog, options
from w2s_rm.data.reading import is_hub_id, read_rows
from w2s_rm.errors import ConfigError, DataError, W2SError, join_problems, nearest
from w2s_rm.types import Row

# Rows that are looked at: enough to see all forms of a cell, few enough to be read at once.
_FIRST = 200
# With more different values a label is taken for a name or a number, and not for a class.
_MOST_CLASSES = 20
_PLACE = ("split", "config_name", "revision", "data_dir")
# Names of columns, the most telling first: where there are several, the first is taken.
_PROMPT = ("prompt", "question", "instruction", "query", "input")
_CONTEXT = ("context", "passage", "support", "article", "story", "background")
_LABEL = ("label", "labels", "answer", "answerkey", "answer_key", "class", "category", "target", "gold", "sentiment")
_TEXT = ("text", "sentence", "message", "content", "review", "comment", "document", "body", "tweet")
_PAIRS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("text1", "text2"), ("text_a", "text_b"))
# As in `choice1`, `option_b`, PIQA's `sol1` and SWAG's `ending0`, or a letter alone.
_CHOICE = re.compile(r"(?:choice|option|answer|ending|sol)_?(?:\d|[a-e])|[a-e]", re.IGNORECASE)


@dataclass(frozen=True)
class Form:
    """A task and the options with which it reads a dataset.

    Args:
        task (`str`): A registered task.
        options (`Mapping[str, Any]`): Its options, in the order in which a recipe shows them.
        remarks (`Mapping[str, str]`): Option to what a reader of the recipe should know about it.
        more (`tuple[str, ...]`): Options that the data suggest and that only their owner can decide on.
    """

    task: str
    options: Mapping[str, Any]
    remarks: Mapping[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    """The first rows of a dataset, and what the user has said about it."""

    path: str
    given: Mapping[str, Any]
    rows: Sequence[Row]

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0].values)

    def find(self, option: str, names: Sequence[str]) -> str | None:
        """The column that an option names, or the first of some names that there is."""
        if option in self.given:
            return self.given[option]
        there = {column.lower(): column for column in self.columns}
        return next((there[name] for name in names if name in there), None)

    def values(self, column: str) -> list[Any]:
        return [row.values.get(column) for row in self.rows]

    def form(
        self, task: str, found: Mapping[str, Any], remarks: Mapping[str, str] | None = None, more: Sequence[str] = ()
    ) -> Form:
        # What the user has said comes last, and so holds.
        return Form(task, {"path": self.path, **found, **self.given}, remarks or {}, tuple(more))


def recognise(path: str, given: Mapping[str, Any]) -> Form:
    """Say which task reads a dataset.

    Args:
        path (`str`): As for [`read_rows`][w2s_rm.data.reading.read_rows]. A hub id that a registered task reads by
            default is that task's.
        given (`Mapping[str, Any]`): Options of the task that are decided already; with `name` also the task.

    Raises:
        DataError: The dataset cannot be read, or has none of the known forms; says what each of them lacks.
        ConfigError: An option that no task of these forms has.
    """
    given = dict(given)
    names = [given.pop("name")] if "name" in given else _of_hub_id(path)
    if len(names) > 1:
        raise ConfigError(f"{path}: the tasks {', '.join(names)} read it; choose one: name={names[0]}")
    if names:
        return Form(names[0], {"path": path, **given})
    # An option that a task does not have says that another one is meant.
    fitting = {task: find for task, find in _FORMS.items() if set(given) <= _fields(task)}
    if not fitting:
        known = sorted(set().union(*map(_fields, _FORMS)))
        unknown = [name for name in given if name not in known]
        hint = f"{unknown[0]} is none; {nearest(unknown[0], known)}" if unknown else "they belong to different tasks"
        raise ConfigError(f"{path}: {', '.join(given)}: no options of one task: {hint}")
    place = {name: given[name] for name in _PLACE if name in given}
    table = _Table(path, given, list(islice(read_rows(path, **place), _FIRST)))
    missing = []
    for task, find in fitting.items():
        form = find(table)
        if isinstance(form, Form):
            return form
        missing.append(f"{task}: {form}")
    heading = f"{path}: of no form that is known here (columns: {', '.join(table.columns)}); name what is missing:"
    # Forms are known of a few tasks; another may read the rows as they are.
    readers = [f"name={task}: reads its first rows" for task in catalog.names("tasks") if _reads(table, {"name": task})]
    raise DataError(join_problems(heading, [*missing, *(readers or ["name=TASK: one of `w2s-rm list tasks`"])]))


def _of_hub_id(path: str) -> list[str]:
    """The tasks whose dataset a hub id is."""
    if not is_hub_id(path):
        return []
    return [name for name in catalog.names("tasks") if _default_path(catalog.lookup("tasks", name)) == path]


def _default_path(task: type) -> Any:
    return next((option.default for option in dataclasses.fields(task) if option.name == "path"), None)


def _fields(task: str) -> set[str]:
    return {option.name for option in dataclasses.fields(catalog.lookup("tasks", task))}


def _puzzles(table: _Table) -> Form | str:
    missing = [name for name in ("PuzzleId", "FEN", "Moves") if name not in table.columns]
    if missing:
        return f"no column {', '.join(missing)}, as in Lichess's files"
    rated = "Rating" in table.columns and "max_rating" not in table.given
    return table.form("lichess_puzzles", {}, more=["max_rating: 1500   # leaves harder puzzles out"] if rated else [])


def _transcripts(table: _Table) -> Form | str:
    texts = [row.values.get(column) for row in table.rows for column in ("chosen", "rejected")]
    if all(isinstance(text, str) and text.startswith("\n\nHuman:") for text in texts):
        return table.form("anthropic_hh", {})
    return "no columns chosen and rejected with transcripts that begin with '\\n\\nHuman:'"


def _comparison(table: _Table) -> Form | str:
    a = table.find("response_a_column", ("response_a", "answer_a"))
    b = table.find("response_b_column", ("response_b", "answer_b"))
    chosen, rejected = table.find("chosen_column", ("chosen",)), table.find("rejected_column", ("rejected",))
    task_options: dict[str, Any] = {"prompt_column": table.find("prompt_column", _PROMPT) or ""}
    if chosen and rejected:
        pair = (chosen, rejected)
        task_options |= {"chosen_column": chosen, "rejected_column": rejected}
    elif a and b:
        pair = (a, b)
        task_options |= {"response_a_column": a, "response_b_column": b}
        better = table.find("preferred_column", ("preferred", "winner", "preference"))
        if better is not None:
            task_options["preferred_column"] = better
        elif not any(option in table.given for option in ("rating_columns", "strength_column", "votes_columns")):
            return "no column that says which response is better: preferred_column=NAME, or rating_columns=[A,B]"
    else:
        return (
            "no columns chosen and rejected: chosen_column=NAME rejected_column=NAME, or response_a_column, …_b_column"
        )
    remarks = (
        {} if task_options["prompt_column"] else {"prompt_column": "none: what both responses begin with is the prompt"}
    )
    responses = [row.values.get(column) for row in table.rows for column in pair]
    if any(
        isinstance(text, list) and text and isinstance(text[0], Mapping) and "from" in text[0] for text in responses
    ):
        # ShareGPT's messages have `from` and `value` in place of `role` and `content`.
        task_options["roles"] = "sharegpt"
    # Prompt and response are joined as they stand, and would run together.
    if task_options["prompt_column"] and _stick_together(table.values(task_options["prompt_column"]), responses):
        task_options["separator"] = " "
        remarks["separator"] = "prompts do not end, and responses do not begin, with white space"
    return table.form("preference", task_options, remarks)


def _stick_together(prompts: Sequence[Any], responses: Sequence[Any]) -> bool:
    if not all(isinstance(text, str) for text in (*prompts, *responses)):
        return False
    return not any(text[-1:].isspace() for text in prompts) and not any(text[:1].isspace() for text in responses)


def _questions(table: _Table) -> Form | str:
    choices = table.find("choices_column", ("choices", "options", "answers", "candidates", "endings"))
    columns = table.given.get("choice_columns") or [name for name in table.columns if _CHOICE.fullmatch(name)]
    question, label = table.find("question_column", (*_PROMPT, "stem")), table.find("label_column", _LABEL)
    listed = None if choices is None else table.rows[0].values.get(choices)
    answers: dict[str, Any] = {"choices_column": choices}
    # A column of such a name may hold one text a row all the same.
    if not isinstance(listed, list | tuple | Mapping):
        answers = {"choice_columns": columns}
        if len(columns) < 2:
            return "no column with a list of answers: choices_column=NAME, or choice_columns=[A,B,…]"
    if question is None or label is None:
        option = "question_column" if question is None else "label_column"
        return f"answers, but no column with the {option.partition('_')[0]}: {option}=NAME"
    context = table.find("context_column", _CONTEXT)
    task_options = {"question_column": question, **answers, "label_column": label}
    task_options |= {} if context is None else {"context_column": context}
    remarks = {} if context is None else {"context_column": "shown before the question; its questions stay together"}
    # A mapping of answers says itself what labels call them.
    if "label_is" not in table.given and not isinstance(listed, Mapping):
        asked = {"name": "multiple_choice", **task_options}
        # The task itself is asked, with each meaning of the label: what it reads without an error is possible.
        readings = [kind for kind in ("index", "letter", "text") if _reads(table, {**asked, "label_is": kind})]
        if len(readings) > 1:
            return f"a label that can be read in two ways: label_is={' or '.join(readings)}"
        task_options |= {"label_is": readings[0]} if readings else {}
    return table.form("multiple_choice", task_options, remarks, _groups(table, task_options))


def _reads(table: _Table, found: Mapping[str, Any]) -> bool:
    """Whether a task reads all of the first rows with these options."""
    try:
        task = options.build("tasks", {**found, "path": table.path, **table.given})
        for row in table.rows:
            task.to_example(row)
    except W2SError:
        return False
    return True


def _texts(table: _Table) -> Form | str:
    label = table.find("label_column", _LABEL)
    if label is None:
        return "no column with a label: label_column=NAME"
    written = [name for name in table.columns if name != label and _are_texts(table.values(name))]
    there = {name.lower(): name for name in written}
    pair = next((pair for pair in _PAIRS if set(pair) <= set(there)), None)
    text = table.find("text_column", (pair[0],) if pair else _TEXT) or (written[0] if len(written) == 1 else None)
    if text is None:
        several = (
            f"several columns with texts ({', '.join(written)}): text_column=NAME, and text_pair_column=NAME for two"
        )
        return several if written else "no column with texts: text_column=NAME"
    task_options: dict[str, Any] = {"text_column": text}
    # Not where the user has named another column for the text.
    task_options |= {"text_pair_column": there[pair[1]]} if pair and text == there[pair[0]] else {}
    task_options["label_column"] = label
    remarks = {}
    if "class_names" not in table.given:
        place = {name: table.given[name] for name in _PLACE if name in table.given}
        # Of all rows and not the first ones: a file may be sorted by its labels.
        labels = {_word(row.values.get(label)) for row in read_rows(table.path, **place)}
        if len(labels) < 2 or len(labels) > _MOST_CLASSES:
            return (
                f"{label!r} has {len(labels)} different values, and classes are 2 to {_MOST_CLASSES}: label_column=NAME"
            )
        task_options["class_names"], remark = _class_names(labels)
        remarks = {"class_names": remark} if remark else {}
    more = [] if "question" in table.given else ["question: Is this urgent?   # asked after the text"]
    return table.form("text_classification", task_options, remarks, [*more, *_groups(table, task_options)])


def _are_texts(values: Sequence[Any]) -> bool:
    """Whether a column holds texts, and not names or numbers: of several words at least every other one."""
    several = sum(len(value.split()) > 1 for value in values if isinstance(value, str))
    return all(isinstance(value, str) for value in values) and 2 * several >= len(values)


def _word(label: Any) -> str:
    return str(label).strip().lower()


def _class_names(labels: set[str]) -> tuple[list[str], str]:
    """The names of classes in their order, and what is to be said about them."""
    if not all(label.isdecimal() for label in labels):
        # As one writes a scale of two: no before yes, false before true.
        return sorted(labels), "in this order in all tables"
    # As text, 10 would stand before 2.
    numbers = sorted(labels, key=int)
    if numbers == ["0", "1"]:
        return ["no", "yes"], "what 0 and 1 mean"
    if numbers == [str(k) for k in range(len(numbers))]:
        return [f"class {number}" for number in numbers], "what the numbers mean: write words that the model knows"
    return numbers, ""


def _groups(table: _Table, found: Mapping[str, Any]) -> list[str]:
    """Columns whose values repeat: what they name may have to stay in one split."""
    if "group_column" in table.given:
        return []
    used = [name for value in found.values() for name in (value if isinstance(value, list) else [value])]
    lines = []
    for name in table.columns:
        values = [value for value in table.values(name) if isinstance(value, str | int) and not isinstance(value, bool)]
        # Not a handful, which are kinds and not groups, and not nearly all different, which are ids.
        if name not in used and name not in _PLACE and 5 <= len(set(values)) <= 0.9 * len(table.rows):
            count = f"{len(set(values))} different values in the first {len(table.rows)} rows"
            lines.append(f"group_column: {name}   # {count}; rows with one value then stay in one split")
    return lines


# The most particular first: of nearly every dataset some columns are texts, and one is something like a label.
_FORMS: Mapping[str, Callable[[_Table], Form | str]] = {
    "lichess_puzzles": _puzzles,
    "anthropic_hh": _transcripts,
    "preference": _comparison,
    "multiple_choice": _questions,
    "text_classification": _texts,
}
"""In this order: a dataset of the first form that it has."""
