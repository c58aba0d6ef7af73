"""The part of a route that pretrains models from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2s_rm.data.reading import resolve_path
from w2s_rm.runs.launch import Launch
from w2s_rm.stages import Model
from w2s_rm.stages.pretrain import Pretrain
from w2s_rm.training.pretraining import ALGORITHM_VERSION, Pretraining, pretrained_by
from w2s_rm.types import content_hash


def pretrained(runs: Path, part: str, pretrain: Mapping[str, Any], launch: Launch, seed: int) -> Model:
    """Refer to the model that a part of a recipe pretrains.

    Args:
        runs (`Path`): Where runs are kept.
        part (`str`): The part of the recipe that describes the model.
        pretrain (`Mapping`): Fields of [`~w2s_rm.training.pretraining.Pretraining`]; `seed` may be `"by_seed"`.
        launch ([`~w2s_rm.runs.launch.Launch`]): How its stages are launched.
        seed (`int`): The repetition that it is for.
    """
    pretraining = Pretraining(**pretrained_by(pretrain, seed))
    resolved = pretraining.resolved()
    # The program may run in another folder, to which a relative path would mean something else.
    if "path" in resolved["corpus"]:
        resolved["corpus"]["path"] = str(Path(resolve_path(resolved["corpus"]["path"])).resolve())
    identity = content_hash(ALGORITHM_VERSION, pretraining.identity())
    return Pretrain(runs=runs, launch=launch, part=part, pretrain=resolved, identity=identity).model
