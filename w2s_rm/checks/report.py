"""All that is known about a task or a recipe after a check, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from w2s_rm.checks.result import CheckResult
from w2s_rm.render.numbers import share


@dataclass(frozen=True)
class Truncation:
    """What one model's tokenizer cuts.

    Args:
        role (`str`): `weak` or `strong`.
        model (`str`): Its short name.
        max_length (`int`, *optional*): Most tokens in a row; `None` for no limit, or when skipped.
        examples (`int`): How many were tokenised: all splits, or of many a sample.
        cut_prompts (`float`): Share of the examples whose prompt loses its left.
        cut_candidates (`float`): Share of the examples of which a candidate loses its right.
        alike (`int`): How many of the examples have candidates that become the same tokens.
        skipped (`str`): Why nothing was tokenised; empty if it was.
    """

    role: str
    model: str
    max_length: int | None = None
    examples: int = 0
    cut_prompts: float = 0.0
    cut_candidates: float = 0.0
    alike: int = 0
    skipped: str = ""


@dataclass(frozen=True)
class CheckReport:
    """Everything that `w2s-rm check` says.

    Args:
        subject (`str`): What was checked: a task, or a recipe.
        task (`str`): The task's name.
        n_examples (`int`): Rows of the dataset.
        n_groups (`int`): Their groups.
        largest_group (`int`): Rows of the largest one.
        duplicates (`int`): Rows whose content another row has as well.
        contradictions (`int`): Such rows that name another candidate as right.
        result ([`CheckResult`]): What the splits show.
        truncations (`tuple[Truncation, ...]`): What tokenizers cut; only of recipes.
        truncation_threshold (`float`): The share above which that is too much.
    """

    subject: str
    task: str
    n_examples: int
    n_groups: int
    largest_group: int
    duplicates: int
    contradictions: int
    result: CheckResult
    truncations: tuple[Truncation, ...]
    truncation_threshold: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, one line each."""
        texts = [text for truncation in self.truncations for text in (self._cut(truncation), self._alike(truncation))]
        return (*self.result.warnings, *filter(None, texts))

    def record(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        fields = {name: value for name, value in asdict(self).items() if name != "result"}
        return {**fields, **self.result.record(), "warnings": self.warnings, "ok": not self.warnings}

    def _cut(self, truncation: Truncation) -> str:
        parts = (("prompts", truncation.cut_prompts), ("candidates", truncation.cut_candidates))
        much = [f"{share(cut)} of the {part}" for part, cut in parts if cut > self.truncation_threshold]
        if not much:
            return ""
        reader = f"{truncation.role} {truncation.model}"
        return f"{reader} cuts {' and '.join(much)} at max_length {truncation.max_length}: raise it"

    def _alike(self, truncation: Truncation) -> str:
        if truncation.alike <= self.truncation_threshold * truncation.examples:
            return ""
        # Where nothing is cut, it is the tokenizer that makes them alike.
        limit = "raise it, or" if truncation.max_length else "take another tokenizer, or"
        at = f" at max_length {truncation.max_length}" if truncation.max_length else ""
        return (
            f"{truncation.role} {truncation.model} reads candidates of {truncation.alike} of {truncation.examples} "
            f"examples as the same tokens{at}, so they are ties: {limit} drop these examples"
        )
