"""A reward model's folder says whether it was trained on conversations or text; others become what it knows."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from training_helpers import WORDS

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, cli
from w2s_rm.data.examples import write_examples
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.evaluate_model import evaluate_model
from w2s_rm.integrations.reward_model import load_reward_model
from w2s_rm.integrations.rewards import reward_function
from w2s_rm.integrations.scorer import Scorer
from w2s_rm.integrations.trained_on import spoken
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.train import Train
from w2s_rm.training.facts import FILE, ScoringFacts, read_facts, write_facts
from w2s_rm.types import Example, Messages


def messages(text: str, role: str = "user") -> Messages:
    return ({"role": role, "content": text},)


def made(count: int = 20) -> list[Example]:
    generator = random.Random(3)
    texts = [" ".join(generator.choices(WORDS, k=generator.randint(2, 9))) for _ in range(3 * count)]
    parts = zip(texts[::3], texts[1::3], texts[2::3], strict=True)
    return [Example(f"e{n}", f"g{n}", p, (f" {a} w1", f" {b} w2"), 0) for n, (p, a, b) in enumerate(parts)]


def as_messages(examples: list[Example]) -> list[Example]:
    return [
        Example(
            e.id,
            e.group,
            messages(str(e.prompt)),
            tuple(messages(str(c).strip(), "assistant") for c in e.candidates),
            0,
        )
        for e in examples
    ]


@pytest.fixture
def spoken_folder(reward_folder: Callable[..., Path]) -> Path:
    """A reward model of conversations."""
    folder = reward_folder(True)
    write_facts(folder, ScoringFacts("conversations"))
    return folder


@pytest.mark.parametrize("kind", ["text", "conversations"])
def test_a_trainer_writes_what_it_saw(kind: str, reward_folder: Callable[..., Path], tmp_path: Path) -> None:
    rows = [
        {"prompt": e.prompt, "chosen": e.candidates[0], "rejected": e.candidates[1]}
        for e in (made(8) if kind == "text" else as_messages(made(8)))
    ]
    data = datasets.Dataset.from_list([json.loads(json.dumps(row)) for row in rows])
    args = W2SRewardConfig(
        str(tmp_path / "out"), use_cpu=True, bf16=False, report_to=[], max_length=64, max_steps=1, save_steps=1
    )
    trainer = W2SRewardTrainer(model=str(reward_folder(True)), args=args, train_dataset=data)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    for folder in (tmp_path / "saved", tmp_path / "out" / "checkpoint-1"):
        assert load_reward_model(str(folder)).trained_on == kind


def test_a_stage_writes_what_it_saw(reward_folder: Callable[..., Path], tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.parquet", as_messages(made(8)))
    config = {
        "examples": str(tmp_path / "examples.parquet"), "model_name_or_path": str(reward_folder(True)),
        "max_length": 64, "bf16": False, "max_steps": 1, "report_to": "none", "loss": {"name": "cross_entropy"},
    }  # fmt: skip
    (tmp_path / "stage.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    Train.run(["--config", str(tmp_path / "stage.yaml"), "--output_dir", str(tmp_path / "weak")])
    assert read_facts(str(tmp_path / "weak" / "model")) == ScoringFacts("conversations", "reward", 64, False)


def test_text_is_rendered_for_a_model_of_conversations(spoken_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    reward = reward_function(str(spoken_folder))
    asked = messages("w7 w8")
    expected = reward([asked], [messages("w9 w10", "assistant")])
    with caplog.at_level(logging.WARNING):
        assert reward(["w7 w8"], [" w9 w10"]) == expected
        assert reward(["w7 w8 "], ["w9 w10"]) == expected
        assert reward(["\n\nHuman: w7 w8\n\nAssistant:"], [" w9 w10"]) == expected
        assert reward(["\n\nHuman: w7 w8\n\nAssistant: w9"], [" w10"]) == expected
    (said,) = [record.getMessage() for record in caplog.records if "trained on" in record.getMessage()]
    assert "was trained on conversations: text is scored as messages of a user and an assistant" in said


def test_text_that_is_rendered_already_stays(spoken_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    reward = reward_function(str(spoken_folder))
    expected = reward([messages("w7")], [messages("w9", "assistant")])
    with caplog.at_level(logging.WARNING):
        # The template ends with its end, which text is given as well.
        assert reward(["w3 w7 <eos>w4"], [" w9 <eos>"]) == pytest.approx(expected, abs=1e-6)
    assert not [record for record in caplog.records if "trained on" in record.getMessage()]


def test_what_a_policy_writes_it_says_itself() -> None:
    assert spoken("\n\nHuman: a\n\nAssistant:", " b\n\nHuman: c\n\nAssistant: d") == (
        messages("a"),
        messages("b\n\nHuman: c\n\nAssistant: d", "assistant"),
    )
    assert spoken("", " b") == ((), messages("b", "assistant"))


def test_examples_and_stages_render_text_too(spoken_folder: Path, tmp_path: Path) -> None:
    examples = made()
    scorer = Scorer(load_reward_model(str(spoken_folder)), max_length=64)
    expected = scorer.score_examples(as_messages(examples))
    assert scorer.score_examples(examples) == expected
    found = {}
    for name, given in (("text", examples), ("spoken", as_messages(examples))):
        write_examples(tmp_path / f"{name}.parquet", given)
        config = {
            "stage": "evaluate", "examples": str(tmp_path / f"{name}.parquet"), "max_length": 64, "bf16": False,
            "model_name_or_path": str(spoken_folder),
        }  # fmt: skip
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        Evaluate.run(["--config", str(tmp_path / f"{name}.yaml"), "--output_dir", str(tmp_path / name)])
        found[name] = read_predictions(tmp_path / name / "predictions.parquet")
    assert found["text"] == found["spoken"]
    assert found["text"].scores[0] == pytest.approx(expected[0], abs=1e-5)


def test_conversations_for_a_model_of_text_are_refused(reward_folder: Callable[..., Path], tmp_path: Path) -> None:
    """Its base model had a chat template, which it never saw in training."""
    folder = reward_folder(True)
    write_facts(folder, ScoringFacts("text"))
    reward = reward_function(str(folder))
    for _ in range(2):
        with pytest.raises(ConfigError, match="was trained on plain text, and these are conversations"):
            reward([messages("w7")], [messages("w9", "assistant")])
    assert len(reward(["w7"], [" w9"])) == 1
    with pytest.raises(ConfigError, match="was trained on plain text"):
        reward.scorer.score_examples(as_messages(made(2)))
    rows = [{"prompt": f"w{n}", "chosen": "w5 w6", "rejected": "w7", "subset": "mine", "id": n} for n in range(8, 16)]
    bench = tmp_path / "bench.jsonl"
    bench.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert evaluate_model(str(folder), "reward_bench", [f"path={bench}"]).options["format"] == "text"
    write_facts(folder, ScoringFacts("conversations"))
    assert evaluate_model(str(folder), "reward_bench", [f"path={bench}"]).options["format"] == "conversational"


def test_a_model_that_does_not_say_is_warned_of(
    reward_folder: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text('{"prompt": "w7 w8", "response": " w9"}\n', encoding="utf-8")
    folder, plain = reward_folder(True), reward_folder(False, name="plain")
    with caplog.at_level(logging.WARNING):
        assert cli.main(["score", str(plain), str(file)]) == 0
        Scorer(load_reward_model(str(plain))).score_examples(made(2))
        assert not caplog.records
        assert cli.main(["score", str(folder), str(file)]) == 0
        Scorer(load_reward_model(str(folder))).score_examples(made(2))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all("does not say what it was trained on: text is scored as it is" in text for text in said)


def test_the_command_renders_text(spoken_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def scored(row: dict[str, Any]) -> float:
        file = tmp_path / "asked.jsonl"
        file.write_text(json.dumps(row) + "\n", encoding="utf-8")
        assert cli.main(["score", str(spoken_folder), str(file)]) == 0
        return float(json.loads(capsys.readouterr().out)["reward"])

    answer = {"prompt": messages("w7 w8"), "response": messages("w9", "assistant")}
    assert scored({"prompt": "w7 w8", "response": " w9"}) == scored(answer)


def test_a_file_that_says_nothing_is_refused(reward_folder: Callable[..., Path]) -> None:
    folder = reward_folder()
    for content, text in (
        ("[]", "says something else than trained_on, head"),
        ('{"trained_on": "chat"}', "trained_on is 'chat'"),
    ):
        (folder / FILE).write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=text):
            load_reward_model(str(folder))
