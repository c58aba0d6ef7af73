"""A stage of one's own in one file: prefer the longest candidate.

python tests/stages/longest.py --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2s_rm.stages._labelling import Labelling


@dataclass(frozen=True, kw_only=True, eq=False)
class Longest(Labelling):
    """Labels by length.

    Args:
        confidence (`float`): Probability of the longest of two candidates.
    """

    version: ClassVar[int] = 1

    confidence: float

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        return f"the longest candidate ({config['confidence']:.0%})"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.data.examples import read_examples
        from w2s_rm.data.label_files import WeakLabel
        from w2s_rm.programs.labelling import write_labelled
        from w2s_rm.programs.launched import held, read_config

        config, output = read_config(argv)
        with held(output) as folder:
            examples = read_examples(Path(config["examples"]))
            labels = []
            for example in examples:
                first = len(example.candidates[0]) >= len(example.candidates[1])
                sure = config["confidence"] if first else 1 - config["confidence"]
                labels.append(WeakLabel(example.id, example.candidate_ids, (sure, 1 - sure)))
            write_labelled(folder, "longest", examples, labels, {}, config)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Longest.run)
