"""Any dataset of texts with a label, without code: name its columns and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from w2s_rm.errors import ConfigError
from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import key_text, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class TextClassification(LabelTask):
    """Texts, or pairs of texts, with a class each; the class names are the candidates.

    Args:
        text_column (`str`, *optional*, defaults to `"text"`): The text.
        text_pair_column (`str`, *optional*): A second text, shown after the first.
        label_column (`str`, *optional*, defaults to `"label"`): A class name, or its position in `class_names` from 0.
            Where a class name is a number, labels are names.
        class_names (`list[str]`, *optional*, defaults to `["no", "yes"]`): In a fixed order; upper and lower case count
            as equal.
        question (`str`, *optional*, defaults to `""`): Shown after the texts.
        group_column (`str`, *optional*): Rows with the same value stay in one split; by default those with the same
            text.
        id_column (`str`, *optional*): Unique name of a row; by default a hash of the prompt.
    """

    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str = "label"
    class_names: list[str] = field(default_factory=lambda: ["no", "yes"])
    question: str = ""
    group_column: str | None = None
    id_column: str | None = None
    example_row: ClassVar[Mapping[str, Any]] = {"text": "The bees are back, what a joy!", "label": 1}

    def __post_init__(self) -> None:
        """Check the classes.

        Raises:
            ConfigError: Fewer than two, empty or equal ones.
        """
        problem = _class_problem(self.class_names)
        if problem:
            raise ConfigError(f"class_names {problem}; write two or more different names, such as [negative, positive]")

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, each after a space."""
        return tuple(f" {name.strip()}" for name in self.class_names)

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        first = text(row, self.text_column, "text_column")
        parts = [first]
        if self.text_pair_column is not None:
            parts.append(text(row, self.text_pair_column, "text_pair_column"))
        prompt = "\n".join([*parts, *([self.question.strip()] if self.question.strip() else [])])
        gold = label(row, self.label_column, self._known, "label_column")
        group = key_text(row, self.group_column, "group_column") or first
        return self.example(prompt, gold, group=group, id=key_text(row, self.id_column, "id_column"))

    def left_out(self, row: Row) -> str | None:
        """Nothing is left out: what is wrong with your own data is an error.

        Args:
            row (`Row`): One record.
        """
        return None

    @property
    def _known(self) -> dict[str, int]:
        names = {name.strip().lower(): k for k, name in enumerate(self.class_names)}
        positions = {str(k): k for k in range(len(names))}
        # Where classes are called 1 to 5, a label 1 is the name of the first and not the place of the second.
        return names if any(name.lstrip("-").isdigit() for name in names) else positions | names


def _class_problem(names: list[str]) -> str | None:
    if not all(isinstance(name, str) and name.strip() for name in names):
        # In YAML, unquoted no and yes are truth values.
        return f"{names} holds something that is no text (put no, yes and numbers in quotes)"
    if len(names) < 2:
        return f"{names} names fewer than two classes"
    # In lower case, as labels are compared.
    if len({name.strip().lower() for name in names}) < len(names):
        return f"{names} names a class twice"
    return None
