"""Student's t distribution, for whole degrees of freedom; scipy's takes as long to import as a plan takes to make.

Source: Abramowitz and Stegun 1964, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

LEAST_ERROR = 1e-10
"""Below this the distribution's tail is rounding."""
_STEPS = 200


def two_sided(distance: float, freedom: int) -> float:
    """Return the probability that t is further from zero than a distance.

    Args:
        distance (`float`): At least 0.
        freedom (`int`): Degrees of freedom, at least 1.
    """
    # The handbook's theta, of which t is sqrt(freedom) times the tangent.
    angle = math.atan2(distance, math.sqrt(freedom))
    sine, squared = math.sin(angle), freedom / (freedom + distance**2)
    even = freedom % 2 == 0
    # Terms 1, 1/2 c², 3/8 c⁴, … of an even number, c, 2/3 c³, 8/15 c⁵, … of an odd one.
    order = np.arange(1, freedom // 2)
    ratios = (2 * order - 1) / (2 * order) if even else 2 * order / (2 * order + 1)
    total = 1 + float(np.cumprod(ratios * squared).sum())
    if even:
        return 1 - sine * total
    return 1 - (angle + (sine * math.sqrt(squared) * total if freedom > 1 else 0.0)) * 2 / math.pi


@lru_cache(maxsize=4096)
def quantile(error: float, freedom: int) -> float:
    """Return the distance from zero that t exceeds, to either side, with a probability.

    Args:
        error (`float`): The probability, from [`LEAST_ERROR`] to 1.
        freedom (`int`): Degrees of freedom, at least 1.
    """
    if error >= 1:
        return 0.0
    # The density at a distance is this times (1 + distance² / freedom) to the power of -(freedom + 1) / 2.
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    # The normal quantile lies below that of t, and near it where there are many degrees of freedom.
    distance = -NormalDist().inv_cdf(error / 2)
    for _ in range(_STEPS):
        tail = two_sided(distance, freedom)
        density = math.exp(scale - (freedom + 1) / 2 * math.log1p(distance**2 / freedom))
        # Newton's method for the logarithm of the tail, which is nearly a straight line or bends one way.
        step = math.log(tail / error) * tail / (2 * density)
        distance += step
        if abs(step) <= 1e-13 * distance:
            break
    return distance
