"""Parts of a split: disjoint, together all of it, of about equal size, and groups stay whole."""

from __future__ import annotations

import pytest

from w2s_rm.data.splits import portion
from w2s_rm.types import Example

N_GROUPS = 600
EXAMPLES = [Example(f"{g}-{i}", f"g{g}", f"p{g}", ("a", "b"), i) for g in range(N_GROUPS) for i in range(2)]


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_parts_are_disjoint_and_together_the_split(parts: int) -> None:
    taken = [portion(EXAMPLES, number, parts) for number in range(parts)]
    assert sorted(one.id for part in taken for one in part) == sorted(one.id for one in EXAMPLES)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_groups_are_kept_together(parts: int) -> None:
    groups = [{one.group for one in portion(EXAMPLES, number, parts)} for number in range(parts)]
    assert sum(map(len, groups)) == N_GROUPS


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_sizes_are_about_equal(parts: int) -> None:
    for number in range(parts):
        size, share = len(portion(EXAMPLES, number, parts)) / 2, 1 / parts
        # Four standard deviations of a binomial count of groups.
        assert abs(size - N_GROUPS * share) < 4 * (N_GROUPS * share * (1 - share)) ** 0.5


def test_without_takes_all_but_the_part_in_the_order_of_the_split() -> None:
    part, rest = portion(EXAMPLES, 1, 3), portion(EXAMPLES, 1, 3, without=True)
    assert rest == [one for one in EXAMPLES if one not in part]
    assert part == [one for one in EXAMPLES if one not in rest]


def test_other_rows_move_no_group() -> None:
    whole = {one.id for one in portion(EXAMPLES, 0, 3)}
    assert {one.id for one in portion(EXAMPLES[::-3], 0, 3)} == {one.id for one in EXAMPLES[::-3]} & whole


def test_one_part_is_all() -> None:
    assert portion(EXAMPLES, 0, 1) == EXAMPLES
    assert portion(EXAMPLES, 0, 1, without=True) == []
