"""Hidden states by layer: those of a model that is cut there, in both layouts, and what becomes of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from w2s_rm.errors import ConfigError
from w2s_rm.features.hidden_states import LayerReader, cut, places, pool
from w2s_rm.features.options import POOLINGS
from w2s_rm.heads import HEADS
from w2s_rm.heads.trees import SharedPrefixCollator

EXAMPLES = [
    {"prompt_ids": [5, 6, 7], "candidate_ids": [[8, 9], [10]], "targets": [0, 0]},
    {"prompt_ids": [11], "candidate_ids": [[8, 9, 4, 5], [10, 3], [12, 2]], "targets": [0, 0, 0]},
]
PROMPTS = [{**example, "candidate_ids": [[], []], "targets": [0, 0]} for example in EXAMPLES]


def load(folder: str, **options: Any) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, **options).eval()


def laid_out(examples: list[dict[str, Any]], head: str = "reward", *, shared: bool = False) -> dict[str, Any]:
    trees = [HEADS[head].tree(example, 0) for example in examples]
    collator = SharedPrefixCollator(HEADS[head].tree, 0) if shared else HEADS[head].collator(0, None)
    batch = collator(examples)
    return {**batch, **places(trees, batch)}


@torch.no_grad()
def last_states(model: Any, batch: dict[str, Any]) -> Tensor:
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    states: Tensor = model.base_model(**given).last_hidden_state
    return states


@torch.no_grad()
def read(reader: LayerReader, batch: dict[str, Any]) -> dict[int, Tensor]:
    return {layer: reader.norm(states) for layer, states in reader(batch).items()}


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "bert", "mpnet"])
def test_a_layer_is_what_the_model_cut_there_gives(architecture: str, tiny_model: Callable[..., str]) -> None:
    folder, batch = tiny_model(architecture), laid_out(EXAMPLES)
    states = read(LayerReader(load(folder), [1, 2]), batch)
    for layer in (1, 2):
        expected = last_states(load(folder, num_hidden_layers=layer), batch)
        mask = batch["attention_mask"].bool()
        torch.testing.assert_close(states[layer][mask], expected[mask])
    assert not torch.allclose(states[1], states[2])


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "gpt_neox", "bert", "mpnet"])
def test_a_model_that_is_cut_is_one_of_so_many_layers(
    architecture: str, layer: int, tiny_model: Callable[..., str], tmp_path: Path
) -> None:
    """`layer_types` of Qwen2 has an entry for each of them, and a configuration where they disagree does not load."""
    batch, model = laid_out(EXAMPLES), load(tiny_model(architecture))
    states = read(LayerReader(copy.deepcopy(model), [layer]), batch)[layer]
    cut(model, layer)
    mask = batch["attention_mask"].bool()
    torch.testing.assert_close(last_states(model, batch)[mask], states[mask])
    model.config.save_pretrained(tmp_path)
    again = AutoModel.from_config(AutoConfig.from_pretrained(tmp_path))
    assert again.state_dict().keys() >= model.base_model.state_dict().keys()
    assert len(model.base_model.state_dict()) + 2 >= len(again.state_dict())


def test_layer_0_are_the_embeddings_and_higher_layers_are_not_computed(tiny_model: Callable[..., str]) -> None:
    model, batch = load(tiny_model("bert")), laid_out(EXAMPLES)
    embedded = model.base_model.embeddings(batch["input_ids"])
    states = read(LayerReader(model, [0]), batch)
    torch.testing.assert_close(states[0], embedded)
    assert len(model.base_model.encoder.layer) == 1


def test_a_layer_that_is_not_there_is_refused(tiny_model: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match=r"layer 3, 7: LlamaForSequenceClassification has 2; use 0 .* to 2"):
        LayerReader(load(tiny_model()), [3, 1, 7])


def test_a_last_state_that_is_no_norm_of_the_last_layer_is_refused(tiny_model: Callable[..., str]) -> None:
    model = load(tiny_model("bert"))
    original = copy.copy(model.base_model.encoder.forward)

    def doubled(*arguments: Any, **options: Any) -> Any:
        output = original(*arguments, **options)
        output["last_hidden_state"] = 2 * output["last_hidden_state"]
        return output

    model.base_model.encoder.forward = doubled
    with pytest.raises(ConfigError, match="BertModel makes more of its last layer than a norm of it"):
        LayerReader(model, [1])


def test_pooling_by_hand() -> None:
    batch = laid_out(EXAMPLES)
    length = batch["input_ids"].shape[1]
    # Each token's state is its place in its row, and the number of the row.
    hidden = torch.stack([torch.arange(5.0 * length) % length, torch.arange(5).repeat_interleave(length).float()], -1)
    hidden = hidden.view(5, length, 2)
    # Rows have 3 + 2, 3 + 1, 1 + 4, 1 + 2 and 1 + 2 tokens.
    expected = {
        "last": [4.0, 3.0, 4.0, 2.0, 2.0],
        "mean": [2.0, 1.5, 2.0, 1.0, 1.0],
        "mean_candidate": [3.5, 3.0, 2.5, 1.5, 1.5],
    }
    assert set(expected) == set(POOLINGS)
    for pooling, places_F in expected.items():
        pooled = pool(hidden, batch, pooling)
        assert pooled[:, 0].tolist() == places_F
        assert pooled[:, 1].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("head", "examples"), [("reward", EXAMPLES), ("classification", PROMPTS)])
def test_both_layouts_give_the_same(
    pooling: str, head: str, examples: list[dict[str, Any]], tiny_model: Callable[..., str]
) -> None:
    reader = LayerReader(load(tiny_model()), [0, 1, 2])
    padded, shared = laid_out(examples, head), laid_out(examples, head, shared=True)
    one, other = read(reader, padded), read(reader, shared)
    for layer in (0, 1, 2):
        pooled = pool(one[layer], padded, pooling)
        assert len(pooled) == (5 if head == "reward" else 2)
        torch.testing.assert_close(pool(other[layer], shared, pooling), pooled, rtol=1e-5, atol=1e-5)


def test_where_prompts_are_scored_both_means_are_over_them() -> None:
    batch = laid_out(PROMPTS, "classification")
    hidden = torch.rand(*batch["input_ids"].shape, 4)
    expected = torch.stack([hidden[0, :3].mean(dim=0), hidden[1, 0]])
    for pooling in ("mean", "mean_candidate"):
        torch.testing.assert_close(pool(hidden, batch, pooling), expected)


STEPS = [
    {"prompt_ids": ids, "candidate_ids": [[], []], "targets": [0, 0]} for ids in ([5, 6], [5, 6, 7, 8], [9], [5, 6, 7])
]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_step_is_read_where_a_longer_solution_passes_by(architecture: str, tiny_model: Callable[..., str]) -> None:
    folder, head = tiny_model(architecture), HEADS["steps"]
    trees = [head.tree(example, 0) for example in STEPS]
    batch = SharedPrefixCollator(head.tree, 0, chains=True)(STEPS)
    shared = {**batch, **places(trees, batch)}
    assert int((shared["segments"] > 0).sum()) == 4 + 1
    padded = laid_out(STEPS, "steps")
    for layer in (1, 2):
        found, expected = (
            pool(read(LayerReader(load(folder), [layer]), given)[layer], given, "last") for given in (shared, padded)
        )
        torch.testing.assert_close(found, expected)
