"""Groups that depend on all examples: comparisons that share a text, directly or over others. No torch."""

from __future__ import annotations

from dataclasses import replace

from w2s_rm.types import Example


def join_shared_candidates(examples: list[Example]) -> list[Example]:
    """Put examples that have a candidate in common into one group, and with them all that share one with those.

    These are the connected components of the graph whose nodes are candidates and whose edges are comparisons. Nothing
    leaks between them, but one may hold a large part of the data, and a new row may join two.

    Args:
        examples (`list[Example]`): All examples of a task; examples of one group stay together too.
    """
    parents: dict[str, str] = {}

    def root(node: str) -> str:
        while parents.setdefault(node, node) != node:
            parents[node] = node = parents[parents[node]]
        return node

    for example in examples:
        first, *others = (f"group {example.group}", *(f"candidate {key}" for key in example.candidate_ids))
        for other in others:
            # The smaller name is the root, so that a group's name does not depend on the order of the rows.
            low, high = sorted((root(first), root(other)))
            parents[high] = low
    return [replace(example, group=root(f"group {example.group}")) for example in examples]
