"""The wheel: all that is used by its path comes along, and is found where only the wheel is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from w2s_rm import bundled

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def build(kind: str, folder: Path) -> Path:
    """Let the backend itself build: no network, two seconds."""
    pytest.importorskip("hatchling", reason="the extra test is not installed")
    code = f"import sys; from hatchling.build import build_{kind} as build; print(build(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / built.stdout.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel does and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def w2s(*arguments: str, cwd: Path, package: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-m", "w2s_rm.cli", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def tracked(folder: str) -> set[str]:
    """Files of a folder of the checkout that are no left-overs of a run."""
    paths = (ROOT / folder).rglob("*")
    return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_what_comes_along(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    bundle = {f"w2s_rm/{path}" for kind in bundled.KINDS for path in tracked(kind)}
    assert held == tracked("w2s_rm") | bundle


def test_the_source_distribution_holds_what_the_wheel_is_made_of(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held >= {"pyproject.toml", "README.md", "LICENSE"}
    assert held >= tracked("w2s_rm").union(*map(tracked, bundled.KINDS))


def test_what_comes_along_is_found_where_nothing_else_is(installed: Path, tmp_path: Path) -> None:
    options = ("seeds=[0]", "accelerate_config=cpu_ddp")
    shown = w2s("plan", "recipes/reward_modeling/quickstart.yaml", *options, cwd=tmp_path, package=installed)
    assert shown.returncode == 0, shown.stderr
    recipe = installed / "w2s_rm" / "recipes" / "reward_modeling" / "quickstart.yaml"
    assert shown.stderr == (
        f"recipes/reward_modeling/quickstart.yaml: not in this folder; taking {recipe}, which comes with w2s-rm\n"
    )
    assert str(installed / "w2s_rm" / "deepspeed_configs" / "cpu_ddp.yaml") in shown.stdout
    # Its chat template lies beside it.
    template = w2s("plan", "recipes/reward_modeling/ultrafeedback_pythia.yaml", cwd=tmp_path, package=installed)
    assert template.returncode == 0, template.stderr
    listed = w2s("list", "examples", cwd=tmp_path, package=installed).stdout.split()
    assert str(installed / "w2s_rm" / "examples" / "dpo.py") in listed
    assert listed == sorted(listed) and all(Path(path).is_file() for path in listed)
