"""How RewardBench adds up: subsets into sections, sections into one score (Lambert et al. 2024, arXiv 2403.13787).

The sections and their weights are those of `rewardbench.constants` and `rewardbench.utils` in the package rewardbench
0.1.4: within a section every prompt counts the same, but for `math-prm`, which counts as much as all code together; the
score is the plain mean over sections.

Shape suffixes: N examples of a subset, P subsets, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from w2s_rm.metrics.bootstrap import N_RESAMPLES, Interval, percentile_interval
from w2s_rm.metrics.choices import Floats

OTHER = "other"
"""The section of subsets that the benchmark does not know."""
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Chat": ("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med"),
    "Chat Hard": (
        "mt-bench-hard",
        "llmbar-natural",
        "llmbar-adver-neighbor",
        "llmbar-adver-GPTInst",
        "llmbar-adver-GPTOut",
        "llmbar-adver-manual",
    ),
    "Safety": (
        "refusals-dangerous",
        "refusals-offensive",
        "xstest-should-refuse",
        "xstest-should-respond",
        "donotanswer",
    ),
    "Reasoning": ("math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
}
_MATHS = "math-prm"
_RNG_SEED = 0


def section_of(subset: str) -> str:
    """Return the section of a subset; [`OTHER`] for one that the benchmark does not have.

    Args:
        subset (`str`): For example `"hep-go"`.
    """
    return next((section for section, subsets in SECTIONS.items() if subset in subsets), OTHER)


def section_weights(sizes: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return the weight of each subset in its section; the weights of a section add up to one.

    Args:
        sizes (`Mapping[str, int]`): Number of examples of each subset that there is.
    """
    counts = dict(sizes)
    code = sum(count for subset, count in sizes.items() if subset in SECTIONS["Reasoning"] and subset != _MATHS)
    if _MATHS in counts and code:
        counts[_MATHS] = code
    weights: dict[str, dict[str, float]] = {}
    for section in (*SECTIONS, OTHER):
        inside = {subset: count for subset, count in counts.items() if section_of(subset) == section}
        if inside:
            weights[section] = {subset: count / sum(inside.values()) for subset, count in inside.items()}
    return weights


def stratified_means(credits: Mapping[str, Floats], *, n_resamples: int = N_RESAMPLES) -> dict[str, Floats]:
    """Resample the examples of each subset on its own, since a benchmark's subsets have fixed sizes.

    Args:
        credits (`Mapping[str, ndarray]`): Credits in [0, 1] of each subset, of shape `(N,)`.
        n_resamples (`int`, *optional*, defaults to `10000`): Bootstrap resamples; the generator's seed is fixed.

    Returns:
        `dict[str, ndarray]`: The mean credit of each subset in each resample, of shape `(R,)`.
    """
    rng, means = np.random.default_rng(_RNG_SEED), {}
    for subset, credits_N in credits.items():
        values, counts = np.unique(credits_N, return_counts=True)
        drawn = rng.multinomial(len(credits_N), counts / len(credits_N), size=n_resamples)
        means[subset] = drawn @ values / len(credits_N)
    return means


def weighted(means: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Add up parts.

    Args:
        means (`Mapping[str, ndarray]`): Values of each part, all of one shape.
        weights (`Mapping[str, float]`): Weight of each part to add.
    """
    parts: Sequence[Floats] = [weight * np.asarray(means[name]) for name, weight in weights.items()]
    return np.sum(parts, axis=0)


def interval(value: float, samples_R: Floats) -> Interval:
    """Return a value with the 95 % interval of its resamples.

    Args:
        value (`float`): The estimate.
        samples_R (`ndarray` of shape `(R,)`): Its bootstrap resamples.
    """
    return Interval(value, *percentile_interval(samples_R))
