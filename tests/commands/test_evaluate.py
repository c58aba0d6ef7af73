"""`w2s-rm evaluate`: what it prints and writes, and that scores are those of the model loaded anywhere else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from w2s_rm import cli
from w2s_rm.experiment.evaluate_model import evaluate_model
from w2s_rm.metrics.reward_bench import SECTIONS, mean_variances, section_weights, weighted_interval
from w2s_rm.report.evaluation import judge
from w2s_rm.training.facts import ScoringFacts, write_facts
from w2s_rm.types import Example, Predictions

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} <eos> {% endfor %}"
SUBSETS = ("alpacaeval-easy", "llmbar-natural", "donotanswer", "math-prm", "hep-go", "hep-js", "mine")


@pytest.fixture
def bench(tmp_path: Path, pairs: Callable[..., list[dict[str, Any]]]) -> Path:
    """A file in RewardBench's columns: subsets of 3, 4, 5, ... rows, one of which the benchmark does not have."""
    rows, made = [], iter(pairs(100))
    for size, subset in enumerate(SUBSETS, start=3):
        for number in range(size):
            pair = next(made)
            row = {**pair, "chosen": pair["chosen"].strip(), "rejected": pair["rejected"].strip()}
            rows.append({**row, "subset": subset, "id": number, "chosen_model": "x", "rejected_model": "y"})
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def logits(model: str, texts: list[str], *, special: bool = True) -> list[float]:
    """Rewards by transformers alone, each text by itself."""
    tokenizer, loaded = AutoTokenizer.from_pretrained(model), AutoModelForSequenceClassification.from_pretrained(model)
    with torch.no_grad():
        encoded = (tokenizer(text, return_tensors="pt", add_special_tokens=special) for text in texts)
        return [float(loaded(one["input_ids"]).logits[0, 0]) for one in encoded]


def right(rewards: list[float]) -> list[float]:
    half = len(rewards) // 2
    return [float(a > b) for a, b in zip(rewards[:half], rewards[half:], strict=True)]


def test_every_figure_of_a_small_benchmark(
    bench: Path, tiny_model: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = tiny_model(), tmp_path / "found.json"
    capsys.readouterr()
    assert cli.main(["evaluate", model, f"path={bench}", "--output", str(output), "--batch-size", "4"]) == 0
    rows = read(bench)
    texts = [f"{row['prompt']}\n\n{row[column]} <eos>" for column in ("chosen", "rejected") for row in rows]
    credits = dict(zip(((row["subset"], row["id"]) for row in rows), right(logits(model, texts)), strict=True))
    mean = {name: float(np.mean([c for (own, _), c in credits.items() if own == name])) for name in SUBSETS}

    record = json.loads(output.read_text(encoding="utf-8"))
    found = record["evaluation"]
    assert {part["name"]: part["accuracy"] for part in found["subsets"]} == pytest.approx(mean)
    assert [part["n"] for part in found["subsets"]] == [3, 4, 5, 6, 7, 8, 9]
    sections = {part["name"]: part["accuracy"] for part in found["sections"]}
    # Maths, 6 rows, count as much as all code, 7 + 8.
    reasoning = (15 * mean["math-prm"] + 7 * mean["hep-go"] + 8 * mean["hep-js"]) / 30
    named = [mean["alpacaeval-easy"], mean["llmbar-natural"], mean["donotanswer"], reasoning]
    assert sections == pytest.approx(dict(zip(SECTIONS, named, strict=True)) | {"other": mean["mine"]})
    assert found["score"]["accuracy"] == pytest.approx(np.mean(named)) and found["score"]["n"] == 33
    assert found["overall"]["accuracy"] == pytest.approx(np.mean(list(credits.values())))
    for part in [*found["subsets"], *found["sections"], found["score"], found["overall"]]:
        assert part["low"] <= part["accuracy"] <= part["high"] and part["n_ties"] == 0
    assert record["scoring"] == {"max_length": 256, "bf16": False, "dtype": "auto"}
    assert (record["task"], record["options"]["format"], record["without_truth"]) == ("reward_bench", "text", 0)

    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"{model} on reward_bench"
    assert [line.split("  ")[0] for line in shown[2:8]] == ["Chat", "", "Chat Hard", "", "Safety", ""]
    assert shown[-1] == "! 9 comparisons are of subsets that RewardBench does not have, outside the score: mine"
    assert any(line.startswith("score (mean of 4 sections)") for line in shown)


def test_a_length_rule_stands_beside(bench: Path, tiny_model: Callable[..., str]) -> None:
    found = evaluate_model(tiny_model(), "reward_bench", [f"path={bench}"]).evaluation
    longer = {name: [] for name in SUBSETS}
    for row in read(bench):
        difference = len(row["chosen"]) - len(row["rejected"])
        longer[row["subset"]].append(0.5 + 0.5 * float(np.sign(difference)))
    every = [value for values in longer.values() for value in values]
    rule = "longest" if np.mean(every) >= 0.5 else "shortest"
    assert found.length_rule == rule
    flip = (lambda value: value) if rule == "longest" else (lambda value: 1 - value)
    assert {p.name: p.length_only for p in found.subsets} == pytest.approx(
        {name: flip(float(np.mean(values))) for name, values in longer.items()}
    )
    assert found.overall.length_only == pytest.approx(flip(float(np.mean(every))))


def test_a_chat_template_wraps_prompt_and_response(bench: Path, tiny_model: Callable[..., str], tmp_path: Path) -> None:
    chat = tmp_path / "chat"
    shutil.copytree(tiny_model(), chat)
    tokenizer = AutoTokenizer.from_pretrained(chat)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(chat)
    rows = read(bench)
    texts = [f"<user> {r['prompt']} <eos> <assistant> {r[c]} <eos> " for c in ("chosen", "rejected") for r in rows]
    judged = evaluate_model(str(chat), "reward_bench", [f"path={bench}"])
    assert judged.options["format"] == "conversational"
    expected = np.mean(right(logits(str(chat), texts, special=False)))
    assert judged.evaluation.overall.accuracy == pytest.approx(expected)
    as_text = evaluate_model(str(chat), "reward_bench", [f"path={bench}", "format=text"])
    assert as_text.options["format"] == "text"


def test_another_task_with_and_without_subsets(bench: Path, tiny_model: Callable[..., str], tmp_path: Path) -> None:
    found = evaluate_model(tiny_model(), "preference", [f"path={bench}"]).evaluation
    assert [part.name for part in found.subsets] == list(SUBSETS) and found.score is None and not found.sections
    bare = tmp_path / "bare.jsonl"
    keep = ("prompt", "chosen", "rejected")
    bare.write_text("".join(json.dumps({k: row[k] for k in keep}) + "\n" for row in read(bench)), encoding="utf-8")
    alone = evaluate_model(tiny_model(), "preference", [f"path={bare}"]).evaluation
    assert not alone.subsets and alone.overall.accuracy == found.overall.accuracy
    assert alone.overall.n == 42


def test_a_trained_model_is_scored_as_in_training(bench: Path, tiny_model: Callable[..., str], tmp_path: Path) -> None:
    stage = tmp_path / "student-0"
    shutil.copytree(tiny_model(), stage / "model")
    write_facts(stage / "model", ScoringFacts(None, "reward", 8, False))
    judged = evaluate_model(str(stage / "model"), "reward_bench", [f"path={bench}"])
    assert judged.scoring["max_length"] == 8 and judged.counts["cut_prompts"] > 0
    longer = evaluate_model(str(stage / "model"), "reward_bench", [f"path={bench}"], max_length=64)
    assert longer.scoring["max_length"] == 64 and longer.counts["cut_prompts"] == 0


def test_pipelines_as_rewardbench_builds_them_give_the_same_reward(tiny_model: Callable[..., str]) -> None:
    """Its scripts ask transformers for a text classification without activation, padded on the left."""
    from w2s_rm.integrations.rewards import reward_function

    model = tiny_model()
    prompts, answers = ["w1 w2 w3", "w4", "w5 w6"], [" w7", " w8 w9 w10 w11", " w12 w13"]
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    loaded = AutoModelForSequenceClassification.from_pretrained(model)
    rewards = pipeline("text-classification", model=loaded, tokenizer=tokenizer)
    texts = [prompt + answer + " <eos>" for prompt, answer in zip(prompts, answers, strict=True)]
    theirs = [
        one["score"] for one in rewards(texts, batch_size=3, truncation=True, max_length=64, function_to_apply="none")
    ]
    # The package's own default class: one padded batch, logits as they come.
    with torch.no_grad():
        batch = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        batch.pop("token_type_ids", None)
        own_class = loaded(**batch).logits[:, 0].tolist()
    ours = reward_function(model)(prompts, answers)
    assert theirs == pytest.approx(ours, rel=1e-5) and own_class == pytest.approx(ours, rel=1e-5)


def example(number: int, *, length: int = 1) -> Example:
    return Example(f"e{number}", f"g{number}", "p", ("a" * (length + 1), "b" * length), 0)


def test_ties_are_shared_and_counted() -> None:
    examples = [example(number) for number in range(4)]
    scores = ((1.0, 0.0), (0.5, 0.5), (0.5, 0.5), (0.0, 1.0))
    found = judge(examples, Predictions(tuple(e.id for e in examples), scores, (0,) * 4), [None] * 4, sections=False)
    assert (found.overall.accuracy, found.overall.n_ties, found.overall.length_only) == (0.5, 2, 1.0)
    assert not found.subsets and found.missing_sections == ()


def test_sections_that_are_not_there_are_named() -> None:
    predictions = Predictions(("e0",), ((1.0, 0.0),), (0,))
    found = judge([example(0)], predictions, ["donotanswer"], sections=True)
    assert found.missing_sections == ("Chat", "Chat Hard", "Reasoning")
    assert found.score is not None and found.score.accuracy == 1.0
    unknown = judge([example(0)], predictions, ["mine"], sections=True)
    assert unknown.score is None and [part.name for part in unknown.sections] == ["other"]


def test_weights_are_those_of_the_package() -> None:
    """Of all 2,985 rows: every prompt counts the same, maths (447) as much as code (984)."""
    sizes = {"alpacaeval-easy": 100, "alpacaeval-length": 95, "alpacaeval-hard": 95, "mt-bench-easy": 28}
    sizes |= {"mt-bench-med": 40, "math-prm": 447} | dict.fromkeys(SECTIONS["Reasoning"][1:], 164)
    weights = section_weights(sizes)
    assert weights["Chat"]["mt-bench-med"] == pytest.approx(40 / 358)
    assert weights["Reasoning"]["math-prm"] == pytest.approx(0.5)
    assert weights["Reasoning"]["hep-go"] == pytest.approx(1 / 12)
    assert section_weights({"math-prm": 5}) == {"Reasoning": {"math-prm": 1.0}}


def test_subsets_are_samples_of_their_own() -> None:
    credits = {"a": np.array([1.0] * 60 + [0.0] * 40), "b": np.array([1.0] * 30 + [0.0] * 20), "c": np.ones(5)}
    means, sizes = ({name: function(of) for name, of in credits.items()} for function in (np.mean, len))
    variances = mean_variances(credits)
    # 0.6 * 0.4 / (n - 1)
    assert variances == pytest.approx({"a": 0.24 / 99, "b": 0.24 / 49, "c": 0})
    found = weighted_interval(means, variances, sizes, {"a": 0.5, "b": 0.5})
    # sqrt(0.25 * 0.24 * (1 / 99 + 1 / 49)) = 0.0428, times t of 149 degrees of freedom, 1.976
    assert found.value == 0.6 and found.high - found.low == pytest.approx(2 * 0.0846, rel=0.02)
    # Where all is right, nothing is left but the number of examples: 5 / (5 + 2.776²)
    alone = weighted_interval(means, variances, sizes, {"c": 1.0})
    assert (alone.low, alone.high) == (pytest.approx(5 / (5 + 2.7764**2), abs=1e-4), 1.0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--task", "boolq", "path=bench.jsonl"], "asks for one of the classes ' no', ' yes'"),
        (["--task", "reward_bnch"], "did you mean 'reward_bench'?"),
        (["pth=bench.jsonl"], "pth: unknown option of task reward_bench; did you mean 'path'?"),
        (["path=bench.jsonl", "n_test=3"], "remove n_train, n_validation, n_test, draw"),
        (["path=nowhere.jsonl"], "nowhere.jsonl"),
        (["path=broken.jsonl"], "broken.jsonl:2: no column 'subset' (option subset)"),
        (["path=bad.jsonl"], "task reward_bench: 1 rows cannot be used\n  - bad.jsonl:2: 'id' is empty"),
        (
            ["--task", "preference", "path=bench.jsonl", "response_a_column=chosen", "response_b_column=rejected"],
            "which",
        ),
        (["path=bench.jsonl", "--max-length", "0"], "'0' is no whole number from 1 up"),
    ],
)
def test_bad_input(
    bench: Path,
    tiny_model: Callable[..., str],
    arguments: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = read(bench)
    incomplete = [rows[0], {key: value for key, value in rows[1].items() if key != "subset"}]
    (bench.parent / "broken.jsonl").write_text("".join(json.dumps(row) + "\n" for row in incomplete))
    bad = [{**rows[0], "chosen": None}, {**rows[1], "id": None}]
    (bench.parent / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bad))
    monkeypatch.chdir(bench.parent)
    try:
        code = cli.main(["evaluate", tiny_model(), *arguments])
    except SystemExit as stop:
        code = int(str(stop.code))
    shown = capsys.readouterr()
    assert code == 2 and text in shown.err and not shown.out


def test_what_is_no_whole_reward_model_is_refused(
    bench: Path,
    tiny_model: Callable[..., str],
    tiny_language_model: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    incomplete = tmp_path / "incomplete"
    shutil.copytree(tiny_model(), incomplete)
    (incomplete / "model.safetensors").unlink()
    for model, text in (
        (tiny_language_model(), "LlamaForCausalLM, no reward model"),
        (str(incomplete), "no *.safetensors weights"),
        (str(tmp_path / "nowhere"), "no such folder"),
    ):
        assert cli.main(["evaluate", model, f"path={bench}"]) == 2
        shown = capsys.readouterr()
        assert text in shown.err and not shown.out


def test_rewards_that_are_no_numbers_stop(bench: Path, tiny_model: Callable[..., str], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model(), broken)
    model = AutoModelForSequenceClassification.from_pretrained(broken)
    with torch.no_grad():
        model.score.weight.fill_(torch.nan)
    model.save_pretrained(broken)
    assert cli.main(["evaluate", str(broken), f"path={bench}"]) == 2
