"""Scores that are streamed: those of `Trainer.predict`, in order, in batches within the budget of tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.errors import DataError, NonFiniteError
from w2s_rm.heads import HEADS
from w2s_rm.training.prepared import prepare
from w2s_rm.training.scoring import ScoredRow, _Window, score

NAMES = ["reward", "classification", "lm"]
LAYOUTS = ["padded", "shared_prefix"]


class Recorder:
    """A collator that keeps the shapes of what it makes."""

    def __init__(self, inner: Callable[..., dict[str, Any]]) -> None:
        self.inner = inner
        self.sizes: list[int] = []
        self.examples: list[int] = []

    def __call__(self, examples: Sequence[Any]) -> dict[str, Any]:
        batch = self.inner(examples)
        self.sizes.append(batch["input_ids"].numel())
        self.examples.append(len(examples))
        return batch


def encoded_rows(head: str, count: int, seed: int = 0) -> datasets.Dataset:
    """Rows with prompts of 1 to 30 tokens and, where the head allows it, 2 to 6 candidates of 1 to 9."""
    generator = random.Random(seed)

    def words(most: int) -> list[int]:
        return [generator.randrange(3, 60) for _ in range(generator.randint(1, most))]

    rows = []
    for number in range(count):
        candidates = [words(9) for _ in range(generator.randint(2, 6))]
        if head == "classification":
            candidates = [[], [], []]
        targets = [1.0 / len(candidates)] * len(candidates)
        rows.append({"id": f"e{number}", "prompt_ids": words(30), "candidate_ids": candidates, "targets": targets})
    return datasets.Dataset.from_list(rows)


def load(head: str, folder: str) -> Any:
    """Load a model with a head that is the same each time."""
    torch.manual_seed(0)
    if head == "lm":
        return AutoModelForCausalLM.from_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1 if head == "reward" else 3)


@pytest.fixture
def make_trainer(tiny_language_model: Callable[..., str], tmp_path: Path) -> Callable[..., Any]:
    """Build a trainer of a head around a tiny model of random weights."""

    def make(head: str, rows: datasets.Dataset, **options: Any) -> Any:
        folder = tiny_language_model()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        config = {"bf16": False, "use_cpu": True, "report_to": "none", "disable_tqdm": True, **options}
        args = W2SRewardConfig(str(tmp_path / "out"), **config)
        model = load(head, folder)
        common: dict[str, Any] = {"model": model, "args": args, "train_dataset": rows, "processing_class": tokenizer}
        return W2SRewardTrainer(**common) if head == "reward" else W2STrainer(**common, head=head)

    return make


@pytest.fixture
def score_alone(tiny_language_model: Callable[..., str], tmp_path: Path) -> Callable[..., list[ScoredRow]]:
    """Score rows with the same model as `make_trainer`, but without a trainer."""

    def score_without_trainer(head: str, rows: Any, **options: Any) -> list[ScoredRow]:
        folder = tiny_language_model()
        args = W2SRewardConfig(str(tmp_path / "out"), **{"bf16": False, "use_cpu": True, **options})
        model = load(head, folder)
        prepared = prepare(HEADS[head], model, args, AutoTokenizer.from_pretrained(folder), rows)
        return flat(score(prepared.model, HEADS[head], prepared.layout, rows, prepared.scoring, window=8))

    return score_without_trainer


def flat(windows: Any) -> list[ScoredRow]:
    return [row for window in windows for row in window]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("head", ["reward", "lm"])
def test_candidates_of_the_same_tokens_are_exact_ties(head: str, layout: str, make_trainer: Callable[..., Any]) -> None:
    """By rounding alone one of the two would be preferred, and counted as right or wrong."""
    generator = random.Random(0)
    rows = []
    for number in range(24):
        same = [generator.randrange(3, 60) for _ in range(generator.randint(1, 9))]
        other = [generator.randrange(3, 60) for _ in range(generator.randint(1, 9))]
        prompt = [generator.randrange(3, 60) for _ in range(generator.randint(1, 30))]
        targets = [float(number % 2 == 0), 0.0, float(number % 2)]
        rows.append({"prompt_ids": prompt, "candidate_ids": [same, other, same], "targets": targets})
    pairs = [{**row, "candidate_ids": row["candidate_ids"][::2], "targets": row["targets"][::2]} for row in rows]
    trainer = make_trainer(head, datasets.Dataset.from_list(pairs), layout=layout, per_device_eval_batch_size=8)
    predicted = trainer.predict(trainer.train_dataset)
    assert predicted.metrics["test_accuracy"] == 0.5
    for kept in (rows, pairs):
        data = datasets.Dataset.from_list(kept)
        output = trainer.predict(data).predictions
        scores_BK = output[0] if isinstance(output, tuple) else output
        assert (scores_BK[:, 0] == scores_BK[:, -1]).all()
        assert all(row.scores[0] == row.scores[-1] for row in flat(trainer.score_rows(data)))
        assert len({row.scores[0] for row in flat(trainer.score_rows(data))}) == 24


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("head", NAMES)
def test_scores_are_those_of_predict(head: str, layout: str, make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows(head, 43)
    trainer = make_trainer(head, rows, layout=layout, per_device_eval_batch_size=3)
    windows = list(trainer.score_rows(rows, window=8))
    assert [len(window) for window in windows] == [8] * 5 + [3]
    scored = flat(windows)

    # Another trainer, so that neither path prepares the model for the other.
    output = make_trainer(head, rows, layout=layout, per_device_eval_batch_size=4).predict(rows).predictions
    scores_BK, greedy_B = output if isinstance(output, tuple) else (output, None)
    for index, row in enumerate(scored):
        assert len(row.scores) == len(rows[index]["targets"])
        expected = torch.tensor(scores_BK[index][: len(row.scores)])
        torch.testing.assert_close(torch.tensor(row.scores), expected, rtol=1e-5, atol=2e-6)
    assert [row.greedy for row in scored] == ([None] * 43 if greedy_B is None else greedy_B.tolist())
    assert len({row.scores for row in scored}) == 43


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("head", NAMES)
@pytest.mark.parametrize("precision", [{}, {"bf16": True}, {"bf16": True, "bf16_full_eval": True}])
def test_without_a_trainer_scores_are_the_same_to_the_last_digit(
    head: str,
    layout: str,
    precision: dict[str, bool],
    make_trainer: Callable[..., Any],
    score_alone: Callable[..., list[ScoredRow]],
) -> None:
    rows = encoded_rows(head, 21)
    options = {"layout": layout, "per_device_eval_batch_size": 3, **precision}
    expected = flat(make_trainer(head, rows, **options).score_rows(rows, window=8))
    assert score_alone(head, rows.remove_columns("targets"), **options) == expected
    assert score_alone(head, rows.remove_columns("targets").to_list(), **options) == expected


def test_a_second_pass_gives_the_same_scores(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 9)
    trainer = make_trainer("reward", rows)
    first = flat(trainer.score_rows(rows))
    trainer.model.train()
    seen: set[tuple[bool, bool]] = set()
    trainer.model.score.register_forward_pre_hook(lambda layer, _: seen.add((layer.training, torch.is_grad_enabled())))
    assert flat(trainer.score_rows(rows)) == first
    assert seen == {(False, False)}


def test_nothing_is_drawn_that_a_training_would_draw_next(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 9)
    trainer = make_trainer("reward", rows)
    before = torch.get_rng_state()
    assert len(flat(trainer.score_rows(rows))) == 9
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_as_before_between_windows(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 9)
    windows = make_trainer("reward", rows).score_rows(rows, window=4)
    next(windows)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("head", NAMES)
def test_no_batch_is_larger_than_the_budget_and_most_are_full(
    head: str, layout: str, make_trainer: Callable[..., Any]
) -> None:
    rows = encoded_rows(head, 120)
    trainer = make_trainer(head, rows, layout=layout, max_tokens_per_batch=400, per_device_eval_batch_size=1)
    trainer.data_collator = recorder = Recorder(trainer.data_collator)
    assert len(flat(trainer.score_rows(rows, window=50))) == 120
    assert sum(recorder.examples) == 120
    assert max(recorder.sizes) <= 400
    # The last batch of each of the three windows holds what is left.
    assert sum(size > 200 for size in recorder.sizes) >= len(recorder.sizes) - 3


def test_the_batch_size_is_that_of_the_longest_examples(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 60)
    fed = [len(row["candidate_ids"]) * (len(row["prompt_ids"]) + max(map(len, row["candidate_ids"]))) for row in rows]
    trainer = make_trainer("reward", rows, layout="padded", per_device_eval_batch_size=4)
    trainer.data_collator = recorder = Recorder(trainer.data_collator)
    list(trainer.score_rows(rows))
    assert max(recorder.sizes) <= 4 * max(fed)
    # The largest come first; all others are more to a batch.
    assert recorder.sizes == sorted(recorder.sizes, reverse=True)
    assert min(recorder.examples[:-1]) >= 4 and max(recorder.examples) > 2 * 4
    assert len(recorder.examples) < 60 / 4


def test_an_example_larger_than_the_budget_is_named(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 5)
    large = {"id": "large", "prompt_ids": [5] * 90, "candidate_ids": [[6], [7]], "targets": [0.5, 0.5]}
    rows = datasets.Dataset.from_list([*rows, large, {**large, "id": "larger"}])
    trainer = make_trainer("reward", rows, layout="padded", max_tokens_per_batch=181)
    with pytest.raises(DataError, match=r"large.*larger"):
        next(trainer.score_rows(rows))


def test_scores_that_are_no_numbers_are_named(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 12)
    marked = [{**row, "prompt_ids": [61, *row["prompt_ids"]]} if row["id"] == "e8" else row for row in rows]
    rows = datasets.Dataset.from_list(marked)
    trainer = make_trainer("reward", rows, layout="padded")
    with torch.no_grad():
        trainer.model.get_input_embeddings().weight[61] = torch.nan
    windows = trainer.score_rows(rows, window=6)
    assert len(next(windows)) == 6
    with pytest.raises(NonFiniteError, match="for 1 of 6 examples: e8;"):
        next(windows)
    with pytest.raises(NonFiniteError, match="for 1 of 5 examples: row 8;"):
        list(trainer.score_rows(rows.remove_columns("id"), window=5))


def test_other_processes_may_load_the_batches(make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("lm", 15)
    options: dict[str, Any] = {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 2}
    trainer = make_trainer("lm", rows, per_device_eval_batch_size=2, **options)
    expected = flat(make_trainer("lm", rows, per_device_eval_batch_size=2).score_rows(rows, window=6))
    assert flat(trainer.score_rows(rows, window=6)) == expected


@pytest.mark.parametrize("full", [False, True])
def test_bfloat16_is_that_of_predict(full: bool, make_trainer: Callable[..., Any]) -> None:
    rows = encoded_rows("reward", 7)
    options = {"bf16": True, "bf16_full_eval": full, "layout": "padded"}
    # One batch of all in both paths: what is left is the precision.
    (scored,) = make_trainer("reward", rows, **options, per_device_eval_batch_size=20).score_rows(rows)
    same = make_trainer("reward", rows, **options, per_device_eval_batch_size=20)
    order = sorted(range(7), key=lambda index: -_length(rows[index]))
    predicted = same.predict(rows.select(order)).predictions
    for place, index in enumerate(order):
        expected = predicted[place][: len(scored[index].scores)]
        assert scored[index].scores == tuple(expected.tolist())
    exact = flat(make_trainer("reward", rows).score_rows(rows))
    assert [row.scores for row in exact] != [row.scores for row in scored]


def _length(row: dict[str, Any]) -> int:
    return len(row["prompt_ids"]) + max(map(len, row["candidate_ids"]))


@pytest.mark.parametrize(("count", "world_size"), [(1, 1), (1, 3), (5, 2), (6, 2), (7, 3)])
def test_ranks_share_the_batches_in_the_same_number_of_passes(count: int, world_size: int) -> None:
    batches = [[2 * number, 2 * number + 1] for number in range(count)]
    window = _Window(0, 2 * count, batches)
    own = [window.of_rank(rank, world_size) for rank in range(world_size)]
    assert sorted(batch for part in own for batch in part) == batches
    passes = [window.passes(rank, world_size) for rank in range(world_size)]
    assert {len(part) for part in passes} == {-(-count // world_size)}
    for part, filled in zip(own, passes, strict=True):
        assert filled[: len(part)] == part
        # A filler is one example only.
        assert filled[len(part) :] == [[2 * count - 1]] * (len(filled) - len(part))


def test_there_is_a_bar_where_one_is_wanted(
    make_trainer: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    rows = encoded_rows("reward", 9)
    list(make_trainer("reward", rows).score_rows(rows))
    assert "Scoring" not in capfd.readouterr().err
    trainer = make_trainer("reward", rows, per_device_eval_batch_size=1, disable_tqdm=False)
    trainer.data_collator = recorder = Recorder(trainer.data_collator)
    list(trainer.score_rows(rows, window=5))
    passes = len(recorder.sizes)
    assert f"{passes}/{passes}" in capfd.readouterr().err
