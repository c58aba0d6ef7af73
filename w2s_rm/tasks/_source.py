"""What all classification tasks share: where the rows come from, and reading one cell with a good error."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.data.reading import KeptRows, content_version, is_hub_id, read_rows, require_columns
from w2s_rm.errors import DataError
from w2s_rm.tasks._comparison import is_null, parse_text
from w2s_rm.types import Example, Row

# With the space before them, which tokenizers expect where a word follows a text.
NO_YES = (" no", " yes")
BINARY: Mapping[str, int] = {"0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}
"""How files write a label of two classes."""

CONVERTED = "refs/convert/parquet"
"""The hub's own copy of a dataset whose main branch holds a loading script, which `datasets` 4 and later do not run."""


class UnusableRowError(DataError):
    """A row of a published dataset that is no example: a blank cell, two equal answers.

    Args:
        message (`str`): Place, cause and remedy.
        reason (`str`, *optional*): What such rows have in common, for the count of those left out.
    """

    def __init__(self, message: str, reason: str = "that are no examples") -> None:
        """Keep the reason beside the message."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Hub:
    """Where a dataset lies on the hub.

    Args:
        id (`str`): Owner and name.
        split (`str`, *optional*, defaults to `"train+validation"`): The splits that have labels.
        config_name (`str`, *optional*): Configuration.
        data_dir (`str`, *optional*): Folder, in a branch that has folders instead of configurations.
        revision (`str`, *optional*): Branch, tag or commit; by default the main branch.
    """

    id: str
    split: str = "train+validation"
    config_name: str | None = None
    data_dir: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Source(ABC):
    """The options of every classification task.

    Args:
        path (`str`): Hub id, or file or folder with the same columns; see
            [`read_rows`][w2s_rm.data.reading.read_rows].
        split (`str`, *optional*): Which rows of `path`; by default those with labels on the hub, and of a file or
            folder all. The splits of an experiment are drawn by hash from these.
        config_name (`str`, *optional*): Configuration of a hub dataset; by default the task's own.
        revision (`str`, *optional*): Branch, tag or commit of a hub dataset.
        balance (`bool`, *optional*, defaults to `True`): Whether every class takes the same share of each split.
    """

    path: str
    split: str | None = None
    config_name: str | None = None
    revision: str | None = None
    balance: bool = True

    setting: ClassVar[str] = "classification"
    example_row: ClassVar[Mapping[str, Any]]
    hub: ClassVar[Hub | None] = None

    @property
    def has_ground_truth(self) -> bool:
        """Every row has a label."""
        return True

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The candidates of every example: no and yes."""
        return NO_YES

    @property
    def balanced(self) -> bool:
        """Whether to balance: as the option says, where there are classes."""
        return self.balance and self.classes is not None

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision."""
        return content_version(self.path, revision=self.place.revision)

    def rows(self) -> Iterator[Row]:
        """Read the dataset, without the rows that [`left_out`] names; logs how many those are.

        Raises:
            DataError: Unreadable, or all rows are left out.
        """
        return KeptRows(self.path, self.all_rows(), self.left_out)

    def all_rows(self) -> Iterator[Row]:
        """Read the dataset as it is."""
        hub = self.place
        options = {"config_name": hub.config_name, "revision": hub.revision, "data_dir": hub.data_dir}
        # An empty split stands for all rows, of what is no dataset of the task's own.
        return read_rows(self.path, hub.split or None, **options)

    def left_out(self, row: Row) -> str | None:
        """Say why a row of the dataset is not used; `None` for one that is.

        Published datasets hold a few rows with blank cells or equal answers, which nobody who reads them can mend.

        Args:
            row (`Row`): One record.
        """
        try:
            # The row is made into an example twice, here and by who reads it on: so why one is of no use is said in one
            # place.
            self.to_example(row)
        except UnusableRowError as unusable:
            return unusable.reason
        except DataError:
            # Read again, it is reported together with those of the other rows.
            return None
        return None

    @abstractmethod
    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""

    @property
    def place(self) -> Hub:
        """The place of the rows: the options, and for the task's own dataset what they leave open."""
        default = (
            # A local folder may have the name of the hub's dataset; it has its own splits and no branches.
            self.hub if self.hub and self.path == self.hub.id and is_hub_id(self.path) else Hub(self.path, split="")
        )
        return Hub(
            self.path,
            split=self.split or default.split,
            config_name=self.config_name or default.config_name,
            # A configuration is another layout of the dataset; a pinned commit of the same branch has the same folders.
            data_dir=default.data_dir if self.config_name is None else None,
            revision=self.revision or default.revision,
        )


def cell(row: Row, column: str, option: str | None = None) -> Any:
    """Return the value of a column that must be there.

    Args:
        row (`Row`): One record.
        column (`str`): Its name.
        option (`str`, *optional*): The task's option that names the column, for messages; by default `path`, of which
            the columns are known.

    Raises:
        DataError: No such column; names the nearest.
    """
    require_columns(row, {option or "path": column})
    return row.values[column]


def text(row: Row, column: str, option: str | None = None) -> str:
    """Return the text of a column without the white space around it.

    Args:
        row (`Row`): One record.
        column (`str`): Its name.
        option (`str`, *optional*): As in [`cell`].

    Raises:
        UnusableRowError: Null or blank.
        DataError: No such column, or not text.
    """
    return checked_text(row, cell(row, column, option), repr(column))


def checked_text(row: Row, value: object, what: str) -> str:
    """Return a value as text without the white space around it.

    Args:
        row (`Row`): The record it comes from, for messages.
        value (`object`): The value.
        what (`str`): Its name for messages.

    Raises:
        UnusableRowError: Null or blank.
        DataError: Not text.
    """
    if is_null(value) or (isinstance(value, str) and not value.strip()):
        empty = "empty (null)" if is_null(value) else "empty"
        raise UnusableRowError(f"{row.place}: {what} is {empty}; drop the row or fill it", f"with a blank {what}")
    try:
        # Also for what looks like text: it may be a conversation written as JSON, or hold half of a character.
        parsed = parse_text(value, what)
    except DataError as error:
        raise DataError(f"{row.place}: {error}") from error
    if not isinstance(parsed, str):
        raise DataError(f"{row.place}: {what} is a list of messages; this task takes plain text")
    return parsed.strip()


def one_of(row: Row, *columns: str) -> str:
    """Return the first of some columns that the row has: the hub and local files name the same thing differently.

    Args:
        row (`Row`): One record.
        columns (`str`): Names in order of preference.

    Raises:
        DataError: It has none; names the first.
    """
    name = next((column for column in columns if column in row.values), columns[0])
    # Only for its error, where the row has none of them.
    cell(row, name)
    return name


def label(row: Row, column: str, known: Mapping[str, int] = BINARY, option: str | None = None) -> int:
    """Return the class that a label column names.

    Args:
        row (`Row`): One record.
        column (`str`): Its name.
        known (`Mapping[str, int]`, *optional*): Label as text, in lower case, to class; by default 0, 1, false, true,
            no and yes.
        option (`str`, *optional*): As in [`cell`].

    Raises:
        DataError: No label, or one outside the classes.
    """
    value = cell(row, column, option)
    key = label_key(value)
    if not key:
        raise DataError(f"{row.place}: no label in {column!r}; drop the row, or choose a split that has labels")
    if key not in known:
        classes = ", ".join(known)
        raise DataError(f"{row.place}: label {value!r} in {column!r} is outside {classes}; correct it or drop the row")
    return known[key]


def label_key(value: object) -> str:
    """Write a label as text: in lower case, whole numbers without a point, nothing for null."""
    if is_null(value):
        return ""
    # A data frame makes a column of whole numbers with gaps a column of floats.
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return str(value).strip().lower()


def key_text(row: Row, column: str | None, option: str) -> str | None:
    """Return the value of a key column as text; `None` if the option is not used.

    Args:
        row (`Row`): One record.
        column (`str` or `None`): Its name.
        option (`str`): The task's option that names it.

    Raises:
        DataError: No such column, or an empty value.
    """
    if column is None:
        return None
    value = cell(row, column, option)
    if is_null(value) or not str(value).strip():
        raise DataError(f"{row.place}: {column!r} ({option}) is empty; fill it, or leave the option out")
    return str(value)
