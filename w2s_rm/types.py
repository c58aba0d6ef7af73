"""The plain data that the parts of the toolkit hand to each other. No torch at run time.

Shape suffixes: B examples of a batch, N examples of a global batch, K candidates of an example, T tokens.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

Messages = tuple[Mapping[str, Any], ...]
"""A conversation: `({"role": ..., "content": ...}, ...)`; with `tool_calls` the content may be null or missing."""
Text = str | Messages
"""Plain text, or messages for a chat template."""
END, WEAK_VALIDATION = "end", "weak_validation"
"""Which model a training saves: that of its last step, or that of the step which the validation split says."""
LAYOUTS = ("auto", "shared_prefix", "padded")
"""How the examples of a batch may become rows."""
# Characters. What is longer seldom comes twice, and its hash would push out that of a move.
_SHORT = 32
# `json.dumps` with options makes an encoder for each call.
_as_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Step:
    """Where in a solution an example stands whose prompt is a problem with the solution's steps up to one of them.

    Args:
        solution (`str`): Names the solution, among those of all problems.
        number (`int`): Of the step that is judged, from 0.
        last (`bool`): Whether the solution ends with it.
        cuts (`tuple[int, ...]`): Characters of the prompt up to the problem's end, and up to the end of each step and
            of the separator behind it. Each piece becomes tokens by itself, so what a longer prompt begins with has the
            same tokens.
        right (`bool`, *optional*): Whether the solution as a whole is right, where that is known.
    """

    solution: str
    number: int
    last: bool
    cuts: tuple[int, ...]
    right: bool | None = None


@dataclass(frozen=True)
class Example:
    """One prompt and K >= 2 candidates to score.

    Args:
        id (`str`): Unique and stable: from the dataset, or a hash of the content.
        group (`str`): What must stay in one split: same prompt, same question.
        prompt (`str` or `Messages`): Text or messages shared by all candidates.
        candidates (`tuple` of `str` or `Messages`): K >= 2 different, non-empty continuations.
        gold (`int` or `None`): Index of the right candidate; `None` when there is no ground truth, or a tie.
        truth (`tuple[float, ...]`, *optional*): The ground truth as a distribution over the candidates, where it is not
            all on `gold`: shares of votes, a tie. Training without labels takes it as target; accuracy knows `gold`.
        margin (`float`, *optional*): Of a comparison, by how much the score of `gold` shall be the higher one before
            the loss of training without labels counts it as higher, as TRL's `margin`.
        template_kwargs (`Mapping[str, Any]`, *optional*): What a chat template is given beside the messages: `tools`
            and other keyword arguments.
        step ([`Step`], *optional*): Of a solution in steps: which one is judged.
    """

    id: str
    group: str
    prompt: Text
    candidates: tuple[Text, ...]
    gold: int | None
    truth: tuple[float, ...] | None = None
    margin: float | None = None
    # A mapping has no hash: examples are compared by this field, and not hashed by it.
    template_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    step: Step | None = None

    @property
    def targets(self) -> tuple[float, ...] | None:
        """The ground truth as a distribution over the candidates; `None` where there is none."""
        if self.truth is not None or self.gold is None:
            return self.truth
        return tuple(float(k == self.gold) for k in range(len(self.candidates)))

    @functools.cached_property
    def candidate_ids(self) -> tuple[str, ...]:
        """A content hash for each candidate, the key by which labels join."""
        return tuple(map(text_hash, self.candidates))


def content_hash(*parts: object, length: int = 16) -> str:
    """Return a stable hexadecimal hash of JSON-serialisable parts.

    Args:
        parts (`object`): Anything `json.dumps` takes; key order does not matter.
        length (`int`, *optional*, defaults to `16`): Number of hexadecimal digits.
    """
    # Datasets hold halves of characters, which JSON escapes and UTF-8 refuses.
    return hashlib.sha256(_as_json(parts).encode("utf-8", errors="surrogatepass")).hexdigest()[:length]


def text_hash(text: Text) -> str:
    """Return the hash of a prompt or a candidate; those of short texts are remembered, for moves recur by the million.

    Args:
        text (`str` or `Messages`): What to hash.
    """
    # Messages hold mappings, which a cache cannot look up.
    return _short_hash(text) if isinstance(text, str) and len(text) <= _SHORT else content_hash(text)


@functools.lru_cache(maxsize=1 << 16)
def _short_hash(text: str) -> str:
    return content_hash(text)


def hash_fraction(*parts: object) -> float:
    """Map parts to a number in [0, 1), uniform over different parts and always the same for equal ones."""
    # 13 digits are 52 bits, which a float holds exactly: the number stays below 1.
    return int(content_hash(*parts, length=13), 16) / 16**13


@dataclass(frozen=True)
class Row:
    """One raw record of a dataset with the place it came from.

    Args:
        place (`str`): For error messages: `"pairs.jsonl.gz:17"` or `"allenai/x[train] row 17"`.
        values (`Mapping[str, Any]`): Column name to value.
    """

    place: str
    values: Mapping[str, Any]


class Task(Protocol):
    """A dataset inside a setting: a frozen dataclass in `tasks/<name>.py` whose fields are its recipe options.

    The class is found by its file name; `setting` names a row of `settings.py`, `example_row` is one raw record that
    `to_example` accepts, used by the contract tests.
    """

    setting: ClassVar[str]
    example_row: ClassVar[Mapping[str, Any]]

    @property
    def has_ground_truth(self) -> bool:
        """Whether every example has a gold candidate: without, there is no weak training, no ceiling and no PGR."""
        ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The candidates of every example, in this order, when they have a fixed meaning; `None` when exchangeable."""
        ...

    @property
    def balanced(self) -> bool:
        """Whether every class takes the same share of each split; only where there are `classes`."""
        ...

    def content_version(self) -> str:
        """Identify the content without loading it (file hash, or hub id and revision); enters the stage hash."""
        ...

    def rows(self) -> Iterator[Row]:
        """Read the dataset. May touch the network. Raises `DataError` naming file and line."""
        ...

    def to_example(self, row: Row) -> Example:
        """Turn one record into an example, candidates in the dataset's own order. Pure. Raises `DataError`."""
        ...


@runtime_checkable
class Verifiable(Protocol):
    """A task that can say of any text whether it answers an example right, so that a policy can be judged on it."""

    def judge(self, example: Example, completion: str) -> bool:
        """Whether what a policy wrote is right. Pure."""
        ...


@runtime_checkable
class Unfolding(Protocol):
    """A task whose rows are solutions in steps: each row becomes an example for every step of it.

    `to_example` gives that of the last step.
    """

    def to_examples(self, row: Row) -> list[Example]:
        """Turn one record into its examples, in the order of the steps. Pure. Raises `DataError`."""
        ...


@runtime_checkable
class Regrouping(Protocol):
    """A task whose groups depend on all of its examples."""

    def regroup(self, examples: list[Example]) -> list[Example]:
        """Return the examples with their final groups. Pure, and independent of their order."""
        ...


@dataclass(frozen=True)
class Encoded:
    """The tokens of one example.

    Args:
        prompt_ids (`list[int]`): Tokens shared by all candidates.
        candidate_ids (`list[list[int]]`): K lists of at least one token; row k is `prompt_ids + candidate_ids[k]`. A
            head with a logit for each class reads the prompt only: the lists are then empty.
        cut_prompt_tokens (`int`): Tokens removed from the left of the prompt to fit `max_length`.
        cut_candidate_tokens (`int`): Tokens removed from the right of candidates, summed over candidates.
    """

    prompt_ids: list[int]
    candidate_ids: list[list[int]]
    cut_prompt_tokens: int = 0
    cut_candidate_tokens: int = 0


@dataclass(frozen=True)
class LossOutput:
    """What a loss returns.

    Args:
        per_example_B (`Tensor` of shape `(B,)`): Loss of each example in nats, not averaged.
        metrics (`Mapping[str, Tensor]`): Per-example quantities of shape `(B,)` to log as means.
    """

    per_example_B: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class Loss(Protocol):
    """A weak-to-strong loss: a frozen dataclass in `losses/<name>.py` whose fields are its recipe options."""

    def __call__(
        self,
        scores_BK: Tensor,
        targets_BK: Tensor,
        mask_BK: Tensor,
        *,
        progress: float,
        statistics: Tensor | None = None,
    ) -> LossOutput:
        """Compute the loss of each example.

        Args:
            scores_BK (`Tensor` of shape `(B, K)`): Float32 scores; padding candidates hold `finfo.min`.
            targets_BK (`Tensor` of shape `(B, K)`): Label distribution, rows sum to 1, 0 at padding.
            mask_BK (`Tensor` of shape `(B, K)`): `True` at real candidates.
            progress (`float`): Share of the optimizer steps done, in [0, 1].
            statistics (`Tensor`, *optional*): What `batch_statistics` returned for the global batch; `None` when
                candidates are exchangeable (no class prior exists) or the loss needs none. It may stand here once for
                each example, as a row, where examples of several batches come together.
        """
        ...

    def batch_statistics(self, scores_NK: Tensor, targets_NK: Tensor, mask_NK: Tensor) -> Tensor | None:
        """Return a vector of statistics over the global batch (ranks x accumulation), for fixed classes, or `None`."""
        ...

    @property
    def needs_batch_statistics(self) -> bool:
        """Whether `batch_statistics` returns something."""
        ...

    @property
    def convex(self) -> bool:
        """Whether the loss is convex in the scores, and the same throughout training."""
        ...


@dataclass(frozen=True)
class Predictions:
    """Scores of one model on one split, in a fixed order of ids.

    Args:
        ids (`tuple[str, ...]`): Example ids.
        scores (`tuple[tuple[float, ...], ...]`): K scores for each example.
        gold (`tuple[int | None, ...]`): Index of the right candidate, if known.
        greedy (`tuple[int, ...]`, *optional*): Index of the candidate that the model writes when it decodes greedily,
            -1 for a text that is none of them; only from heads that can write.
        groups (`tuple[str, ...]`, *optional*): The group of each example, where that is known.
    """

    ids: tuple[str, ...]
    scores: tuple[tuple[float, ...], ...]
    gold: tuple[int | None, ...]
    greedy: tuple[int, ...] | None = None
    groups: tuple[str, ...] | None = None
