"""Score a held-out split with a saved model and keep the scores by example id.

Scores are written to `predictions.parquet` as they are made, in the order of the examples.

accelerate launch -m w2s_rm.stages.evaluate --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2s_rm.data.examples import read_examples
from w2s_rm.data.predictions import write_predictions
from w2s_rm.stages._common import (
    held,
    is_main_process,
    parse_model_stage,
    refuse_finished,
    run_main,
    score_without_zero,
)
from w2s_rm.stages._scoring import remove_unfinished, score_examples, take_all

_FILE = "predictions.parquet"


def evaluate(argv: Sequence[str]) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
    """
    score_without_zero()
    stage_args, args, model_args, output = parse_model_stage(argv)
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(stage_args.examples))
        parts, counts = score_examples(stage_args, args, model_args, examples)
        if not is_main_process():
            take_all(parts)
            return
        remove_unfinished(folder, _FILE)
        write_predictions(folder.path / _FILE, parts)
        folder.remove("trainer")
        config = {"stage_hash": stage_args.stage_hash, "inputs": stage_args.inputs, "seed": args.seed}
        folder.finish(stage=stage_args.stage, counts=counts, config=config)


if __name__ == "__main__":
    run_main(evaluate)
