"""What the stages have in common that score examples, with a model or by a file of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from w2s_rm.stages._base import Examples, Features, Labels, Model
from w2s_rm.stages._options import WithOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Judging(WithOptions):
    """Scores of examples.

    Args:
        examples ([`Examples`]): What to score.
        model_name_or_path ([`Model`], *optional*): What scores them.
        features ([`Features`], *optional*): What a frozen model makes of them, for a model that reads that.
        labels ([`Labels`], *optional*): A file of labels that stands in for a model.
        other_examples (`tuple[Examples, ...]`, *optional*): Examples that the file may label as well.
        setting (`str`, *optional*, defaults to `"reward_modeling"`): Name of a row in `w2s_rm/settings.py`.
        head (`str`, *optional*, defaults to `"reward"`): How candidates are scored: `reward`, `classification` or `lm`.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        options (`Mapping`, *optional*): Fields of `TrainingArguments`, `RewardConfig` and TRL's `ModelConfig`.
    """

    model_name_or_path: Model | None = None
    features: Features | None = None
    labels: Labels | None = None
    other_examples: tuple[Examples, ...] = ()
    setting: str = "reward_modeling"
    head: str = "reward"
    classes: list[str] | None = None

    @property
    def loads_model(self) -> bool:
        """Whether a model of the hub's kind scores."""
        return self.labels is None and self.features is None

    def content(self) -> dict[str, Any]:
        """What the result depends on, beside the inputs."""
        # A file of labels, or a linear model, says the same under any head and options.
        return super().content() if self.loads_model else {}
