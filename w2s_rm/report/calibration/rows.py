"""What a report says about the calibration of one model, or of labels, of one run."""

from __future__ import annotations

from dataclasses import dataclass

from w2s_rm.report.scored import title

NESTED = ("transforms", "bins", "tempered_bins")
"""Fields that have no place in a flat table."""


@dataclass(frozen=True)
class Bin:
    """Examples of about the same confidence, means over seeds.

    Args:
        confidence (`float`): Mean confidence, in [0, 1].
        accuracy (`float`): Share of right ones.
        error (`float`): Standard error of their difference.
    """

    confidence: float
    accuracy: float
    error: float


@dataclass(frozen=True)
class CalibrationRow:
    """One model on the test split, or labels of the split that students are trained on. All are means over seeds.

    `_low` and `_high` are the ends of 95 % intervals over groups of examples and seeds.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        role (`str`): A word of [`w2s_rm.roles`].
        method (`str` or `None`): The method that it belongs to; `None` where methods share it.
        transforms (`tuple[str, ...]`): What was done to labels since the supervisor gave them.
        n_examples (`int`): Examples with ground truth.
        n_groups (`int` or `None`): Groups that they form; `None` where the examples are not on file.
        n_seeds (`int`): Seeds.
        accuracy (`float`): Share of right ones.
        confidence (`float`): Mean probability of the most probable candidate.
        overconfidence (`float`): Confidence minus accuracy.
        overconfidence_low (`float`): Lower end.
        overconfidence_high (`float`): Upper end.
        n_excluded (`int`): Examples, of all seeds, whose right candidate has probability 0.
        nll (`float` or `None`): Negative log-likelihood in nats; `None` where it is infinite.
        nll_low (`float` or `None`): Lower end.
        nll_high (`float` or `None`): Upper end.
        brier (`float`): Brier score, from 0 to 2.
        brier_low (`float`): Lower end.
        brier_high (`float`): Upper end.
        ece (`float`): Expected calibration error, less its bias.
        ece_low (`float`): Lower end; 0 where a calibrated model would show as much.
        ece_high (`float`): Upper end.
        ece_plain (`float`): The error as it is defined, bias included.
        ece_noise (`float`): What that would be for a calibrated model.
        temperature (`float` or `None`): Geometric mean of the temperatures that fit best, of both halves of the
            examples and all seeds; `None` where one of them has none.
        tempered_nll (`float` or `None`): With the temperature that was fitted to the other half.
        tempered_brier (`float` or `None`): The same.
        tempered_ece (`float` or `None`): The same.
        tempered_ece_low (`float` or `None`): Lower end.
        tempered_ece_high (`float` or `None`): Upper end.
        tempered_ece_plain (`float` or `None`): The error as it is defined, bias included.
        bins (`tuple[Bin, ...]`): From the lowest confidence to the highest.
        tempered_bins (`tuple[Bin, ...]`): The same with temperature; empty without.
    """

    recipe: str
    setting: str
    task: str
    role: str
    method: str | None
    transforms: tuple[str, ...]
    n_examples: int
    n_groups: int | None
    n_seeds: int
    accuracy: float
    confidence: float
    overconfidence: float
    overconfidence_low: float
    overconfidence_high: float
    n_excluded: int
    nll: float | None
    nll_low: float | None
    nll_high: float | None
    brier: float
    brier_low: float
    brier_high: float
    ece: float
    ece_low: float
    ece_high: float
    ece_plain: float
    ece_noise: float
    temperature: float | None
    tempered_nll: float | None
    tempered_brier: float | None
    tempered_ece: float | None
    tempered_ece_low: float | None
    tempered_ece_high: float | None
    tempered_ece_plain: float | None
    bins: tuple[Bin, ...]
    tempered_bins: tuple[Bin, ...]

    @property
    def title(self) -> str:
        """The model or the labels in words."""
        return title(self.role, self.method, self.transforms)
