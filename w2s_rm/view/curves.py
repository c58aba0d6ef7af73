"""Curves of trainings from what their trainers log, while they grow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEASURES = {
    "eval_test_accuracy": "accuracy on test examples",
    "eval_validation_accuracy": "accuracy on validation examples",
    "eval_validation_agreement": "agreement with the supervisor on validation examples",
    "success": "success of the policy",
    "reward": "reward of the policy",
    "accuracy": "accuracy of the last steps, by the labels trained on",
    "loss": "loss",
}
"""What is shown, by the name under which it is logged, in the order in which it is offered."""
# The page draws a curve over 580 pixels (`view.js`): more points are not told apart.
_POINTS = 200

Points = list[tuple[float, float]]


@dataclass
class Log:
    """A file of JSON lines that others append to, read once.

    Args:
        path (`Path`): The file.
    """

    path: Path
    _read: int = field(default=0, init=False)
    _first: bytes = field(default=b"", init=False)
    _found: dict[str, Points] = field(default_factory=dict, init=False)

    def curves(self) -> dict[str, Points]:
        """Return steps and values of each measure that there is; of a long curve as many points as can be seen."""
        # As bytes: a place in a file that is read as text is no number to compare with its size.
        with self.path.open("rb") as file:
            first = file.readline()
            # A stage that begins again begins a file anew.
            if first != self._first or file.seek(0, 2) < self._read:
                self._read, self._first, self._found = 0, first, {}
            file.seek(self._read)
            new = file.read()
        # The last line may be half of one.
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._add(line)
        return {name: _thinned(self._found[name]) for name in MEASURES if name in self._found}

    def _add(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        # To look on must stop nothing: a line that cannot be read is passed over.
        except ValueError:
            return
        if not isinstance(entry, dict) or not _is_number(entry.get("step")):
            return
        for name in MEASURES:
            if _is_number(entry.get(name)):
                self._found.setdefault(name, []).append((entry["step"], entry[name]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _thinned(points: Points) -> Points:
    """Some of the points, evenly spaced, the last among them."""
    # Rounded up, so that no more are left than that; counted from the end, so that the last one is.
    every = -(-len(points) // _POINTS)
    return points[::-1][::every][::-1] if every else points


def by_measure(curves: Iterable[tuple[str, str, Mapping[str, Points]]]) -> dict[str, dict[str, Any]]:
    """Turn curves of stages around: for each measure the stages that have it, in the order of the measures.

    Args:
        curves (`Iterable[tuple[str, str, Mapping]]`): Of each stage its title, what stages that differ in their seed
            have in common, and what [`Log.curves`] returned.
    """
    listed = list(curves)
    return {
        name: {
            "label": label,
            "lines": [
                {"title": title, "kind": kind, "points": points[name]}
                for title, kind, points in listed
                if name in points
            ],
        }
        for name, label in MEASURES.items()
        if any(name in points for _, _, points in listed)
    }
