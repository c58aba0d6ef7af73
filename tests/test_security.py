"""What data, models and recipes of others cannot do, and what never leaves a machine: docs/security.md."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import w2s_rm
from w2s_rm.cli import main
from w2s_rm.errors import ConfigError, DataError

ROOT = Path(w2s_rm.__file__).parents[1]
SOURCES = sorted(path for folder in ("w2s_rm", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))
# To load is to run what a file says; to unpack is to write where it says.
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "tarfile", "zipfile"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "shutil.unpack_archive", "torch.hub.load"}
FORBIDDEN_CALLS |= {"yaml.load", "yaml.full_load", "yaml.unsafe_load", "pandas.read_pickle", "pd.read_pickle"}
TOKENS = {
    "HF_TOKEN": "hf_" + "A1b2C3d4E5" * 3,
    "HUGGING_FACE_HUB_TOKEN": "hf_" + "Z9y8X7w6V5" * 3,
    "WANDB_API_KEY": "0123456789abcdef" * 2 + "fedcba98",
    "OPENAI_API_KEY": "sk-proj-" + "Qw3rTy" * 6,
}


def name_of(node: ast.expr) -> str:
    """A dotted name: `torch.load`; empty for anything else."""
    if isinstance(node, ast.Attribute):
        inner = name_of(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    """Place, name and keywords of each call in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = name_of(node.func) or (f"….{node.func.attr}" if isinstance(node.func, ast.Attribute) else "")
            keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            yield f"{path.relative_to(ROOT)}:{node.lineno}", name, keywords


def true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def test_no_pickle_and_no_archive_is_read() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path}: {name}" for name in names if name.split(".")[0] in FORBIDDEN_IMPORTS]
        for place, name, keywords in calls(path):
            if name in FORBIDDEN_CALLS or true(keywords.get("shell")) or true(keywords.get("allow_pickle")):
                found.append(f"{place}: {name}")
            if name == "torch.load" and not true(keywords.get("weights_only")):
                found.append(f"{place}: {name} without weights_only")
    assert found == []


def test_weights_are_read_from_safetensors_alone() -> None:
    loading = ("auto_class", "AutoModel")
    found = {}
    for path in SOURCES:
        for place, name, keywords in calls(path):
            line = path.read_text(encoding="utf-8").splitlines()[int(place.rpartition(":")[2]) - 1]
            if name.endswith("from_pretrained") and any(word in line for word in loading):
                found[place] = true(keywords.get("use_safetensors")) or "gguf_file" in keywords
    ours = {place: safe for place, safe in found.items() if place.startswith("w2s_rm")}
    assert len(ours) >= 5 and all(ours.values()), ours


def test_code_of_others_runs_only_if_the_recipe_says_so() -> None:
    for path in SOURCES:
        for place, name, keywords in calls(path):
            assert not true(keywords.get("trust_remote_code")), f"{place}: {name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.args, *node.args.kwonlyargs]
                given = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                named = [argument.arg for argument in arguments[len(arguments) - len(given) :]]
                assert not true(dict(zip(named, given, strict=True)).get("trust_remote_code")), f"{path}: {node.name}"
    from w2s_rm.training.config import W2SRewardConfig

    assert W2SRewardConfig.__dataclass_fields__["trust_remote_code"].default is False


def test_a_pickle_in_place_of_weights_is_refused(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    import shutil

    import torch

    from w2s_rm.integrations.reward_model import load_reward_model

    folder = Path(shutil.copytree(tiny_model(), tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    torch.save({"score.weight": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        load_reward_model(str(folder))


HOSTILE = {
    "attributes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.popen('touch PWNED').read() }}",
    "a method of text": "{{ ('{0.__class__}').format(messages) }}",
    "the messages": "{% do messages.append(1) %}",
    "messages changed": "{{ messages.append({'role': 'user'}) }}",
    "a file": "{% include '/etc/passwd' %}",
    "an import": "{% import 'os' as os %}{{ os.getcwd() }}",
    "a long loop": "{% for i in range(10 ** 9) %}x{% endfor %}",
    "depth": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "arithmetic": "{{ 1 // 0 }}",
    "an index": "{{ messages[99].content.x }}",
    "no template": "{% for %}",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_template_is_stopped(
    what: str, tiny_tokenizer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from w2s_rm.heads.encoding import encode_batch

    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = HOSTILE[what]
    prompt = ({"role": "user", "content": "w3"},)
    candidates = [({"role": "assistant", "content": word},) for word in ("w1", "w2")]
    with pytest.raises(DataError):
        encode_batch(tokenizer, [prompt], [candidates], 64)
    assert list(tmp_path.iterdir()) == []


def write_recipe(folder: Path, **train: Any) -> Path:
    rows = [{"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(40)]
    labels = [{**row, "chosen_probability": 0.75} for row in rows]
    for name, content in (("pairs", rows), ("labels", labels)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    recipe = {
        "name": "kept",
        "task": {"name": "preference", "path": str(folder / "pairs.jsonl"), "n_train": 8, "n_test": 4},
        "weak": {"labels": str(folder / "labels.jsonl")},
        "strong": {"model_name_or_path": "Qwen/Qwen2.5-0.5B"},
        "train": train,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


# Not of 40 hexadecimal digits, which may be a commit as well.
@pytest.mark.parametrize("name", [name for name in TOKENS if name != "WANDB_API_KEY"])
def test_a_token_in_a_recipe_is_refused_and_not_repeated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = TOKENS[name]
    places = [({"hub_model_id": token}, ()), ({}, (f"train.hub_model_id={token}",)), ({}, (f"{token}=1",))]
    for train, overrides in places:
        assert main(["plan", str(write_recipe(tmp_path, **train)), "--runs", str(tmp_path / "runs"), *overrides]) == 2
        shown = capsys.readouterr()
        assert token not in shown.out + shown.err and "looks like a secret key" in shown.err


def test_the_hub_s_token_is_no_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(write_recipe(tmp_path, hub_token="short")), "--runs", str(tmp_path / "runs")]) == 2
    assert "train.hub_token: is set by your login to the hub" in capsys.readouterr().err


def test_tokens_of_the_environment_are_in_nothing_that_a_run_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)
    runs = tmp_path / "runs"
    assert main(["plan", str(write_recipe(tmp_path)), "--runs", str(runs), "--write"]) == 0
    # Data and labels, and then the model, which nobody can fetch here.
    assert main(["run", str(tmp_path / "recipe.yaml"), "--runs", str(runs)]) == 2
    shown = capsys.readouterr()
    files = [path for path in runs.rglob("*") if path.is_file()]
    assert {"plan.json", "manifest.json", "config.yaml", "weak_labels.parquet"} <= {path.name for path in files}
    for written in (shown.out.encode(), shown.err.encode(), *(path.read_bytes() for path in files)):
        assert not any(token.encode() in written for token in TOKENS.values())
