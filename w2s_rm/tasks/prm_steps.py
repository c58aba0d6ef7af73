"""Public data of process supervision in the forms of TRL, Math-Shepherd and PRM800K, without code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.errors import DataError
from w2s_rm.tasks._process import ProcessTask, Solution, checked_steps, so_far
from w2s_rm.tasks._source import cell
from w2s_rm.types import Row

_MARK, _FIRST = "ки", "Step 1:"
_LABELS: Mapping[object, int] = {True: 1, False: 0, "+": 1, "-": 0}


@dataclass(frozen=True)
class PrmSteps(ProcessTask):
    """Solutions in steps, each with a label. Solutions of the same problem are one group.

    Three forms are known by their columns. TRL's stepwise supervision: `prompt`, `completions` (list of texts) and
    `labels` (list of truth values); so are `trl-lib/math_shepherd` and `trl-lib/prm800k`. Math-Shepherd (Wang et al.
    2024, arXiv 2312.08935): `input` with the mark `ки` behind each step, and `label`, the same text with `+` or `-` in
    place of it. PRM800K (Lightman et al. 2023, arXiv 2305.20050): `question` and `label`; of each step the completion
    that was chosen, or written by a person, is taken, at the end of an attempt that failed the first one; a rating of
    0 or 1 is right, -1 is wrong.

    Args:
        prompt_end (`str`, *optional*, defaults to `"\\n"`): Parts the problem from the first step; TRL's trainer puts
            nothing there.
        up_to (`bool`, *optional*, defaults to `True`): Whether what is judged is the solution up to a step, which stays
            wrong after its first mistake; otherwise each label is used as it stands.
    """

    prompt_end: str = "\n"
    up_to: bool = True

    example_row: ClassVar[Mapping[str, Any]] = {
        "prompt": "Which number is larger, 9.8 or 9.11?",
        "completions": ["The fractional part of 9.8 is 0.8, and that of 9.11 is 0.11.", "Hence, 9.11 > 9.8."],
        "labels": [True, False],
    }

    def solution(self, row: Row) -> Solution:
        """Read a record in the form that its columns say."""
        values = row.values
        # One of the three that is missing is named.
        if len({"prompt", "completions", "labels"} & values.keys()) >= 2:
            problem, steps, labels = _stepwise(row)
        elif isinstance(values.get("input"), str) and isinstance(values.get("label"), str):
            problem, steps, labels = _math_shepherd(row)
        elif isinstance(values.get("question"), Mapping) and isinstance(values.get("label"), Mapping):
            problem, steps, labels = _prm800k(row)
        else:
            raise DataError(
                f"{row.place}: the columns {', '.join(values)} are those of no known form; give prompt, completions "
                "and labels (TRL), input and label (Math-Shepherd), or question and label (PRM800K)"
            )
        if not problem.strip():
            raise DataError(f"{row.place}: the problem is empty; fill it, or drop the row")
        judged = so_far(labels) if self.up_to else labels
        # The whole is right where no step is wrong, whichever way single steps are judged.
        return Solution(f"{problem}{self.prompt_end}", steps, judged, all(labels))


Parts = tuple[str, tuple[str, ...], tuple[int, ...]]


def _stepwise(row: Row) -> Parts:
    prompt, completions, labels = (cell(row, name) for name in ("prompt", "completions", "labels"))
    if not isinstance(prompt, str):
        raise DataError(f"{row.place}: 'prompt' is no text; give the problem as text")
    steps = checked_steps(row, completions, labels, ("completions", "labels"))
    return prompt, steps, _numbers(row, "labels", labels)


def _numbers(row: Row, column: str, labels: Any) -> tuple[int, ...]:
    # To a dictionary 1 and 1.0 are `True`, 0 and 0.0 `False`; the types first, for a list cannot be looked up at all.
    wrong = [label for label in labels if not isinstance(label, bool | int | float | str) or label not in _LABELS]
    if wrong:
        raise DataError(f"{row.place}: {column!r} holds {wrong[0]!r}; write true or false for each step")
    return tuple(_LABELS[label] for label in labels)


def _math_shepherd(row: Row) -> Parts:
    text, labelled = row.values["input"], row.values["label"]
    # Nothing follows the last mark, but perhaps white space.
    *pieces, _ = text.split(_MARK)
    if not pieces:
        raise DataError(f"{row.place}: 'input' holds no steps; drop the row, or put {_MARK} behind each step")
    # `ки` has two letters and the sign in its place one, so that places in the two texts drift apart; `at` counts in
    # the labelled one.
    marks, at = list[str](), 0
    for piece in pieces:
        at += len(piece)
        mark = labelled[at : at + 1]
        if not labelled.endswith(piece, 0, at) or mark not in ("+", "-"):
            raise DataError(
                f"{row.place}: 'label' is not 'input' with + or - for each of its {len(pieces)} marks, from step "
                f"{len(marks) + 1} on; mend it, or drop the row"
            )
        marks.append(mark)
        at += 1
    problem, first_mark, rest = pieces[0].partition(_FIRST)
    if not first_mark:
        raise DataError(
            f"{row.place}: 'input' has no {_FIRST!r} to part problem and solution; mend it, or drop the row"
        )
    steps = (f"{_FIRST}{rest}".strip(), *(piece.strip() for piece in pieces[1:]))
    return problem.strip(), steps, _numbers(row, "label", marks)


def _prm800k(row: Row) -> Parts:
    entries = row.values["label"].get("steps") or []
    chosen = [_chosen(row, number, entry) for number, entry in enumerate(entries, start=1)]
    texts, ratings = [text for text, _ in chosen], [rating for _, rating in chosen]
    steps = checked_steps(row, texts, ratings, ("label.steps", "label.steps"))
    return str(row.values["question"].get("problem") or ""), steps, tuple(int(rating >= 0) for rating in ratings)


def _chosen(row: Row, number: int, entry: Mapping[str, Any]) -> tuple[str, int]:
    """The text of a step that an attempt went on with, and its rating."""
    written, completions = entry.get("human_completion"), entry.get("completions") or []
    choice = entry.get("chosen_completion")
    if choice is None and written:
        # What a person writes in place of wrong completions is right.
        return str(written["text"] if isinstance(written, Mapping) else written), 1
    # An attempt that ends with a mistake went on with none: the first completion stands for it.
    taken = completions[choice or 0] if (choice or 0) < len(completions) else {}
    if not isinstance(taken.get("text"), str) or taken.get("rating") not in (-1, 0, 1):
        raise DataError(f"{row.place}: step {number} of 'label' has no completion with a rating; drop the row")
    return taken["text"], taken["rating"]
