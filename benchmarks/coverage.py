"""How often the intervals of a report hold the truth, in simulations, and how wide they are.

    python -m benchmarks.coverage [--quick] [--simulations 2000] [--bootstrap 500]

Prints the tables of docs/metrics.md. Each simulation draws the credits of weak model, student and ceiling on test
examples for some seeds, from a population in which the truth is known, and asks for the intervals of the student's
accuracy, of its difference to the weak model, of the gap and of PGR. Beside them stands the percentile bootstrap over
examples and seeds. The last line says the least coverage of all cells.

Shape suffixes: M models, S seeds, N examples, R resamples.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import accuracy_interval, difference_interval
from w2s_rm.metrics.pgr import pgr

# Weak model, student, ceiling: accuracies in the population of seeds and examples.
ACCURACIES = (0.65, 0.73, 0.80)
QUANTITIES = ("accuracy", "difference", "gap", "PGR")
TRUTHS = (0.73, 0.08, 0.15, 0.08 / 0.15)
# A model is right on an example where a sum of normal numbers is below its threshold: one of all models (how hard the
# example is), one of the model, one of each seed. Credits of two models then correlate by about 0.3, those of two seeds
# by about 0.6: in the middle of what the runs of the recipes have, 0.1 to 0.6 and 0.5 to 0.9.
_OF_ALL, _OF_MODEL, _OF_SEED = 0.45, 0.35, 0.20
# A student comes out better where its supervisor has: seeds of the two correlate.
_PAIRED = 0.5
_RESAMPLES = 1_000


@dataclass(frozen=True)
class Cell:
    """A kind of experiment: seeds, standard deviation of true accuracies over seeds (points), test examples."""

    seeds: int
    spread: float
    items: int

    @property
    def text(self) -> str:
        return f"{self.seeds} seeds, a spread of {self.spread:g} points, {self.items:,} items"


@dataclass(frozen=True)
class Found:
    """What a cell gave, for each quantity: coverage (share), width, and the width if variances were known."""

    coverage: Sequence[float]
    widths: Sequence[float]
    ideal: Sequence[float]


def draw(rng: np.random.Generator, cell: Cell) -> list[Floats]:
    """Draw credits of shape `(S, N)` of weak model, student and ceiling."""
    quantiles_M = ndtri(np.array(ACCURACIES))
    densities_M = np.exp(-(quantiles_M**2) / 2) / np.sqrt(2 * np.pi)
    shifts_M = cell.spread / 100 / densities_M
    # The mean over seeds of a normal distribution function is one with a larger variance.
    thresholds_M = quantiles_M * np.sqrt(1 + shifts_M**2)
    seeds_MS = rng.standard_normal((3, cell.seeds))
    seeds_MS[1] = np.sqrt(_PAIRED) * seeds_MS[0] + np.sqrt(1 - _PAIRED) * seeds_MS[1]
    hardness_N = np.sqrt(_OF_ALL) * rng.standard_normal(cell.items)
    credits = []
    for threshold, shift, seeds_S in zip(thresholds_M, shifts_M, seeds_MS, strict=True):
        own_N = np.sqrt(_OF_MODEL) * rng.standard_normal(cell.items)
        private_SN = np.sqrt(_OF_SEED) * rng.standard_normal((cell.seeds, cell.items))
        right_SN = hardness_N + own_N + private_SN < (threshold + shift * seeds_S)[:, None]
        credits.append(right_SN.astype(np.float64))
    return credits


def intervals(weak_SN: Floats, student_SN: Floats, ceiling_SN: Floats) -> list[tuple[float, float]]:
    """Both ends of each quantity's interval, as a report gives them; an unbounded end is infinite."""
    found = pgr(weak_SN, student_SN, ceiling_SN)
    simple = (accuracy_interval(student_SN), difference_interval(student_SN, weak_SN))
    ratio = (-np.inf if found.low is None else found.low, np.inf if found.high is None else found.high)
    return [*((one.low, one.high) for one in simple), (found.gap_low, found.gap_high), ratio]


class Bootstrap:
    """The percentile bootstrap over examples and seeds, drawn independently (Owen 2007, the pigeonhole bootstrap)."""

    def __init__(self, cell: Cell) -> None:
        rng = np.random.default_rng(1)
        self.examples_RN = _weights(rng, cell.items)
        self.seeds_RS = _weights(rng, cell.seeds)

    def intervals(self, *credits: Floats) -> list[tuple[float, float]]:
        """As [`intervals`]."""
        weak_R, student_R, ceiling_R = (
            np.einsum("rs,rs->r", self.examples_RN @ credits_SN.T, self.seeds_RS) for credits_SN in credits
        )
        gap_R = ceiling_R - weak_R
        ratio_R = np.divide(student_R - weak_R, gap_R, where=gap_R != 0, out=np.full_like(gap_R, np.inf))
        return [
            (float(low), float(high))
            for low, high in (
                np.percentile(samples_R, (2.5, 97.5), method="nearest")
                for samples_R in (student_R, student_R - weak_R, gap_R, ratio_R)
            )
        ]


def _weights(rng: np.random.Generator, number: int) -> Floats:
    return rng.multinomial(number, np.full(number, 1 / number), size=_RESAMPLES) / number


def simulate(cell: Cell, simulations: int, bootstrap: int) -> tuple[Found, Found | None]:
    """Measure our intervals in all simulations of a cell and the bootstrap's in the first ones."""
    rng = np.random.default_rng([cell.seeds, round(10 * cell.spread), cell.items])
    old = Bootstrap(cell) if bootstrap else None
    ours, theirs, estimates = [], [], []
    for number in range(simulations):
        credits = draw(rng, cell)
        weak, student, ceiling = (float(credits_SN.mean()) for credits_SN in credits)
        estimates.append((student, student - weak, ceiling - weak, (student - weak) / (ceiling - weak)))
        ours.append(intervals(*credits))
        if old is not None and number < bootstrap:
            theirs.append(old.intervals(*credits))
    # Of the ratio the middle of the distribution: it has no variance.
    low, high = np.percentile(np.array(estimates)[:, 3], (2.5, 97.5))
    ideal = [*(2 * 1.96 * np.std(np.array(estimates)[:, :3], axis=0)), high - low]
    return _found(ours, ideal), _found(theirs, ideal) if theirs else None


def _found(ends: Sequence[Sequence[tuple[float, float]]], ideal: Sequence[float]) -> Found:
    table = np.array(ends)
    low, high = table[..., 0], table[..., 1]
    widths = high - low
    return Found(
        coverage=((low <= TRUTHS) & (np.array(TRUTHS) <= high)).mean(axis=0).tolist(),
        # A mean where there is one: intervals of PGR may be unbounded.
        widths=[*widths[:, :3].mean(axis=0).tolist(), float(np.median(widths[:, 3]))],
        ideal=list(map(float, ideal)),
    )


def tables(results: dict[Cell, tuple[Found, Found | None]]) -> Iterator[str]:
    """A Markdown table for each quantity: coverage in %, and the width in brackets."""
    items = sorted({cell.items for cell in results})
    with_bootstrap = any(old is not None for _, old in results.values())
    for place, quantity in enumerate(QUANTITIES):
        unit = "median width" if quantity == "PGR" else "mean width, points"
        heads = [f"{quantity}: seeds", "spread", *(f"{count:,} items" for count in items)]
        heads += [f"bootstrap, {count:,}" for count in items] if with_bootstrap else []
        yield f"Coverage in % ({unit}):"
        yield ""
        yield f"| {' | '.join(heads)} |"
        yield "|" + "---|" * len(heads)
        for seeds, spread in sorted({(cell.seeds, cell.spread) for cell in results}):
            pairs = [results[Cell(seeds, spread, count)] for count in items]
            found = [ours for ours, _ in pairs] + [old for _, old in pairs if old is not None]
            cells = [_cell(one, place) for one in found]
            yield f"| {' | '.join([str(seeds), f'{spread:g}', *cells])} |"
        yield ""


def _cell(found: Found, place: int) -> str:
    width = found.widths[place]
    text = f"{width:.2f}" if QUANTITIES[place] == "PGR" else f"{100 * width:.1f}"
    return f"{100 * found.coverage[place]:.1f} ({text.replace('inf', '∞')})"


def width_table(results: dict[Cell, tuple[Found, Found | None]]) -> Iterator[str]:
    """Widths of accuracies and differences as multiples of what they were if all variances were known."""
    spreads = sorted({cell.spread for cell in results})
    heads = ["Width / width with known variances", *(f"spread {spread:g}" for spread in spreads)]
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for seeds in sorted({cell.seeds for cell in results}):
        for name, which in (("ours", 0), ("bootstrap", 1)):
            ratios = [_relative(results, seeds, spread, which) for spread in spreads]
            if None not in ratios:
                yield f"| {seeds} seeds, {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |"
    yield ""


def _relative(results: dict[Cell, tuple[Found, Found | None]], seeds: int, spread: float, which: int) -> float | None:
    fitting = [pair[which] for cell, pair in results.items() if (cell.seeds, cell.spread) == (seeds, spread)]
    ratios = [
        width / ideal
        for found in fitting
        if found is not None
        for width, ideal in zip(found.widths[:3], found.ideal[:3], strict=True)
    ]
    return float(np.mean(ratios)) if ratios else None


def least(results: dict[Cell, tuple[Found, Found | None]], which: int) -> tuple[float, str]:
    """The least coverage (share) of ours or of the bootstrap, and where it is."""
    return min(
        (coverage, f"{quantity}, {cell.text}")
        for cell, pair in results.items()
        if (found := pair[which]) is not None
        for quantity, coverage in zip(QUANTITIES, found.coverage, strict=True)
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the corners alone, without the bootstrap")
    parser.add_argument("--simulations", type=int, help="in each cell (default: 2000, with --quick 600)")
    parser.add_argument(
        "--bootstrap", type=int, default=500, help="those with a bootstrap beside (default: %(default)s)"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    quick = arguments.quick
    grid = ((3, 5), (0.0, 4.0), (500, 2000)) if quick else ((3, 4, 5), (0.0, 1.0, 2.0, 4.0), (500, 1000, 2000))
    simulations = arguments.simulations or (600 if quick else 2000)
    bootstrap = 0 if quick else min(arguments.bootstrap, simulations)
    began = time.monotonic()
    results = {
        cell: simulate(cell, simulations, bootstrap) for cell in itertools.starmap(Cell, itertools.product(*grid))
    }
    print("\n".join([*tables(results), *width_table(results)]))
    errors = [f"{100 * np.sqrt(0.95 * 0.05 / simulations):.1f} points"]
    if bootstrap:
        coverage, where = least(results, 1)
        errors.append(f"of the bootstrap, in {bootstrap:,} simulations, {100 * np.sqrt(0.95 * 0.05 / bootstrap):.1f}")
        print(f"Least coverage of the bootstrap ({where}): {100 * coverage:.1f} %")
    print(f"{simulations:,} simulations in each cell; a coverage of 95 % has a standard error of {'; '.join(errors)}.")
    print(f"{time.monotonic() - began:.0f} seconds")
    coverage, where = least(results, 0)
    print(f"Least coverage ({where}): {100 * coverage:.1f} %")


if __name__ == "__main__":
    main()
