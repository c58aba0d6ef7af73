"""Synthetic finished runs with policies, as a `policy` stage leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2s_rm.files import read_signed, write_signed
from w2s_rm.runs.folder import StageFolder

Successes = Sequence[Sequence[float]]
Curve = Sequence[tuple[int, float, float, float]]
START = 0.5


def write_policy(
    folder: Path,
    success: Sequence[float],
    curve: Curve | None = None,
    *,
    before: float = START,
    reward: float = 2.0,
    kl: float = 1.5,
    backwards: bool = False,
) -> None:
    """Write what a policy stage writes; rewards and KL spread around their means."""
    folder.mkdir(parents=True, exist_ok=True)
    n, mean = len(success), sum(success) / len(success)
    spread = [0.1 * (i - (n - 1) / 2) for i in range(n)]
    table = pa.table(
        {
            "id": [f"p{i:03d}" for i in range(n)],
            "success": pa.array(success, pa.float64()),
            "reward": [reward + one for one in spread],
            "kl": [kl + one for one in spread],
        }
    )
    pq.write_table(table.take(list(reversed(range(n)))) if backwards else table, folder / "policy.parquet")
    points = curve or [(0, 0.0, 0.0, before), (10, kl, reward, mean)]
    lines = [json.dumps(dict(zip(("step", "kl", "reward", "success"), point, strict=True))) for point in points]
    (folder / "curve.jsonl").write_text("\n".join(lines) + "\n")
    counts = {"success_before": before, "success_after": mean, "steps": points[-1][0]}
    StageFolder(folder).seal({"counts": counts})


@pytest.fixture(scope="session")
def write_policy_run(write_run: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that writes a run with policies and gives its folder.

    `policies` maps a trainer to what each reward model ("weak", "ceiling" or a method) gave: for each seed the
    success of each prompt. `written` maps (trainer, model) to arguments of `write_policy` for each seed.
    """

    def make(
        policies: Mapping[str, Mapping[str, Successes]],
        *,
        written: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]] | None = None,
        samples: int = 4,
        **run: Any,
    ) -> Path:
        methods = [of for of in next(iter(policies.values())) if of not in ("weak", "ceiling")]
        n_seeds = len(next(iter(policies.values()))[methods[0]])
        right = [1.0] * 65 + [0.0] * 35, [1.0] * 75 + [0.0] * 25, [1.0] * 90 + [0.0] * 10
        given = {
            "weak": [right[0]] * n_seeds,
            "students": {method: [right[1]] * n_seeds for method in methods},
            "ceiling": [right[2]] * n_seeds,
            **run,
        }
        folder = write_run(**given)
        plan = read_signed(folder / "plan.json")
        plan["stages"] = [{**stage, "policy": None} for stage in plan["stages"]]
        plan["policies"] = {"model": "embedded 3x128", "methods": list(policies), "samples": samples}
        for trainer, models in policies.items():
            for model, per_seed in models.items():
                of, method = (model, None) if model in ("weak", "ceiling") else ("student", model)
                for seed, success in enumerate(per_seed):
                    place = folder.parent / "stages" / f"policy-{folder.name}-{trainer}-{model}-{seed}"
                    more = (written or {}).get((trainer, model))
                    write_policy(place, success, **(more[seed] if more else {}))
                    plan["stages"].append(
                        dict(stage="policy", of=of, method=method, seed=seed, policy=trainer, folder=str(place))
                    )
        write_signed(folder / "plan.json", plan)
        return folder

    return make


@pytest.fixture
def make_policy_run(write_policy_run: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """The same, in the test's own folder."""
    return partial(write_policy_run, root=tmp_path / "runs")


@pytest.fixture(scope="session")
def rates() -> Callable[..., list[float]]:
    """A function that gives each of `n` prompts a success rate in quarters, with a chosen mean."""

    def make(mean: float, n: int = 40) -> list[float]:
        quarters = round(mean * n * 4)
        return [min(4, max(0, quarters - 4 * i)) / 4 for i in range(n)]

    return make


@pytest.fixture(scope="session")
def write_two_trainers(
    write_policy_run: Callable[..., Path], rates: Callable[..., list[float]]
) -> Callable[[Path], Path]:
    """Return a function that writes a run into a folder of runs.

    It has two trainers, two methods, two seeds; every mean is another one, and gaps are alike in both seeds.
    """

    def models(weak: float, naive: float, other: float, ceiling: float) -> dict[str, list[list[float]]]:
        return {
            "weak": [rates(weak), rates(weak + 0.05)],
            "naive": [rates(naive), rates(naive + 0.05)],
            "other": [rates(other), rates(other + 0.05)],
            "ceiling": [rates(ceiling - 0.05), rates(ceiling)],
        }

    trainers = {"dpo": models(0.55, 0.65, 0.7, 0.9), "rloo": models(0.6, 0.75, 0.8, 0.95)}
    return lambda root: write_policy_run(trainers, root=root)


@pytest.fixture
def two_trainers(write_two_trainers: Callable[[Path], Path], tmp_path: Path) -> Path:
    """Such a run, the test's own."""
    return write_two_trainers(tmp_path / "runs")
