"""What is known about the real data beside a checkout comes out of the check."""

import pytest

from w2s_rm.checks import check_examples
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.tasks.preference import Preference


def checked(shared_data, name, **options):
    task = Preference(str(shared_data / "preferences" / f"{name}.jsonl.gz"), **options)
    splits = split_examples(map(task.to_example, task.rows()), SplitSizes(n_train=2000, n_test=500), name)
    return check_examples({"weak": splits.weak, "relabel": splits.relabel, "test": splits.test}, task.classes)


def test_convincing_arguments_are_longer(shared_data):
    result = checked(shared_data, "ukp_convarg", group_column="topic", id_column="pair_id")
    assert result.length_only.detail == "longest" and result.length_only.value == pytest.approx(0.76, abs=0.04)
    assert result.warnings[0].startswith("choosing the longest candidate is right in ")


def test_pleasant_scenarios_are_not(shared_data):
    result = checked(shared_data, "ethics_utilitarianism", group_column="chosen", separator="\n")
    assert result.length_only.value < 0.55
    assert not any("longest" in warning or "shortest" in warning for warning in result.warnings)
    # "Which is more pleasant?" before every pair is an instruction.
    assert not any("prompt" in warning for warning in result.warnings)
