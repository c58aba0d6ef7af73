"""Read what a frozen model makes of examples, once for all that is trained on it.

accelerate launch -m w2s_rm.stages.features --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages import _base
from w2s_rm.stages._base import Examples, Model
from w2s_rm.stages._options import WithOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Features(WithOptions):
    """Hidden states of all examples of a split. It makes `shards/`, of which finished ones outlast an interruption.

    Args:
        examples ([`~w2s_rm.stages.Examples`]): What the model reads.
        other_examples (`tuple[Examples, ...]`, *optional*): What it reads besides; an example that stands in several is
            read once.
        model_name_or_path ([`Model`]): The model; nothing in it is trained.
        setting (`str`): Name of a row in `w2s_rm/settings.py`.
        head (`str`): `reward` has a vector for each candidate, `classification` one for each prompt.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        columns (`list[str]`): What is read, names of [`~w2s_rm.features.options.column`].
        options (`Mapping`, *optional*): Fields of `TrainingArguments`, `RewardConfig` and TRL's `ModelConfig`.
    """

    version: ClassVar[int] = 1
    encodes: ClassVar[bool] = True

    other_examples: tuple[Examples, ...] = ()
    model_name_or_path: Model
    setting: str
    head: str
    classes: list[str] | None = None
    columns: list[str]

    @property
    def features(self) -> _base.Features:
        """The features."""
        # The reference, which has the name of the stage.
        return self.made(_base.Features, "shards")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the features, for a card."""
        return f"hidden states of {words(str(config['model_name_or_path']))}"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.features import features

        features(argv, cls)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Features.run)
