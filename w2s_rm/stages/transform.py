"""Change or select labels before a student sees them.

python -m w2s_rm.stages.transform --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Labels, component, recorded
from w2s_rm.stages._labelling import Labelling


@dataclass(frozen=True, kw_only=True, eq=False)
class Transform(Labelling):
    """Transformed labels, and the examples that still have one: it makes `examples.parquet` too.

    Args:
        labels ([`Labels`]): What a supervisor says.
        transforms (`list[Mapping]`): `name` and options of each transform, in their order.
        validation ([`Labels`], *optional*): What the supervisor says of the validation split.
        validation_examples ([`Examples`], *optional*): That split.
        other ([`Labels`], *optional*): What a second supervisor says.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        seed (`int`): For what is left to chance.
        at_least (`int`, *optional*): Fewest labels that a student can be trained on: a batch.
    """

    version: ClassVar[int] = 1

    labels: Labels
    transforms: list[Mapping[str, Any]] = component("labels")
    validation: Labels | None = None
    validation_examples: Examples | None = None
    other: Labels | None = None
    classes: list[str] | None = None
    seed: int
    # It only refuses: with another batch size the labels are the same.
    at_least: int = recorded(1)

    @property
    def kept(self) -> Examples:
        """The examples that have a label."""
        return self.made(Examples, "examples.parquet")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        # Of a file its name alone: cards may go to the hub, and paths are private.
        names = ", ".join(Path(str(entry["name"])).stem for entry in config["transforms"])
        return f"{words(config['labels'])}, then {names}"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.launched import read_config
        from w2s_rm.programs.transform import transform

        transform(*read_config(argv))


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Transform.run)
