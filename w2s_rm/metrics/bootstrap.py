"""Bootstrap over test examples and seeds, for plain accuracies and for anything computed from several of them.

Shape suffixes: M models, S seeds, N examples, R resamples, P distinct patterns of credits, C = M * S columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats

N_RESAMPLES = 10_000
CONFIDENCE = 0.95
_RNG_SEED = 0
# Numbers drawn at a time: 32 MB, however many examples there are.
_CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap percentile interval.

    Args:
        value (`float`): The estimate from all examples and seeds.
        low (`float`): Lower end.
        high (`float`): Upper end.
    """

    value: float
    low: float
    high: float


def accuracy_interval(
    correct_SN: Floats, *, n_resamples: int = N_RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """Mean accuracy over seeds and examples with a bootstrap interval over both.

    Args:
        correct_SN (`ndarray` of shape `(S, N)`): Credit in [0, 1] of each example, one row for each seed.
        n_resamples (`int`, *optional*, defaults to `10000`): Bootstrap resamples.
        confidence (`float`, *optional*, defaults to `0.95`): Share of the resamples inside the interval.

    Raises:
        DataError: No seeds, no examples, or credits outside [0, 1].
    """
    means_R = bootstrap_means([correct_SN], n_resamples=n_resamples)[:, 0]
    low, high = percentile_interval(means_R, confidence)
    return Interval(float(correct_SN.mean()), low, high)


def difference_interval(
    correct_SN: Floats, other_SN: Floats, *, n_resamples: int = N_RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """How much more accurate one model is than another, with a paired bootstrap interval over seeds and examples.

    Args:
        correct_SN (`ndarray` of shape `(S, N)`): Credit in [0, 1] of each example, one row for each seed.
        other_SN (`ndarray` of shape `(S, N)`): The same of the model to compare with.
        n_resamples (`int`, *optional*, defaults to `10000`): Bootstrap resamples.
        confidence (`float`, *optional*, defaults to `0.95`): Share of the resamples inside the interval.

    Raises:
        DataError: Different shapes, no seeds, no examples, or credits outside [0, 1].
    """
    other_R, mean_R = bootstrap_means([other_SN, correct_SN], n_resamples=n_resamples).T
    low, high = percentile_interval(mean_R - other_R, confidence)
    return Interval(float(correct_SN.mean() - other_SN.mean()), low, high)


def bootstrap_means(correct_MSN: Sequence[Floats], *, n_resamples: int = N_RESAMPLES) -> Floats:
    """Resample examples and seeds with replacement and return each model's mean credit in every resample.

    The resample is the same for all models (paired), and the examples drawn are the same for all seeds: rows and
    columns of the table seeds x examples are drawn independently, the pigeonhole bootstrap of Owen 2007 (Annals of
    Applied Statistics 1(2), 386-411).

    What the 95 % interval of PGR covers, measured by simulation with 500 examples and a gap of 20 points: with one seed
    95 % of the values other test examples would give (other seeds are not in it); with three seeds 99.8 % when seeds
    differ only by chance on single examples, 97 % when their accuracies also spread by about 1 point, and 86 % when
    they spread by about 4 points: three seeds are too few to know such a spread.

    Args:
        correct_MSN (`Sequence` of M `ndarray` of shape `(S, N)`): Credits in [0, 1] of each model.
        n_resamples (`int`, *optional*, defaults to `10000`): Bootstrap resamples; the generator's seed is fixed.

    Returns:
        `ndarray` of shape `(R, M)`: Mean credit of each model in each resample.

    Raises:
        DataError: Models with different seeds or examples, no seeds, no examples, or credits outside [0, 1].
    """
    _check(correct_MSN)
    table_MSN = np.array(correct_MSN, dtype=np.float64)
    return _resampled(table_MSN.tobytes(), table_MSN.shape, n_resamples)


# A report asks again for the models that its methods share.
@lru_cache(maxsize=64)
def _resampled(credits: bytes, shape: tuple[int, int, int], n_resamples: int) -> Floats:
    """Draw for credits of shape `(M, S, N)`, given as bytes to be a key; the result is read-only."""
    n_models, n_seeds, n_examples = shape
    # Examples with equal credits everywhere are interchangeable, and drawing how often each distinct pattern occurs is
    # the same experiment with far fewer numbers.
    table_NC = np.frombuffer(credits).reshape(n_models * n_seeds, n_examples).T
    patterns_PC, counts_P = np.unique(table_NC, axis=0, return_counts=True)
    rng = np.random.default_rng(_RNG_SEED)
    seed_weights_RS = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_resamples) / n_seeds
    means_RM = np.empty((n_resamples, n_models))
    chunk = max(1, _CHUNK_NUMBERS // len(counts_P))
    for start in range(0, n_resamples, chunk):
        rows = slice(start, min(start + chunk, n_resamples))
        drawn_RP = rng.multinomial(n_examples, counts_P / n_examples, size=rows.stop - rows.start)
        means_RMS = (drawn_RP.astype(np.float64) @ patterns_PC / n_examples).reshape(-1, n_models, n_seeds)
        means_RM[rows] = np.einsum("rms,rs->rm", means_RMS, seed_weights_RS[rows])
    means_RM.setflags(write=False)
    return means_RM


def percentile_interval(samples_R: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two sample values that leave (1 - confidence)/2 of the samples outside on either side.

    Whole samples are taken, the outer one of two neighbours, never a mixture: samples may be infinite.

    Args:
        samples_R (`ndarray` of shape `(R,)`): Bootstrap samples, without NaN.
        confidence (`float`, *optional*, defaults to `0.95`): Share of the samples inside.
    """
    ordered = np.sort(samples_R)
    # The tolerance keeps 2000 * 0.025 from becoming 49.99…
    outside = int((len(ordered) - 1) * (1 - confidence) / 2 + 1e-9)
    return float(ordered[outside]), float(ordered[len(ordered) - 1 - outside])


def _check(correct_MSN: Sequence[Floats]) -> None:
    shapes = sorted({array.shape for array in correct_MSN})
    if len(shapes) != 1:
        raise DataError(f"models need the same seeds and examples; their (seeds, examples) are {shapes}")
    if len(shapes[0]) != 2 or 0 in shapes[0]:
        raise DataError(f"credits must be a table seeds x examples with at least one of each; the shape is {shapes[0]}")
    if not all(bool(((array >= 0) & (array <= 1)).all()) for array in correct_MSN):
        raise DataError("credits must lie in [0, 1]: 1 for right, 0 for wrong, between them for ties")
