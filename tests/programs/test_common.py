"""Reading a stage's config and its overrides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm.errors import ConfigError
from w2s_rm.programs.launched import (
    machine_defaults,
    parse_model_stage,
    score_without_zero,
    split_arguments,
    zero_stage,
)
from w2s_rm.stages.train import Train

CONFIG: dict[str, Any] = {
    "stage": "train",
    "of": "weak",
    "examples": "examples.parquet",
    "model_name_or_path": "model",
    "loss": {"name": "cross_entropy"},
    "bf16": False,
    "learning_rate": 1e-3,
    "stage_hash": "0123456789ab",
}


def written(folder: Path, **changes: Any) -> str:
    path = folder / "stage.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}), encoding="utf-8")
    return str(path)


def test_overrides_win_and_are_recorded_without_the_hash(tmp_path: Path) -> None:
    argv = ["--config", written(tmp_path), "--output_dir", str(tmp_path / "out"), "--learning_rate", "1e-5"]
    stage_args, args, model_args, output = parse_model_stage(argv, Train)
    assert (args.learning_rate, model_args.model_name_or_path) == (1e-5, "model")
    assert output == tmp_path / "out" and args.output_dir == str(tmp_path / "out" / "trainer")
    # The hash is of the config without the override.
    assert stage_args.stage_hash is None
    recorded = yaml.safe_load((output / "config.yaml").read_text())
    assert recorded["learning_rate"] == 1e-5 and recorded["stage_hash"] is None
    again = parse_model_stage(["--config", str(output / "config.yaml"), "--output_dir", str(tmp_path / "two")], Train)
    assert again[1].learning_rate == 1e-5


def test_without_overrides_the_hash_stays(tmp_path: Path) -> None:
    stage_args, *_ = parse_model_stage(["--config", written(tmp_path), "--output_dir", str(tmp_path / "out")], Train)
    assert stage_args.stage_hash == CONFIG["stage_hash"]


def test_output_folder_has_a_default_beside_the_runs(tmp_path: Path) -> None:
    _, output, rest = split_arguments(["--config", written(tmp_path), "--seed", "3"])
    assert output == Path("runs/launched") / tmp_path.name
    assert rest == ["--seed", "3"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [([], "--config"), (["--config"], "needs a value"), (["--config", "absent.yaml"], "no such stage config")],
)
def test_a_missing_config_is_refused(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_arguments(argv)


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learning_rat"):
        parse_model_stage(["--config", written(tmp_path, learning_rat=1), "--output_dir", str(tmp_path / "out")], Train)


@pytest.mark.parametrize(("stage", "kept"), [("2", False), ("3", True)])
def test_scoring_leaves_deepspeed_only_below_zero_3(monkeypatch: pytest.MonkeyPatch, stage: str, kept: bool) -> None:
    import os

    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", stage)
    assert zero_stage() == int(stage)
    score_without_zero()
    assert ("ACCELERATE_USE_DEEPSPEED" in os.environ) == kept


@pytest.mark.parametrize(
    ("gpus", "launched_for_cpus", "expected"),
    [(True, None, {}), (True, "true", {"use_cpu": True}), (False, None, {"use_cpu": True})],
)
def test_a_launch_for_cpus_takes_no_gpu(
    gpus: bool, launched_for_cpus: str | None, expected: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.accelerator.is_available", lambda: gpus)
    monkeypatch.delenv("DS_ACCELERATOR", raising=False)
    if launched_for_cpus is None:
        monkeypatch.delenv("W2S_RM_ON_CPUS", raising=False)
    else:
        monkeypatch.setenv("W2S_RM_ON_CPUS", launched_for_cpus)
    assert machine_defaults({}) == expected
    # Which device DeepSpeed computes on.
    assert os.environ.get("DS_ACCELERATOR") == ("cpu" if expected else None)
