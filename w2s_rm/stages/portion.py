"""Take a part of a split, by a hash of the group, so that parts share no prompt.

python -m w2s_rm.stages.portion --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from w2s_rm.stages._base import Examples, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Portion(Stage):
    """One of several parts of a split, or all but one. It makes `examples.parquet`.

    Args:
        examples ([`Examples`]): The split.
        number (`int`): Which part, from 0.
        parts (`int`): How many there are.
        without (`bool`, *optional*, defaults to `False`): Take all parts but this one.
    """

    version: ClassVar[int] = 1

    examples: Examples
    number: int
    parts: int
    without: bool = False

    @property
    def loads_model(self) -> bool:
        """Never."""
        return False

    @property
    def taken(self) -> Examples:
        """The examples of the part."""
        return self.made(Examples, "examples.parquet")

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.data.examples import read_examples, write_examples
        from w2s_rm.data.splits import portion
        from w2s_rm.errors import DataError
        from w2s_rm.programs.launched import held, read_config, refuse_finished

        config, output = read_config(argv)
        with held(output) as folder:
            refuse_finished(folder)
            examples = read_examples(Path(config["examples"]))
            number, parts = config["number"], config["parts"]
            kept = portion(examples, number, parts, without=config["without"])
            if not kept:
                raise DataError(
                    f"part {number + 1} of {parts} of {config['examples']} is empty: {len(examples)} examples in "
                    f"{len({example.group for example in examples})} groups; raise n_train, or take fewer parts"
                )
            write_examples(output / "examples.parquet", kept)
            folder.finish(stage="portion", counts={"examples": len(kept), "of": len(examples)}, config=config)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Portion.run)
