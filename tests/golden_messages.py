"""Bad input with its messages as golden text: files of `tests/golden` hold what is wrong, the input, and what is said.

    python tests/golden_messages.py      # writes the messages anew, from the root of a checkout

A file has cases in YAML, one below the other, and perhaps a recipe that its cases change.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.cli import main

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).parent / "golden"
ROWS = [{"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(20)]
MODEL = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
# What depends on installed versions and grows with the catalog.
_LISTS = re.compile(r"(known: |\(choose from )(?:[^\n;,()]+, ){4,}[^\n;,()]+")
_HEADER = (
    "# Bad input and what is said of it. `python tests/golden_messages.py` writes the messages; tests/test_golden.py",
    "# compares them.",
)
_COUNTS = re.compile(r"none of the \d+ options")


def areas() -> list[str]:
    """Names of the files."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(area: str) -> dict[str, Any]:
    """What a file holds: `base` and `cases`."""
    return dict(yaml.safe_load((FOLDER / f"{area}.yaml").read_text(encoding="utf-8")))


def message(area: str, base: Mapping[str, Any], case: Mapping[str, Any], folder: Path) -> str:
    """Give a case to the command that it is for; return what it says, places and versions taken out.

    Args:
        area (`str`): Name of the file, which says what kind of input its cases are.
        base (`Mapping`): What the cases of the file change.
        case (`Mapping`): `what` is wrong, and the input.
        folder (`Path`): An empty folder to work in.
    """
    arguments = list(_arguments(area, base, case, folder))
    errors, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = main(arguments)
    except SystemExit as stop:
        code = int(str(stop.code))
    finally:
        os.chdir(before)
    said = errors.getvalue()
    assert code == 2, f"{case['what']}: code {code}: {said}"
    return _normal(said, folder)


def _normal(said: str, folder: Path) -> str:
    # The environment may lie in the checkout.
    said = said.replace(str(folder), "FOLDER").replace(sys.prefix, "ENVIRONMENT").replace(str(ROOT), "ROOT")
    said = re.sub(r"ENVIRONMENT/lib/python[\d.]+/site-packages", "PACKAGES", said)
    said = _COUNTS.sub("none of the … options", _LISTS.sub(r"\1…", said))
    # A run tells of its stages before.
    return re.sub(r"\b[0-9a-f]{12,64}\b", "HASH", said).partition("error: ")[2].strip()


def _arguments(area: str, base: Mapping[str, Any], case: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Write the input of a case, and yield the command's arguments."""
    runs = ("--runs", str(folder / "runs"))
    if area in ("recipes", "suites"):
        text = case.get("text")
        content = _changed(base, case["recipe"]) if text is None else None
        (folder / "recipe.yaml").write_text(text if content is None else yaml.safe_dump(content, sort_keys=False))
        yield from ("plan", "recipe.yaml", *case.get("overrides", ()), *runs)
    elif area == "data":
        task = {"name": "preference", **case.get("task", {})}
        path = _file(case, folder, case.get("file", "rows.jsonl"), case.get("rows", ()))
        options = [f"{name}={json.dumps(value)}" for name, value in task.items() if name != "name"]
        yield from ("check", task["name"], f"path={path}", "n_train=2", "n_test=1", *options)
    elif area == "labels":
        yield from ("run", str(_labelled(case, folder)), *runs)
    elif area == "responses":
        yield from ("score", "model", str(_file(case, folder, "responses.jsonl")), *case.get("arguments", ()))
    else:
        yield from case["arguments"]


def _changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with values at keys with dots replaced; null takes them out."""
    made = copy.deepcopy(dict(base))
    for key, value in changes.items():
        *above, last = key.split(".")
        inner = made
        for name in above:
            inner = inner[name]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return made


def _file(case: Mapping[str, Any], folder: Path, name: str, rows: Sequence[Any] = ()) -> Path:
    """The file of a case: bytes in hexadecimal, content in which `x*1000` stands for many x, or rows."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    content = re.sub(r"(.)\*(\d+)", lambda match: match[1] * int(match[2]), case.get("content", lines))
    (folder / name).write_bytes(bytes.fromhex(case["hex"]) if "hex" in case else content.encode())
    return Path(name)


def _labelled(case: Mapping[str, Any], folder: Path) -> Path:
    """A recipe whose labels come from the file of a case."""
    right = [{**row, "chosen_probability": 0.75} for row in ROWS]
    if "rows" in case:
        right = [*right, *case["rows"]] if case["rows"] else right[:1]
    if "replace" in case:
        right[0] = {**right[0], **case["replace"]}
    _file(case, folder, "labels.jsonl", right)
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps(MODEL))
    (folder / "model" / "model.safetensors").touch()
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    recipe = {
        "name": "labelled",
        "task": {"name": "preference", "path": "pairs.jsonl", "n_train": 4, "n_test": 2},
        "weak": {"labels": "labels.jsonl"},
        "strong": {"model_name_or_path": "./model"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return Path("recipe.yaml")


def messages(area: str) -> list[str]:
    """What is said of each case of a file."""
    content = load(area)
    said = []
    for case in content["cases"]:
        with tempfile.TemporaryDirectory() as folder:
            said.append(message(area, content["base"], case, Path(folder).resolve()))
    return said


def file_text(content: Mapping[str, Any], said: Sequence[str]) -> str:
    """A file with what is said of each of its cases."""
    lines = [*_HEADER, f"base: {_flow(content['base'])}", "cases:"]
    for case, text in zip(content["cases"], said, strict=True):
        lines += [f"- what: {case['what']}"]
        lines += [f"  {key}: {_flow(value)}" for key, value in case.items() if key not in ("what", "message")]
        lines += ["  message: |-", *(f"    {line}".rstrip() for line in text.splitlines())]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return json.dumps(value)
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True)
    return str(dumped).removesuffix("...\n").strip()


if __name__ == "__main__":
    for name in areas():
        (FOLDER / f"{name}.yaml").write_text(file_text(load(name), messages(name)), encoding="utf-8")
