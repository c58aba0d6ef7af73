"""What a plan says about how much its report will be able to tell."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.experiment.plan import Plan
from w2s_rm.metrics.power import ACCURACY, BETWEEN_MODELS, BETWEEN_SEEDS, expected_pgr
from w2s_rm.render.numbers import percent, ratio, ratio_interval
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages.prepare import Prepare


def power_lines(plans: Sequence[Plan], *, gap: float, spread: float) -> list[str]:
    """Say how wide the interval of PGR will be, once for all recipes with as many test examples and seeds.

    Args:
        plans (`Sequence[Plan]`): What is planned.
        gap (`float`): Assumed accuracy of the ceiling minus that of the weak model, a share.
        spread (`float`): Assumed standard deviation of each model's true accuracy over seeds, a share.

    Returns:
        `list[str]`: Nothing for recipes without ground truth, which have no PGR.
    """
    sizes = dict.fromkeys(
        (_n_test(plan), len(plan.recipe.seeds)) for plan in plans if plan.recipe.task().has_ground_truth
    )
    return [_line(n_test, n_seeds, gap, spread) for n_test, n_seeds in sizes]


def _n_test(plan: Plan) -> int | None:
    """Test examples: as many as were prepared, else as the recipe asks for, which may be all there are."""
    n_test: int | None = plan.recipe.sizes.get("n_test")
    # Not those of further tasks, on which models are scored beside it.
    own = [stage for stage in plan.stages if isinstance(stage, Prepare) and stage.further is None and stage.cached]
    return int(StageFolder(own[0].folder).manifest()["counts"]["n_test"]) if own else n_test


def _line(n_test: int | None, n_seeds: int, gap: float, spread: float) -> str:
    if n_test is None:
        return "PGR's interval follows from the number of test examples, which is known once they are prepared"
    expected = expected_pgr(n_test, n_seeds, gap=gap, spread=spread)
    seeds = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds and a spread of {percent(spread)} points over seeds"
    told = f"{ratio(expected.value)} {ratio_interval(expected.low, expected.high)}"
    if expected.low is None:
        told += ", as such a gap cannot be told from zero"
    return (
        f"PGR's interval with {n_test:,} test examples, {seeds}, and a gap of {percent(gap)} points: {told}\n"
        f"  assumed: accuracies around {percent(ACCURACY)} %; credits of two models correlate by "
        f"{BETWEEN_MODELS:g}, of two seeds by {BETWEEN_SEEDS:g}; --gap and --spread assume others"
    )
