"""Conversations that call tools: recipes feed the tokens that TRL feeds, whatever kind of file the data comes from."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import trl
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.data.label_store import WeakLabel, to_trl_rows, write_trl_dataset
from w2s_rm.errors import DataError
from w2s_rm.heads import HEADS
from w2s_rm.integrations.export import write_preferences
from w2s_rm.integrations.preferences import to_preferences
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Example

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
NO_TOOLS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] or '' }}\n{% endfor %}"


def tool(name: str, kind: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {f"{name}_of": {"type": kind}}}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    calls = [{"type": "function", "function": {"name": name, "arguments": arguments}}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def said(role: str, content: str, **more: str) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


ROWS: list[dict[str, Any]] = [
    {
        "prompt": [said("user", "Is it warm in Bern?")],
        "chosen": [
            call("weather", place="Bern", day=None),
            said("tool", "7", name="weather"),
            said("assistant", "No."),
        ],
        "rejected": [said("assistant", "Perhaps.")],
        "tools": [tool("weather", "string")],
    },
    {
        "prompt": [said("user", "Add 1 and 2.")],
        "chosen": [call("add", numbers=[1, 2])],
        "rejected": [call("add", numbers=[1, 3])],
        "tools": [tool("add", "array"), tool("weather", "string")],
    },
    {
        "prompt": [said("user", "Hi.")],
        "chosen": [said("assistant", "Hello.")],
        "rejected": [said("assistant", "What?")],
        "tools": None,
    },
]


def write(folder: Path, kind: str) -> Path:
    """Write the rows as JSON lines, as `datasets` writes Parquet, or with each cell as JSON."""
    lines = folder / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    if kind == "jsonl":
        return lines
    path = folder / f"rows.{kind}"
    if kind == "parquet":
        datasets.load_dataset("json", data_files=str(lines), split="train", cache_dir=str(folder)).to_parquet(path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(ROWS[0]))
            writer.writeheader()
            writer.writerows({name: json.dumps(cell) if cell else "" for name, cell in row.items()} for row in ROWS)
    return path


def examples(path: Path, **options: Any) -> list[Example]:
    """The rows as stages have them: through a file."""
    task = Preference(str(path), **options)
    write_examples(path.with_name("examples.parquet"), [task.to_example(row) for row in task.rows()])
    return read_examples(path.with_name("examples.parquet"))


@pytest.fixture
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer in which different texts are different tokens."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(initial_alphabet=alphabet, special_tokens=["<eos>"]))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_each_kind_of_file_holds_the_same(kind: str, tmp_path: Path) -> None:
    assert examples(write(tmp_path, kind)) == examples(write(tmp_path, "jsonl"))


@pytest.mark.parametrize("template", ["qwen2_5", "qwen3", "glm4moe"])
def test_rows_are_those_of_trl_to_the_last_token(
    template: str, byte_tokenizer: Any, tiny_model: Callable[..., str], tmp_path: Path
) -> None:
    byte_tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")
    path = write(tmp_path, "jsonl")
    encoded = HEADS["reward"].encode(byte_tokenizer, examples(path), None)
    data = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path))
    common: dict[str, Any] = {"max_length": None, "report_to": "none", "use_cpu": True, "bf16": False}
    arguments = {"model": tiny_model(), "train_dataset": data, "processing_class": byte_tokenizer}
    theirs = RewardTrainer(args=RewardConfig(str(tmp_path), **common), **arguments).train_dataset
    for row, expected in zip(encoded, theirs, strict=True):
        rows = [row.prompt_ids + ids for ids in row.candidate_ids]
        assert rows == [expected["chosen_ids"], expected["rejected_ids"]]


def test_the_trainer_reads_conversations_written_as_json(
    byte_tokenizer: Any, tiny_model: Callable[..., str], tmp_path: Path
) -> None:
    byte_tokenizer.chat_template = NO_TOOLS
    rows = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in ROWS[2:]]
    written = [{name: json.dumps(cell) for name, cell in row.items()} for row in rows]
    args = W2SRewardConfig(str(tmp_path), report_to="none", use_cpu=True, bf16=False)

    def encoded(rows: list[dict[str, Any]]) -> Any:
        data = datasets.Dataset.from_list(rows)
        return W2SRewardTrainer(tiny_model(), args, train_dataset=data, processing_class=byte_tokenizer).train_dataset

    assert encoded(written).to_list() == encoded(rows).to_list()
    with pytest.raises(DataError, match="row 0: chosen is a list of messages written as text that is not JSON"):
        encoded([{**written[0], "chosen": str(rows[0]["chosen"])}])


def test_a_template_that_knows_no_tools_is_an_error_that_names_them(byte_tokenizer: Any, tmp_path: Path) -> None:
    byte_tokenizer.chat_template = NO_TOOLS
    path = write(tmp_path, "jsonl")
    with pytest.raises(DataError) as error:
        HEADS["reward"].encode(byte_tokenizer, examples(path), None)
    assert "the template leaves out the tool 'weather'\n" in str(error.value) and "tools_column" in str(error.value)
    assert "the tool 'add', the tool 'weather'" in str(error.value)
    assert len(HEADS["reward"].encode(byte_tokenizer, examples(path, tools_column="")[2:], None)) == 1
    with pytest.raises(DataError, match="leaves out the tool 'add'"):
        HEADS["reward"].encode(byte_tokenizer, examples(path, tools_column="")[1:2], None)


def test_exported_rows_keep_the_tools(tmp_path: Path) -> None:
    """They come back as the same examples, apart from their names."""
    own = examples(write(tmp_path, "jsonl"))
    scored = to_preferences(own, [(1.0, 0.0)] * len(own)).rows
    labelled = to_trl_rows(own, [WeakLabel(one.id, one.candidate_ids, (1.0, 0.0)) for one in own])
    for rows in (scored, labelled):
        (tmp_path / "out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        assert examples(tmp_path / "out.jsonl") == own
        for name in ("out.parquet", "out"):
            write_preferences(tmp_path / name, rows)
            assert examples(tmp_path / name) == own, "each call has its own arguments, no others"
            shutil.rmtree(tmp_path / name) if name == "out" else (tmp_path / name).unlink()
    write_trl_dataset(tmp_path / "labels", labelled)
    assert examples(tmp_path / "labels") == own
    texts = to_preferences(own, [(1.0, 0.0)] * len(own), form="text")
    assert texts.counts["without_turns"] == 2 and "tools" not in texts.rows[0], "a transcript has no form for calls"
