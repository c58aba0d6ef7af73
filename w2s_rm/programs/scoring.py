"""From examples to encoded rows, to a model with the right head, to scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import DataError
from w2s_rm.heads import HEADS, Head
from w2s_rm.heads.encoding import first_alike
from w2s_rm.heads.template_date import DATE, writes_date
from w2s_rm.integrations.trained_on import as_trained
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.progress import Report
from w2s_rm.settings import find_setting
from w2s_rm.training.facts import read_facts
from w2s_rm.types import Encoded, Example, Predictions

if TYPE_CHECKING:
    from w2s_rm.training.prepared import Prepared


def encode(
    setting_name: str, tokenizer: Any, examples: Sequence[Example], max_length: int | None, head: str
) -> list[Encoded]:
    """Encode examples in batches with a setting.

    Args:
        setting_name (`str`): Name of a row in `w2s_rm/settings.py`.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        examples (`Sequence[Example]`): What to encode.
        max_length (`int`, *optional*): Most tokens in a row.
        head (`str`): How candidates are scored.

    Raises:
        DataError: No examples, or candidates that the tokenizer cannot write.
    """
    if not examples:
        raise DataError("no examples to encode")
    setting = find_setting(setting_name)
    encoded: list[Encoded] = []
    # In parts, so that texts as they are rendered are not all in memory at once.
    for start in range(0, len(examples), 1000):
        encoded.extend(setting.encode(tokenizer, examples[start : start + 1000], max_length, head))
    return encoded


def has_alike(row: Encoded) -> bool:
    """Whether an example has candidates of the same tokens, between which no model can choose."""
    return first_alike(row.candidate_ids) != list(range(len(row.candidate_ids)))


def template_counts(tokenizer: Any) -> dict[str, str]:
    """Say for the manifest which date the chat template writes, if it writes one: always the same."""
    return {"template_date": DATE.isoformat()} if writes_date(tokenizer.chat_template) else {}


def encoding_counts(encoded: Sequence[Encoded]) -> dict[str, int]:
    """Count rows, tokens and what was cut, for the manifest."""
    return {
        "examples": len(encoded),
        "tokens": sum(len(row.prompt_ids) + sum(map(len, row.candidate_ids)) for row in encoded),
        "cut_prompts": sum(row.cut_prompt_tokens > 0 for row in encoded),
        "cut_candidates": sum(row.cut_candidate_tokens > 0 for row in encoded),
        "candidates_alike": sum(map(has_alike, encoded)),
    }


def to_rows(
    examples: Sequence[Example],
    encoded: Sequence[Encoded],
    targets: Sequence[Sequence[float]] | None = None,
    margins: Sequence[float] | None = None,
) -> Any:
    """Build the dataset that models score, and, with a column of targets and perhaps one of margins, trainers take."""
    import datasets

    columns: dict[str, list[Any]] = {
        "id": [example.id for example in examples],
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
    }
    if targets is not None:
        columns["targets"] = [list(target) for target in targets]
    if margins is not None:
        columns["margin"] = list(margins)
    return datasets.Dataset.from_dict(columns)


def build_trainer(stage_args: Any, args: Any, model_args: Any, rows: Any, tokenizer: Any, **options: Any) -> Any:
    """Load the model and build the trainer that its head needs.

    Args:
        stage_args (`Any`): Head and classes.
        args ([`~w2s_rm.W2SRewardConfig`]): The trainer's arguments.
        model_args ([`~trl.ModelConfig`]): The model.
        rows (`Dataset`): Encoded rows.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        options (`Any`): Further arguments of the trainer.
    """
    from w2s_rm.training.modeling import load_model, spent_init_kwargs
    from w2s_rm.training.reward_trainer import W2SRewardTrainer
    from w2s_rm.training.trainer import W2STrainer

    model = load_model(stage_args.head, model_args, args, stage_args.classes)
    common = {"model": model, "args": args, "train_dataset": rows, "processing_class": tokenizer, **options}
    with spent_init_kwargs(args):
        if not HEADS[stage_args.head].gives_rewards:
            return W2STrainer(**common, head=stage_args.head, exchangeable=stage_args.classes is None)
        trainer = W2SRewardTrainer(**common)
    # Afterwards, because its constructor takes TRL's arguments and no others.
    trainer.exchangeable = stage_args.classes is None
    return trainer


def score_examples(
    stage_args: Any, args: Any, model_args: Any, examples: Sequence[Example], report: Report | None = None
) -> tuple[Iterator[Predictions], dict[str, Any]]:
    """Score all candidates of all examples with a saved model, on all ranks, each example once.

    Args:
        stage_args (`Any`): Setting, head, classes.
        args ([`~w2s_rm.W2SRewardConfig`]): `max_length`, `max_tokens_per_batch` or `per_device_eval_batch_size`, and
            the precision: `bf16`, as in TRL, unless the recipe turns it off.
        model_args ([`~trl.ModelConfig`]): The model.
        examples (`Sequence[Example]`): What to score.
        report (`Callable[[int, int], None]`, *optional*): Is told after each batch how many are done, and how many
            there are.

    Returns:
        The scores in the order of the examples, part by part as they are made, and the counts for the manifest. Every
        rank must take all parts: each is the work of all.

    Raises:
        ConfigError: Conversations for a reward model that was trained on text.
        DataError: While scores are taken: an example is larger than `max_tokens_per_batch`.
        NonFiniteError: While scores are taken: one is NaN or infinite; names the examples.
    """
    from w2s_rm.training.modeling import load_model, stage_tokenizer
    from w2s_rm.training.prepared import prepare

    head = HEADS[stage_args.head]
    tokenizer = stage_tokenizer(model_args, args)
    # What the model reads; ids and truth stay those of the examples.
    read = examples
    # It may come from elsewhere, and have been trained on another form of text than the data have.
    if head.gives_rewards:
        path = str(model_args.model_name_or_path)
        read = as_trained(read_facts(path).trained_on, path, tokenizer, examples)
    encoded = encode(stage_args.setting, tokenizer, read, args.max_length, stage_args.head)
    rows = to_rows(examples, encoded)
    model = load_model(head.name, model_args, args, stage_args.classes, trained=True)
    prepared = prepare(head, model, args, tokenizer, rows, report=report)
    return _predictions(head, prepared, rows, examples), {**encoding_counts(encoded), **template_counts(tokenizer)}


def _predictions(head: Head, prepared: Prepared, rows: Any, examples: Sequence[Example]) -> Iterator[Predictions]:
    from w2s_rm.training.scoring import score

    remaining = iter(examples)
    for scored in score(prepared.model, head, prepared.layout, rows, prepared.scoring):
        part = list(islice(remaining, len(scored)))
        # Empty for heads that cannot write, whose files then have no such column.
        greedy = tuple(row.greedy for row in scored if row.greedy is not None)
        yield predictions_of(part, [row.scores for row in scored], greedy or None)


def predictions_of(
    examples: Sequence[Example], scores: Iterable[Sequence[float]], greedy: tuple[int, ...] | None = None
) -> Predictions:
    """Put scores beside the examples that they are of.

    Args:
        examples (`Sequence[Example]`): What was scored.
        scores (`Iterable[Sequence[float]]`): K scores of each.
        greedy (`tuple[int, ...]`, *optional*): For each the candidate that greedy decoding writes, -1 for none.
    """
    ids, gold = tuple(example.id for example in examples), tuple(example.gold for example in examples)
    return Predictions(ids, tuple(map(tuple, scores)), gold, greedy)


def take_all(parts: Iterable[Any]) -> None:
    """Go through parts for the work they are, on ranks that write nothing."""
    deque(parts, maxlen=0)


def remove_unfinished(folder: StageFolder, name: str) -> None:
    """Delete what a process that was killed while it wrote a file has left.

    Args:
        folder ([`~w2s_rm.runs.folder.StageFolder`]): A folder that this process holds.
        name (`str`): The file's name.
    """
    folder.remove(*(path.name for path in folder.path.glob(f".{name}.*.tmp")))
