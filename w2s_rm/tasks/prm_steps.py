"""Public data of process supervision in the forms of TRL, Math-Shepherd and PRM800K, without code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.data.reading import KeptRows
from w2s_rm.errors import DataError
from w2s_rm.tasks._comparison import is_null
from w2s_rm.tasks._process import ProcessTask, Solution, checked_steps, so_far
from w2s_rm.tasks._source import UnusableRowError, cell
from w2s_rm.types import Row

# Raised whenever the same rows become other examples.
_VERSION = 2
_MARK, _FIRST = "ки", re.compile("[Ss]tep 1:")
# What begins a step of Math-Shepherd, and says nothing.
_NUMBER = re.compile(r"[Ss]tep \d+:")
_LABELS: Mapping[object, int] = {True: 1, False: 0, "+": 1, "-": 0}
_FINISHED = ("solution", "found_error", "give_up", "bad_problem")


@dataclass(frozen=True)
class PrmSteps(ProcessTask):
    """Solutions in steps, each with a label. Solutions of the same problem are one group.

    Three forms are known by their columns. TRL's stepwise supervision: `prompt`, `completions` (list of texts) and
    `labels` (list of truth values); so are `trl-lib/math_shepherd` and `trl-lib/prm800k`. Math-Shepherd (Wang et al.
    2024, arXiv 2312.08935): `input` with the mark `ки` behind each step, and `label`, the same text with `+` or `-` in
    place of it. PRM800K (Lightman et al. 2023, arXiv 2305.20050): `question` and `label`; of each step the completion
    that was chosen, or written by a person, is taken, at the end of an attempt that failed the first one; a rating of
    0 or 1 is right, -1 is wrong. An attempt ends before a step of which nothing was written down. It is right as a
    whole where it came to a solution; of one that was given up and holds no mistake that is not known.

    As published these hold rows that are no solutions: with an empty step, a step without a rating, a problem
    that is broken or that nothing parts from its solution. They are left out, and counted in the log.

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

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision, and how rows are read."""
        return f"{super().content_version()} read {_VERSION}"

    def rows(self) -> Iterator[Row]:
        """Read the dataset, without the rows that [`left_out`] names; logs how many those are."""
        return KeptRows(self.path, super().rows(), self.left_out)

    def left_out(self, row: Row) -> str | None:
        """Say why a row of the dataset is not used; `None` for one that is.

        Args:
            row (`Row`): One record.
        """
        try:
            # The row is read twice, here and by who makes examples of it: so why one is of no use is said in one place.
            self.solution(row)
        except UnusableRowError as unusable:
            return unusable.reason
        except DataError:
            # Read again, it is reported together with those of the other rows.
            return None
        return None

    def solution(self, row: Row) -> Solution:
        """Read a record in the form that its columns say."""
        values = row.values
        reached: bool | None = True
        # One of the three that is missing is named.
        if len({"prompt", "completions", "labels"} & values.keys()) >= 2:
            problem, steps, labels = _stepwise(row)
        elif isinstance(values.get("input"), str) and isinstance(values.get("label"), str):
            problem, steps, labels = _math_shepherd(row)
        elif isinstance(values.get("question"), Mapping) and isinstance(values.get("label"), Mapping):
            problem, steps, labels = _prm800k(row)
            reached = _reached(row)
        else:
            raise DataError(
                f"{row.place}: the columns {', '.join(values)} are those of no known form; give prompt, completions "
                "and labels (TRL), input and label (Math-Shepherd), or question and label (PRM800K)"
            )
        if not problem.strip():
            raise DataError(f"{row.place}: the problem is empty; fill it, or drop the row")
        empty = [number for number, step in enumerate(steps, start=1) if not step.strip()]
        if empty:
            raise UnusableRowError(f"{row.place}: step {empty[0]} is empty; fill it, or drop the row", _EMPTY)
        judged = so_far(labels) if self.up_to else labels
        # The whole is right where no step is wrong, whichever way single steps are judged.
        return Solution(f"{problem}{self.prompt_end}", steps, judged, reached if all(labels) else False)


_EMPTY = "with an empty step"
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
    *pieces, end = text.split(_MARK)
    if not pieces:
        raise DataError(f"{row.place}: 'input' holds no steps; drop the row, or put {_MARK} behind each step")
    # `ки` has two letters and the sign in its place one, so that places in the two texts drift apart; `at` counts in
    # the labelled one.
    marks, at = list[str](), 0
    for piece in pieces:
        at += len(piece)
        mark = labelled[at : at + 1]
        if not labelled.endswith(piece, 0, at) or mark not in ("+", "-"):
            raise _unlike(row, len(pieces), len(marks) + 1)
        marks.append(mark)
        at += 1
    if labelled[at:].strip() != end.strip():
        raise _unlike(row, len(pieces), len(marks) + 1)
    if end.strip():
        raise UnusableRowError(
            f"{row.place}: behind the last step of 'input' there is no {_MARK}; put it there with its label, or drop "
            "the row",
            f"whose last step has no {_MARK}",
        )
    # A few published problems hold a mark, whose label is of no step.
    found = [(place, match.start()) for place, piece in enumerate(pieces) if (match := _FIRST.search(piece))]
    if not found:
        raise UnusableRowError(
            f"{row.place}: 'input' has no 'Step 1:' to part problem and solution; mend it, or drop the row",
            "without 'Step 1:'",
        )
    first, cut = found[0]
    problem = " ".join(piece.strip() for piece in (*pieces[:first], pieces[first][:cut]))
    steps = tuple(piece.strip() for piece in (pieces[first][cut:], *pieces[first + 1 :]))
    # A number alone is no step either.
    steps = tuple("" if _NUMBER.fullmatch(step) else step for step in steps)
    return problem.strip(), steps, _numbers(row, "label", marks[first:])


def _unlike(row: Row, n_marks: int, step: int) -> DataError:
    return DataError(
        f"{row.place}: 'label' is not 'input' with + or - for each of its {n_marks} marks, from step {step} on; mend "
        "it, or drop the row"
    )


def _prm800k(row: Row) -> Parts:
    problem, entries = row.values["question"].get("problem"), row.values["label"].get("steps")
    if not isinstance(problem, str):
        raise DataError(f"{row.place}: 'question.problem' is no text; give the problem as text, or drop the row")
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, Mapping) for entry in entries):
        raise DataError(
            f"{row.place}: 'label.steps' is no list of steps, each with its completions; give them, or drop the row"
        )
    chosen = list[tuple[str, int]]()
    for number, entry in enumerate(entries, start=1):
        step = _chosen(f"{row.place}: step {number} of 'label'", entry)
        if step is None:
            break
        chosen.append(step)
    if not chosen:
        raise UnusableRowError(
            f"{row.place}: 'label.steps' holds no steps; drop the row, or give the solution step by step",
            "without steps",
        )
    return problem, tuple(text for text, _ in chosen), tuple(int(rating >= 0) for _, rating in chosen)


def _chosen(place: str, entry: Mapping[str, Any]) -> tuple[str, int] | None:
    """The text of a step that an attempt went on with, and its rating; `None` where nothing was written down."""
    completions, written, choice = (
        # `datasets` may write a record without values for none at all.
        None if is_null(value) or (isinstance(value, Mapping) and all(map(is_null, value.values()))) else value
        for value in (entry.get(name) for name in ("completions", "human_completion", "chosen_completion"))
    )
    if completions is None and written is None and choice is None:
        return None
    if choice is None and written is not None and written != "":
        text = written.get("text") if isinstance(written, Mapping) else written
        if not isinstance(text, str):
            raise DataError(f"{place}: human_completion holds no text; mend it, or drop the row")
        # What a person writes in place of wrong completions is right.
        return text, 1
    known = [] if completions is None else completions
    if not isinstance(known, list | tuple) or not all(isinstance(one, Mapping) for one in known):
        raise DataError(
            f"{place}: completions is no list of completions, each with text and rating; mend it, or drop the row"
        )
    # An attempt that ends with a mistake went on with none: the first completion stands for it. A column of whole
    # numbers with gaps becomes one of floats in a data frame.
    place_chosen = 0 if choice is None else choice
    if isinstance(place_chosen, bool) or place_chosen not in range(max(1, len(known))):
        raise DataError(
            f"{place}: chosen_completion is {choice!r}, and completions has {len(known)}; mend it, or drop the row"
        )
    taken = known[int(place_chosen)] if known else {}
    text, rating = taken.get("text"), taken.get("rating")
    if is_null(text) or is_null(rating):
        raise UnusableRowError(
            f"{place} has no completion with a rating; drop the row", "with a step that has no rating"
        )
    if not isinstance(text, str) or isinstance(rating, bool) or rating not in (-1, 0, 1):
        raise DataError(f"{place}: a completion has text {text!r} and rating {rating!r}; give a text, and -1, 0 or 1")
    return text, int(rating)


def _reached(row: Row) -> bool | None:
    """Whether an attempt of PRM800K came to a solution, which may be a wrong one; `None` where that is not known."""
    reason = row.values["label"].get("finish_reason")
    if is_null(reason):
        return True
    if reason not in _FINISHED:
        raise DataError(
            f"{row.place}: finish_reason is {reason!r}; write {', '.join(_FINISHED)}, or null for a solution"
        )
    if reason == "bad_problem":
        raise UnusableRowError(
            f"{row.place}: its problem is broken, as finish_reason says; drop the row", "whose problem is broken"
        )
    return {"solution": True, "found_error": False}.get(reason)
