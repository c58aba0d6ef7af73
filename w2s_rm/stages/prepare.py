"""Read a task, check every row, split it by group, and look for leaks and shortcuts.

python -m w2s_rm.stages.prepare --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepare(Stage):
    """The examples of a task, in splits. It makes `examples/<split>.parquet` and `check.json`.

    Args:
        task (`Mapping`): `name` and options of the task.
        sizes (`Mapping`): Fields of [`~w2s_rm.data.splits.SplitSizes`], as far as the recipe gives them; the draw is a
            number.
        source (`str`): What identifies the content of the data, so that a moved file is the same task.
    """

    version: ClassVar[int] = 7

    task: Mapping[str, Any]
    sizes: Mapping[str, Any]
    source: str

    @property
    def loads_model(self) -> bool:
        """Never."""
        return False

    def content(self) -> dict[str, Any]:
        """What the result depends on; the data stand for their path."""
        content = super().content()
        return {**content, "task": {name: value for name, value in content["task"].items() if name != "path"}}

    def examples(self, split: str) -> Examples:
        """Refer to the examples of a split.

        Args:
            split (`str`): `weak`, `relabel`, `validation`, `test` or `unused`.
        """
        return self.made(Examples, f"examples/{split}.parquet")

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.prepare import prepare

        prepare(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Prepare.run)
