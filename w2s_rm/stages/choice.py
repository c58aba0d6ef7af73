"""Choose one of several trainings by what a held-out split says of each.

python -m w2s_rm.stages.choice --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Labels, Model, Scores, Stage, recorded


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice(Stage):
    """One of several models that differ in how they were trained. It makes `model/`, with LoRA `adapter/` too.

    The one is taken whose scores fit the labels of the validation split best: the lowest cross-entropy, as among layers
    and penalties of linear models, here at the temperature at which it is lowest. Trials differ in what makes a model
    sure of itself, a loss that hardens, more steps, larger ones, and neither accuracy nor PGR knows of that: at
    temperature 1 a student would pay for being surer than its supervisor, whatever it prefers. Agreement with the
    labels knows nothing of it either, but counts only what changes sides, and shows less with the same examples. Of
    equal ones the first is taken. What was trained on labels is chosen by labels, with no truth beside them.

    Args:
        trials (`tuple[Model, ...]`): To choose from.
        scores (`tuple[Scores, ...]`): What each says of the validation split.
        examples ([`Examples`]): That split.
        labels ([`Labels`], *optional*): By which it is chosen; without them, by the truth.
        values (`list[Mapping]`): What each trial was trained with, by option, for reports.
        run_name (`str`, *optional*): Names the model that was chosen.
        options (`Mapping`, *optional*): Fields of `TrainingArguments` about the hub, where it goes there.
    """

    version: ClassVar[int] = 1
    trains: ClassVar[bool] = True

    trials: tuple[Model, ...]
    scores: tuple[Scores, ...]
    examples: Examples
    labels: Labels | None = None
    # The trials themselves are inputs, and differ in their hashes by these values already.
    values: list[Mapping[str, Any]] = recorded()
    run_name: str | None = recorded(None)
    options: Mapping[str, Any] | None = recorded(None)

    @property
    def loads_model(self) -> bool:
        """Never: others have scored."""
        return False

    @property
    def reported(self) -> bool:
        """Always: reports say what each role was chosen from."""
        return True

    def config(self) -> dict[str, Any]:
        """The config, options on their own as in that of a training."""
        config = super().config()
        options = config.pop("options", {})
        return {**config, **options}

    @property
    def model(self) -> Model:
        """The one that was chosen, under the name that all of them have: `model`, or that of a linear model's file."""
        return self.made(Model, Path(self.trials[0].path).name)

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.choice import choice

        choice(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Choice.run)
