"""Base of the tasks that are questions with several answers, one of them right."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.data.examples import content_id
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._source import NO_YES, Source, UnusableRowError, cell, checked_text, label_key
from w2s_rm.types import Example, Row, content_hash, hash_fraction

FORMS = ("binary", "choice")


@dataclass(frozen=True)
class Question:
    """One question as a dataset has it.

    Args:
        question (`str`): The question, or the text to be continued.
        answers (`tuple[str, ...]`): In the dataset's order.
        gold (`int`): Index of the right one.
        context (`str`, *optional*): Passage or dialogue that the question is about.
        continues (`bool`, *optional*, defaults to `False`): The answers go on where the question stops, in one text.
        group (`str`, *optional*): Text that related questions share; by default the context, else the question.
        id (`str`, *optional*): By default a hash of the content.
    """

    question: str
    answers: tuple[str, ...]
    gold: int
    context: str = ""
    continues: bool = False
    group: str = ""
    id: str | None = None

    @property
    def prompt(self) -> str:
        """What stands before an answer."""
        asked = self.question if self.continues else f"Question: {self.question}\nAnswer:"
        return f"{self.context}\n{asked}".lstrip("\n")

    @property
    def group_key(self) -> str:
        """Hash of what keeps related questions together."""
        # Who has read a passage in training knows something of every question on it.
        return content_hash(self.group or self.context or self.question)

    @property
    def content_id(self) -> str:
        """The id of the question with all of its answers in any order, which does not depend on the right one."""
        # Answers as they stand as candidates, with the space before them.
        return self.id or content_id(self.prompt, (f" {answer}" for answer in self.answers))


@dataclass(frozen=True)
class ChoiceTask(Source):
    """Questions with answers, in one of two forms.

    Args:
        form (`str`, *optional*, defaults to `"binary"`): `binary` shows one answer of each question, right or wrong
            with equal chance, and asks whether it is right, as Burns et al. (2023, arXiv 2312.09390) turn multiple
            choice into pairs of question and answer. `choice` makes the answers themselves the candidates.
    """

    form: str = "binary"

    question_wording: ClassVar[str] = "Is this answer right?"

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: Unknown form.
        """
        if self.form not in FORMS:
            raise ConfigError(f"form is {self.form!r}; write {' or '.join(FORMS)}")

    @property
    def classes(self) -> tuple[str, ...] | None:
        """No and yes in the binary form; the answers of a choice have no fixed meaning."""
        return NO_YES if self.form == "binary" else None

    @abstractmethod
    def question(self, row: Row) -> Question:
        """Read one record.

        Args:
            row (`Row`): One record.

        Raises:
            DataError: A column or the label is missing or wrong.
        """

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example.

        Args:
            row (`Row`): One record.

        Raises:
            UnusableRowError: A blank question or answer, or two equal answers.
            DataError: The row is no question with its answers; says where, why and what to do.
        """
        question = self.question(row)
        problem = _problem(question.answers)
        if problem:
            raise UnusableRowError(f"{row.place}: {problem}; mend or drop the row", f"({problem})")
        if self.form == "binary":
            return self._shown(question)
        candidates = tuple(f" {answer}" for answer in question.answers)
        return Example(question.content_id, question.group_key, question.prompt, candidates, question.gold)

    def _shown(self, question: Question) -> Example:
        shown = shown_answer(question)
        prompt = f"{question.prompt} {question.answers[shown]}\n{self.question_wording}"
        id = content_hash(prompt) if question.id is None else question.id
        return Example(id, question.group_key, prompt, NO_YES, int(shown == question.gold))


def shown_answer(question: Question) -> int:
    """Choose the answer to show: the right one for half of the questions, else any of the others, by hash.

    Args:
        question (`Question`): With at least two different answers.
    """
    id = question.content_id
    # Half, whatever the number of answers, so that yes and no are balanced.
    if hash_fraction("shown", id) < 0.5:
        return question.gold
    wrong = [k for k in range(len(question.answers)) if k != question.gold]
    # By hashes of the answers and not their places, so that a dataset in another order shows the same ones.
    return min(wrong, key=lambda k: content_hash("distractor", id, question.answers[k]))


def answer_list(row: Row, column: str, option: str | None = None) -> tuple[tuple[str, ...], dict[str, int]]:
    """Read the answers of a column and what labels call them.

    Args:
        row (`Row`): One record.
        column (`str`): Holds a list of texts, or lists `text` and `label` of equal length.
        option (`str`, *optional*): The task's option that names the column, for messages.

    Returns:
        The answers, and label in lower case to index: of a list the numbers from 0.

    Raises:
        DataError: Another structure.
    """
    value = cell(row, column, option)
    texts, names = (value.get("text"), value.get("label")) if isinstance(value, Mapping) else (value, None)
    if not isinstance(texts, list | tuple):
        raise DataError(f"{row.place}: {column!r} is {type(texts).__name__}, not a list of answers; write a list")
    if isinstance(value, Mapping) and (not isinstance(names, list | tuple) or len(names) != len(texts)):
        raise DataError(f"{row.place}: {column!r} has not one 'label' for each 'text'; write two lists of equal length")
    # Blank ones keep their places, by which a label counts.
    answers = tuple(_answer(row, answer, f"{column!r}[{k}]") for k, answer in enumerate(texts))
    return answers, {label_key(name): k for k, name in enumerate(names or range(len(texts)))}


def column_answers(row: Row, columns: Sequence[str], option: str | None = None) -> tuple[str, ...]:
    """Read answers that stand in a column each.

    Args:
        row (`Row`): One record.
        columns (`Sequence[str]`): Their names.
        option (`str`, *optional*): The task's option that names them, for messages.

    Raises:
        DataError: A column is missing, or holds no text.
    """
    return tuple(_answer(row, cell(row, column, option), repr(column)) for column in columns)


def _answer(row: Row, value: object, what: str) -> str:
    """An answer as text. It may be blank: what that means for the question is for the task to say."""
    return "" if isinstance(value, str) and not value.strip() else checked_text(row, value, what)


def _problem(answers: Sequence[str]) -> str | None:
    if len(answers) < 2:
        return f"a question with {len(answers)} answers, at least two are needed"
    if not all(answers):
        return "a question with an empty answer"
    # Which of them is right could not be told, and labels join candidates by their content.
    if len(set(answers)) < len(answers):
        return "a question with two equal answers"
    return None
