"""Optimise a policy against a reward model, and judge by the truth what it writes before, meanwhile and after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainingArguments

from w2s_rm import catalog
from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError
from w2s_rm.files import put_in_place, write_text
from w2s_rm.integrations.rewards import reward_function
from w2s_rm.policies import Optimisation, PolicyTrainer
from w2s_rm.programs.launched import (
    held,
    is_main_process,
    machine_defaults,
    quiet_progress,
    quiet_warnings,
    read_config,
    refuse_finished,
    shows_progress,
    zero_stage,
)
from w2s_rm.programs.policy_parts import SCALE_SAMPLES, Curve, Judge, ScaledReward, load_policy, merged, write_judged
from w2s_rm.programs.training_record import StageRecord, clean, last_checkpoint
from w2s_rm.runs.folder import StageFolder

CURVE, JUDGED = "curve.jsonl", "policy.parquet"


def policy(argv: Sequence[str]) -> None:
    """Run the stage: writes `model/`, `curve.jsonl`, `policy.parquet`.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        ConfigError: The policy or the reward model cannot be loaded, or the trainer refuses its options.
        NonFiniteError: A reward is NaN or infinite.
    """
    config, output = read_config(argv)
    quiet_warnings()
    if not shows_progress():
        quiet_progress()
    if zero_stage() == 3:
        raise ConfigError("policy: under ZeRO-3 no process has the whole policy to sample from; use zero2 or ddp")
    # The processes of a launch find each other when training arguments are made; the reward model must come after that.
    TrainingArguments(output_dir=str(output / "trainer"), **machine_defaults(config["train"]))
    with held(output) as folder:
        refuse_finished(folder)
        model, tokenizer, peft_config = load_policy(config)
        reward = ScaledReward(reward_function(config["reward_model"]))
        # With a copy of its own, because the trainer changes the model that it is given.
        judge = Judge(config, load_policy(config)[0], tokenizer, reward)
        prompts = read_examples(Path(config["prompts"]))
        # On the prompts of the training: those of the test split judge, and set no scale.
        reward.scale_to(judge.sample(judge.start, prompts, SCALE_SAMPLES))
        curve = Curve(output / CURVE, judge, config["evaluations"])
        optimisation = Optimisation(
            model=model,
            tokenizer=tokenizer,
            options=_options(config, output),
            max_completion_length=config["max_completion_length"],
            prompts=prompts,
            reward=reward,
            reward_model=config["reward_model"],
            peft_config=peft_config,
            # The record marks a checkpoint as whole: all that belongs to it is there by then.
            callbacks=[curve, StageRecord(output)],
        )
        way = catalog.lookup("policies", config["trainer"])()
        trainer = _build(way, optimisation)
        # Without a progress bar transformers prints each log; they are kept in metrics.jsonl.
        trainer.remove_callback(PrinterCallback)
        checkpoint = last_checkpoint(folder) if way.resumes else None
        # PPO's `train` takes no such argument.
        trainer.train(**({"resume_from_checkpoint": checkpoint} if checkpoint else {}))
        _finish(trainer, judge, curve, folder, config)


def _options(config: Mapping[str, Any], output: Path) -> dict[str, Any]:
    options = {"disable_tqdm": True, **machine_defaults(config["train"]), **config["train"]}
    return {**options, "seed": config["seed"], "output_dir": str(output / "trainer")}


def _build(way: PolicyTrainer, optimisation: Optimisation) -> Any:
    try:
        return way.build(optimisation)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"policy trainer {type(way).__name__.lower()}: {error}") from error


def _finish(trainer: Any, judge: Judge, curve: Curve, folder: StageFolder, config: Mapping[str, Any]) -> None:
    written = folder.path / "model.tmp"
    adapter = folder.path / "adapter" if config["model"].get("use_peft") else None
    trainer.save_model(str(adapter or written))
    judged = judge.judge(curve.policy_of(trainer.model))
    trainer.accelerator.wait_for_everyone()
    if not is_main_process():
        return
    if adapter is not None:
        merged(config, adapter).save_pretrained(written)
    judge.tokenizer.save_pretrained(written)
    for saved in filter(None, (written, adapter)):
        # A pickle: it names folders of this machine, and to load it is to run what it says.
        (saved / "training_args.bin").unlink(missing_ok=True)
    put_in_place(written, folder.path / "model")
    write_judged(folder.path / JUDGED, judged)
    lines = [json.loads(line) for line in curve.path.read_text(encoding="utf-8").splitlines()]
    counts = {
        "prompts": len(judge.examples),
        "steps": trainer.state.global_step,
        # The first line is that of step 0.
        "success_before": lines[0]["success"],
        "success_after": judged.mean("success"),
        "kl": judged.mean("kl"),
        "reward": judged.mean("reward"),
    }
    end = {"step": trainer.state.global_step, **{name: judged.mean(name) for name in ("kl", "reward", "success")}}
    kept = [line for line in lines if line["step"] < end["step"]]
    write_text(curve.path, "".join(json.dumps(line) + "\n" for line in [*kept, end]))
    clean(folder)
    recorded = {name: config.get(name) for name in ("stage_hash", "inputs", "seed")}
    folder.finish(stage="policy", counts=counts, config=recorded)
