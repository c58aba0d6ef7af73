"""The simulations of `benchmarks.coverage`: their population is what they say, and intervals hold its truth."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from benchmarks import coverage
from benchmarks.coverage import ACCURACIES, TRUTHS, Cell


def test_the_population_has_the_accuracies_and_spreads_it_says() -> None:
    rng, cell = np.random.default_rng(0), Cell(seeds=2_000, spread=4.0, items=400)
    credits = np.array([table for table in coverage.draw(rng, cell)])
    of_seeds_MS = credits.mean(axis=2)
    assert of_seeds_MS.mean(axis=1) == pytest.approx(ACCURACIES, abs=0.03)
    # Of the spread over seeds, what chance on 400 examples adds is taken off: a fifth of the variance is private.
    drawn_M = np.array([np.cov(table[:1_000:2].T).trace() / 400**2 for table in credits])
    assert np.sqrt(of_seeds_MS.var(axis=1) - drawn_M / 2) == pytest.approx([0.04] * 3, abs=0.006)
    means = np.mean([[table.mean() for table in coverage.draw(rng, Cell(5, 4.0, 2_000))] for _ in range(400)], axis=0)
    assert means == pytest.approx(ACCURACIES, abs=0.003)
    assert (means[1] - means[0], means[2] - means[0]) == pytest.approx(TRUTHS[1:3], abs=0.004)


def test_three_seeds_that_differ_are_covered_and_the_bootstrap_does_not() -> None:
    """200 simulations: 95 % has a standard error of 1.5 points; of the bootstrap 100."""
    ours, old = coverage.simulate(Cell(3, 4.0, 2_000), 200, 100)
    assert old is not None
    assert min(ours.coverage) >= 0.92 and old.coverage[coverage.QUANTITIES.index("gap")] < 0.88
    # Wider than if variances were known, less than by the quantile of t with two degrees of freedom: 4.303 / 1.960.
    assert all(1 < width / ideal < 2.2 for width, ideal in zip(ours.widths[:3], ours.ideal[:3], strict=True))


def test_seeds_that_do_not_differ_cost_little() -> None:
    ours, _ = coverage.simulate(Cell(5, 0.0, 500), 200, 0)
    assert min(ours.coverage) >= 0.92
    assert all(width / ideal < 1.25 for width, ideal in zip(ours.widths[:3], ours.ideal[:3], strict=True))


def test_the_last_line_ends_with_the_least_coverage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["coverage", "--quick", "--simulations", "5"])
    coverage.main()
    *lines, last = capsys.readouterr().out.splitlines()
    found = re.fullmatch(
        r"Least coverage \((\w+), (\d) seeds, a spread of (\d) points, ([\d,]+) items\): (\d+\.\d) %", last
    )
    assert found and sum(line.startswith("| 3 | 4 |") for line in lines) == len(coverage.QUANTITIES)
    # The cell that it names has this coverage in the tables.
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {found[1]}: seeds"))
    row = next(line for line in lines[start:] if line.startswith(f"| {found[2]} | {found[3]} |"))
    assert f" {found[5]} (" in row
