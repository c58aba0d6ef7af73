"""Scores as a stage writes them: whole files in the order of the examples, the same from any number of processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm.data.examples import write_examples
from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ConfigError, DataError, NonFiniteError
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.types import Example

# Windows of few examples: the file has parts, and where batches are odd in number one rank has a filler.
SCRIPT = """
from w2s_rm.training.scoring import score
from w2s_rm.programs.launched import run_main
from w2s_rm.stages.evaluate import Evaluate

score.__kwdefaults__["window"] = 8
run_main(Evaluate.run)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_of_the_stage(
    tiny_model: Callable[..., str],
    scoring_stage: Callable[..., list[str]],
    ragged_examples: Callable[..., list[Example]],
) -> None:
    examples = ragged_examples(21)
    argv = scoring_stage("evaluate", tiny_model(), examples)
    folder = Path(argv[-1])
    folder.mkdir()
    # What a process leaves that was killed while it wrote.
    (folder / ".predictions.parquet.12345.tmp").write_bytes(b"PAR1")
    Evaluate.run(argv)
    assert names(folder) == [".lock", "config.yaml", "manifest.json", "predictions.parquet", "progress.json"]
    predictions = read_predictions(folder / "predictions.parquet")
    assert predictions.ids == tuple(example.id for example in examples)
    assert predictions.gold == tuple(example.gold for example in examples)
    assert [len(row) for row in predictions.scores] == [len(example.candidates) for example in examples]
    assert predictions.greedy is None

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["stage"] == "evaluate"
    words = sum(
        len(example.prompt.split()) + sum(len(str(text).split()) for text in example.candidates)
        for example in examples
        if isinstance(example.prompt, str)
    )
    # An end token closes each candidate.
    tokens = words + sum(len(example.candidates) for example in examples)
    assert manifest["counts"] == {
        "examples": 21,
        "tokens": tokens,
        "cut_prompts": 0,
        "cut_candidates": 0,
        "candidates_alike": 0,
    }


@pytest.mark.parametrize("count", [20, 8, 0])
def test_a_file_of_labels_is_judged_by_its_labels(
    count: int, scoring_stage: Callable[..., list[str]], ragged_examples: Callable[..., list[Example]], tmp_path: Path
) -> None:
    """A file that labels all examples, some or none; the label of another split's example is known."""
    examples = ragged_examples(21, 2)
    examples, other = examples[:20], examples[20]
    given = [WeakLabel(e.id, e.candidate_ids, (0.25, 0.75)) for e in [*examples[:count], other]]
    write_labels(tmp_path / "given.parquet", reversed(given))
    write_examples(tmp_path / "others.parquet", [other])
    files = {"labels": str(tmp_path / "given.parquet"), "other_examples": [str(tmp_path / "others.parquet")]}
    argv = scoring_stage("evaluate", "unused", examples, **files)
    Evaluate.run(argv)
    predictions = read_predictions(Path(argv[-1]) / "predictions.parquet")
    assert predictions.ids == tuple(example.id for example in examples[:count])
    assert predictions.scores == ((0.25, 0.75),) * count
    assert predictions.gold == tuple(example.gold for example in examples[:count])
    known = [gold for gold in predictions.gold if gold is not None]
    accuracy = sum(known) / len(known) if known else None
    counts = json.loads((Path(argv[-1]) / "manifest.json").read_text())["counts"]
    assert counts == {"examples": 20, "n_labelled": count, "label_accuracy": accuracy}


def test_scores_that_are_no_numbers_leave_no_file(
    tiny_model: Callable[..., str],
    scoring_stage: Callable[..., list[str]],
    ragged_examples: Callable[..., list[Example]],
    tmp_path: Path,
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model())
    tokenizer = AutoTokenizer.from_pretrained(tiny_model())
    examples = ragged_examples(6)
    word = str(examples[2].prompt).split()[0]
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(word)] = torch.nan
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "broken")
    argv = scoring_stage("evaluate", str(tmp_path / "broken"), examples, layout="padded")
    with pytest.raises(NonFiniteError, match=r"examples: .*\be2\b"):
        Evaluate.run(argv)
    assert names(Path(argv[-1])) == [".lock", "config.yaml", "progress.json"]


def test_a_model_without_a_head_is_not_scored(
    tiny_language_model: Callable[..., str],
    scoring_stage: Callable[..., list[str]],
    ragged_examples: Callable[..., list[Example]],
) -> None:
    """Its scores would be those of random weights."""
    argv = scoring_stage("evaluate", tiny_language_model(), ragged_examples(6))
    with pytest.raises(ConfigError, match=r"has no weights for score\.weight, so its scores would be random"):
        Evaluate.run(argv)


def test_an_example_beyond_the_budget_is_named(
    tiny_model: Callable[..., str],
    scoring_stage: Callable[..., list[str]],
    ragged_examples: Callable[..., list[Example]],
) -> None:
    argv = scoring_stage("evaluate", tiny_model(), ragged_examples(6), max_tokens_per_batch=5)
    with pytest.raises(DataError, match=r"\be0\b"):
        Evaluate.run(argv)
    assert names(Path(argv[-1])) == [".lock", "config.yaml", "progress.json"]


def wide_model(folder: Path, tokenizer: Any) -> str:
    """Save a reward model whose weights are large enough for ZeRO-3 to gather them in every pass."""
    config = AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=640,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_labels=1,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "head"), [("cpu_ddp", "lm"), ("cpu_zero3", "reward")])
def test_two_processes_write_the_same_file(
    launcher: str,
    head: str,
    tiny_tokenizer: Callable[..., Any],
    tiny_language_model: Callable[..., str],
    scoring_stage: Callable[..., list[str]],
    ragged_examples: Callable[..., list[Example]],
    tmp_path: Path,
) -> None:
    model = tiny_language_model() if head == "lm" else wide_model(tmp_path / "wide", tiny_tokenizer())
    setting = "classification" if head == "lm" else "reward_modeling"
    examples = ragged_examples(43)
    options = {"head": head, "setting": setting, "max_tokens_per_batch": 250, "layout": "padded"}
    one = scoring_stage("evaluate", model, examples, "one", **options)
    Evaluate.run(one)
    two = scoring_stage("evaluate", model, examples, "two", **options)
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    launch = Launch(find_accelerate_config(launcher)).command()
    done = subprocess.run([*launch, str(tmp_path / "script.py"), *two], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

    expected, found = (read_predictions(Path(argv[-1]) / "predictions.parquet") for argv in (one, two))
    assert (found.ids, found.gold, found.greedy) == (expected.ids, expected.gold, expected.greedy)
    assert (found.greedy is not None) == (head == "lm")
    for row, scores in zip(found.scores, expected.scores, strict=True):
        torch.testing.assert_close(torch.tensor(row), torch.tensor(scores), rtol=1e-5, atol=5e-6)
    assert names(Path(two[-1])) == names(Path(one[-1]))
