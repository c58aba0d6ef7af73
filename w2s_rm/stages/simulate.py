"""Label examples with a supervisor that is no model: right on a given share of them, wrong where it is told to be.

python -m w2s_rm.stages.simulate --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.stages._base import Labels, recorded
from w2s_rm.stages._labelling import Labelling

if TYPE_CHECKING:
    from w2s_rm.data.label_files import WeakLabel
    from w2s_rm.types import Example


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulate(Labelling):
    """The labels of a simulated supervisor.

    Args:
        accuracy (`float`): Share of right labels, in [0, 1].
        errors (`str`): Which labels are wrong, a kind of [`~w2s_rm.data.simulating.simulate`].
        confidence (`float`, *optional*): Probability of the candidate that it names.
        feature (`str`, *optional*): Of systematic errors: what they go with.
        pattern (`str`, *optional*): Of clustered errors: which words they go by.
        difficulty ([`Labels`], *optional*): Of hard and adversarial errors: labels of the model that tells hard
            examples.
        task (`Mapping`, *optional*): Of errors by position: `name` and options of the task, in whose table that is.
        seed (`int`): For what is left to chance.
    """

    version: ClassVar[int] = 2

    accuracy: float
    # Not `kind`, a property of all stages.
    errors: str
    confidence: float | None = None
    feature: str | None = None
    pattern: str | None = None
    difficulty: Labels | None = None
    # Which table it is, the identity of the examples says.
    task: Mapping[str, Any] | None = recorded(None)
    seed: int

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        return f"a simulated supervisor, right on {config['accuracy']:.0%}, errors {config['errors']}"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.data.label_files import read_labels
        from w2s_rm.data.simulating import margins, simulate
        from w2s_rm.options import build
        from w2s_rm.programs.labelling import label_examples
        from w2s_rm.programs.prepare import places

        def label(config: Mapping[str, Any], examples: Sequence[Example]) -> tuple[list[WeakLabel], dict[str, Any]]:
            difficulty = margins(read_labels(config["difficulty"])) if "difficulty" in config else None
            options = {name: config.get(name) for name in ("confidence", "feature", "pattern")}
            if config.get("task"):
                options["places"] = places(build("tasks", config["task"]), config["task"]["name"])
            accuracy, errors, seed = config["accuracy"], config["errors"], config["seed"]
            return simulate(examples, accuracy, errors, seed=seed, difficulty=difficulty, **options), {}

        label_examples(argv, "simulate", label)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Simulate.run)
