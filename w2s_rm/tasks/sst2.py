"""SST-2, in GLUE (arXiv 1804.07461): is a sentence from a film review positive?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.data.reading import KeptRows
from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Sst2(LabelTask):
    """Sentences from film reviews, positive or negative; `rows` leaves out phrases of other rows.

    GLUE's train split holds phrases of its own sentences, which would stand on both sides of a split. A row is left out
    if its words stand, in one piece, inside the longer text of another row that is read: of the 67,349 rows of the
    train split 6,885 stay, 95 % of them with a stop at their end. All texts are held in memory for that.

    Args:
        path (`str`, *optional*, defaults to `"nyu-mll/glue"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("nyu-mll/glue", config_name="sst2")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {"sentence": "a warm and funny film about bees", "label": 1}

    def rows(self) -> Iterator[Row]:
        """Read the rows that are no phrase of another; counts and logs how many are.

        Raises:
            DataError: Unreadable, or all rows are left out.
        """
        read = list(self.all_rows())
        phrases = _phrases({_words(row) for row in read})

        def why(row: Row) -> str | None:
            return self.left_out(row) or ("that are phrases of other rows" if _words(row) in phrases else None)

        return KeptRows(self.path, read, why)

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        sentence = text(row, "sentence")
        return self.example(f"{sentence}\nIs this review positive?", label(row, "label"), group=sentence)


def _words(row: Row) -> tuple[str, ...]:
    # A tuple, so that a phrase is a slice and never ends inside a word. A blank cell has none, and is no phrase.
    return tuple(str(row.values.get("sentence") or "").split())


def _phrases(texts: Set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Those texts, as words, that stand inside a longer one."""
    phrases: set[tuple[str, ...]] = set()
    for words in sorted(texts, key=len, reverse=True):
        # What stands inside a phrase also stands inside the text that the phrase is from.
        if words not in phrases:
            n = len(words)
            parts = {words[i:j] for i in range(n) for j in range(i + 1, n + 1) if j - i < n}
            phrases |= parts & texts
    return phrases
