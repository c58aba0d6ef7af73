"""Any dataset of questions with answers, without code: name its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list, column_answers
from w2s_rm.tasks._source import cell, key_text, label_key, text
from w2s_rm.types import Row

_KINDS = ("index", "letter", "text")


@dataclass(frozen=True)
class MultipleChoice(ChoiceTask):
    """Questions with two or more different answers, one of them right.

    Args:
        form (`str`, *optional*, defaults to `"choice"`): `choice`, the answers as candidates, or `binary`: one answer
            of each question, right or wrong with equal chance: is it right?
        question_column (`str`, *optional*, defaults to `"question"`): The question.
        choices_column (`str`, *optional*, defaults to `"choices"`): A list of answers, or a mapping with the lists
            `text` and `label`.
        choice_columns (`list[str]`, *optional*): Instead, one column for each answer.
        label_column (`str`, *optional*, defaults to `"label"`): The right answer: its position from 0, its letter from
            A, its text, or its name among the `label` of a mapping.
        label_is (`str`, *optional*): `index`, `letter` or `text`; needed where a label could be read in two ways.
        context_column (`str`, *optional*): A passage, shown before the question; questions on one stay in one split.
        group_column (`str`, *optional*): Rows with the same value stay in one split; by default those with the same
            context, else question.
        id_column (`str`, *optional*): Unique name of a row; by default a hash of the question and its answers.
    """

    form: str = "choice"
    question_column: str = "question"
    choices_column: str = "choices"
    choice_columns: list[str] | None = None
    label_column: str = "label"
    label_is: str | None = None
    context_column: str | None = None
    group_column: str | None = None
    id_column: str | None = None
    example_row: ClassVar[Mapping[str, Any]] = {
        "question": "What do bees make?",
        "choices": ["silk", "honey", "salt"],
        "label": 1,
    }

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: Unknown form or kind of label, or a single column of answers.
        """
        super().__post_init__()
        if self.label_is is not None and self.label_is not in _KINDS:
            raise ConfigError(f"label_is is {self.label_is!r}; write {', '.join(_KINDS)}, or leave it out")
        if self.choice_columns is not None and len(set(self.choice_columns)) < 2:
            raise ConfigError(f"choice_columns {self.choice_columns} names fewer than two columns; name one per answer")

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        if self.choice_columns is None:
            answers, names = answer_list(row, self.choices_column, "choices_column")
        else:
            answers, names = column_answers(row, self.choice_columns, "choice_columns"), {}
        asked = text(row, self.question_column, "question_column")
        context = "" if self.context_column is None else text(row, self.context_column, "context_column")
        group = key_text(row, self.group_column, "group_column") or ""
        id = key_text(row, self.id_column, "id_column")
        return Question(asked, answers, self._gold(row, answers, names), context=context, group=group, id=id)

    def left_out(self, row: Row) -> str | None:
        """Nothing is left out: what is wrong with your own data is an error.

        Args:
            row (`Row`): One record.
        """
        return None

    def _gold(self, row: Row, answers: Sequence[str], names: Mapping[str, int]) -> int:
        value = cell(row, self.label_column, "label_column")
        # Answers in the hub's usual form, `{"text": [...], "label": [...]}`, come with their own names for the label.
        if self.choice_columns is None and isinstance(row.values[self.choices_column], Mapping):
            readings = {"name": names[label_key(value)]} if label_key(value) in names else {}
        else:
            readings = _readings(value, answers)
            # Where the option says how labels are written, other readings of one do not count against it.
            readings = {kind: k for kind, k in readings.items() if self.label_is in (None, kind)}
        if not readings:
            raise DataError(
                f"{row.place}: label {value!r} in {self.label_column!r} is none of the {len(answers)} answers "
                f"(read as {self.label_is or 'index from 0, letter or text'}); correct it or drop the row"
            )
        # Only where it matters: of the answers `["1", "2"]` a label 1 is the second by place and the first by text.
        if len(set(readings.values())) > 1:
            ways = ", ".join(f"{kind} of answer {k}" for kind, k in readings.items())
            raise DataError(f"{row.place}: label {value!r} can be read in two ways ({ways}); set label_is")
        return next(iter(readings.values()))


def _readings(value: object, answers: Sequence[str]) -> dict[str, int]:
    """All that a label may mean: kind to index of the answer."""
    key, readings = label_key(value), dict[str, int]()
    # To Python, true is the number 1; a label of true is no index.
    if key.isdecimal() and int(key) < len(answers) and not isinstance(value, bool):
        readings["index"] = int(key)
    if isinstance(value, str):
        if len(key) == 1 and 0 <= ord(key) - ord("a") < len(answers):
            readings["letter"] = ord(key) - ord("a")
        if value.strip() in answers:
            readings["text"] = answers.index(value.strip())
    return readings
