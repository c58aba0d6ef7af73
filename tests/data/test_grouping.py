"""Every task of comparisons offers the same ways to keep related ones together."""

import pytest

from w2s_rm import catalog
from w2s_rm.errors import ConfigError
from w2s_rm.types import Regrouping, Row

HH = "\n\nHuman: {}\n\nAssistant: {}"


def plain_row(prompt, chosen, rejected):
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected, "subset": "s"}
    return {**row, "id": f"{prompt} {chosen} {rejected}"}


def transcript_row(prompt, chosen, rejected):
    return {"chosen": HH.format(prompt, chosen), "rejected": HH.format(prompt, rejected)}


TASKS = {"preference": plain_row, "reward_bench": plain_row, "anthropic_hh": transcript_row}


def groups(name, group_by, rows):
    options = {"path": "rows.jsonl"} if name == "preference" else {}
    task = catalog.lookup("tasks", name)(group_by=group_by, **options)
    assert isinstance(task, Regrouping)
    examples = [task.to_example(Row("rows.jsonl:1", TASKS[name](*row))) for row in rows]
    found = [one.group for one in task.regroup(examples)]
    assert [one.group for one in task.regroup(examples[::-1])][::-1] == found, "whatever the order"
    return [found.index(group) for group in found]


@pytest.mark.parametrize("name", TASKS)
def test_ways_to_group(name):
    rows = [("p", "a b c", "x y"), ("p", "a b d", "z"), ("q", "a b c", "u"), ("r", "x y", "v"), ("s", "w", "t")]
    assert groups(name, "prompt", rows) == [0, 0, 2, 3, 4]
    assert groups(name, "chosen", rows) == [0, 1, 0, 3, 4]
    assert groups(name, {"first_words": 2}, rows) == [0, 0, 0, 3, 4]
    assert groups(name, "candidates", rows) == [0, 0, 0, 0, 4]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("wrong", ["rejected", {"first_words": 0}, {"first_words": True}, {"words": 3}], ids=str)
def test_other_ways_are_refused(name, wrong):
    with pytest.raises(ConfigError, match=r"write prompt, chosen, candidates, or \{first_words: 5\}"):
        groups(name, wrong, [])
