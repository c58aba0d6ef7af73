"""Base of the tasks whose label is a class: the prompt asks, the candidates are the class names."""

from __future__ import annotations

from dataclasses import dataclass

from w2s_rm.tasks._source import NO_YES, Source
from w2s_rm.types import Example, content_hash


@dataclass(frozen=True)
class LabelTask(Source):
    """A dataset of texts, each in one of some classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The candidates of every example: no and yes."""
        return NO_YES

    def example(self, prompt: str, gold: int, *, group: str, id: str | None = None) -> Example:
        """Build an example whose candidates are the classes.

        Args:
            prompt (`str`): All that the model reads before the class name.
            gold (`int`): Index of the right class.
            group (`str`): Text that related rows share: the question, the passage.
            id (`str`, *optional*): By default a hash of the prompt.
        """
        return Example(id or content_hash(prompt), content_hash(group), prompt, self.classes, gold)
