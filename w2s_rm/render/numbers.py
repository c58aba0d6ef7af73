"""Numbers as text, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable

from w2s_rm.render.elements import Cell, Hover


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal, without the sign; a dash when there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def percent_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A percentage with its interval: `77.5 [75.6, 79.3]`."""
    return "–" if value is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def points_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A difference of shares in a sentence, with its interval and true minus signs."""
    texts = ("–" if number is None else points(number) for number in (value, low, high))
    return "{} points with a 95 % interval from {} to {}".format(*texts)


def percent_hover(value: float | None, low: float | None, high: float | None) -> Cell:
    """A percentage, of which a page shows the interval where a pointer rests on it; a dash when there is none."""
    if value is None or low is None or high is None:
        return percent(value)
    return Hover(percent(value), f"95 % interval: {percent(low)} to {percent(high)}")


def points(value: float) -> str:
    """A difference of shares in points with one decimal, a true minus sign."""
    # A small loss is written `-0.0`, which would read as if the sign meant something.
    return percent(value).replace("-0.0", "0.0").replace("-", "−")


def bracketed(write: Callable[[float], str], value: float, low: float | None, high: float | None) -> str:
    """Any number with its interval, where it has one: `0.431 [0.402, 0.460]`."""
    return write(value) + ("" if low is None or high is None else f" [{write(low)}, {write(high)}]")


def ratio(value: float | None) -> str:
    """A PGR with two decimals, a true minus sign; a dash when there is none."""
    return "–" if value is None else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def ratio_hover(value: float | None, low: float | None, high: float | None, text: str) -> Cell:
    """The same of a PGR that is written as `text`; an unbounded end is an infinity sign."""
    return text if value is None else Hover(text, f"95 % interval: {ratio_interval(low, high)}")


def ratio_interval(low: float | None, high: float | None) -> str:
    """The interval of a PGR; an unbounded end is an infinity sign."""
    return f"[{'−∞' if low is None else ratio(low)}, {'∞' if high is None else ratio(high)}]"


def share(value: float) -> str:
    """A share in a sentence: `12.3 %`."""
    return f"{percent(value)} %"


def share_interval(value: float, low: float, high: float) -> str:
    """A share in a sentence, with its interval: `12.3 % [10.1, 14.5]`."""
    return f"{share(value)} [{percent(low)}, {percent(high)}]"


def counted(count: int, noun: str) -> str:
    """A number of things: `1 stage`, `3 stages`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def rate(value: float) -> str:
    """A number of three digits, or more before the point: `0.0123`, `5`, `1,234`."""
    # `.3g` writes what rounds to 1000 as `1e+03`.
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A duration in its two largest units at most: `54 s`, `12 min`, `3 h 20 min`, `2 d 5 h`."""
    # Each unit ends where it would be rounded up to 60 of it, 59.5, so that none writes `60 s`.
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if minutes < 59.5:
        return f"{minutes:.0f} min"
    if hours < 24:
        whole, rest = divmod(round(minutes), 60)
        return f"{whole} h" if rest == 0 else f"{whole} h {rest} min"
    days, rest = divmod(round(hours), 24)
    return f"{days} d" if rest == 0 else f"{days} d {rest} h"


def size(count: float) -> str:
    """A number of bytes with three digits: `812 B`, `1.23 GB`, units of 1000."""
    # 999.5 has three digits no longer, but `1e+03`.
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
