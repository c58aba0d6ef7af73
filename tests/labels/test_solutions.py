"""What is left of labels of steps: the outcomes, or whole solutions."""

from __future__ import annotations

import pytest

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError, OptionError
from w2s_rm.labels import Evidence
from w2s_rm.labels.keep_solutions import KeepSolutions
from w2s_rm.labels.outcome import Outcome
from w2s_rm.types import Step


def case(n_solutions: int, n_steps: int = 4) -> tuple[list[WeakLabel], Evidence]:
    """Labels of solutions, of which every second is wrong at its end; their steps one solution after the other."""
    places = {
        f"s{solution}-{number}": Step(f"s{solution}", number, number == n_steps - 1, ())
        for solution in range(n_solutions)
        for number in range(n_steps)
    }

    def right(step: Step) -> float:
        return 0.2 if step.last and int(step.solution[1:]) % 2 else 0.7

    labels = [WeakLabel(id, ("wrong", "right"), (1 - right(step), right(step))) for id, step in places.items()]
    return labels, Evidence(classes=("wrong", "right"), seed=1, places=places)


def test_an_outcome_is_the_label_of_the_last_step() -> None:
    labels, evidence = case(6)
    kept = Outcome()(labels, evidence)
    assert [label.id for label in kept] == [f"s{number}-3" for number in range(6)]
    assert all(label in labels for label in kept)
    with pytest.raises(DataError, match="labels 'outcome': the 1 of 4 labels that are left say one class; take more"):
        Outcome()(*case(1))


def test_a_share_of_the_solutions_keeps_all_their_steps() -> None:
    labels, evidence = case(40)
    kept = KeepSolutions(0.25)(labels, evidence)
    solutions = {label.id.split("-")[0] for label in kept}
    # As many labels as there are solutions: the cost of an outcome for each.
    assert len(solutions) == 10 and len(kept) == 40 == len(Outcome()(labels, evidence))
    assert {label.id for label in kept} == {f"{name}-{number}" for name in solutions for number in range(4)}
    assert KeepSolutions(0.25)(labels[::-1], evidence) == kept[::-1]
    other = KeepSolutions(0.25)(labels, Evidence(classes=evidence.classes, seed=2, places=evidence.places))
    assert {label.id for label in other} != {label.id for label in kept}
    assert KeepSolutions(1.0)(labels, evidence) == labels
    # At least one, whose end must not say the same as all its steps.
    few = Evidence(seed=evidence.seed, places=evidence.places)
    assert len(KeepSolutions(0.001)(labels, few)) == 4
    with pytest.raises(DataError, match="labels 'keep_solutions': the 4 of 8 labels that are left say one class"):
        KeepSolutions(0.5)([label for label in labels if label.id[:3] in ("s0-", "s2-")], evidence)


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan"), True, "half"])
def test_a_share_out_of_range(share: object) -> None:
    with pytest.raises(OptionError, match="share is .* give a number in"):
        KeepSolutions(share)  # type: ignore[arg-type]


@pytest.mark.parametrize("transform", [Outcome(), KeepSolutions()])
def test_tasks_without_steps_are_refused(transform: Outcome | KeepSolutions) -> None:
    labels, evidence = case(2)
    with pytest.raises(ConfigError, match="needs a task of solutions in steps, and example 's0-0' is no step"):
        transform(labels, Evidence(classes=evidence.classes))
