"""Only the last layers and the head move in a real training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from sealing import reseal_stages

from w2s_rm.errors import ConfigError
from w2s_rm.features.store import write_shard
from w2s_rm.preparations.freeze import Freeze
from w2s_rm.stages import Stage
from w2s_rm.stages.train import Train

Training = Callable[..., Train]
RunStage = Callable[[Stage], Path]


def moved(before: Path, after: Path) -> set[str]:
    """Parts of a model whose weights are not the same: a layer's number, or the first words of a name."""
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert old.keys() <= new.keys()
    different = {name for name in new if name not in old or not torch.equal(old[name], new[name])}
    return {".".join(name.split(".")[1:3]) if ".layers." in f".{name}" else name.split(".")[0] for name in different}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("layers", "expected"), [(0, {"score"}), (1, {"layers.1", "score"})])
def test_only_the_last_layers_and_the_head_move(
    layers: int,
    expected: set[str],
    checkpointing: bool,
    training: Training,
    route: Any,
    run_stage: RunStage,
) -> None:
    stage = Freeze(layers).prepare(route, training(gradient_checkpointing=checkpointing))
    base = Path(stage.model_name_or_path.path)
    assert moved(base, run_stage(stage)) == expected


def test_checkpointing_changes_no_weight(training: Training, route: Any, run_stage: RunStage) -> None:
    weights = [
        load_file(run_stage(Freeze(1).prepare(route, training(gradient_checkpointing=one))) / "model.safetensors")
        for one in (False, True)
    ]
    for name, one in weights[0].items():
        torch.testing.assert_close(one, weights[1][name], rtol=1e-5, atol=1e-6)


def test_all_of_an_encoders_new_head_moves(
    tiny_model: Callable[..., str], training: Training, route: Any, run_stage: RunStage
) -> None:
    base = tiny_model("roberta")
    made = run_stage(Freeze(0).prepare(route, training(base)))
    old, new = (load_file(Path(folder) / "model.safetensors") for folder in (base, made))
    changed = {name for name in new if not torch.equal(old[name], new[name])}
    assert changed == {f"classifier.{part}.{kind}" for part in ("dense", "out_proj") for kind in ("weight", "bias")}


def test_a_language_model_keeps_its_unembedding(
    tiny_language_model: Callable[..., str], training: Training, route: Any, run_stage: RunStage
) -> None:
    base = tiny_language_model()
    stage = Freeze(1).prepare(route, training(base, head="lm"))
    assert moved(Path(base), run_stage(stage)) == {"layers.1"}


def test_more_layers_than_there_are(
    training: Training, route: Any, run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="freeze: layers: is 3, and the model has 2; use 2 or fewer"):
        Freeze(3).prepare(route, dataclasses.replace(training(), part="strong"))
    # Of a model on the hub that is not known before it is loaded.
    monkeypatch.setattr(type(route), "layers", lambda self, part: None)
    with pytest.raises(ConfigError, match="freeze: 3 of the last layers are to be trained, and the model has 2 layers"):
        run_stage(Freeze(3).prepare(route, training()))


def test_what_it_cannot_prepare(training: Training, route: Any) -> None:
    with pytest.raises(ConfigError, match="layers is -1; use 0 or more"):
        Freeze(-1)
    with pytest.raises(ConfigError, match="cached of no layers but the head: on: features does that"):
        Freeze(0, cached=True)
    with pytest.raises(ConfigError, match="cached: anchor_coefficient compares with all layers"):
        Freeze(1, cached=True).prepare(route, training(anchor_coefficient=1.0))
    with pytest.raises(ConfigError, match="cached: head steps reads several examples in one row"):
        Freeze(1, cached=True).prepare(route, training(head="steps"))
    with pytest.raises(ConfigError, match="freeze: with LoRA.*frozen already"):
        Freeze(1).prepare(route, training(use_peft=True))
    with pytest.raises(ConfigError, match="head lm has no new head.*use 1 or more"):
        Freeze(0).prepare(route, training(head="lm"))


@pytest.mark.parametrize(
    ("architecture", "head", "layout", "checkpointing"),
    [
        ("llama", "reward", "shared_prefix", False),
        ("llama", "reward", "padded", True),
        ("gpt2", "reward", "shared_prefix", True),
        ("bert", "reward", "padded", False),
        ("llama", "lm", "padded", False),
    ],
)
def test_cached_layers_train_the_same_model(
    architecture: str,
    head: str,
    layout: str,
    checkpointing: bool,
    tiny_model: Callable[..., str],
    tiny_language_model: Callable[..., str],
    training: Training,
    route: Any,
    run_stage: RunStage,
) -> None:
    base = tiny_language_model() if head == "lm" else tiny_model(architecture)
    options = {
        "layout": layout,
        "gradient_checkpointing": checkpointing,
        "max_steps": 6,
        "optim": "sgd",
        "learning_rate": 0.5,
    }
    described = training(base, head=head, **options)
    stages = [Freeze(1, cached=cached).prepare(route, described) for cached in (False, True)]
    whole, cached = (load_file(run_stage(stage) / "model.safetensors") for stage in stages)
    before = load_file(Path(base) / "model.safetensors")
    assert any(not torch.equal(whole[name], before[name]) for name in before)
    # States are kept in 16 bits; plain gradient descent does not make more of that than it is.
    moved_by = max(float((whole[name] - before[name]).abs().max()) for name in before)
    for name, weights in whole.items():
        torch.testing.assert_close(cached[name], weights, rtol=0, atol=0.05 * moved_by)


def test_cached_layers_are_read_once_for_all_seeds_and_depend_on_how_many(training: Training, route: Any) -> None:
    one = Freeze(1, cached=True).prepare(route, training())
    assert one.frozen_states is not None
    other_seed = Freeze(1, cached=True).prepare(
        route, dataclasses.replace(training(), seed=1, loss={"name": "entropy"})
    )
    assert other_seed.frozen_states is not None
    assert other_seed.frozen_states.identity == one.frozen_states.identity
    assert one.hash != Freeze(1).prepare(route, training()).hash
    # None are frozen, and what is read are the embeddings.
    embeddings = Freeze(2, cached=True).prepare(route, training()).frozen_states
    assert embeddings is not None and embeddings.identity != one.frozen_states.identity


def test_stored_states_of_other_rows_are_refused(training: Training, route: Any, run_stage: RunStage) -> None:
    # Only at first: what the plan knows is the same.
    stage = Freeze(1, cached=True).prepare(route, training(layout="padded"))
    assert stage.frozen_states is not None and stage.frozen_states.maker is not None
    run_stage(stage.frozen_states.maker)
    stage = dataclasses.replace(stage, options={**stage.options, "layout": "shared_prefix"})
    with pytest.raises(
        ConfigError, match=r"freeze: cached: stored are \d+ tokens, and these rows have \d+; the layout"
    ):
        run_stage(stage)


def test_stored_states_of_another_model_are_refused(
    training: Training, route: Any, run_stage: RunStage, tmp_path: Path
) -> None:
    stage = Freeze(1, cached=True).prepare(route, training())
    assert stage.frozen_states is not None and stage.frozen_states.maker is not None
    run_stage(stage.frozen_states.maker)
    for shard in Path(stage.frozen_states.path).glob("*.safetensors"):
        with safe_open(shard, "pt") as opened:
            ids, counts = json.loads(opened.metadata()["ids"]), opened.get_tensor("counts").tolist()
            values_ND = opened.get_tensor("tokens.-1").float()
        write_shard(shard, ids, counts, {"tokens.-1": values_ND.flip(0)}, "key")
    reseal_stages(stage.runs)
    with pytest.raises(ConfigError, match=r"stored are other states: they differ by \d+%"):
        run_stage(dataclasses.replace(stage))


def test_where_no_layer_is_frozen_there_is_nothing_to_cache(
    training: Training, route: Any, run_stage: RunStage
) -> None:
    with pytest.raises(
        ConfigError, match="freeze: cached: all 2 layers are trained; use fewer layers, or cached: false"
    ):
        run_stage(Freeze(2, cached=True).prepare(route, training()))


def test_layers_that_drop_out_cannot_be_cached(
    tiny_model: Callable[..., str], training: Training, route: Any, run_stage: RunStage
) -> None:
    stage = Freeze(1, cached=True).prepare(route, training(tiny_model("bert"), disable_dropout=False))
    with pytest.raises(ConfigError, match=r"BertFor.* drop out values at random \(p = 0.1\); set disable_dropout"):
        run_stage(stage)
