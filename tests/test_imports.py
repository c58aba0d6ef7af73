"""Who may import whom (section 4 of the design), read from the source, and what loads without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import w2s_rm

ROOT = Path(w2s_rm.__file__).parent
HEAVY = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed")
CORE = ("w2s_rm.errors", "w2s_rm.types")
FREE = object()
# A head, which happens to be called as a setting is.
HEAD_NAMES = {("heads", "classification"), ("trainer", "classification"), ("layout_probe", "classification")}

MAY_IMPORT: dict[str, object] = {
    "errors": (),
    "types": CORE,
    "catalog": CORE,
    "options": (*CORE, "w2s_rm.catalog"),
    "metrics": (*CORE, "w2s_rm.metrics"),
    "losses": (*CORE, "w2s_rm.losses"),
    "tasks": (
        *CORE,
        "w2s_rm.data.reading",
        "w2s_rm.data.examples",
        "w2s_rm.data.grouping",
        "w2s_rm.data.messages",
        "w2s_rm.data.positions",
        "w2s_rm.testbed.world",
        "w2s_rm.testbed.endgames",
        "w2s_rm.corpora._base",
        "w2s_rm.tasks._",
    ),
    "corpora": (*CORE, "w2s_rm.data", "w2s_rm.testbed", "w2s_rm.corpora"),
    "checks": (*CORE, "w2s_rm.data", "w2s_rm.metrics", "w2s_rm.checks"),
    "labels": (*CORE, "w2s_rm.data.distributions", "w2s_rm.data.label_files", "w2s_rm.labels"),
    "settings": (*CORE, "w2s_rm.data", "w2s_rm.settings"),
    "data": (*CORE, "w2s_rm.data"),
    "testbed": (*CORE, "w2s_rm.testbed"),
    # What stands on top is free, but for the rules below.
    "config": FREE,
    "heads": FREE,
    "branches": FREE,
    "layout_probe": FREE,
    "layouts": FREE,
    "mixin": FREE,
    "modeling": FREE,
    "trainer": FREE,
    "pretraining": FREE,
    "scoring": FREE,
    "language_model": FREE,
    "stages": FREE,
    "experiment": FREE,
    "roles": (),
    "trainer_options": (),
    "runs": (*CORE, "w2s_rm.__version__", "w2s_rm.roles", "w2s_rm.data.reading", "w2s_rm.runs"),
    "supervisors": (
        *CORE,
        "w2s_rm.options",
        "w2s_rm.roles",
        "w2s_rm.data.combining",
        "w2s_rm.data.reading",
        "w2s_rm.data.simulating",
        "w2s_rm.runs.places",
        "w2s_rm.stages",
        "w2s_rm.supervisors",
    ),
    "preparations": (*CORE, "w2s_rm.roles", "w2s_rm.runs.places", "w2s_rm.stages", "w2s_rm.preparations"),
    "programs": FREE,
    "report": FREE,
    "policies": FREE,
    "rollouts": FREE,
    "integrations": FREE,
    "commands": FREE,
    "cli": FREE,
}


def files(part: str = "") -> list[Path]:
    """List the source files of a part: a module or a folder of the package."""
    single = ROOT / f"{part}.py"
    return [single] if part and single.is_file() else sorted((ROOT / part).rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT.parent).as_posix()


def imports(tree: ast.AST, inside_functions: bool = True) -> Iterator[str]:
    """Yield the full names of all imports, but for those that only the type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef) and not inside_functions:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node, inside_functions)


def imported(path: Path, inside_functions: bool = True) -> list[str]:
    return list(imports(ast.parse(path.read_text(encoding="utf-8"), str(path)), inside_functions))


def allowed(name: str, rule: tuple[str, ...]) -> bool:
    return any(name == entry or name.startswith(entry if entry.endswith("_") else entry + ".") for entry in rule)


def test_every_part_of_the_package_has_a_rule() -> None:
    parts = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert parts - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("part", [part for part, rule in MAY_IMPORT.items() if rule is not FREE])
def test_a_part_imports_only_what_it_may(part: str) -> None:
    rule = MAY_IMPORT[part]
    assert isinstance(rule, tuple)
    wrong = [
        f"{place(path)} imports {name}"
        for path in files(part)
        for name in imported(path)
        if name.split(".")[0] == "w2s_rm" and not allowed(name, rule)
    ]
    assert not wrong, "\n".join(wrong)


def third_party(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - {"w2s_rm"}


@pytest.mark.parametrize(
    ("part", "packages"),
    [
        ("errors", set()),
        ("types", set()),
        ("catalog", set()),
        ("losses", {"torch"}),
        ("labels", {"numpy"}),
        ("data/distributions", set()),
        ("data/combining", set()),
        ("data/simulating", set()),
        ("tasks", {"datasets", "numpy", "chess"}),
    ],
)
def test_a_part_needs_only_these_packages(part: str, packages: set[str]) -> None:
    wrong = {place(path): third_party(path) - packages for path in files(part) if third_party(path) - packages}
    assert not wrong


@pytest.mark.parametrize(
    "part",
    [
        "metrics",
        "experiment",
        "runs",
        "stages",
        "supervisors",
        "report",
        "tasks",
        "corpora",
        "checks",
        "pretraining",
        "policies",
        "commands",
        "cli",
        "trainer_options",
    ],  # fmt: skip
)
def test_modules_that_load_without_torch_do_not_import_it_at_their_top(part: str) -> None:
    found = [(path, name) for path in files(part) for name in imported(path, inside_functions=False)]
    wrong = [f"{place(path)} imports {name}" for path, name in found if name.split(".")[0] in HEAVY]
    assert not wrong, "\n".join(wrong)


def test_metrics_never_import_torch() -> None:
    wrong = [place(path) for path in files("metrics") if third_party(path) & set(HEAVY)]
    assert not wrong


@pytest.mark.parametrize("part", ["trainer", "mixin", "heads", "scoring", "layouts", "layout_probe", "branches"])
def test_the_trainers_know_neither_tasks_nor_experiments(part: str) -> None:
    rule = ("w2s_rm.tasks", "w2s_rm.experiment", "w2s_rm.stages", "w2s_rm.report")
    assert not [name for path in files(part) for name in imported(path) if allowed(name, rule)]


@pytest.mark.parametrize(
    "part",
    [
        "losses",
        "labels",
        "metrics",
        "report",
        "mixin",
        "heads",
        "trainer",
        "scoring",
        "layouts",
        "layout_probe",
        "branches",
    ],
)
def test_what_is_shared_knows_no_setting(part: str) -> None:
    """Neither imports one, nor decides by the name of one."""
    settings = [path.stem for path in files("settings") if not path.stem.startswith("_")]
    named = []
    for path in files(part):
        assert not [name for name in imported(path) if allowed(name, ("w2s_rm.settings",))]
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        named += [(place(path), name) for name in settings if name in constants and (part, name) not in HEAD_NAMES]
    assert not named


def test_nobody_imports_the_command_line() -> None:
    wrong = [place(path) for path in files() for name in imported(path) if allowed(name, ("w2s_rm.cli",))]
    assert not wrong


def test_the_command_line_plans_and_reports_without_torch() -> None:
    modules = [
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        for part in ("cli", "commands", "catalog", "experiment", "report", "tasks", "labels")
        for path in files(part)
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert run.stdout.strip() == "[]"


def test_the_rules_find_a_wrong_import() -> None:
    source = "def f():\n    from w2s_rm.experiment.plan import make_plan\nimport torch.nn as nn\n"
    assert list(imports(ast.parse(source))) == ["w2s_rm.experiment.plan.make_plan", "torch.nn"]
    assert list(imports(ast.parse(source), inside_functions=False)) == ["torch.nn"]
    assert not allowed("w2s_rm.experiment.plan.make_plan", CORE)
    assert not allowed("w2s_rm.data.reading_list", ("w2s_rm.data.reading",))
    assert allowed("w2s_rm.tasks._comparison.x", ("w2s_rm.tasks._",))
    typing_only = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
    assert list(imports(ast.parse(typing_only))) == ["typing.TYPE_CHECKING"]
