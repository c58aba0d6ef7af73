"""The stage that reads hidden states: what it writes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import WORDS
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm.errors import ConfigError, NonFiniteError
from w2s_rm.features.store import read_features
from w2s_rm.programs import features as program
from w2s_rm.programs.scoring import encode
from w2s_rm.runs.places import model_version
from w2s_rm.stages import Examples, Model, Stage
from w2s_rm.stages.features import Features
from w2s_rm.types import Example

OnDisk = Callable[..., Examples]
Run = Callable[[Stage], dict[str, Any]]
OPTIONS = {"max_length": 64, "bf16": False, "per_device_eval_batch_size": 3, "use_cpu": True}


@pytest.fixture
def worded() -> list[Example]:
    """Examples of 2 to 4 candidates and many lengths, in words of the tiny tokenizers; one has two that are alike."""
    made = []
    for n in range(30):
        prompt = " ".join(WORDS[10 + n : 12 + n + n % 7])
        candidates = tuple(f" {WORDS[k]} {WORDS[(n * k) % 50]}" for k in range(1, 3 + n % 3))
        made.append(Example(f"e{n}", f"g{n}", prompt, candidates, n % 2))
    # Words that the tokenizer does not know are one and the same to it.
    return [*made, Example("alike", "alike", "w1 w2", (" Q", " R", " w9"), 2)]


@pytest.fixture
def stage(
    tmp_path: Path, on_disk: OnDisk, worded: list[Example], tiny_model: Callable[..., str]
) -> Callable[..., Features]:
    def make(architecture: str = "llama", examples: Sequence[Example] | None = None, **changes: Any) -> Features:
        folder = changes.pop("folder", None) or tiny_model(architecture)
        given = {"columns": ["last.1", "mean.2"], "head": "reward", "setting": "reward_modeling", "options": OPTIONS}
        return Features(
            runs=tmp_path / "runs",
            examples=on_disk(worded) if examples is None else on_disk(examples, f"other-{examples[-1].prompt}"),
            model_name_or_path=Model(folder, model_version(folder, "main")),
            **{**given, **changes},
        )

    return make


def shards(made: Features) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted((made.folder / "shards").iterdir())}


@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_features_of_all_examples_whatever_the_layout(
    architecture: str, stage: Callable[..., Features], run_stage: Run, worded: list[Example]
) -> None:
    made, padded = stage(architecture), stage(architecture, options={**OPTIONS, "layout": "padded"}, columns=["mean.2"])
    counts = run_stage(made)
    run_stage(padded)
    assert counts["layout"].startswith("shared_prefix" if architecture == "llama" else "padded")
    assert (counts["examples"], counts["shards"], counts["candidates_alike"]) == (31, 1, 1)
    ids = [example.id for example in worded]
    table = read_features(made.folder / "shards", "mean.2", ids)
    assert table.counts == [len(example.candidates) for example in worded] and table.values_FD.shape[1] == 32
    other = read_features(padded.folder / "shards", "mean.2", ids)
    torch.testing.assert_close(table.values_FD, other.values_FD, rtol=0, atol=2e-3)
    assert not torch.equal(table.values_FD, read_features(made.folder / "shards", "last.1", ids).values_FD)
    # Candidates of the same tokens have the very same features.
    same = read_features(made.folder / "shards", "last.1", ["alike"]).values_FD
    assert torch.equal(same[0], same[1]) and not torch.equal(same[0], same[2])
    assert made.features.path == str(made.folder / "shards") and made.features.maker is made
    assert not (made.folder / "trainer").exists()


def test_they_are_the_hidden_states_of_each_candidate_alone(
    stage: Callable[..., Features], run_stage: Run, worded: list[Example], tiny_model: Callable[..., str]
) -> None:
    made = stage(columns=["last.1", "mean.1", "mean.2", "mean_candidate.2"])
    run_stage(made)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model()).eval().model
    tokenizer = AutoTokenizer.from_pretrained(tiny_model())
    expected: dict[str, list[torch.Tensor]] = {name: [] for name in made.columns}
    for encoded in encode("reward_modeling", tokenizer, worded, 64, "reward"):
        start = len(encoded.prompt_ids)
        for candidate in encoded.candidate_ids:
            with torch.no_grad():
                ids = torch.tensor([[*encoded.prompt_ids, *candidate]])
                states = model(input_ids=ids, output_hidden_states=True).hidden_states
                # Of the last layer transformers gives them behind the norm.
                one, two = model.norm(states[1])[0], states[2][0]
            expected["last.1"].append(one[-1])
            expected["mean.1"].append(one.mean(dim=0))
            expected["mean.2"].append(two.mean(dim=0))
            expected["mean_candidate.2"].append(two[start:].mean(dim=0))
    for name, rows in expected.items():
        read = read_features(made.folder / "shards", name, [example.id for example in worded]).values_FD
        torch.testing.assert_close(read, torch.stack(rows), rtol=0, atol=2e-3)


def test_what_is_read_keeps_no_way_back(
    stage: Callable[..., Features], run_stage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the states of all passes of a shard would stay in memory, for gradients that nobody asks for."""
    write, seen = program.write_shard, []

    def look(path: Path, ids: Any, counts: Any, columns: dict[str, torch.Tensor], key: str) -> None:
        seen.extend(values_FD.requires_grad for values_FD in columns.values())
        write(path, ids, counts, columns, key)

    monkeypatch.setattr(program, "write_shard", look)
    run_stage(stage())
    assert seen == [False, False]


def test_prompts_have_features_of_their_own_where_classes_have_weights(
    stage: Callable[..., Features], run_stage: Run, tiny_language_model: Callable[..., str]
) -> None:
    examples = [Example(f"e{n}", f"g{n}", f"w{n} w{n + 1}", (" no", " yes"), n % 2) for n in range(10)]
    given = {"setting": "classification", "head": "classification", "classes": [" no", " yes"], "columns": ["mean.1"]}
    made = stage(examples=examples, folder=tiny_language_model(), **given)
    run_stage(made)
    assert read_features(made.folder / "shards", "mean.1", ["e3", "e1"]).counts == [1, 1]


def test_an_interrupted_stage_goes_on_with_the_shards_that_are_missing(
    stage: Callable[..., Features], run_stage: Run, worded: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_SHARD", 8)
    made, whole = stage(), stage(columns=["last.1", "mean.1", "mean.2"])
    run_stage(whole)
    original, calls = program.write_shard, []

    def full_disk(path: Path, *given: Any) -> None:
        if len(calls) == 2:
            raise OSError(28, "No space left on device", str(path))
        calls.append(path)
        original(path, *given)

    monkeypatch.setattr(program, "write_shard", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run_stage(made)
    first = shards(made)
    assert len(first) == 2 and not (made.folder / "manifest.json").exists()
    monkeypatch.setattr(program, "write_shard", original)
    counts = run_stage(made)
    after = shards(made)
    assert len(after) == 4 and {name: after[name] for name in first} == first
    assert (counts["shards"], counts["kept_shards"]) == (4, 2)
    ids = [example.id for example in worded]
    one, other = (read_features(one.folder / "shards", "mean.2", ids).values_FD for one in (made, whole))
    assert torch.equal(one, other)
    # The longest examples stand in the first shard.
    lengths = [len(example.prompt.split()) for example in worded if isinstance(example.prompt, str)]
    longest = {worded[place].id for place in sorted(range(31), key=lambda place: -lengths[place])[:3]}
    assert read_features_of_first_shard(made) >= longest


def read_features_of_first_shard(made: Features) -> set[str]:
    from safetensors import safe_open

    with safe_open(made.folder / "shards" / "shard-00000.safetensors", "pt") as shard:
        return set(json.loads(shard.metadata()["ids"]))


def test_shards_of_other_examples_or_another_model_are_made_again(
    stage: Callable[..., Features], run_stage: Run, worded: list[Example]
) -> None:
    made = stage()
    run_stage(made)
    expected = (made.folder / "shards" / "shard-00000.safetensors").read_bytes()
    changed = [*worded[:-1], Example("alike", "alike", "w1 w3", (" Q", " R", " w9"), 2)]
    for other in (stage(examples=changed), stage("mistral")):
        assert other.folder != made.folder
        place = other.folder / "shards" / "shard-00000.safetensors"
        place.parent.mkdir(parents=True)
        place.write_bytes(expected)
        assert run_stage(other)["kept_shards"] == 0
        assert place.read_bytes() != expected


def test_features_that_are_not_finite_name_their_examples(
    stage: Callable[..., Features], run_stage: Run, tiny_model: Callable[..., str], tmp_path: Path
) -> None:
    folder = str(tmp_path / "broken")
    model, tokenizer = (
        kind.from_pretrained(tiny_model()) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    with torch.no_grad():
        model.base_model.embed_tokens.weight[tokenizer.convert_tokens_to_ids("w44")] = float("nan")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    examples = [Example(f"e{n}", f"g{n}", f"w{n}", (" w40", " w44" if n == 7 else " w41"), 0) for n in range(20)]
    with pytest.raises(NonFiniteError, match=r"NaN or infinite features last\.1 of 1 examples: e7; look at"):
        run_stage(stage(folder=folder, examples=examples))


def test_a_layer_that_the_model_lacks_is_refused(stage: Callable[..., Features], run_stage: Run) -> None:
    with pytest.raises(ConfigError, match="layer 5: LlamaForSequenceClassification has 2"):
        run_stage(stage(columns=["mean.5"]))


def test_what_enters_the_hash(stage: Callable[..., Features]) -> None:
    plain = stage()
    assert stage(options={**OPTIONS, "layout": "padded", "per_device_eval_batch_size": 9}).hash == plain.hash
    others = [stage("mistral"), stage(columns=["mean.1"]), stage(options={**OPTIONS, "max_length": 32})]
    assert len({plain.hash, *(other.hash for other in others)}) == 4
