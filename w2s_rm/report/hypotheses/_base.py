"""What a hypothesis is: numbers from runs that are above zero where it holds, and what its panel shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from w2s_rm.errors import DataError, OptionError
from w2s_rm.metrics.intervals import ERROR, Interval, share_interval
from w2s_rm.metrics.quantities import Quantity
from w2s_rm.metrics.student import LEAST_ERROR
from w2s_rm.report.hypotheses._results import Results

# Of nine orders of magnitude: far finer than any p-value is read.
_HALVINGS = 60
Student = tuple[str, str]
"""A run, as the suite names it, and a method of it."""


@dataclass(frozen=True)
class Point:
    """What a panel shows at one place.

    Args:
        x (`str` or `float`): The place: a word, or a share of the training.
        value (`float`): The number.
        low (`float` or `None`): Lower end of its 95 % interval by itself; `None` where it has no bound.
        high (`float` or `None`): Upper end.
    """

    x: str | float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Series:
    """Points of one colour: `label` (`str`) and `points` (`tuple[Point, ...]`)."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """What a figure shows of a hypothesis.

    Args:
        measure (`str`): What the points are, for the axis.
        series (`tuple[Series, ...]`): At least one.
    """

    measure: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Evidence:
    """What runs say of a hypothesis. It holds where every one of its numbers is above zero; the least of them decides.

    Args:
        numbers (`tuple[Quantity, ...]`): At least one.
        panel ([`Panel`]): What its panel shows.
    """

    numbers: tuple[Quantity, ...]
    panel: Panel

    @property
    def effect(self) -> float:
        """The least of the numbers."""
        return min(number.value for number in self.numbers)

    def interval(self, error: float = ERROR) -> Interval:
        """Return the interval of the least number.

        All lower ends are those of single numbers: that all are above zero is claimed only where each is (Berger 1982,
        Technometrics 24(4), 295-300). That one is below zero is claimed where one is, beside all others (Bonferroni).

        Args:
            error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        """
        low = min(number.interval(error).low for number in self.numbers)
        high = min(number.interval(error / len(self.numbers)).high for number in self.numbers)
        return Interval(self.effect, low, high)

    def p_value(self) -> float:
        """Return the error at which the interval ends at zero, not below 1e-9; 1 where it never does."""
        # A tenth is left below: upper ends divide the error by how many numbers there are.
        low, high = LEAST_ERROR * 10, 1.0
        for _ in range(_HALVINGS):
            # In the middle of the orders of magnitude. Intervals shrink as the error grows, so there is one at which
            # they end at 0.
            middle = (low * high) ** 0.5
            interval = self.interval(middle)
            low, high = (low, middle) if interval.low > 0 or interval.high < 0 else (middle, high)
        return high


class Hypothesis(Protocol):
    """A statement about runs: a frozen dataclass in `report/hypotheses/<name>.py`, whose options name the runs."""

    effect: ClassVar[str]
    """What its number is, in words; above zero speaks for it."""
    is_ratio: ClassVar[bool]
    """Whether the number is of shares of a gap (PGR), and not of shares of examples."""

    def students(self) -> Sequence[Student]:
        """Return the students that it is about, each by run and method."""
        ...

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Return what the runs say.

        Args:
            results (`Mapping[str, Results]`): By run, as the suite names it.
        """
        ...


@dataclass(frozen=True)
class Need:
    """What a run must have for a hypothesis, beside the run and the method themselves.

    Args:
        what (`str`): `evaluations`, the method's students are evaluated on their way, and there is a validation split;
            `saliency`, supervisors' mistakes are looked for; `untrained`, the strong model is scored before any
            training; `opposed`, the method's labels are drawn towards what is wrong; `task`, a further task.
        run (`str`): The run, as the suite names it.
        method (`str`): The method.
        task (`str`, *optional*): The label of the further task.
    """

    what: Literal["evaluations", "saliency", "untrained", "opposed", "task"]
    run: str
    method: str
    task: str | None = None


@runtime_checkable
class Needing(Protocol):
    """A hypothesis that needs more of its runs than students: without it a run would end before that is found."""

    def needs(self) -> Sequence[Need]:
        """Return what its runs must have."""
        ...


def list_problem(names: Sequence[Hashable], what: str, least: int = 1) -> str | None:
    """Say what is wrong with the runs or methods that a hypothesis names; `None` for nothing.

    Args:
        names (`Sequence[Hashable]`): The names.
        what (`str`): What they are, in words.
        least (`int`, *optional*, defaults to `1`): How many are needed.
    """
    if len(names) < least:
        return f"is empty; name {what}" if not names else f"names {len(names)} {what}; name {least} or more"
    twice = [repr(name) for name, count in Counter(names).items() if count > 1]
    # In a mean or a line it would count twice, with errors as if it were two.
    return f"names {', '.join(twice)} twice; name each once" if twice else None


def entry_problem(entry: Sequence[str]) -> str | None:
    """Say what is wrong with what names a student; `None` for nothing.

    Args:
        entry (`Sequence[str]`): Run and method, and perhaps the name of a further task.
    """
    return None if len(entry) in (2, 3) else f"is {entry!r}; give [run, method] or [run, method, task]"


def needed_tasks(entries: Iterable[Sequence[str]]) -> list[Need]:
    """Return the further tasks that runs must have, on which students are scored.

    Args:
        entries (`Iterable[Sequence[str]]`): What names each student: run and method, and perhaps such a task.
    """
    return [Need("task", run, method, *task) for run, method, *task in entries if task]


def same_problem(value: str, other: str, option: str) -> str | None:
    """Say that something would be compared with itself; `None` where it is not.

    Args:
        value (`str`): What one option names.
        other (`str`): What the other one names.
        option (`str`): The other option.
    """
    return f"is {value!r}, as {option} is: it would be compared with itself" if value == other else None


def refuse(name: str, problems: Mapping[str, str | None]) -> None:
    """Refuse options of a hypothesis.

    Args:
        name (`str`): The hypothesis.
        problems (`Mapping[str, str | None]`): By option what is wrong with it.

    Raises:
        OptionError: Something is.
    """
    wrong = {option: text for option, text in problems.items() if text is not None}
    if wrong:
        raise OptionError(name, wrong)


def needed_runs(hypothesis: Hypothesis) -> list[str]:
    """Return the runs that a hypothesis is about, each once.

    Args:
        hypothesis ([`Hypothesis`]): The hypothesis.
    """
    return list(dict.fromkeys(run for run, _ in hypothesis.students()))


def shares(label: str, numbers: Mapping[str, Quantity] | Mapping[float, Quantity]) -> Series:
    """Return shares of examples, each with the 95 % interval of an accuracy, as a series of a panel.

    Args:
        label (`str`): Its name.
        numbers (`Mapping[str, Quantity]`): By place.
    """
    points = []
    for x, number in numbers.items():
        estimate = number.estimate()
        # Wilson's, whose ends stay in [0, 1]: the shares of a panel are often near 1.
        interval = share_interval(estimate.value, number.half_width(), estimate.n_drawn)
        points.append(Point(x, interval.value, interval.low, interval.high))
    return Series(label, tuple(points))


def ratios(label: str, numbers: Mapping[str, Quantity]) -> Series:
    """Return ratios, each with its 95 % interval, as a series of a panel.

    Args:
        label (`str`): Its name.
        numbers (`Mapping[str, Quantity]`): By place.
    """
    points = []
    for x, number in numbers.items():
        interval = number.interval()
        ends = (interval.low, interval.high) if number.sure else (None, None)
        points.append(Point(x, number.value, *ends))
    return Series(label, tuple(points))


def mean(numbers: Sequence[Quantity]) -> Quantity:
    """Return the mean of several numbers.

    Args:
        numbers (`Sequence[Quantity]`): At least one.

    Raises:
        DataError: There are none, or they are from other numbers of seeds.
    """
    if not numbers:
        raise DataError("a mean of no numbers: name at least one run")
    # Added up as quantities and not as intervals: runs with seeds or examples in common are then paired.
    total = numbers[0]
    for number in numbers[1:]:
        total = total.plus(number)
    return total.times(1 / len(numbers))
