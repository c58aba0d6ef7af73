"""A language model reads the texts before it is given labels."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.preparations.generative import Generative
from w2s_rm.preparations.head_first import HeadFirst
from w2s_rm.stages import Examples, Features, Model, Stage
from w2s_rm.stages.finetune import Finetune
from w2s_rm.stages.train import Train
from w2s_rm.types import Example, Messages

Training = Callable[..., Train]
RunStage = Callable[[Stage], Path]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <eos> {% endfor %}"
RECIPE = """\
name: small
task: {name: world_preference, n_train: 64, n_test: 16}
weak: {pretrain: {hidden_size: 16, num_hidden_layers: 1, steps: 1}}
strong: {pretrain: {hidden_size: 32, num_hidden_layers: 1, steps: 1}}
methods:
  plain: {loss: cross_entropy}
  read: {loss: cross_entropy, before: [generative]}
  read_more: {loss: entropy, before: [{name: generative}]}
train: {per_device_train_batch_size: 8, learning_rate: 1e-3}
seeds: [0, 1]
"""


def losses(stage: Stage) -> list[float]:
    lines = (stage.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "loss" in line]


def as_messages(role: str, text: str) -> Messages:
    return ({"role": role, "content": text.strip()},)


@pytest.mark.parametrize("form", ["text", "conversation"])
def test_it_learns_all_candidates_and_then_labels(
    form: str,
    tiny_language_model: Callable[..., str],
    training: Training,
    route: Any,
    run_stage: RunStage,
    tmp_path: Path,
) -> None:
    base = tiny_language_model()
    plain = training(base)
    if form == "conversation":
        talks = [
            Example(
                e.id,
                e.group,
                as_messages("user", e.prompt),
                tuple(as_messages("assistant", c) for c in e.candidates),
                e.gold,
            )
            for e in read_examples(Path(plain.examples.path))
        ]
        write_examples(Path(plain.examples.path), talks)
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.chat_template = TEMPLATE
        talking = tmp_path / "talking"
        talking.mkdir()
        for file in Path(base).iterdir():
            (talking / file.name).write_bytes(file.read_bytes())
        tokenizer.save_pretrained(talking)
        base = str(talking)
        plain = training(base)
    prepared = Generative({"learning_rate": 1e-2, "max_steps": 12}).prepare(route, plain)
    read = prepared.model_name_or_path.maker
    assert isinstance(read, Finetune) and (read.of, read.title) == (None, "finetune seed 0")
    run_stage(prepared)
    counts = json.loads((read.folder / "manifest.json").read_text())["counts"]
    # 32 prompts, each with both of its candidates.
    assert (counts["texts"], counts["steps"]) == (64, 12)
    found = losses(read)
    assert len(found) == 12 and found[-1] < 0.8 * found[0]
    before, after = (load_file(folder / "model.safetensors") for folder in (Path(base), read.folder / "model"))
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert not (read.folder / "trainer").exists()
    # The reward model starts from what was read, with a head that the seed alone decides.
    start = load_file(run_stage(training(str(read.folder / "model"), learning_rate=0.0)) / "model.safetensors")
    other = load_file(run_stage(training(base, learning_rate=0.0)) / "model.safetensors")
    assert torch.equal(start["model.norm.weight"], after["model.norm.weight"])
    assert torch.equal(start["score.weight"], other["score.weight"])


def test_under_the_head_of_a_language_model_it_stays_one(
    tiny_language_model: Callable[..., str], training: Training, route: Any, run_stage: RunStage
) -> None:
    prepared = Generative().prepare(route, training(tiny_language_model(), head="lm"))
    assert "lm_head.weight" in load_file(run_stage(prepared) / "model.safetensors")


def test_student_and_ceiling_read_once(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    plan = make_plan(load_recipe(tmp_path / "recipe.yaml", ()), tmp_path / "runs")
    read = [stage for stage in plan.stages if isinstance(stage, Finetune)]
    # One for each seed, whatever the number of methods.
    assert len(read) == 2
    starts: dict[tuple[str | None, str | None], set[Path]] = {}
    for stage in plan.stages:
        if isinstance(stage, Train) and stage.seed == 0:
            assert stage.model_name_or_path.maker is not None
            starts.setdefault((stage.of, stage.method), set()).add(stage.model_name_or_path.maker.folder)
    base = starts["weak", None] | starts["student", "plain"] | starts["ceiling", None]
    assert len(base) == 2 and read[0].folder not in base
    prepared = [("student", "read"), ("student", "read_more"), ("ceiling", "read")]
    assert [starts[one] for one in prepared] == [{read[0].folder}] * 3
    assert read[0].examples.path.endswith("relabel.parquet")


def test_what_it_cannot_prepare(
    tiny_model: Callable[..., str],
    tiny_language_model: Callable[..., str],
    training: Training,
    route: Any,
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="generative: .* is no causal language model.*take a decoder"):
        Generative().prepare(route, training(tiny_model("roberta")))
    for config in (
        {"model_type": "bert"},
        {"model_type": "bert", "architectures": ["BertLMHeadModel"]},
        {"model_type": "xlm", "architectures": ["XLMWithLMHeadModel"]},
    ):
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(ConfigError, match="is no causal language model"):
            Generative().prepare(route, training(str(tmp_path)))
    decoder = training(tiny_language_model(), use_peft=True)
    with pytest.raises(ConfigError, match="trains all weights, and not with use_peft.*train: {use_peft: false}"):
        Generative().prepare(route, decoder)
    read = Generative({"use_peft": False}).prepare(route, decoder).model_name_or_path.maker
    assert isinstance(read, Finetune) and not read.options["use_peft"]
    with pytest.raises(ConfigError, match="stands behind a preparation that trains a head.*put it first"):
        Generative().prepare(route, HeadFirst().prepare(route, training(tiny_language_model())))
    cached = dataclasses.replace(training(tiny_language_model()), frozen_states=Features("states", "x"))
    with pytest.raises(ConfigError, match="generative: stands behind freeze with cached.*put generative first"):
        Generative().prepare(route, cached)


def test_a_folder_that_holds_no_language_model(training: Training, run_stage: RunStage, tmp_path: Path) -> None:
    plain = training()
    stage = Finetune(
        runs=tmp_path / "runs",
        examples=Examples(plain.examples.path, "relabel"),
        model_name_or_path=Model(str(tmp_path), "nothing"),
        seed=0,
        options=plain.options,
    )
    with pytest.raises(ConfigError, match="generative: no language model loads from"):
        run_stage(stage)
