"""Who may import whom, for the whole package, read from the source; and what loads without torch."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import w2s_rm
from w2s_rm.heads import HEADS
from w2s_rm.settings import SETTINGS

ROOT = Path(w2s_rm.__file__).parent
HEAVY = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed")
PLAIN = {"errors", "types", "roles", "files"}

# Each part, a module or a folder of the package, with what of the others it may import: a part, or a module of one.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "roles": set(),
    "files": set(),
    "bundled": set(),
    "catalog": {"errors"},
    "options": {"errors", "catalog"},
    "render": set(),
    "testbed": {"errors"},
    "metrics": {"errors", "types"},
    "losses": {"errors", "types"},
    "data": {"errors", "types", "files"},
    "corpora": {"errors", "types", "data", "testbed"},
    "tasks": {
        "errors",
        "types",
        "corpora",
        "data.examples",
        "data.grouping",
        "data.messages",
        "data.positions",
        "data.reading",
        "testbed",
    },
    "checks": {"errors", "types", "data", "metrics", "render"},
    "people": {"errors", "types", "files", "data", "metrics.raters", "render"},
    "labels": {"errors", "types", "data.distributions", "data.label_files"},
    "heads": {"errors", "types"},
    "settings": {"errors", "types", "heads"},
    "runs": {*PLAIN, "bundled", "__version__", "data.reading"},
    "training": {"errors", "types", "files", "options", "catalog", "data.messages", "corpora", "heads"},
    "features": {"errors", "types", "files", "options", "heads", "training"},
    "integrations": {*PLAIN, "data", "heads", "runs", "training"},
    "report": {*PLAIN, "catalog", "options", "checks", "data", "heads", "metrics", "render", "runs"},
    "view": {"errors", "data.cache", "render", "runs"},
    "policies": {"errors", "types", "integrations.preferences"},
    "programs": {
        *(PLAIN - {"roles"}),
        "catalog",
        "options",
        "checks",
        "data",
        "features",
        "heads",
        "integrations",
        "labels",
        "metrics",
        "policies",
        "report.cards",
        "runs",
        "settings",
        "training",
    },
    "stages": {*PLAIN, "catalog", "options", "data", "programs", "runs", "training.trainer_options"},
    "supervisors": {
        "errors",
        "types",
        "roles",
        "options",
        "data",
        "heads",
        "runs.places",
        "settings",
        "stages",
        "training.trainer_options",
    },
    "preparations": {"errors", "roles", "heads", "runs.places", "stages"},
    "experiment": {
        *PLAIN,
        "bundled",
        "catalog",
        "options",
        "checks",
        "data",
        "features.options",
        "heads",
        "integrations",
        "labels",
        "metrics",
        "policies",
        "preparations",
        "programs",
        "render",
        "report",
        "runs",
        "settings",
        "stages",
        "supervisors",
        "tasks",
        "training",
    },
    "commands": {
        "errors",
        "files",
        "roles",
        "bundled",
        "catalog",
        "checks",
        "experiment",
        "heads",
        "integrations",
        "people",
        "render",
        "report",
        "runs",
        "settings",
        "view",
    },
    "cli": {"errors", "__version__"},
}
NEEDS_ONLY: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "roles": set(),
    "catalog": set(),
    "options": set(),
    "render": set(),
    "settings": set(),
    "losses": {"torch"},
    "labels": {"numpy"},
    "data/distributions": set(),
    "data/combining": set(),
    "data/simulating": set(),
    "tasks": {"datasets", "numpy", "chess"},
}
# What loads torch as soon as it is imported; everything else waits until it computes.
LOADS_TORCH = {
    "features": {"assembly", "fitting", "hidden_states", "linear_model", "store"},
    "heads": {"attention", "collation", "pooled", "scores", "trees"},
    "integrations": {"reward_model", "rewards", "scorer", "texts"},
    "losses": None,
    "metrics": {"modules"},
    "programs": {
        "arguing",
        "assemble",
        "convert",
        "curve",
        "features",
        "finetune",
        "keeping",
        "policy",
        "policy_parts",
        "pretrain",
        "probe",
        "rollouts",
        "saliency",
        "train",
        "training_record",
    },
    "training": {
        "anchor",
        "batching",
        "candidate_rows",
        "config",
        "extension_builds",
        "frozen_layers",
        "language_model",
        "layout_probe",
        "layouts",
        "mixin",
        "modeling",
        "preference_rows",
        "prepared",
        "reward_trainer",
        "saved",
        "scoring",
        "trainer",
    },
}
# A head that is called as a setting is.
HEAD_NAMES = {("heads/classification.py", "classification"), ("training/trainer.py", "classification")}


def parts() -> set[str]:
    found = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return found - {"__init__"}


def files(part: str = "") -> list[Path]:
    """List the source files of a part: a module or a folder of the package."""
    single = ROOT / f"{part}.py"
    return [single] if part and single.is_file() else sorted((ROOT / part).rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of all imports, those inside functions too, but not what only the type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def imported(path: Path) -> list[str]:
    return list(imports(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def foreign(part: str, names: Iterable[str]) -> list[str]:
    """Of imported names those of other parts of the package, without its own name in front."""
    own = [name.removeprefix("w2s_rm.") for name in names if name.startswith("w2s_rm.")]
    return [name for name in own if name.partition(".")[0] != part]


def allowed(name: str, rule: set[str]) -> bool:
    return any(name == entry or name.startswith(f"{entry}.") for entry in rule)


def private(name: str) -> bool:
    """Whether a name of another part goes through a module that is none of others' business, or is such a thing."""
    return any(word.startswith("_") and word != "__version__" for word in name.split("."))


def order(graph: Mapping[str, set[str]]) -> list[str]:
    """Put parts in an order in which each imports earlier ones only; raises `CycleError` where there is none."""
    return list(graphlib.TopologicalSorter(graph).static_order())


@functools.cache
def between_parts() -> dict[str, list[tuple[Path, str]]]:
    """Of each part what its files import from others."""
    return {part: [(path, name) for path in files(part) for name in foreign(part, imported(path))] for part in parts()}


def test_every_part_of_the_package_has_a_rule() -> None:
    assert parts() == set(MAY_IMPORT)


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_a_part_imports_only_what_it_may(part: str) -> None:
    wrong = [
        f"{place(path)} imports {name}" for path, name in between_parts()[part] if not allowed(name, MAY_IMPORT[part])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_rule_allows_what_nobody_imports() -> None:
    """Plain data apart: whoever does not need it today may tomorrow."""
    unused = [
        f"{part}: {entry}"
        for part, rule in MAY_IMPORT.items()
        for entry in rule - PLAIN
        if not any(allowed(name, {entry}) for _, name in between_parts()[part])
    ]
    assert not unused


def test_parts_form_no_cycle() -> None:
    graph = {
        part: {name.partition(".")[0] for _, name in found} - {"__version__"} for part, found in between_parts().items()
    }
    assert set(order(graph)) == parts()


def test_a_cycle_would_be_found() -> None:
    with pytest.raises(graphlib.CycleError):
        order({"stages": {"programs"}, "programs": {"report"}, "report": {"stages"}})


def test_no_private_module_is_imported_from_another_part() -> None:
    wrong = [
        f"{place(path)} imports {name}" for found in between_parts().values() for path, name in found if private(name)
    ]
    assert not wrong, "\n".join(wrong)


def third_party(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - {"w2s_rm"}


@pytest.mark.parametrize("part", sorted(NEEDS_ONLY))
def test_a_part_needs_only_these_packages(part: str) -> None:
    wrong = {place(path): third_party(path) - NEEDS_ONLY[part] for path in files(part)}
    assert not {path: names for path, names in wrong.items() if names}


def test_metrics_never_import_torch() -> None:
    assert not [place(path) for path in files("metrics") if third_party(path) & set(HEAVY)]


@pytest.mark.parametrize("part", ["losses", "labels", "metrics", "report", "heads", "training", "features"])
def test_what_is_shared_knows_no_setting(part: str) -> None:
    """Nor decides by the name of one; that none is imported says the rule."""
    named = []
    for path in files(part):
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        named += [(place(path), name) for name in SETTINGS if name in constants]
    assert set(named) <= HEAD_NAMES


def compared(tree: ast.AST) -> Iterator[str]:
    """Yield the texts that anything is compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            inside = [part for value in (node.left, *node.comparators) for part in ast.walk(value)]
            yield from (part.value for part in inside if isinstance(part, ast.Constant) and isinstance(part.value, str))


def test_nobody_decides_by_the_name_of_a_head() -> None:
    """Heads are asked: a new one needs no change elsewhere."""
    wrong = [
        f"{place(path)}: {word}"
        for path in files()
        for word in compared(ast.parse(path.read_text(encoding="utf-8")))
        if word in HEADS
    ]
    assert not wrong


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def test_what_must_not_load_torch_does_not() -> None:
    light = [
        module(path)
        for part in sorted(parts())
        for path in files(part)
        if part not in LOADS_TORCH or (LOADS_TORCH[part] is not None and path.stem not in (LOADS_TORCH[part] or ()))
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    assert not found, (name, found)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT.parent)
    assert run.returncode == 0, run.stderr[-500:]


def test_the_rules_find_a_wrong_import() -> None:
    source = "def f():\n    from w2s_rm.experiment.plan import make_plan\nimport torch.nn as nn\n"
    names = list(imports(ast.parse(source)))
    assert names == ["w2s_rm.experiment.plan.make_plan", "torch.nn"]
    assert foreign("report", names) == ["experiment.plan.make_plan"] and foreign("experiment", names) == []
    assert not allowed("experiment.plan.make_plan", {"errors"})
    assert not allowed("data.reading_list", {"data.reading"}) and allowed("data.reading.read_rows", {"data"})
    assert private("tasks._comparison.x") and private("data.reading._rows") and not private("__version__")
    typing_only = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
    assert list(imports(ast.parse(typing_only))) == ["typing.TYPE_CHECKING"]
    assert list(compared(ast.parse("a = 'lm'\nif head in ('lm', 'reward'): pass"))) == ["lm", "reward"]
