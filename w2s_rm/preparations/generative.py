"""Train the language model on the texts of the task first, whatever is preferred among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import ConfigError
from w2s_rm.runs.places import writes_text
from w2s_rm.stages.finetune import Finetune
from w2s_rm.stages.train import Train

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Generative:
    """Language-model loss on every prompt with each of its candidates, right ones and wrong ones, without labels.

    What is asked then is more salient to the model before it sees a label. Source: Burns et al. 2023 (arXiv
    2312.09390), generative finetuning for reward models; the ceiling gets it too.

    Args:
        train (`Mapping`, *optional*): Training options of this part, where they differ: fields of TRL's `SFTConfig`.
    """

    train: Mapping[str, Any] = field(default_factory=dict, hash=False, metadata={"trainer": "language_model"})

    def prepare(self, route: Route, training: Train) -> Train:
        """Put a training of the language model before the training."""
        base, options = training.model_name_or_path, {**training.options, **self.train}
        # A causal model is loaded without the head that a training has put on it.
        if isinstance(base.maker, Train):
            raise ConfigError(
                "generative: stands behind a preparation that trains a head, which would be lost; put it first"
            )
        if training.frozen_states is not None:
            raise ConfigError(
                "generative: stands behind freeze with cached: true, whose states are those of the model before; put "
                "generative first"
            )
        partial = [name for name in ("use_peft", "load_in_4bit", "load_in_8bit") if options.get(name)]
        if partial:
            raise ConfigError(
                f"generative: trains all weights, and not with {' and '.join(partial)}; leave it out, or say train: "
                f"{{{', '.join(f'{name}: false' for name in partial)}}} to train all of them in this part"
            )
        if base.maker is None and not writes_text(base.path):
            raise ConfigError(
                f"generative: {base.path} is no causal language model, and only these learn to write the texts of the "
                "task; leave it out, or take a decoder"
            )
        finetuned = Finetune(
            runs=training.runs,
            launch=training.launch,
            part=training.part,
            # The texts of all examples, also where a student is trained on some: student and ceiling share it.
            examples=route.examples("relabel"),
            model_name_or_path=base,
            seed=training.seed,
            options=options,
        )
        # The training begins with what was finetuned; by this reference the plan finds the stage.
        return dataclasses.replace(training, model_name_or_path=finetuned.model)
