"""Linear models on frozen features: how they score, and the file that keeps them.

Shape suffixes: F things that have features (candidates, or prompts), in one flat row, D width, O outputs: one that all
candidates share, or one for each class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from w2s_rm.errors import ArtifactError
from w2s_rm.features.fitting import Fit, Scale
from w2s_rm.features.store import FeatureTable, save_tensors


@dataclass(frozen=True)
class LinearModel:
    """A linear model on features as they are stored.

    Args:
        column (`str`): Which features, a name of [`~w2s_rm.features.options.column`].
        l2 (`float`): The penalty it was fitted with.
        weights_OD (`Tensor` of shape `(O, D)`): Float64.
        bias_O (`Tensor` of shape `(O,)`): Float64.
        classes (`bool`): As in [`~w2s_rm.features.fitting.Problem`].
    """

    column: str
    l2: float
    weights_OD: Tensor
    bias_O: Tensor
    classes: bool

    def scores(self, table: FeatureTable) -> list[tuple[float, ...]]:
        """Score the candidates of examples.

        Args:
            table ([`~w2s_rm.features.store.FeatureTable`]): Their features.
        """
        values_FD = table.values_FD.double()
        # Not a product of matrices, whose rounding differs from row to row: the same features have the same score.
        outputs = [(values_FD * weights_D).sum(dim=1) for weights_D in self.weights_OD]
        scores_FO = torch.stack(outputs, dim=1) + self.bias_O
        if self.classes:
            return [tuple(row) for row in scores_FO.tolist()]
        return [tuple(part.tolist()) for part in scores_FO[:, 0].split(table.counts)]


def unscaled(fit: Fit, scale: Scale, column: str, l2: float, *, classes: bool) -> LinearModel:
    """Return the model that reads features before they are standardised.

    Args:
        fit ([`~w2s_rm.features.fitting.Fit`]): What was fitted to standardised features.
        scale ([`~w2s_rm.features.fitting.Scale`]): How they were standardised.
        column (`str`): Which features they are.
        l2 (`float`): The penalty.
        classes (`bool`): As in [`~w2s_rm.features.fitting.Problem`].
    """
    # w · (x - mean) / std + b is (w / std) · x + b - (w / std) · mean.
    weights_OD = fit.weights_OD / scale.std_D
    return LinearModel(column, l2, weights_OD, fit.bias_O - weights_OD @ scale.mean_D, classes)


def save_models(path: Path, models: Sequence[LinearModel], chosen: int, scales: Mapping[str, Scale]) -> None:
    """Write models to a file that is whole or not there.

    Args:
        path (`Path`): Where.
        models (`Sequence[LinearModel]`): All that were fitted.
        chosen (`int`): Place of the one that was taken.
        scales (`Mapping[str, Scale]`): By column, how features were standardised; recorded.
    """
    tensors: dict[str, Tensor] = {}
    for number, model in enumerate(models):
        # Safetensors refuses views that are not contiguous.
        tensors |= {f"weights.{number}": model.weights_OD.contiguous(), f"bias.{number}": model.bias_O.contiguous()}
    for column, scale in scales.items():
        tensors |= {f"mean.{column}": scale.mean_D, f"std.{column}": scale.std_D}
    described = [{"column": model.column, "l2": model.l2, "classes": model.classes} for model in models]
    save_tensors(path, tensors, {"models": json.dumps(described), "chosen": str(chosen)})


def load_models(path: Path) -> tuple[list[LinearModel], int]:
    """Read all models of a file, and which of them was chosen.

    Args:
        path (`Path`): What [`save_models`] wrote.

    Raises:
        ArtifactError: It cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            described, chosen = json.loads(file.metadata()["models"]), int(file.metadata()["chosen"])
            models = [
                LinearModel(
                    **facts, weights_OD=file.get_tensor(f"weights.{number}"), bias_O=file.get_tensor(f"bias.{number}")
                )
                for number, facts in enumerate(described)
            ]
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); delete its folder and run the recipe again") from error
    return models, chosen
