"""What the stages have in common that score examples, with a model or by a file of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Labels, Model, Stage
from w2s_rm.trainer_options import computing


@dataclass(frozen=True, kw_only=True, eq=False)
class Judging(Stage):
    """Scores of examples.

    Args:
        examples ([`Examples`]): What to score.
        model_name_or_path ([`Model`], *optional*): What scores them.
        labels ([`Labels`], *optional*): A file of labels that stands in for a model.
        other_examples (`tuple[Examples, ...]`, *optional*): Examples that the file may label as well.
        setting (`str`, *optional*, defaults to `"reward_modeling"`): Name of a file in `w2s_rm/settings`.
        head (`str`, *optional*, defaults to `"reward"`): How candidates are scored: `reward`, `classification` or `lm`.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        options (`Mapping`, *optional*): Fields of `TrainingArguments`, `RewardConfig` and TRL's `ModelConfig`.
    """

    on_all_processes: ClassVar[bool] = True

    examples: Examples
    model_name_or_path: Model | None = None
    labels: Labels | None = None
    other_examples: tuple[Examples, ...] = ()
    setting: str = "reward_modeling"
    head: str = "reward"
    classes: list[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def loads_model(self) -> bool:
        """Whether a model scores."""
        return self.labels is None

    def content(self) -> dict[str, Any]:
        """What the result depends on."""
        return {**super().content(), "options": computing(self.options)} if self.loads_model else {}

    def config(self) -> dict[str, Any]:
        """The config, as TRL's parser takes it: options on their own."""
        config = super().config()
        options = config.pop("options")
        return {**config, **options}
