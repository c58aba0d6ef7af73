"""The Slurm script on two nodes that are this machine twice: real launches, only Slurm itself is stood in for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from training_helpers import stage_folders

ROOT = Path(__file__).parents[1]
NODES = 2
# A task for each node of the step, as srun starts them; the first that fails ends the step.
SRUN = """
import os, subprocess, sys
words = sys.argv[1:]
count = next(int(word.split("=")[1]) for word in words if word.startswith("--ntasks="))
command = words[words.index("bash"):]
tasks = [subprocess.Popen(command, env={**os.environ, "SLURM_NODEID": str(node)}) for node in range(count)]
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = f"""
import sys
if sys.argv[1:3] == ["show", "hostnames"]:
    print("127.0.0.1\\n" * {NODES}, end="")
else:
    open("requeued", "w").write(" ".join(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Cluster:
    """A folder in which jobs are submitted."""

    folder: Path
    recipe: Path

    def submit(self, *overrides: str, number: int) -> subprocess.CompletedProcess[str]:
        """Run a job to its end."""
        process = self.start(*overrides, number=number)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *overrides: str, number: int) -> subprocess.Popen[str]:
        """Start the script as Slurm would on the first node of a job."""
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SLURM_JOB_ID": str(number),
            "SLURM_JOB_NODELIST": "here",
            "SLURM_NNODES": str(NODES),
            "OMP_NUM_THREADS": "1",
        }
        command = ["bash", str(ROOT / "recipes" / "launch.slurm"), str(self.recipe), *overrides]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def stage(self, name: str) -> Path:
        """The only folder of a stage."""
        (folder,) = stage_folders(self.folder / "runs", name)
        return folder


def write_program(path: Path, code: str) -> None:
    path.write_text(f"#!{sys.executable}\n{code.lstrip()}", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path, tiny_model: Callable[..., str], pairs: Callable[..., Any]) -> Cluster:
    (tmp_path / "bin").mkdir()
    write_program(tmp_path / "bin" / "srun", SRUN)
    write_program(tmp_path / "bin" / "scontrol", SCONTROL)
    write_program(tmp_path / "bin" / "w2s-rm", "import sys\nfrom w2s_rm.cli import main\nsys.exit(main())\n")
    rows = [{**row, "chosen_probability": 0.6 + 0.3 * (number % 2)} for number, row in enumerate(pairs(160))]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    machines = yaml.safe_load((ROOT / "deepspeed_configs" / "cpu_ddp.yaml").read_text(encoding="utf-8"))
    machines |= {"num_machines": NODES, "num_processes": NODES, "main_process_port": 29500}
    (tmp_path / "machines.yaml").write_text(yaml.safe_dump(machines), encoding="utf-8")
    # Without ground truth and with labels from a file there are the fewest launches: a student and its evaluation.
    recipe = {
        "name": "two_machines",
        "task": {
            "name": "preference",
            "path": "pairs.jsonl",
            "response_a_column": "chosen",
            "response_b_column": "rejected",
            "id_column": "id",
            "n_train": 80,
            "n_test": 20,
        },
        "weak": {"labels": "pairs.jsonl"},
        "strong": {"model_name_or_path": tiny_model(), "accelerate_config": "machines.yaml"},
        "train": {
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-3,
            "max_length": 64,
            "bf16": False,
            "gradient_checkpointing": False,
            "logging_steps": 1,
            "save_steps": 4,
        },
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return Cluster(tmp_path, tmp_path / "recipe.yaml")


def losses(stage: Path) -> list[float]:
    lines = map(json.loads, (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.slow
def test_two_machines_train_as_one_process_does(cluster: Cluster) -> None:
    from w2s_rm.stages.train import Train

    # The job's number gives the port at which the machines meet: not that of another suite on this one.
    done = cluster.submit(number=os.getpid())
    assert done.returncode == 0, done.stderr[-3000:]
    student = cluster.stage("student")
    manifest = json.loads((student / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["steps"] == 10
    assert (cluster.folder / "runs" / "two_machines" / "report.md").is_file()

    alone = cluster.folder / "alone"
    config = ["--config", str(student / "config.yaml"), "--output_dir", str(alone)]
    Train.run([*config, "--per_device_train_batch_size", "8"])
    assert len(losses(alone)) == 10
    torch.testing.assert_close(losses(student), losses(alone), rtol=1e-4, atol=1e-5)

    # A job that is submitted again has nothing left to launch.
    again = cluster.submit(number=os.getpid() + 1)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "w2s_rm.stages" in done.stdout and "w2s_rm.stages" not in again.stdout


def test_a_config_for_other_machines_is_refused_before_anything_runs(cluster: Cluster) -> None:
    done = cluster.submit("strong.accelerate_config=cpu_ddp", number=3)
    assert done.returncode == 2
    assert "cpu_ddp.yaml is not for 2 machines" in done.stderr
    assert not list(cluster.folder.glob("runs/stages/*/manifest.json"))


def test_a_mistake_in_the_recipe_ends_the_job(cluster: Cluster) -> None:
    done = cluster.submit("strong.model=x", number=4)
    assert done.returncode == 2
    assert "strong.model" in done.stderr


def test_a_job_whose_time_is_nearly_over_requeues_itself(cluster: Cluster) -> None:
    write_program(cluster.folder / "bin" / "w2s-rm", 'print("touch started; sleep 600")')
    job = cluster.start(number=5)
    try:
        while not (cluster.folder / "started").exists() and job.poll() is None:
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
        assert job.wait(timeout=60) != 0
        assert (cluster.folder / "requeued").read_text(encoding="utf-8") == "requeue 5"
    finally:
        # Slurm ends the steps of a job with it.
        os.killpg(job.pid, signal.SIGKILL)
