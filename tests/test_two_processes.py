"""The trajectory of one process against two, with and without accumulation, in one real launch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
import datasets
from transformers import TrainerCallback
from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer

class Record(TrainerCallback):
    def __init__(self): self.steps = []
    def on_log(self, args, state, control, logs=None, **_):
        if logs and "grad_norm" in logs: self.steps.append([float(logs["loss"]), float(logs["grad_norm"])])

folder, models, splits = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
rows = json.load(open(folder + "/rows.json"))
questions = [
    {
        "prompt": row["prompt"],
        "candidates": [" w1", " w2 w3"],
        "probabilities": [row["chosen_probability"], 1 - row["chosen_probability"]],
    }
    for row in rows
]
# Classes of fixed meaning: the only case in which a loss looks at the whole batch.
W2SRewardTrainer.exchangeable = False
results = {}
for head in ("reward", "classification", "lm"):
    for loss in ({"name": "cross_entropy"}, {"name": "log_confidence", "warmup_fraction": 0.3}):
        for micro, accumulation in splits:
            record = Record()
            config = W2SRewardConfig(
                folder + "/out", num_train_epochs=2, loss=loss, learning_rate=1e-3, logging_steps=1, report_to="none",
                save_strategy="no", bf16=False, gradient_checkpointing=False, disable_tqdm=True, use_cpu=True,
                max_length=64, per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation,
            )
            given = {"args": config, "callbacks": [record]}
            if head == "reward":
                data = datasets.Dataset.from_list(rows)
                trainer = W2SRewardTrainer(model=models[0], train_dataset=data, **given)
            else:
                data = datasets.Dataset.from_list(questions)
                trainer = W2STrainer(model=models[1], train_dataset=data, head=head, exchangeable=False, **given)
            trainer.train()
            results[f"{head} {loss['name']} {config.world_size}x{micro}x{accumulation}"] = record.steps
if config.process_index == 0:
    json.dump(results, open(folder + "/results.json", "w"))
"""


def run(command: list[str], folder: Path, rows: list[dict[str, Any]], models: list[str], splits: Any) -> dict[str, Any]:
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    arguments = [str(folder / "script.py"), str(folder), json.dumps(models), json.dumps(splits)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def test_trajectory_is_the_same_on_two_processes(
    tiny_model: Callable[..., str],
    tiny_language_model: Callable[..., str],
    pairs: Callable[..., Any],
    tmp_path: Path,
) -> None:
    # 75 examples in batches of 32 end in a ragged batch of 11, which two ranks share unevenly.
    rows = [{**row, "chosen_probability": 0.05 + 0.9 * (index % 7) / 7} for index, row in enumerate(pairs(75))]
    models = [tiny_model(), tiny_language_model()]
    one = run([sys.executable], tmp_path / "one", rows, models, [[32, 1]])
    config = Path(__file__).parents[1] / "deepspeed_configs" / "cpu_ddp.yaml"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    two = run(launch, tmp_path / "two", rows, models, [[16, 1], [4, 4]])
    assert sorted(two) == sorted(
        f"{head} {loss} 2x{split}"
        for head in ("reward", "classification", "lm")
        for loss in ("cross_entropy", "log_confidence")
        for split in ("16x1", "4x4")
    )
    for name, steps in two.items():
        expected = one[f"{name.rsplit(' ', 1)[0]} 1x32x1"]
        assert len(expected) == 6
        torch.testing.assert_close(torch.tensor(steps), torch.tensor(expected), rtol=1e-4, atol=1e-5, msg=name)
    for head in ("reward", "classification", "lm"):
        assert one[f"{head} cross_entropy 1x32x1"] != one[f"{head} log_confidence 1x32x1"]
