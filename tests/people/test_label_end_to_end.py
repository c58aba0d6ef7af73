"""What a person says supervises a student: from the page's requests to the report."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from w2s_rm.cli import main
from w2s_rm.testbed.world import World

from .conftest import Label

pytestmark = pytest.mark.slow


def test_a_file_of_answers_is_a_supervisor(
    label: Callable[..., Label], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = {"name": "facts", "n_entities": 20}
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "steps": 20, "batch_size": 32}
    recipe = {
        "name": "people",
        "task": {"name": "world_preference", "n_entities": 20, "n_train": 60, "n_test": 20},
        "weak": {"labels": "labels.jsonl"},
        "strong": {"pretrain": {"corpus": corpus, **shape}},
        "methods": {"naive": {"loss": "cross_entropy"}},
        "train": {"per_device_train_batch_size": 10, "bf16": False, "gradient_checkpointing": False, "max_length": 32},
        "seeds": [0],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    for split in ("relabel", "test"):
        # The file that the recipe names is not there yet.
        server = label("recipe.yaml", "--output", "labels.jsonl", "--split", split)
        address = urlsplit(server.address)
        connection = http.client.HTTPConnection(f"{address.hostname}:{address.port}", timeout=60)
        connection.request("GET", f"{address.path}state")
        for number, name in enumerate(json.loads(connection.getresponse().read())["asked"]):
            connection.request("GET", f"{address.path}questions/{name}")
            shown = json.loads(connection.getresponse().read())
            right = shown["candidates"].index(f" E{World(n_entities=20).right_answer(shown['prompt'])}")
            # One in five is wrong.
            choice = 1 - right if number % 5 == 0 else right
            answer = json.dumps({"key": name, "question": name, "choice": choice, "seconds": 1})
            connection.request("POST", f"{address.path}answers", answer, {"Content-Type": "application/json"})
            assert json.loads(connection.getresponse().read()) == {"saved": True}
        server.interrupt()
    monkeypatch.chdir(tmp_path)
    assert main(["run", "recipe.yaml"]) == 0
    (row,) = json.loads((tmp_path / "runs" / "people" / "report.json").read_text(encoding="utf-8"))
    assert row["weak_accuracy"] == pytest.approx(0.8) and row["student_accuracy"] is not None
