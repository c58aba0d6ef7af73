"""Stages on Ray: what each asks for, how it fails, and that a killed worker costs nothing but its last steps."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from signals import hear_ctrl_c
from training_helpers import copy_runs, finish, stage_folders

from w2s_rm.errors import ConfigError, InUseError
from w2s_rm.experiment import ray_executor, ray_worker
from w2s_rm.experiment.jobs import Job
from w2s_rm.experiment.ray_executor import Resources, resource_problems, resources_of
from w2s_rm.experiment.ray_worker import Outcome, run_in_worker
from w2s_rm.runs.folder import LOG, StageFolder, lock
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.stages import Examples, Model, Stage
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.pretrain import Pretrain
from w2s_rm.stages.train import Train

NO_GPU, ONE_GPU, EIGHT_GPUS = Resources(4, 0), Resources(4, 1), Resources(64, 8)


def stage(name: str = "train", accelerate_config: str | None = None, gpus: float | None = None) -> Stage:
    config = find_accelerate_config(accelerate_config) if accelerate_config else None
    how: Any = {"runs": Path("/runs"), "launch": Launch(config, gpus)}
    if name == "pretrain":
        return Pretrain(**how, pretrain={}, identity="x")
    if name == "prepare":
        return Prepare(**how, task={}, sizes={}, source="x")
    model, examples = Model("m", "m"), Examples("e", "e")
    return Train(**how, of="student", examples=examples, model_name_or_path=model, seed=0)


@pytest.mark.parametrize(
    ("asking", "largest", "expected"),
    [
        (stage(), NO_GPU, (1, 0)),
        (stage(), ONE_GPU, (1, 1)),
        (stage(gpus=0.25), ONE_GPU, (1, 0.25)),
        (stage(gpus=0), ONE_GPU, (1, 0)),
        (stage("pretrain", gpus=0.5), ONE_GPU, (1, 0.5)),
        (stage("prepare"), ONE_GPU, (1, 0)),
        # What is said of a model is for what loads it: not, for one, for a linear model on its features.
        (stage("prepare", gpus=0.5), ONE_GPU, (1, 0)),
        (stage(accelerate_config="zero3"), EIGHT_GPUS, (8, 8)),
        (stage(accelerate_config="cpu_ddp"), ONE_GPU, (2, 0)),
        (stage(accelerate_config="cpu_zero2"), Resources(1, 0), (1, 0)),
        # One process, whatever the config says: nothing is launched.
        (stage("pretrain", accelerate_config="zero3"), EIGHT_GPUS, (1, 1)),
    ],
)
def test_what_a_stage_asks_for(asking: Stage, largest: Resources, expected: tuple[float, float]) -> None:
    assert resources_of(asking, largest) == Resources(*expected)


def job(of: Stage) -> Job:
    return Job(of, "recipe", frozenset(), of.title)


def test_what_no_machine_has_is_said_before_anything_waits(tmp_path: Path) -> None:
    assert resource_problems([job(stage()), job(stage(accelerate_config="zero3"))], EIGHT_GPUS) == []
    (problem,) = resource_problems([job(stage(accelerate_config="zero3")), job(stage("train", "zero3"))], ONE_GPU)
    assert "zero3.yaml asks for 8 GPUs on one machine, the largest here has 1; set num_processes" in problem
    (problem,) = resource_problems([job(stage(gpus=2))], ONE_GPU)
    assert "stage student seed 0 asks for 2 GPUs" in problem
    config = tmp_path / "two.yaml"
    config.write_text("{num_processes: 8, num_machines: 2, distributed_type: MULTI_GPU}", encoding="utf-8")
    (problem,) = resource_problems([job(stage(accelerate_config=str(config)))], EIGHT_GPUS)
    assert "two.yaml spans machines" in problem


def test_launches_at_the_same_time_take_ports_of_their_own() -> None:
    command = ray_worker._command(stage(accelerate_config="cpu_ddp"))
    place = command.index("--main_process_port")
    assert command[place + 1] == "0" and command[place - 2] == "--config_file" and command[place + 2] == "-m"
    assert ray_worker._command(stage()) == stage().command()


def broken(folder: Path) -> Stage:
    """A stage that ends with an error of the user's making."""
    return Prepare(runs=folder, task={"name": "preference", "path": "absent.jsonl"}, sizes={}, source="none")


def test_a_user_error_is_not_tried_again(tmp_path: Path) -> None:
    started, outcome = run_in_worker(broken(tmp_path), {}, str(tmp_path))
    assert started == "started" and isinstance(outcome, Outcome) and outcome.problem is not None
    assert "failed with exit code 2; " in outcome.problem and "error: " in outcome.problem
    assert "absent.jsonl" in outcome.problem
    log = (broken(tmp_path).folder / LOG).read_text(encoding="utf-8")
    assert sum(line.startswith("# ") for line in log.splitlines()) == 1


def test_a_process_that_is_killed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    monkeypatch.setattr(Stage, "command", lambda self: command)
    _, outcome = run_in_worker(broken(tmp_path), {}, str(tmp_path))
    assert outcome.problem is not None and "exit code -9" in outcome.problem
    log = (broken(tmp_path).folder / LOG).read_text(encoding="utf-8")
    assert sum(line.startswith("# ") for line in log.splitlines()) == ray_worker.MAX_RETRIES + 1


def test_a_finished_stage_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "command", lambda self: ["false"])
    broken(tmp_path).folder.mkdir(parents=True)
    StageFolder(broken(tmp_path).folder).seal({})
    _, outcome = run_in_worker(broken(tmp_path), {}, str(tmp_path))
    assert outcome.problem is None


def test_a_folder_that_is_just_being_left_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(broken(tmp_path).folder):
            held.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    monkeypatch.setattr(ray_worker, "_FREED_WITHIN_S", 0.1)
    with pytest.raises(InUseError):
        ray_worker._wait_and_write_config(broken(tmp_path))
    monkeypatch.setattr(ray_worker, "_FREED_WITHIN_S", 60.0)
    threading.Timer(0.3, leave.set).start()
    ray_worker._wait_and_write_config(broken(tmp_path))
    holder.join()
    assert (broken(tmp_path).folder / "config.yaml").is_file()


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'w2s-rm\[ray\]'"), ray_executor._cluster(print):
        pass


FACTS = {"name": "facts", "n_entities": 12}
MODEL = {"corpus": FACTS, "num_hidden_layers": 1, "num_attention_heads": 2, "batch_size": 32}
GRID = {
    "name": "tiny",
    "task": {"name": "world_preference", "n_entities": 12, "n_train": 300, "n_test": 50},
    "models": {
        "s": {"pretrain": {**MODEL, "hidden_size": 16, "steps": 10}},
        "l": {"pretrain": {**MODEL, "hidden_size": 32, "steps": 20}},
    },
    "pairs": [["s", "l"], ["l", "s"]],
    "ceiling_split": "weak",
    "train": {
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 60,
        "learning_rate": 1e-3,
        "max_length": 32,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_steps": 3,
    },
}


class Bench:
    """A folder with a tiny grid; runs go below it, pretrained models are shared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tiny.yaml").write_text(yaml.safe_dump(GRID, sort_keys=False), encoding="utf-8")
        # One thread, or the same sums come out in another order.
        self.environment = {**os.environ, "W2S_RM_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

    def start(self, runs: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "w2s_rm.cli", "run", str(self.folder / "tiny.yaml"), *options]
        return subprocess.Popen(
            [*command, "--runs", str(self.folder / runs)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=hear_ctrl_c,
        )

    def stages(self, runs: str, name: str = "*") -> list[Path]:
        return stage_folders(self.folder / runs, name)

    def judged(self, runs: str, trained: Path) -> Path:
        """The evaluation of what a stage has trained."""
        (found,) = (
            path for path in self.stages(runs, "evaluate") if trained.name in (path / "config.yaml").read_text()
        )
        return found

    def reports(self, runs: str) -> dict[str, bytes]:
        names = ("tiny", "tiny_s_l", "tiny_l_s")
        files = ("report.json", "report.md", "report.csv", "report.html")
        return {f"{name}/{file}": (self.folder / runs / name / file).read_bytes() for name in names for file in files}


@contextlib.contextmanager
def all_gone_after(process: subprocess.Popen[str]) -> Iterator[None]:
    """Every process below one ends with it."""
    below = psutil.Process(process.pid).children(recursive=True)
    yield
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]


def never(**_: Any) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # a part that came up"])
    raise RuntimeError("The current node\n timed out during startup.")


def parts_left() -> list[psutil.Process]:
    _, alive = psutil.wait_procs(psutil.Process().children(), timeout=10)
    return [child for child in alive if "a part that came up" in " ".join(child.cmdline())]


def test_a_cluster_that_does_not_start_in_time_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray gives its parts half a minute, of which a busy machine needs more."""
    ray = pytest.importorskip("ray")
    tries: list[str] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", lambda **how: never() if len(tries) < 2 else None)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    with ray_executor._cluster(tries.append) as largest:
        assert largest == Resources(2, 0)
    assert tries == [
        "Ray did not start (The current node timed out during startup.); trying again",
        "Ray did not start (The current node timed out during startup.); trying again",
        "Ray: 1 machine of up to 2 CPUs and 0 GPUs",
    ]
    assert not parts_left()


def test_a_cluster_that_never_starts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", never)
    said: list[str] = []
    with pytest.raises(ConfigError, match=r"nor did it in 2 tries before"), ray_executor._cluster(said.append):
        pass
    assert len(said) == 2
    # One that is somewhere else is not started from here.
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(ConfigError, match="is RAY_ADDRESS right"), ray_executor._cluster(said.append):
        pass
    assert len(said) == 2


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """With a finished sequential run."""
    bench = Bench(tmp_path_factory.mktemp("grid"))
    process = bench.start("sequential")
    output = finish(process)
    assert process.returncode == 0, output
    return bench


def stage_process(folder: Path) -> psutil.Process | None:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "w2s_rm.stages.train" in words and str(folder) in words:
            return process
    return None


def kill_worker_in_the_middle_of(folder: Path, run: subprocess.Popen[str]) -> psutil.Process:
    """Wait for a stage's first whole checkpoint and kill its Ray worker; return the stage's own process."""
    while not list(folder.glob("trainer/checkpoint-*/complete")):
        assert run.poll() is None, finish(run)
        assert not (folder / "manifest.json").exists(), "finished before its first checkpoint was seen"
        time.sleep(0.01)
    process = stage_process(folder)
    assert process is not None
    worker = process.parent()
    assert worker is not None and worker.pid != run.pid
    worker.kill()
    return process


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_its_last_steps(bench: Bench) -> None:
    student, other = bench.stages("sequential", "student")
    relabel = Path(yaml.safe_load((student / "config.yaml").read_text())["labels"]).parent
    # One branch anew, and beside it a stage of the other.
    missing = [relabel, student, *(bench.judged("sequential", trained) for trained in (student, other))]
    copy_runs(bench.folder / "sequential", bench.folder / "ray", missing)
    run = bench.start("ray", "--executor", "ray")
    killed = kill_worker_in_the_middle_of(bench.folder / "ray" / "stages" / student.name, run)
    output = finish(run)
    assert run.returncode == 0, output
    assert not killed.is_running()
    # The same stages, the same reports to the byte, and each stage in one try but the one that lost its worker.
    assert [path.name for path in bench.stages("ray")] == [path.name for path in bench.stages("sequential")]
    assert bench.reports("ray") == bench.reports("sequential")
    tries = {
        path.name: sum(line.startswith("# ") for line in (path / LOG).read_text(encoding="utf-8").splitlines())
        for path in bench.stages("ray")
        if (path / LOG).exists()
    }
    assert set(tries) == {path.name for path in missing}
    assert tries.pop(student.name) == 2 and set(tries.values()) == {1}
    assert output.count(": done in") == len(missing) and output.count("pretrain: cached") == 2
    weights = Path("model") / "model.safetensors"
    assert (bench.folder / "ray" / "stages" / student.name / weights).read_bytes() == (student / weights).read_bytes()


@pytest.mark.slow
def test_one_failure_stops_its_branch_only(bench: Bench) -> None:
    """One model is broken: what needs it is named, the rest runs, and a mended one goes on."""
    copy_runs(bench.folder / "sequential", bench.folder / "broken", ())
    read = {path: yaml.safe_load((path / "config.yaml").read_text()) for path in bench.stages("broken")}
    relabel, other = bench.stages("broken", "relabel")
    weak = Path(read[relabel]["model_name_or_path"])
    student = next(path for path in bench.stages("broken", "student") if relabel.name in read[path]["labels"])
    lost = [relabel, student, *(path for path in read if student.name in read[path].get("model_name_or_path", ""))]
    for path in [*lost, other]:
        shutil.rmtree(path)
    manifest = StageFolder(weak.parent).manifest()
    (weak / "config.json").rename(weak / "mislaid.json")
    # As if it had been made so: a run would make again what has changed since.
    StageFolder(weak.parent).seal(manifest)
    run = bench.start("broken", "--executor", "ray")
    output = finish(run)
    assert run.returncode == 2, output
    assert "error: stages failed; finished ones are kept:" in output and "Traceback" not in output
    assert output.count("failed with exit code 2") == 1 and output.count("could not run without a stage that") == 2
    assert (other / "manifest.json").is_file() and not student.exists()


@pytest.mark.slow
def test_ctrl_c_stops_every_worker(bench: Bench) -> None:
    run = bench.start("interrupted", "--executor", "ray")
    assert run.stdout is not None
    while "weak seed 0 …" not in (line := run.stdout.readline()):
        assert line, "ended before a stage was started"
    time.sleep(1.0)
    with all_gone_after(run):
        run.send_signal(signal.SIGINT)
        output = finish(run)
    assert run.returncode == 130, output
    assert "interrupted; finished stages are kept" in output and "Traceback" not in output
    assert not bench.stages("interrupted", "student")
