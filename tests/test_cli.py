"""The command line: its surface, its exit codes, and that it stays quick by importing little."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import w2s_rm
from w2s_rm import cli
from w2s_rm.errors import system_problem

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "recipes" / "reward_modeling" / "quickstart.yaml"


def w2s(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "w2s_rm.cli", *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def surface(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Every sub-command with its options and arguments."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {
        name: [
            " ".join(action.option_strings) or str(action.metavar or action.dest)
            for action in command._actions
            if action.dest != "help"
        ]
        for name, command in commands.choices.items()
    }


def test_surface() -> None:
    assert surface(cli.build_parser()) == {
        "init": ["DATASET", "key=value", "--weak", "--strong", "--output"],
        "plan": ["RECIPE", "key=value", "--runs", "--write", "--commands", "--gap", "--spread"],
        "run": ["RECIPE", "key=value", "--runs", "--executor", "--only", "--dry-run"],
        "view": ["RUNS", "--port"],
        "check": ["TASK|RECIPE", "key=value", "--threshold", "--json", "--runs"],
        "label": [
            "TASK|RECIPE",
            "key=value",
            "--output",
            "--labeller",
            "--split",
            "--n",
            "--question",
            "--no-ties",
            "--port",
        ],
        "agreement": ["LABELS"],
        "report": ["RUN", "--output", "--section"],
        "clean": ["RUNS", "--yes"],
        "assemble": ["PROBE"],
        "evaluate": ["MODEL", "key=value", "--task", "--output", "--batch-size", "--max-length"],
        "export": [
            "RUN",
            "--to",
            "--of",
            "--model",
            "--labels",
            "--method",
            "--seed",
            "--split",
            "--min-confidence",
            "--deduplicate",
            "--format",
            "--output",
        ],
        "score": [
            "MODEL",
            "FILE",
            "--output",
            "--best-of-n",
            "--prompt-column",
            "--response-column",
            "--batch-size",
            "--max-length",
        ],
        "list": ["kind"],
    }
    assert w2s_rm.__all__ == ["W2SRewardConfig", "W2SRewardTrainer", "W2STrainer", "__version__"]


def test_help_and_version() -> None:
    shown = w2s("--help")
    assert shown.returncode == 0 and not shown.stderr
    for command in ("init", "plan", "run", "view", "check", "report", "clean", "list"):
        assert command in shown.stdout
    assert w2s("--version").stdout.strip() == w2s_rm.__version__


@pytest.mark.parametrize("arguments", [["plan", str(QUICKSTART)], ["list", "tasks"], ["list", "losses"]])
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    heavy = ("torch", "transformers", "trl", "accelerate", "datasets", "pyarrow", "pandas", "matplotlib", "evaluate")
    code = (
        f"import sys; from w2s_rm.cli import main; main({arguments}); print([m for m in {heavy} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_help_imports_no_numpy_and_no_yaml() -> None:
    code = "import sys; from w2s_rm.cli import build_parser; build_parser(); print([m in sys.modules for m in MODULES])"
    code = code.replace("MODULES", "('numpy', 'yaml')")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[False, False]\n"


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, known in (
        ("tasks", "preference"),
        ("losses", "log_confidence"),
        ("settings", "reward_modeling"),
        ("heads", "lm"),
        ("corpora", "facts"),
    ):
        assert cli.main(["list", kind]) == 0
        names = capsys.readouterr().out.split()
        assert known in names and names == sorted(names)


def test_plan_prints_stages_and_commands(tmp_path: Path) -> None:
    shown = w2s("plan", str(QUICKSTART), "--runs", str(tmp_path / "runs"), "seeds=[0]", "name=mine")
    assert shown.returncode == 0 and not shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0] == "  1  missing  prepare"
    assert f" -m w2s_rm.stages.prepare --config {tmp_path}/runs/stages/prepare-" in lines[1]
    assert lines[-1].endswith(f"report in {tmp_path}/runs/mine")
    assert not (tmp_path / "runs").exists(), "planning writes nothing"


def test_overrides_stand_before_or_after_options(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = (
        ["seeds=[0]", "name=x", "--runs", "r"],
        ["--runs", "r", "seeds=[0]", "name=x"],
        ["seeds=[0]", "--runs", "r", "name=x"],
    )
    monkeypatch.chdir(recipe.parent)
    shown = set()
    for order in orders:
        assert cli.main(["plan", str(recipe), *order]) == 0
        shown.add(capsys.readouterr().out)
    assert len(shown) == 1
    assert str(recipe.parent / "r" / "x") in shown.pop()


def test_plan_write(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe.parent)
    assert cli.main(["plan", str(recipe)]) == 0
    commands = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("     ")]
    for command in commands:
        assert not Path(command[command.index("--config") + 1]).exists()
    assert cli.main(["plan", str(recipe), "--write"]) == 0
    for command in commands:
        config = Path(command[command.index("--config") + 1])
        assert yaml.safe_load(config.read_text(encoding="utf-8"))["stage_hash"] == config.parent.name.rsplit("-", 1)[1]


def test_plan_commands_prints_what_a_script_runs(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = str(recipe.parent / "runs")
    assert cli.main(["plan", str(recipe), "--runs", runs]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("     ")]
    assert cli.main(["plan", str(recipe), "--runs", runs, "--commands"]) == 0
    assert capsys.readouterr().out.splitlines() == shown != []


def test_run_refuses_a_config_for_several_machines() -> None:
    from w2s_rm.experiment.run import hardware_problems

    (problem,) = hardware_problems(ROOT / "deepspeed_configs" / "zero3_2nodes.yaml")
    assert "zero3_2nodes.yaml is for several machines" in problem and "docs/scale.md" in problem


def test_a_written_command_runs_by_hand_and_its_record_stays(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = recipe.parent / "runs"
    arguments = ["plan", str(recipe), "--runs", str(runs), "--write"]
    assert cli.main(arguments) == 0
    prepare = next(line for line in capsys.readouterr().out.splitlines() if "w2s_rm.stages.prepare" in line)
    subprocess.run(prepare.split(), cwd=ROOT, check=True, capture_output=True)
    (config,) = runs.glob("stages/prepare-*/config.yaml")
    before = config.stat()
    assert cli.main(arguments) == 0
    assert "  1  cached   prepare\n" in capsys.readouterr().out
    assert os.path.samestat(config.stat(), before), "the config of a finished stage is its record"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe on a handful of pairs; its models are folders without weights."""
    for role in ("weak", "strong"):
        (tmp_path / role).mkdir()
        (tmp_path / role / "config.json").write_text(json.dumps({"role": role}), encoding="utf-8")
        (tmp_path / role / "model.safetensors").touch()
    rows = [{"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(60)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    content = {
        "name": "small",
        "task": {"name": "preference", "path": str(tmp_path / "pairs.jsonl"), "n_train": 8, "n_test": 4},
        "weak": {"model_name_or_path": str(tmp_path / "weak")},
        "strong": {"model_name_or_path": str(tmp_path / "strong")},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path / "recipe.yaml"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["plan", "nowhere.yaml"], "error: nowhere.yaml: no such recipe"),
        (["run", "nowhere.yaml"], "error: nowhere.yaml: no such recipe"),
        (["plan", "bad.yaml"], "line 2: b: unknown key"),
        (["plan", "bad.yaml", "seeds"], "error: command line: 'seeds' is no override"),
        (["check", "nowhere.yaml"], "error: nowhere.yaml: no such recipe"),
        (["check", "preferences"], "did you mean 'preference'?"),
        (["check", "preference", "pth=x"], "pth: unknown option of task preference; did you mean 'path'?"),
        (["check", "preference", "path=bad.yaml", "--threshold", "words=1"], "words: unknown option of thresholds"),
        (["check", "preference", "path=nowhere.jsonl", "--json", "found.json"], "nowhere.jsonl"),
        (["label", "preferences", "--output", "l.jsonl"], "did you mean 'preference'?"),
        (["label", "preference", "--output", "l.jsonl", "--split", "tests"], "--split tests: no such split; did you"),
        (["label", "world_preference", "--output", "l.jsonl", "--n", "0"], "--n 0: label 1 example or more"),
        (["label", "world_preference", "--output", "l.jsonl", "--split", "validation"], "--split validation: is empty"),
        (["label", "preference", "--output", "l.jsonl", "--labeller", "a/b"], "'a/b' is no name: use up to 40 letters"),
        (["label", "preference", "--output", "l.csv"], "l.csv: answers are JSON, one a line; let the name of --output"),
        (["label", "preference", "--output", "l.jsonl", "--port", "99999"], "'99999' is no port: use 0 to 65535"),
        (["label", "preference", "--output", "l.jsonl", "--port", "-1"], "'-1' is no port: use 0 to 65535"),
        (["label", "nowhere.yaml", "--output", "l.jsonl"], "error: nowhere.yaml: no such recipe"),
        (["label", "preference"], "the following arguments are required: --output"),
        (["agreement", "nowhere.jsonl"], "nowhere.jsonl: no such file or folder"),
        (["agreement", "bad.yaml"], "bad.yaml: unknown kind of file"),
        (["report", "nowhere"], "nowhere"),
        (["report", "."], "."),
        (["list", "taks"], "invalid choice: 'taks'"),
        (["plan"], "the following arguments are required: RECIPE"),
        (["plan", "bad.yaml", "--rums", "x"], "unrecognized arguments: --rums x"),
        (["report", "nowhere", "--output", "x", "--a=b"], "unrecognized arguments: --a=b"),
        (["list", "tasks", "a=b"], "unrecognized arguments: a=b"),
        ([], "required: COMMAND"),
        (["plan", str(QUICKSTART), "--runs", "bad.yaml"], "--runs bad.yaml: is a file; name a folder"),
    ],
)
def test_bad_input(
    tmp_path: Path,
    arguments: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bad.yaml").write_text("a: 1\nb: 2\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(arguments)
    except SystemExit as stop:
        code = int(str(stop.code))
    shown = capsys.readouterr()
    assert code == 2
    assert text in shown.err and shown.err.count("error: ") == 1
    assert not shown.out
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_check_of_a_task(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, found = recipe.parent / "pairs.jsonl", recipe.parent / "found.json"
    arguments = ["check", "preference", "--json", str(found), f"path={pairs}", "n_train=20", "n_test=5"]
    assert cli.main(arguments) == 0, "warnings are no error"
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "preference: 60 rows in 60 groups, the largest of 1, 0 duplicates, 0 contradictions"
    # " good" is always the longer one, by length and by word; from five examples that is sure down to 56.6 %.
    assert shown[-2] == "verdict: 1 warning"
    assert shown[-1].startswith("! choosing the longest candidate is right in 100.0 % [56.6, 100.0] of the test")
    (record,) = json.loads(found.read_text(encoding="utf-8"))
    assert record["bag_of_words"]["value"] == 1.0 and not record["ok"]
    assert cli.main([*arguments, "--threshold", "bag_of_words=0.05"]) == 0
    assert "! words without order are right in 100.0 %" in capsys.readouterr().out
    assert sorted(path.name for path in recipe.parent.iterdir()) == sorted(
        ["found.json", "pairs.jsonl", "recipe.yaml", "strong", "weak"]
    )


def test_check_of_a_recipe(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe.parent)
    assert cli.main(["check", "recipe.yaml", "task.n_test=6"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("small (task preference): 60 rows in 60 groups")
    assert shown.count("no tokenizer in ") == 2


def test_check_of_a_task_imports_no_torch(recipe: Path) -> None:
    arguments = ["check", "preference", f"path={recipe.parent / 'pairs.jsonl'}"]
    code = f"import sys; from w2s_rm.cli import main; main({arguments}); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"


def test_bad_input_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1\nb: 2\n", encoding="utf-8")
    for arguments in (["plan", "bad.yaml"], ["report", "nowhere"], ["list", "everything"]):
        shown = w2s(*arguments, cwd=tmp_path)
        assert shown.returncode == 2, arguments
        assert "error: " in shown.stderr and "Traceback" not in shown.stderr
        assert not shown.stdout


def test_interrupt(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("w2s_rm.experiment.run.run_plan", interrupt)
    assert cli.main(["run", str(recipe), "--runs", str(recipe.parent / "runs")]) == 130
    assert capsys.readouterr().err.startswith("interrupted; finished stages are kept")


def test_a_closed_pipe_is_no_error() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    command = f"{sys.executable} -m w2s_rm.cli plan {QUICKSTART} 'seeds=[{','.join(map(str, range(200)))}]' | head -1"
    run = subprocess.run([shell, "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "  1  missing  prepare\n" or run.stdout == "  1  cached   prepare\n"
    assert not run.stderr


def test_lazy_names_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Callable[[str], object] = w2s_rm.__getattr__
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package("Nothing")


def test_what_the_system_says_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that no file system takes, and a file where a folder must be."""
    (tmp_path / "file").touch()
    recipe = str(Path(w2s_rm.__file__).parents[1] / "recipes" / "quickstart.yaml")
    for runs in (tmp_path / ("x" * 300), tmp_path / "file" / "runs"):
        assert cli.main(["run", recipe, "--runs", str(runs)]) == 2
        shown = capsys.readouterr().err
        assert shown.count("error: ") == 1 and str(runs) in shown and "Traceback" not in shown


@pytest.mark.parametrize("save", ["safetensors.torch.save_file", "torch.save"])
def test_a_file_that_a_library_cannot_write_is_one_message(tmp_path: Path, save: str) -> None:
    """Files may grow to 4 kB only, which these libraries do not report as the system's error."""
    code = (
        "import resource, sys, torch, safetensors.torch; from w2s_rm.programs.launched import run_main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        f"run_main(lambda argv: {save}({{'a': torch.zeros(9999)}}, argv[0]))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True)
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1
    wrong = "from w2s_rm.programs.launched import run_main; run_main(lambda argv: 1 / 0)"
    assert subprocess.run([sys.executable, "-c", wrong], capture_output=True).returncode == 1


def test_a_full_disk_is_said_with_a_remedy() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "runs/x")
    assert system_problem(full).startswith("runs/x: No space left on device; make room and run the same command again")
    assert system_problem(OSError("the hub\nis silent")) == "the hub is silent"
