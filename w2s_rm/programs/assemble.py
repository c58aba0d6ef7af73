"""Make a model folder of a linear model on features, and prove that it gives the same scores."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from trl import ModelConfig

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ArtifactError
from w2s_rm.features.assembly import Assembled
from w2s_rm.features.assembly import assemble as put_together
from w2s_rm.features.linear_model import load_models
from w2s_rm.features.store import read_features
from w2s_rm.files import replacing
from w2s_rm.heads import HEADS
from w2s_rm.heads.pooled import PooledForSequenceClassification
from w2s_rm.programs.launched import Configured, held, parse_model_stage, recorded, refuse_finished
from w2s_rm.programs.scoring import remove_unfinished, score_examples
from w2s_rm.report.cards import write_card
from w2s_rm.runs.folder import package_versions
from w2s_rm.training.facts import ScoringFacts, kind_of, write_facts
from w2s_rm.training.modeling import load_model, spent_init_kwargs, stage_tokenizer
from w2s_rm.types import Example

_RESCORED_EXAMPLES = 32
# Their candidates give mean and deviation of the scores to a few hundredths of the deviation.
_SCALE_EXAMPLES = 500
# Of the standard deviation of the scores. Features have 16 bits, and another layer or pooling gives scores that differ
# by about as much as scores do among themselves.
_TOLERANCE, _BF16_TOLERANCE = 0.02, 0.05


def assemble(argv: Sequence[str], kind: Configured) -> None:
    """Run the stage: writes `model/`, which loads and scores as any other that was trained.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
        kind ([`~w2s_rm.programs.launched.Configured`]): The stage's class.

    Raises:
        ConfigError: The linear model reads what no row of tokens says.
        ArtifactError: What was saved gives other scores than the linear model.
    """
    stage_args, args, model_args, output = parse_model_stage(argv, kind)
    with held(output) as folder:
        refuse_finished(folder)
        remove_unfinished(folder, "model")
        examples = read_examples(Path(stage_args.examples))
        # Evenly spaced, and at most so many: the step is rounded up.
        sample = examples[:: -(-len(examples) // _SCALE_EXAMPLES)]
        few = sample[:_RESCORED_EXAMPLES]
        with replacing(output / "model") as written:
            made, bf16 = _save(stage_args, args, model_args, written, kind_of(examples[0].candidates[0]))
            column, ids = made.linear.column, [example.id for example in sample]
            expected = made.linear.scores(read_features(Path(stage_args.features), column, ids))
            flat = [score for row in expected for score in row]
            mean, spread = statistics.fmean(flat), statistics.pstdev(flat)
            rescored = _rescore(stage_args, args, model_args, written, few)
            difference = _difference(rescored, expected[: len(few)]) / spread
            # Written this way round, NaN is a difference.
            if not difference <= (_BF16_TOLERANCE if bf16 else _TOLERANCE):
                raise ArtifactError(
                    f"{output / 'model'}: scores differ from those of {stage_args.linear_model} by {difference:.2g} of "
                    "their standard deviation"
                )
        folder.remove("trainer")
        counts = {
            "examples": len(examples),
            "reload_difference": difference,
            "scored_examples": len(sample),
            "score_mean": mean,
            "score_std": spread,
            "pooled": isinstance(made.model, PooledForSequenceClassification),
        }
        write_card(output, {"counts": counts, "packages": package_versions()})
        folder.finish(stage="assemble", counts=counts, config=recorded(stage_args, args))


def _save(stage_args: Any, args: Any, model_args: Any, written: Path, kind: str) -> tuple[Assembled, bool]:
    """Save model, tokenizer and facts; return the model, and whether it computes in 16 bits."""
    models, chosen = load_models(Path(stage_args.linear_model))
    tokenizer = stage_tokenizer(model_args, args)
    model: Any = load_model(stage_args.head, model_args, args, stage_args.classes)
    # The linear model was fitted to what the rounded weights make of texts; dequantised, they are the same numbers.
    if model_args.load_in_4bit or model_args.load_in_8bit:
        model = model.dequantize()
    # And here to what a model whose weights are in bfloat16 makes of them.
    if args.bf16_full_eval:
        model = model.to(torch.bfloat16)
    every_token = HEADS[stage_args.head].chains
    made = put_together(model, models[chosen], int(tokenizer.pad_token_id), every_token=every_token)
    made.model.save_pretrained(written)
    tokenizer.save_pretrained(written)
    if HEADS[stage_args.head].gives_rewards:
        write_facts(written, ScoringFacts(kind, stage_args.head, args.max_length, bool(args.bf16)))
    return made, bool(args.bf16) or made.model.dtype != torch.float32


def _rescore(
    stage_args: Any, args: Any, model_args: Any, saved: Path, examples: Sequence[Example]
) -> list[tuple[float, ...]]:
    """Score examples with the saved folder as it will be loaded, without what was said of the model that was read."""
    args.layout = "auto"
    loading = ModelConfig(str(saved), dtype="auto", attn_implementation=model_args.attn_implementation)
    with spent_init_kwargs(args):
        parts, _ = score_examples(stage_args, args, loading, examples)
        return [row for part in parts for row in part.scores]


def _difference(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> float:
    """The root of the mean squared difference."""
    pairs = [pair for rows in zip(found, expected, strict=True) for pair in zip(*rows, strict=True)]
    return math.sqrt(statistics.fmean((one - other) ** 2 for one, other in pairs))
