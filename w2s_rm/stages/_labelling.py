"""What the stages have in common that make labels without a model."""

from __future__ import annotations

from dataclasses import dataclass

from w2s_rm.stages._base import Examples, Labels, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelling(Stage):
    """Labels of examples. It makes `weak_labels.parquet`, and of comparisons `dataset/`, preferences in TRL's form.

    Args:
        examples ([`Examples`]): What is labelled.
    """

    examples: Examples

    @property
    def loads_model(self) -> bool:
        """Never."""
        return False

    @property
    def weak_labels(self) -> Labels:
        """The labels."""
        return self.made(Labels, "weak_labels.parquet")
