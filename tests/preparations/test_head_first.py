"""The head is trained on the frozen model; what follows starts from it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from w2s_rm.errors import ConfigError
from w2s_rm.preparations.head_first import HeadFirst
from w2s_rm.stages import Features, Stage
from w2s_rm.stages.train import Train


def test_the_second_training_starts_from_the_head_of_the_first(
    tiny_language_model: Callable[..., str],
    training: Callable[..., Train],
    route: Any,
    run_stage: Callable[[Stage], Path],
) -> None:
    base = tiny_language_model()
    # A step of no length leaves what it started from.
    stage = HeadFirst({"learning_rate": 1e-2, "max_steps": 8}).prepare(route, training(base, learning_rate=0.0))
    head = stage.model_name_or_path.maker
    assert isinstance(head, Train) and (head.trainable_layers, stage.trainable_layers) == (0, None)
    assert (head.of, head.title) == ("intermediate", "head seed 0")
    assert (head.options["learning_rate"], stage.options["learning_rate"]) == (1e-2, 0.0)
    second = load_file(run_stage(stage) / "model.safetensors")
    first = load_file(head.folder / "model" / "model.safetensors")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    started = load_file(Path(base) / "model.safetensors")
    # The body is the base's, and the head is not the one that the seed draws.
    assert all(torch.equal(first[name], started[name]) for name in first if name != "score.weight")
    plain = load_file(run_stage(training(base, learning_rate=0.0)) / "model.safetensors")
    assert (first["score.weight"] - plain["score.weight"]).abs().max() > 1e-2
    losses = [json.loads(line).get("loss") for line in (head.folder / "metrics.jsonl").read_text().splitlines()]
    known = [loss for loss in losses if loss is not None]
    assert known[-1] < known[0]


def test_then_all_of_the_model_moves(
    training: Callable[..., Train], route: Any, run_stage: Callable[[Stage], Path]
) -> None:
    stage = HeadFirst().prepare(route, training())
    after = load_file(run_stage(stage) / "model.safetensors")
    before = load_file(Path(stage.model_name_or_path.path) / "model.safetensors")
    still = {name for name in after if torch.equal(before[name], after[name])}
    assert not still


def test_what_it_cannot_prepare(training: Callable[..., Train], route: Any) -> None:
    with pytest.raises(ConfigError, match="head_first: head lm has no new head"):
        HeadFirst().prepare(route, training(head="lm"))
    with pytest.raises(ConfigError, match="head_first: not with LoRA"):
        HeadFirst().prepare(route, training(use_peft=True))
    cached = dataclasses.replace(training(), frozen_states=Features("states", "x"))
    with pytest.raises(ConfigError, match="head_first: stands behind freeze with cached.*put head_first before it"):
        HeadFirst().prepare(route, cached)
