"""What a recipe says of training on frozen features: `train: {on: features, layer: 15, pooling: mean, l2: 0.1}`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.options import Mistake, build_options, option_mistakes, type_problem

POOLINGS = ("last", "mean", "mean_candidate")
"""How the hidden states of tokens become one vector: that at the last token, as a head reads it; their mean over prompt
and candidate; their mean over the candidate alone."""
TOKENS = "tokens"
"""The states of all tokens as they are, with no norm behind them: what the layers above would read."""
FEATURES = "features"
"""What `on` may be."""


@dataclass(frozen=True)
class FeatureOptions:
    """How a linear model is trained on what a frozen model makes of the examples.

    Of several layers and penalties that pair is taken which has the lowest cross-entropy on the validation split: with
    the truth for models that are trained on the truth, with the supervisor's labels for students.

    Args:
        layer (`int` or `list[int]`): Whose hidden states are read, from 0 (the embeddings) to the number of layers.
        l2 (`float` or `list[float]`): Penalty: half of it times the squared length of the weights, on standardised
            features, is added to the mean loss of an example. Scikit-learn's `C` is 1 / (l2 x examples).
        pooling (`str`, *optional*, defaults to `"last"`): `last`, the state at the last token; `mean`, over all tokens
            of prompt and candidate; or `mean_candidate`, over those of the candidate. A head with weights for each
            class reads the prompt alone, to which `mean` and `mean_candidate` then are the same.

    Raises:
        OptionError: A value out of range.
    """

    layer: int | list[int]
    l2: float | list[float]
    pooling: str = "last"

    def __post_init__(self) -> None:
        wrong = {}
        if not self.layers or min(self.layers) < 0 or len(set(self.layers)) < len(self.layers):
            wrong["layer"] = f"is {self.layer!r}; use 0 (the embeddings) or more, several as a list, none twice"
        # Written this way round, NaN is outside.
        finite = all(0 <= value < math.inf for value in self.penalties)
        if not self.penalties or not finite or len(set(self.penalties)) < len(self.penalties):
            wrong["l2"] = f"is {self.l2!r}; use 0 or more (and finite), several as a list, none twice"
        if self.pooling not in POOLINGS:
            wrong["pooling"] = f"is {self.pooling!r}; use {' or '.join(POOLINGS)}"
        if wrong:
            raise OptionError("features", wrong)

    @property
    def layers(self) -> list[int]:
        """All layers to choose from."""
        return list(self.layer) if isinstance(self.layer, list) else [self.layer]

    @property
    def penalties(self) -> list[float]:
        """All penalties to choose from, the largest first."""
        values = self.l2 if isinstance(self.l2, list) else [self.l2]
        # So that each fit can begin where the one before ended: with less penalty weights grow from small to large.
        return sorted(map(float, values), reverse=True)

    @property
    def several(self) -> bool:
        """Whether one of several must be chosen."""
        return len(self.layers) * len(self.penalties) > 1

    @property
    def columns(self) -> list[str]:
        """Names of the features to choose from."""
        return [column(layer, self.pooling) for layer in self.layers]


_TYPES = {option.name: str(option.type) for option in fields(FeatureOptions)}
ANNOTATIONS = {"on": "str", **_TYPES}
"""The options that only training on features has, with their types."""


@dataclass(frozen=True)
class FeatureSchedule:
    """How a loss is minimised that is not convex, or needs statistics of a batch: step by step, with Adam.

    Args:
        learning_rate (`float`, *optional*, defaults to `1e-3`): Of the first step; it falls to 0.
        num_train_epochs (`float`, *optional*, defaults to `10`): How often each example is seen.
    """

    learning_rate: float = 1e-3
    num_train_epochs: float = 10.0

    @classmethod
    def of(cls, train: Mapping[str, Any]) -> FeatureSchedule:
        """Take what training options say.

        Args:
            train (`Mapping`): Training options of a model.
        """
        own = {option.name: float(train[option.name]) for option in fields(cls) if train.get(option.name) is not None}
        return cls(**own)


def lacks_layers(model: str, lacking: Sequence[int], count: int) -> str:
    """Say that a model lacks layers.

    Args:
        model (`str`): Its name.
        lacking (`Sequence[int]`): Layers that were asked for.
        count (`int`): How many it has.
    """
    return f"layer {', '.join(map(str, lacking))}: {model} has {count}; use 0 (the embeddings) to {count}"


def column(layer: int, pooling: str) -> str:
    """Name the features of a layer, as a stage of features keeps them.

    Args:
        layer (`int`): Whose hidden states; below 0 counted from the end, -2 for those that the last two layers read.
        pooling (`str`): How those of tokens become one vector, or [`TOKENS`].
    """
    return f"{pooling}.{layer}"


def parse_column(name: str) -> tuple[int, str]:
    """Take the name of features apart into layer and pooling.

    Args:
        name (`str`): From [`column`].
    """
    pooling, _, layer = name.partition(".")
    return int(layer), pooling


def pooling_of_rows(pooling: str, *, classes: bool) -> str:
    """Return how a model must pool the tokens of a row, prompt and candidate together, to read the same features.

    Args:
        pooling (`str`): One of [`POOLINGS`].
        classes (`bool`): Whether rows are prompts alone, to which both means are the same.

    Raises:
        ConfigError: A row does not say where the candidate begins.
    """
    if pooling != "mean_candidate":
        return pooling
    if classes:
        return "mean"
    raise ConfigError(
        "pooling mean_candidate: no model can be made of this linear model, which reads the mean over the candidate "
        "alone: a row of tokens does not say where that begins; train with pooling mean or last"
    )


def feature_mistakes(train: Mapping[str, Any]) -> Iterator[Mistake]:
    """Say what is wrong with the options of features in one mapping of a recipe; others may stand in another one.

    Args:
        train (`Mapping`): Training options, their types checked.
    """
    if train.get("on") not in (None, FEATURES):
        yield Mistake(("on",), f"is {train['on']!r}; write {FEATURES}, or leave it out to train the model itself")
    own = {name: train[name] for name in _TYPES if train.get(name) is not None}
    if all(type_problem(value, _TYPES[name]) is None for name, value in own.items()):
        # What is required may stand in another mapping; these hold its place.
        yield from option_mistakes(FeatureOptions, {"layer": 0, "l2": 0.0, **own}, "features")


def part_features(train: Mapping[str, Any]) -> tuple[FeatureOptions | None, dict[str, Any]]:
    """Part training options into those of features, where the training is on these, and all others.

    Args:
        train (`Mapping`): Training options of a model.

    Raises:
        ConfigError: Options of features are missing, or are there without `on`.
    """
    others = {name: value for name, value in train.items() if name not in ANNOTATIONS}
    own = {name: train[name] for name in _TYPES if train.get(name) is not None}
    if train.get("on") is None:
        if own:
            raise ConfigError(f"train: {', '.join(own)}: only with on: {FEATURES}; add that, or leave them out")
        return None, others
    options: FeatureOptions = build_options(FeatureOptions, own, f"train on {FEATURES}")
    return options, others
