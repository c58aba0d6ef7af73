"""Recipes that nobody meant, as mappings, as text and as overrides: `w2s-rm plan` plans them or says what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import WORDS, damaged, mutations, outcome, places, values, write
from hypothesis import given
from hypothesis import strategies as st

from w2s_rm import catalog
from w2s_rm.experiment.fields import model_fields, training_fields

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "recipes").rglob("*.yaml"))
BUNDLED = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES]
# Parts that no recipe that comes along has, or has all together.
EVERYTHING = {
    "name": "everything",
    "task": {"name": "world_preference", "n_train": 400, "n_validation": 60, "n_test": 20, "draw": "by_seed"},
    "also_evaluate": [{"name": "world_preference", "as": "other", "closest": 5, "n_test": 20}],
    "weak": {"pretrain": {"hidden_size": 16, "steps": 1}, "tune": {"learning_rate": [1e-3, 1e-2]}},
    "strong": {"pretrain": {"hidden_size": 32, "steps": 1}, "dtype": "float32", "gpus": 0.5},
    "models": {"medium": {"pretrain": {"hidden_size": 24, "steps": 1}}},
    "methods": {
        "naive": {"loss": "cross_entropy"},
        "chain": {
            "loss": {"name": "reverse_kl"},
            "supervisor": {"name": "chain", "models": ["medium"], "fresh": False},
        },
        "mixed": {
            "loss": {"name": "log_confidence", "warmup_fraction": 0.1},
            "supervisor": {"name": "mixture", "n_true": 4, "supervisor": {"name": "ensemble", "seeds": 2}},
            "labels": ["temperature", {"name": "keep_confident", "share": 0.5}],
            "before": ["generative", {"name": "freeze", "layers": 1}],
            "rounds": 2,
        },
        "control": {
            "loss": {"name": "cross_entropy"},
            "model": "weak",
            "supervisor": {"name": "simulated", "accuracy": 0.8},
        },
    },
    "compare_to": "naive",
    "train": {"max_length": 64, "bf16": False, "evaluations": 2, "keep": "weak_validation"},
    "tune": {"learning_rate": [1e-3, 1e-2], "loss.max_weight": [0.25, 0.5]},
    "seeds": [0, 1],
    "accelerate_config": "zero2",
    "ceiling_split": "weak",
}
FEATURES = {
    "name": "features",
    "task": {"name": "world_classification", "n_train": 60, "n_validation": 60, "n_test": 20},
    "weak": {"pretrain": {"hidden_size": 16, "steps": 1}},
    "strong": {"pretrain": {"hidden_size": 32, "steps": 1}},
    "methods": {"naive": {"loss": "cross_entropy"}, "certain": {"loss": "reverse_kl", "labels": ["harden"]}},
    "train": {"on": "features", "layer": [1, 2], "l2": [1e-3, 1e-2]},
}
RECIPES = [*BUNDLED, EVERYTHING, EVERYTHING, FEATURES]


def _option_names() -> Iterator[str]:
    for recipe in RECIPES:
        yield from (key for place in places(recipe) for key in place if isinstance(key, str))
    yield from (*training_fields(), *model_fields())
    for kind in ("tasks", "losses", "labels", "supervisors", "preparations"):
        for name in catalog.names(kind):
            yield from (name, *(option.name for option in dataclasses.fields(catalog.lookup(kind, name))))


NAMES = sorted(set(_option_names()))
SPLICES = [piece.encode() for piece in ("&a ", "*a", "<<: *a", "!!int x", "!!python/name:os.system", "? ", "- ", ": ")]
SPLICES += [piece.encode("utf-16") for piece in ("name: x", "é")]
SPLICES += [b"\t", b"\n", b"\x00", b"\xff", b"{", b"}", b"[" * 900, b"]", b"|", b">", b"'", b'"', b"%", b"---\n", b"#"]
SPLICES += [b"9" * 5000, b"1:99:99", b"0x", b"0b", b".inf", b".nan", b"=", b"~", b"2020-01-01", b"\xef\xbb\xbf"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


def plan(folder: Path, *overrides: str) -> tuple[int, str]:
    return outcome(["plan", str(folder / "fuzzed.yaml"), "--runs", str(folder / "runs"), *overrides])


@pytest.mark.parametrize("recipe", RECIPES[-2:], ids=["everything", "features"])
def test_what_is_mutated_is_right(folder: Path, recipe: dict[str, Any]) -> None:
    write(folder / "fuzzed.yaml", yaml.safe_dump(recipe).encode())
    code, said = plan(folder)
    assert code == 0, said


@given(recipe=mutations(RECIPES, NAMES))
def test_mappings(folder: Path, recipe: Any) -> None:
    # As a user would have it in a file: `default_style` quotes nothing that YAML reads as it is.
    write(folder / "fuzzed.yaml", yaml.safe_dump(recipe, allow_unicode=True).encode("utf-8", "surrogatepass"))
    plan(folder)


@given(data=damaged([path.read_bytes() for path in FILES], SPLICES))
def test_text(folder: Path, data: bytes) -> None:
    write(folder / "fuzzed.yaml", data)
    plan(folder)


@given(
    key=st.one_of(
        st.sampled_from(sorted({".".join(map(str, place)) for recipe in RECIPES for place in places(recipe) if place})),
        st.lists(st.sampled_from([*NAMES, *WORDS]), max_size=4).map(".".join),
    ),
    value=st.one_of(values.map(lambda value: yaml.safe_dump(value, default_flow_style=True)), st.text(max_size=20)),
    recipe=st.sampled_from(RECIPES),
)
def test_overrides(folder: Path, key: str, value: str, recipe: Any) -> None:
    write(folder / "fuzzed.yaml", yaml.safe_dump(recipe).encode())
    plan(folder, f"{key}={value}")


@given(
    suite=mutations(
        [
            {"name": "both", "recipes": ["one.yaml", "two.yaml"], "with": {"task.n_test": 12, "seeds": [0]}},
            {"name": "one", "recipes": ["one.yaml"]},
        ],
        ["name", "recipes", "with", "models", "pairs", "task.n_test", "methods.naive.loss"],
    )
)
def test_suites(folder: Path, make_two: None, suite: Any) -> None:
    write(folder / "fuzzed.yaml", yaml.safe_dump(suite, allow_unicode=True).encode("utf-8", "surrogatepass"))
    plan(folder)


@pytest.fixture(scope="module")
def make_two(folder: Path) -> None:
    for name in ("one", "two"):
        write(folder / f"{name}.yaml", yaml.safe_dump({**EVERYTHING, "name": name}).encode())
