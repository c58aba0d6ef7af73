"""Only the last layers and the head move in a real training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from w2s_rm.errors import ConfigError
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


def test_more_layers_than_there_are(training: Training, route: Any, run_stage: RunStage) -> None:
    with pytest.raises(ConfigError, match="freeze: 3 of the last layers are to be trained, and the model has 2 layers"):
        run_stage(Freeze(3).prepare(route, training()))


def test_what_it_cannot_prepare(training: Training, route: Any) -> None:
    with pytest.raises(ConfigError, match="layers is -1; use 0 or more"):
        Freeze(-1)
    with pytest.raises(ConfigError, match="freeze: with LoRA.*frozen already"):
        Freeze(1).prepare(route, training(use_peft=True))
    with pytest.raises(ConfigError, match="head lm has no new head.*use 1 or more"):
        Freeze(0).prepare(route, training(head="lm"))
