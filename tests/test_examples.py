"""The examples: with one's own models and data by options only, and with the commands in their headers."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.policies.ppo import check_available

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("best_of_n", "dpo", "grpo", "ppo", "rloo")
SMALL = ["--per_device_train_batch_size", "4", "--learning_rate", "0.1", "--bf16", "false", "--report_to", "none"]
ONE_STEP: dict[str, list[str]] = {
    "best_of_n": ["--max_completion_length", "3"],
    "dpo": [*SMALL, "--max_steps", "1", "--max_completion_length", "3"],
    "grpo": [*SMALL, "--max_steps", "1", "--num_generations", "2", "--max_completion_length", "3"],
    "ppo": [*SMALL, "--total_episodes", "4", "--response_length", "3", "--num_sample_generations", "0"],
    "rloo": [*SMALL, "--max_steps", "1", "--num_generations", "2", "--max_completion_length", "3"],
}


def has_ppo() -> bool:
    try:
        check_available()
    except ConfigError:
        return False
    return True


def skip_without_ppo(name: str) -> None:
    if name == "ppo" and not has_ppo():
        pytest.skip("this trl has no PPO")


def command(name: str) -> str:
    """The command in an example's header: the first line that launches it."""
    header = ast.get_docstring(ast.parse((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return next(line for line in header.splitlines() if line.startswith("accelerate launch"))


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module


@dataclass(frozen=True)
class Own:
    """Models and data of a user: folders."""

    policy: str
    reward_model: str
    dataset: Path

    def options(self, runs: Path) -> list[str]:
        named = {
            "model_name_or_path": self.policy,
            "reward_model_path": self.reward_model,
            "dataset_name": self.dataset,
            "test_prompts": 3,
            "runs": runs,
        }
        return [word for name, value in named.items() for word in (f"--{name}", str(value))]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def own(tiny_language_model: Any, tiny_model: Any, pairs: Any, tmp_path: Path) -> Own:
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "train.jsonl", pairs(8))
    write_rows(folder / "test.jsonl", pairs(5, seed=1))
    return Own(tiny_language_model(), tiny_model(), folder)


def weights(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_own_models_and_data_by_options_only(
    name: str, example: Any, own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_ppo(name)
    example(name).main([*own.options(tmp_path), *ONE_STEP[name]])
    printed = capsys.readouterr().out
    assert "3 held-out prompts" in printed and "true success" not in printed
    if name == "best_of_n":
        rewards = [float(reward) for reward in re.findall(r"best of +\d+: mean reward (-?[\d.]+), KL", printed)]
        assert len(rewards) == 5 and rewards == sorted(rewards)
        return
    assert len(re.findall(r"^(before|after): +mean reward -?\d", printed, re.MULTILINE)) == 2
    saved, start = weights(tmp_path / "examples" / name), weights(Path(own.policy))
    assert any(not saved[key].equal(start[key]) for key in start)
    assert (tmp_path / "examples" / name / "tokenizer.json").is_file()


@pytest.mark.parametrize("name", ["rloo"])
def test_a_dataset_of_prompts_alone_and_an_adapter(name: str, example: Any, own: Own, tmp_path: Path) -> None:
    for split in ("train", "test"):
        path = own.dataset / f"{split}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        write_rows(path, [{"prompt": row["prompt"]} for row in rows])
    example(name).main(
        [*own.options(tmp_path), *ONE_STEP[name], "--use_peft", "--lora_target_modules", "q_proj", "v_proj"]
    )
    assert (tmp_path / "examples" / name / "adapter_model.safetensors").is_file()
    with pytest.raises(DataError, match="DPO needs pairs; add columns chosen and rejected, or take rloo.py"):
        example("dpo").main([*own.options(tmp_path), *ONE_STEP["dpo"]])


def test_conversations_become_prompts_and_pairs(example: Any, tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "what do bees make ?"}]
    answers = {key: [{"role": "assistant", "content": key}] for key in ("chosen", "rejected")}
    write_rows(tmp_path / "train.jsonl", [{"prompt": prompt, **answers}])
    write_rows(tmp_path / "test.jsonl", [{key: [*prompt, *answers[key]] for key in answers}])
    common = example("common")
    arguments = common.ExampleArguments(dataset_name=str(tmp_path))
    (explicit,), (implicit,) = (list(common.read(arguments, split)) for split in ("train", "test"))
    assert explicit.prompt == implicit.prompt == tuple(prompt)
    assert explicit.candidates == implicit.candidates == tuple(map(tuple, answers.values()))


def test_own_data_need_own_models_and_all_that_is_missing_is_said(example: Any, own: Own, tmp_path: Path) -> None:
    options = ["--dataset_name", str(own.dataset), "--runs", str(tmp_path), "--use_cpu", "true"]
    with pytest.raises(ConfigError, match="(?s)--model_name_or_path is missing.*--reward_model_path is missing"):
        example("rloo").main(options)


def test_the_worlds_defaults_hold_in_the_world_and_give_way_to_options(example: Any, tmp_path: Path) -> None:
    from trl import RLOOConfig

    common, world = example("common"), {"learning_rate": 3e-4, "max_completion_length": 2}

    def parsed(*argv: str) -> Any:
        return common.parse([*argv, "--bf16", "false"], common.RewardArguments, RLOOConfig, world)[1]

    assert (parsed().learning_rate, parsed().max_completion_length) == (3e-4, 2)
    assert parsed().gradient_checkpointing is False
    assert parsed("--learning_rate", "1e-2").learning_rate == 1e-2
    assert parsed("--dataset_name", "some/where").max_completion_length == RLOOConfig.max_completion_length
    assert parsed("--dataset_name", "some/where").learning_rate == RLOOConfig.learning_rate
    config = tmp_path / "own.yaml"
    config.write_text("learning_rate: 1.0e-3\nruns: elsewhere\n", encoding="utf-8")
    given = parsed("--config", str(config))
    assert (given.learning_rate, given.output_dir) == (1e-3, os.path.join("elsewhere", "examples", "rloo"))


def test_zero_3_is_refused(example: Any, own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl import ModelConfig

    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    common = example("common")
    with pytest.raises(ConfigError, match="ZeRO-3.*zero2.yaml"):
        common.load(common.ExampleArguments(dataset_name=str(own.dataset)), ModelConfig(), None)


def test_ppo_wants_a_reward_model_that_reads_the_policys_tokens(
    example: Any, own: Own, tmp_path: Path, tiny_tokenizer: Any
) -> None:
    skip_without_ppo("ppo")
    import shutil

    other = tmp_path / "other"
    shutil.copytree(own.reward_model, other)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["new"])
    tokenizer.save_pretrained(other)
    with pytest.raises(ConfigError, match="another vocabulary; take rloo.py"):
        example("ppo").main([*Own(own.policy, str(other), own.dataset).options(tmp_path), *ONE_STEP["ppo"]])


def test_without_ppo_in_trl_the_example_names_the_pin_and_what_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "examples" / "ppo.py"
    monkeypatch.setitem(sys.modules, "trl.experimental.ppo", None)
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().err
    assert left.value.code == 2
    assert "trl==1.12.0" in printed and "examples/rloo.py" in printed and "Traceback" not in printed
    assert not list(tmp_path.iterdir()), "nothing was made before"


def test_the_world_is_planned_without_policies_ceilings_and_evaluations(example: Any, tmp_path: Path) -> None:
    _, stages = example("world").plan(tmp_path)
    names = sorted(stage.of or stage.kind for stage in stages)
    assert names == ["prepare", "pretrain", "pretrain", "pretrain", "relabel", "student", "weak"]


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_gives_the_command_of_the_header(name: str) -> None:
    assert command(name) == f"accelerate launch --cpu --num_processes 1 examples/{name}.py"
    assert command(name) in (ROOT / "examples" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the headers' commands can be run; what the first one makes, the others find."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def run_example(line: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "W2S_RM_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    run = subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo", "grpo", "ppo", "rloo"])
def test_the_command_in_the_header_makes_the_policy_truly_better(name: str, clone: Path) -> None:
    skip_without_ppo(name)
    printed = run_example(command(name), clone)
    before, after = map(float, re.findall(r"^(?:before|after): +true success rate ([\d.]+) %", printed, re.MULTILINE))
    assert after > before + 5, printed


@pytest.mark.slow
def test_the_best_of_more_answers_is_truly_better(clone: Path) -> None:
    printed = run_example(command("best_of_n"), clone)
    found = re.findall(r"best of +(\d+): true success rate ([\d.]+) %.*KL at most ([\d.]+)", printed)
    assert [int(n) for n, _, _ in found] == [1, 2, 4, 8, 16]
    assert float(found[2][1]) > float(found[0][1]) + 5, printed
    assert [bound for _, _, bound in found] == ["0.00", "0.19", "0.64", "1.20", "1.84"]


@pytest.mark.slow
def test_two_processes_share_the_world_that_one_of_them_makes(clone: Path) -> None:
    config = ROOT / "deepspeed_configs" / "cpu_ddp.yaml"
    line = command("dpo").replace("--cpu --num_processes 1", f"--config_file {config}")
    printed = run_example(f"{line} --max_steps 2 --test_prompts 20", clone)
    assert printed.count("after:") == 1
