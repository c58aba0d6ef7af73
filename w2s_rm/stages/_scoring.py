"""From examples to encoded rows, to a trainer with the right head, to scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2s_rm import catalog
from w2s_rm.errors import DataError
from w2s_rm.stages._common import StageArguments
from w2s_rm.types import Encoded, Example, Predictions


def encode(
    setting_name: str, tokenizer: Any, examples: Sequence[Example], max_length: int | None, head: str
) -> list[Encoded]:
    """Encode examples in batches with a setting.

    Args:
        setting_name (`str`): Name of a file in `w2s_rm/settings`.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        examples (`Sequence[Example]`): What to encode.
        max_length (`int`, *optional*): Most tokens in a row.
        head (`str`): How candidates are scored.

    Raises:
        DataError: No examples, or candidates that the tokenizer cannot write.
    """
    if not examples:
        raise DataError("no examples to encode")
    setting = catalog.lookup("settings", setting_name)()
    encoded: list[Encoded] = []
    for start in range(0, len(examples), 1000):
        encoded.extend(setting.encode(tokenizer, examples[start : start + 1000], max_length, head))
    return encoded


def encoding_counts(encoded: Sequence[Encoded]) -> dict[str, int]:
    """Count rows, tokens and what was cut, for the manifest."""
    return {
        "examples": len(encoded),
        "tokens": sum(len(row.prompt_ids) + sum(map(len, row.candidate_ids)) for row in encoded),
        "cut_prompts": sum(row.cut_prompt_tokens > 0 for row in encoded),
        "cut_candidates": sum(row.cut_candidate_tokens > 0 for row in encoded),
        "candidates_alike": sum(
            len(set(map(tuple, row.candidate_ids))) < len(row.candidate_ids)
            for row in encoded
            if any(row.candidate_ids)
        ),
    }


def to_rows(examples: Sequence[Example], encoded: Sequence[Encoded], targets: Sequence[Sequence[float]]) -> Any:
    """Build the dataset that the trainers take."""
    import datasets

    return datasets.Dataset.from_dict(
        {
            "id": [example.id for example in examples],
            "prompt_ids": [row.prompt_ids for row in encoded],
            "candidate_ids": [row.candidate_ids for row in encoded],
            "targets": [list(target) for target in targets],
        }
    )


def build_trainer(
    stage_args: StageArguments, args: Any, model_args: Any, rows: Any, tokenizer: Any, **options: Any
) -> Any:
    """Load the model and build the trainer that its head needs.

    Args:
        stage_args ([`StageArguments`]): Head and classes.
        args ([`~w2s_rm.W2SRewardConfig`]): The trainer's arguments.
        model_args ([`~trl.ModelConfig`]): The model.
        rows (`Dataset`): Encoded rows.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        options (`Any`): Further arguments of the trainer.
    """
    from w2s_rm.modeling import load_model, spent_init_kwargs
    from w2s_rm.trainer import W2SRewardTrainer, W2STrainer

    model = load_model(stage_args.head, model_args, args, stage_args.classes)
    common = {"model": model, "args": args, "train_dataset": rows, "processing_class": tokenizer, **options}
    with spent_init_kwargs(args):
        if stage_args.head != "reward":
            return W2STrainer(**common, head=stage_args.head, exchangeable=stage_args.classes is None)
        trainer = W2SRewardTrainer(**common)
    trainer.exchangeable = stage_args.classes is None
    return trainer


def score_examples(
    stage_args: Any, args: Any, model_args: Any, examples: Sequence[Example]
) -> tuple[Predictions, dict[str, int]]:
    """Score all candidates of all examples with a saved model, on all ranks, each example once.

    Args:
        stage_args ([`StageArguments`]): Setting, head, classes.
        args ([`~w2s_rm.W2SRewardConfig`]): `max_length`, `per_device_eval_batch_size`, precision.
        model_args ([`~trl.ModelConfig`]): The model.
        examples (`Sequence[Example]`): What to score.

    Raises:
        NonFiniteError: A score is NaN or infinite; names the examples.
    """
    from w2s_rm.modeling import stage_tokenizer

    tokenizer = stage_tokenizer(model_args, args)
    encoded = encode(stage_args.setting, tokenizer, examples, args.max_length, stage_args.head)
    # Longest first: batches of like length pad little, and a batch that does not fit in memory fails at once.
    order = sorted(range(len(examples)), key=lambda index: (-_length(encoded[index]), examples[index].id))
    chance = [[1.0 / len(examples[index].candidates)] * len(examples[index].candidates) for index in order]
    rows = to_rows([examples[index] for index in order], [encoded[index] for index in order], chance)
    output = build_trainer(stage_args, args, model_args, rows, tokenizer).predict(rows).predictions
    scores_BK, greedy_B = output if isinstance(output, tuple) else (output, None)
    place = {index: position for position, index in enumerate(order)}
    predictions = Predictions(
        ids=tuple(example.id for example in examples),
        scores=tuple(
            tuple(map(float, scores_BK[place[index]][: len(example.candidates)]))
            for index, example in enumerate(examples)
        ),
        gold=tuple(example.gold for example in examples),
        greedy=None if greedy_B is None else tuple(int(greedy_B[place[index]]) for index in range(len(examples))),
    )
    return predictions, encoding_counts(encoded)


def _length(encoded: Encoded) -> int:
    return len(encoded.prompt_ids) + max(map(len, encoded.candidate_ids))
