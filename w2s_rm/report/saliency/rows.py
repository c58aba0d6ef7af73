"""What a report says of how well a student can tell its supervisor's mistakes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SaliencyRow:
    """A student of one run. `_low` and `_high` are the ends of 95 % intervals over test examples and seeds.

    Args:
        recipe (`str`): Name of the run.
        setting (`str`): The setting.
        task (`str`): The task.
        method (`str`): The method.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        weak_model (`str` or `None`): Name of the supervisor.
        strong_model (`str`): Name of the student.
        weak_size (`int` or `None`): Layers times width squared of the supervisor, where that is known.
        strong_size (`int` or `None`): The same of the student.
        mistakes (`float`): Share of the test examples on which the supervisor is wrong.
        saliency (`float`): Area under the ROC with which the student's hidden states tell them, before any training;
            chance is 0.5.
        saliency_low (`float`): Lower end.
        saliency_high (`float`): Upper end.
        doubt (`float`): The same of the supervisor's own lack of confidence.
        doubt_low (`float`): Lower end.
        doubt_high (`float`): Upper end.
        imitated (`float` or `None`): Share of the mistakes that the student makes too.
        pgr (`float` or `None`): Performance gap recovered.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the gap is told from zero.
    """

    recipe: str
    setting: str
    task: str
    method: str
    seeds: tuple[int, ...]
    weak_model: str | None
    strong_model: str
    weak_size: int | None
    strong_size: int | None
    mistakes: float
    saliency: float
    saliency_low: float
    saliency_high: float
    doubt: float
    doubt_low: float
    doubt_high: float
    imitated: float | None
    pgr: float | None
    pgr_low: float | None
    pgr_high: float | None
    reliable: bool | None
