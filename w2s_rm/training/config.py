"""Configuration of the trainers, in TRL's form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trl import RewardConfig

from w2s_rm import options
from w2s_rm.errors import ConfigError, nearest
from w2s_rm.heads import Head
from w2s_rm.training.extension_builds import lock_builds
from w2s_rm.types import LAYOUTS, Loss


@dataclass
class W2SRewardConfig(RewardConfig):
    r"""
    Configuration class for the [`W2SRewardTrainer`] and the [`W2STrainer`].

    It adds the weak-to-strong options to [`~trl.RewardConfig`]; everything else keeps TRL's names and defaults, with
    one difference in meaning: `max_length` (tokens) cuts examples and never drops one.

    Parameters:
        loss (`dict[str, Any]` or `str`, *optional*, defaults to `"cross_entropy"`):
            Name of a file in `w2s_rm/losses` and its options. On the command line a JSON object.
        label_column (`str`, *optional*, defaults to `"chosen_probability"`):
            Column with the probability in [0, 1] that `chosen` is better. Without it labels are hard.
        candidate_mass_coefficient (`float`, *optional*):
            Only for the head `lm`: weight of -log of the probability that all candidates have together. Losses compare
            candidates with each other and say nothing about other texts, so that a model may come to write none of
            them. With 1 and hard labels, cross-entropy is ordinary language-model training on the right candidate, as
            long as no candidate begins another.
        anchor_coefficient (`float`, *optional*):
            Weight of the drift of hidden states from those of the model before training, beyond `anchor_tolerance`: see
            [`~w2s_rm.training.anchor.Anchor`]. 0 measures the drift and changes nothing. The log has it as `drift`.
        anchor_tolerance (`float`, *optional*, defaults to `0.0`):
            Drift of an example that is free: squared distance over squared length, without unit.
        layout (`str`, *optional*, defaults to `"auto"`):
            How examples become rows. `padded` feeds every candidate with its prompt, `shared_prefix` the prompt once
            with the candidates as branches after it; scores are the same to rounding. `auto` takes `shared_prefix`
            where the model allows it; where it does not, a warning says why.
        max_tokens_per_batch (`int`, *optional*):
            Most tokens in one forward pass of one device. A micro-batch of `per_device_train_batch_size` examples is
            computed in as many passes as that takes; the optimizer's step stays the same. Labelling and evaluation fill
            their batches up to it; where it is not set, up to the tokens that `per_device_eval_batch_size` of the
            largest example feed. The trainer's own `evaluate` and `predict` go by `per_device_eval_batch_size` alone.
    """

    # Transformers reads JSON from the command line for the fields in this list only.
    _VALID_DICT_FIELDS = RewardConfig._VALID_DICT_FIELDS + ["loss"]

    loss: dict[str, Any] | str = field(
        default_factory=lambda: {"name": "cross_entropy"},
        metadata={"help": 'Loss name and options, for example \'{"name": "log_confidence", "max_weight": 0.5}\'.'},
    )
    label_column: str = field(
        default="chosen_probability",
        metadata={"help": "Column with the probability in [0, 1] that `chosen` is better."},
    )
    candidate_mass_coefficient: float | None = field(
        default=None,
        metadata={"help": "Head lm: weight of -log of the probability that all candidates have together."},
    )
    anchor_coefficient: float | None = field(
        default=None,
        metadata={"help": "Weight of the drift of hidden states from those of the model before training."},
    )
    anchor_tolerance: float = field(
        default=0.0,
        metadata={"help": "Drift of an example that is free: squared distance over squared length."},
    )
    layout: str = field(
        default="auto",
        metadata={"help": "How examples become rows: auto, shared_prefix or padded."},
    )
    max_tokens_per_batch: int | None = field(
        default=None,
        metadata={"help": "Most tokens in one forward pass of one device; steps stay the same."},
    )

    def __post_init__(self) -> None:
        problems = []
        if self.layout not in LAYOUTS:
            problems.append(f"layout is {self.layout!r}; {nearest(str(self.layout), LAYOUTS)}")
        if self.max_tokens_per_batch is not None and self.max_tokens_per_batch < 1:
            problems.append(f"max_tokens_per_batch is {self.max_tokens_per_batch}; use 1 or more")
        for name, value in (
            ("anchor_coefficient", self.anchor_coefficient),
            ("anchor_tolerance", self.anchor_tolerance),
        ):
            # Written this way round, NaN is refused as well.
            if value is not None and not value >= 0:
                problems.append(f"{name} is {value}; use 0 or more")
        if self.anchor_tolerance and self.anchor_coefficient is None:
            problems.append("anchor_tolerance does nothing without anchor_coefficient; set both or none")
        if problems:
            # Before the arguments of transformers look for devices, and perhaps for other processes.
            raise ConfigError("; ".join(problems))
        # Under an accelerate config of DeepSpeed's, the arguments begin its communication.
        lock_builds()
        super().__post_init__()


def build_loss(entry: dict[str, Any] | str) -> Loss:
    """Build a loss from its recipe entry.

    Args:
        entry (`dict[str, Any]` or `str`): `name` and the fields of that loss; a plain string is a name.

    Raises:
        ConfigError: All that is wrong with it.
    """
    loss: Loss = options.build("losses", entry)
    return loss


def refuse_mass(head: Head, args: W2SRewardConfig) -> None:
    """Refuse `candidate_mass_coefficient` for a head whose scores are no log-probabilities.

    Args:
        head ([`~w2s_rm.heads.Head`]): The trainer's head.
        args ([`W2SRewardConfig`]): Its arguments.

    Raises:
        ConfigError: It is set.
    """
    if args.candidate_mass_coefficient is not None and not head.writes:
        raise ConfigError(
            "candidate_mass_coefficient is for head lm, whose scores are log-probabilities; remove it for head "
            f"{head.name}"
        )
