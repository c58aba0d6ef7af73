"""A stage of one's own that says in which process it ran, and fails if it is told to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.errors import DataError
from w2s_rm.stages import Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class ProcessId(Stage):
    """It makes `process.json`: the process, and what it found in the environment and then changed there.

    Args:
        number (`int`): Tells one stage from another.
        fails (`bool`, *optional*, defaults to `False`): Whether it fails.
    """

    version: ClassVar[int] = 1

    number: int
    fails: bool = False

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.launched import held, read_config

        config, output = read_config(argv)
        if config["fails"]:
            raise DataError("as it was told")
        with held(output) as folder:
            found = {"process": os.getpid(), "parent": os.getppid(), "changed": os.environ.get("CHANGED")}
            (folder.path / "process.json").write_text(json.dumps(found), encoding="utf-8")
            os.environ["CHANGED"] = str(config["number"])
            folder.finish(stage="process_id", counts={}, config=config)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(ProcessId.run)
