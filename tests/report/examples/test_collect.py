"""From files of a run to its test examples: means over seeds, choices, who supervises whom, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.special import softmax
from sealing import reseal

from w2s_rm.data.examples import write_examples
from w2s_rm.data.predictions import read_predictions, write_predictions
from w2s_rm.errors import ArtifactError
from w2s_rm.report.examples import JudgedExample, Pair, collect_examples
from w2s_rm.types import Example, Predictions

MakeRun = Callable[..., Path]


def example(number: int) -> Example:
    return Example(f"e{number:04d}", f"g{number // 2}", f"prompt {number}", ("left", "right"), 1)


EXAMPLES = [example(number) for number in range(4)]


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    return make_run(
        weak=[[0.0, 0.0, 1.0, 1.0]] * 2,
        students={"naive": [[1.0, 0.0, 1.0, 0.5], [1.0, 1.0, 0.0, 0.5]], "other": [[1.0] * 4] * 2},
        ceiling=[[1.0] * 4] * 2,
        examples=EXAMPLES,
    )


def test_probabilities_are_means_over_seeds(run: Path) -> None:
    found = collect_examples(run)
    assert found.recipe == "quickstart" and found.n_seeds == 2
    assert found.models == ("supervisor (weak label)", "student, naive", "student, other", "ceiling")
    assert found.pairs == (Pair("naive", 1, 0), Pair("other", 2, 0))
    assert [judged.example for judged in found.examples] == EXAMPLES and {one.seeds for one in found.examples} == {2}
    # An answer is written as the scores (1 - answer, answer): e1 is wrong with one seed and right with the other.
    right, half = softmax([0.0, 1.0]), [0.5, 0.5]
    assert found.examples[0].shares_MK[1] == pytest.approx(tuple(right), abs=1e-12)
    assert found.examples[1].shares_MK[1] == pytest.approx(half, abs=1e-12)
    assert found.examples[0].choices_M == (0, 1, 1, 1)
    # Neither right nor wrong where both candidates are equally probable.
    tie = found.examples[3]
    assert tie.choices_M[1] is None and not tie.right(1) and not tie.wrong(1) and tie.wrong(0) is False
    assert found.examples[0].wrong(0) and found.examples[0].right(1)


def test_the_difference_is_the_total_variation_distance() -> None:
    judged = JudgedExample(EXAMPLES[0], 1, ((0.2, 0.3, 0.5), (0.6, 0.3, 0.1), None), (2, 0, None))
    assert judged.difference(Pair("m", 1, 0)) == pytest.approx((0.4 + 0.0 + 0.4) / 2)
    assert judged.difference(Pair("m", 2, 0)) == 0.0 and judged.difference(Pair("m", 1, None)) == 0.0


def test_what_a_file_of_labels_says_is_taken_as_it_is(make_run: MakeRun) -> None:
    run = make_run(weak=[[0.25, 1.0, 0.0, 1.0]], students={"naive": [[1.0] * 4]}, ceiling=None, examples=EXAMPLES)
    (evaluated,) = (stage for stage in stages(run) if stage["of"] == "weak")
    (Path(evaluated["folder"]) / "manifest.json").write_text(
        json.dumps({"counts": {"n_labelled": 4, "examples": 4, "label_accuracy": 0.5}})
    )
    reseal(run)
    assert collect_examples(run).examples[0].shares_MK[0] == (0.75, 0.25)


def test_labels_of_some_examples(make_run: MakeRun) -> None:
    run = make_run(weak=[[1.0] * 4], students={"naive": [[1.0] * 4]}, ceiling=None, examples=EXAMPLES)
    (evaluated,) = (stage for stage in stages(run) if stage["of"] == "weak")
    path = Path(evaluated["folder"]) / "predictions.parquet"
    write_predictions(path, [Predictions(("e0001",), ((0.0, 1.0),), (1,))])
    reseal(run)
    found = collect_examples(run)
    assert [judged.shares_MK[0] is None for judged in found.examples] == [True, False, True, True]
    assert found.examples[0].choices_M == (None, 1) and not found.examples[0].wrong(0)


def test_a_method_may_have_a_supervisor_of_its_own(run: Path, tmp_path: Path) -> None:
    plan = json.loads((run / "plan.json").read_text())
    for seed in (0, 1):
        folder = tmp_path / "runs" / "stages" / f"evaluate-own-{seed}"
        write_predictions(folder / "predictions.parquet", [read_predictions(weak_file(plan))])
        (folder / "manifest.json").write_text('{"counts": {}}')
        own = {"stage": "evaluate", "of": "weak", "method": "other", "seed": seed, "folder": str(folder)}
        plan["stages"].append(own)
    (run / "plan.json").write_text(json.dumps(plan))
    reseal(run)
    found = collect_examples(run)
    assert found.models[:2] == ("supervisor (weak label), naive", "supervisor (weak label), other")
    assert found.pairs == (Pair("naive", 2, 0), Pair("other", 3, 1))


def test_seeds_may_have_test_splits_of_their_own(run: Path, tmp_path: Path) -> None:
    plan = json.loads((run / "plan.json").read_text())
    plan["stages"] = [stage for stage in plan["stages"] if stage["stage"] != "prepare"]
    for seed, numbers in ((0, (0, 1, 2, 3)), (1, (2, 3, 4, 5))):
        folder = tmp_path / "runs" / "stages" / f"prepare-{seed}"
        write_examples(folder / "examples" / "test.parquet", [example(number) for number in numbers])
        (folder / "manifest.json").write_text('{"counts": {}}')
        plan["stages"].append({"stage": "prepare", "of": None, "method": None, "seed": seed, "folder": str(folder)})
        for stage in plan["stages"]:
            if stage["stage"] == "evaluate" and stage["seed"] == seed == 1:
                ids = tuple(example(number).id for number in numbers)
                scored = Predictions(ids, ((1.0, 0.0),) * 4, (1,) * 4)
                write_predictions(Path(stage["folder"]) / "predictions.parquet", [scored])
    (run / "plan.json").write_text(json.dumps(plan))
    reseal(run)
    found = collect_examples(run)
    assert [(one.example.id, one.seeds) for one in found.examples] == [
        *(("e0000", 1), ("e0001", 1), ("e0002", 2), ("e0003", 2), ("e0004", 1), ("e0005", 1))
    ]
    # The ceiling is right with seed 0 and wrong with seed 1.
    assert [one.choices_M[3] for one in found.examples] == [1, 1, None, None, 0, 0]


def test_scores_of_other_examples_are_refused(run: Path) -> None:
    path = weak_file(json.loads((run / "plan.json").read_text()))
    write_predictions(path, [Predictions(("e0000", "other"), ((0.0, 1.0),) * 2, (1, 1))])
    reseal(run)
    with pytest.raises(ArtifactError, match="scores of example 'other', which is not as in the test split"):
        collect_examples(run)
    write_predictions(path, [Predictions(("e0000",), ((0.0, 1.0, 2.0),), (1,))])
    reseal(run)
    with pytest.raises(ArtifactError, match="scores of example 'e0000'"):
        collect_examples(run)


def test_without_the_test_split_there_are_none(make_run: MakeRun) -> None:
    run = make_run(weak=None, students={"naive": [[1.0] * 4]}, ceiling=None)
    found = collect_examples(run)
    assert found.examples == () and found.pairs == (Pair("naive", 0, None),)


def test_a_run_that_was_moved(run: Path, tmp_path: Path) -> None:
    before = collect_examples(run)
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    assert collect_examples(tmp_path / "elsewhere" / "quickstart") == before


def stages(run: Path) -> list[dict[str, str]]:
    return list(json.loads((run / "plan.json").read_text())["stages"])


def weak_file(plan: dict[str, list[dict[str, str]]]) -> Path:
    folder = next(stage["folder"] for stage in plan["stages"] if stage["of"] == "weak")
    return Path(folder) / "predictions.parquet"
