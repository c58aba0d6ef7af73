"""What comes along: found by its path from the repository, after what lies in the folder of the command."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from w2s_rm import bundled, cli
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.runs.launch import find_accelerate_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_folders_are_mapped_into_the_wheel() -> None:
    """`tests/test_wheel.py` builds one; this holds where the build backend is not installed."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("[tool.hatch.build.targets.wheel.force-include]") + 1
    mapped = {line for line in lines[start : lines.index("", start)] if not line.startswith("#")}
    assert mapped == {f'{kind} = "w2s_rm/{kind}"' for kind in bundled.KINDS}


@pytest.mark.parametrize("kind", bundled.KINDS)
def test_all_of_a_folder_is_listed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundled.files(kind) == sorted((ROOT / kind).rglob(f"*{bundled.KINDS[kind]}")) != []
    assert cli.main(["list", kind]) == 0
    assert capsys.readouterr().out.split() == list(map(str, bundled.files(kind)))


def test_what_lies_in_the_folder_of_the_command_is_taken_first(tmp_path: Path) -> None:
    name = "recipes/quickstart.yaml"
    assert bundled.find(name) == ROOT / name
    (tmp_path / "recipes").mkdir()
    (tmp_path / name).touch()
    assert bundled.find(name) == Path(name)


@pytest.mark.parametrize("path", ["quickstart.yaml", "recipes", "recipes/nothing.yaml", "tests/test_cli.py", "/x.yaml"])
def test_other_paths_mean_what_they_say(path: str) -> None:
    assert bundled.find(path) == Path(path)


def test_a_recipe_that_comes_along_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["plan", "recipes/chess/quickstart.yaml", "--commands"], ["check", "recipes/nothing.yaml"]):
        cli.main(command)
    shown = capsys.readouterr()
    said, error = shown.err.splitlines()
    assert said.startswith(f"recipes/chess/quickstart.yaml: not in this folder; taking {ROOT}/recipes/chess/quick")
    assert error == "error: recipes/nothing.yaml: no such recipe; give a YAML file"
    assert "not in this folder" not in shown.out, "the output is a script"


def test_accelerate_configs(tmp_path: Path) -> None:
    packaged = ROOT / "deepspeed_configs" / "zero3.yaml"
    assert find_accelerate_config("zero3") == find_accelerate_config("deepspeed_configs/zero3.yaml") == packaged
    (tmp_path / "deepspeed_configs").mkdir()
    own = tmp_path / "deepspeed_configs" / "zero3.yaml"
    own.write_text("num_processes: 1\n", encoding="utf-8")
    assert find_accelerate_config("zero3") == own
    own.rename(own.with_name("mine.yaml"))
    assert find_accelerate_config("mine") == own.with_name("mine.yaml")
    with pytest.raises(
        ConfigError, match=r"no config 'zero5' in deepspeed_configs; known: cpu_ddp, .*ddp, mine, zero1"
    ):
        find_accelerate_config("zero5")
    with pytest.raises(ConfigError, match=r"accelerate_config: zero9\.yaml: no such file"):
        find_accelerate_config("zero9.yaml")


def test_a_chat_template_that_comes_along(tmp_path: Path) -> None:
    content = {
        "name": "a",
        "task": {"name": "world_preference"},
        "weak": {"pretrain": {}},
        "strong": {"pretrain": {}, "train": {"chat_template_path": "recipes/reward_modeling/plain_chat.jinja"}},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    recipe = load_recipe(tmp_path / "a.yaml")
    assert recipe.strong.train["chat_template_path"] == str(ROOT / "recipes/reward_modeling/plain_chat.jinja")
    content["strong"]["train"]["chat_template_path"] = "recipes/none/at_all.jinja"  # type: ignore[index]
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigError, match="no such file; name a template file"):
        load_recipe(tmp_path / "a.yaml")
