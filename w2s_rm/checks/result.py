"""What a check found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from w2s_rm.errors import OptionError


@dataclass(frozen=True)
class Thresholds:
    """How much is too much. All are shares in [0, 1].

    Args:
        length_only (`float`, *optional*, defaults to `0.05`): Warn when the accuracy from length alone is surely
            further than this above what guessing gives (chance, or the most frequent class): the lower end of its
            95 % interval counts.
        bag_of_words (`float`, *optional*, defaults to `0.15`): The same for the words, which say something about the
            answer in many honest tasks.
        balance (`float`, *optional*, defaults to `0.05`): The same for always naming the class that is most frequent
            in training, against chance; and for the share of right candidates that stand first, above or below.
        duplicates (`float`, *optional*, defaults to `0.005`): Warn when a larger share of a split's examples, or of the
            prompts of the test split, occurs in another split, case and punctuation aside. Half a point of accuracy is
            the most that so few can change.
        wins (`float`, *optional*, defaults to `0.005`): Warn when what candidates won and lost in training surely moves
            test accuracy by more than this, up or down.
        truncation (`float`, *optional*, defaults to `0.05`): Warn when a larger share of examples is cut.

    Raises:
        OptionError: A threshold outside [0, 1].
    """

    length_only: float = 0.05
    bag_of_words: float = 0.15
    balance: float = 0.05
    duplicates: float = 0.005
    wins: float = 0.005
    truncation: float = 0.05

    def __post_init__(self) -> None:
        """Check the range."""
        wrong = {
            name: f"is {value}; use a share from 0 to 1" for name, value in asdict(self).items() if not 0 <= value <= 1
        }
        if wrong:
            raise OptionError("thresholds", wrong)


@dataclass(frozen=True)
class Accuracy:
    """A share of examples with its 95 % interval.

    Args:
        value (`float`): The share.
        low (`float`): Lower end.
        high (`float`): Upper end.
        detail (`str`, *optional*): What was chosen on the training splits: `longest`, or a class.
    """

    value: float
    low: float
    high: float
    detail: str = ""


@dataclass(frozen=True)
class Overlap:
    """Content that a split shares with those before it, in the order weak, relabel, validation, test.

    Args:
        split (`str`): The later split.
        exact (`int`): Its examples whose prompt and candidates occur before, to the letter.
        normalised (`int`): The same but for case, white space and punctuation; includes the exact ones.
        of (`int`): Its examples.
        ids (`tuple[str, ...]`): The first few of them, `id (as id in split)`.
    """

    split: str
    exact: int
    normalised: int
    of: int
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class NearLeak:
    """A part of test examples that training examples (weak, relabel) have as well.

    Args:
        part (`str`): `prompt` or `candidate`.
        share (`float`): Share of the test examples with such a prompt, or with at least one such candidate.
        ids (`tuple[str, ...]`): The first few of them.
    """

    part: str
    share: float
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wins:
    """What a table of wins minus losses of each candidate in training (weak, relabel) says about the test examples.

    Comparisons are a graph: the same text may win here and lose there. Where it stands in several splits, a model may
    learn its worth by heart, and if texts that lose in training tend to win in test, what it learned is wrong.

    Args:
        decided (`float`): Share of the test examples in which one candidate has a higher number than all others.
        right (`Accuracy`): How often it is the right one of these.
        chance (`float`): Mean of 1/K over these.
    """

    decided: float
    right: Accuracy
    chance: float

    @property
    def moves(self) -> float:
        """How far test accuracy is surely moved, up (positive) or down, if all of these are learned by heart."""
        # The end of the interval that is nearer to chance; 0 where the interval holds chance. One of the two terms is
        # always 0.
        near = max(self.right.low - self.chance, 0.0) + min(self.right.high - self.chance, 0.0)
        return self.decided * near


@dataclass(frozen=True)
class CheckResult:
    """What [`check_examples`][w2s_rm.checks.check_examples] found.

    Args:
        rows (`Mapping[str, int]`): Examples of each split.
        groups (`Mapping[str, int]`): Groups of each split.
        without_gold (`Mapping[str, int]`): Examples without ground truth in each split.
        chance (`float`): Mean of 1/K over the test examples.
        majority (`Accuracy`, *optional*): Naming the most frequent class of training; only with classes.
        gold_first (`Accuracy`, *optional*): Right candidates that stand first in hashed order; only without classes.
        length_only (`Accuracy`, *optional*): From length alone.
        bag_of_words (`Accuracy`, *optional*): From the words, without their order.
        balance (`Mapping[str, Mapping[str, float]]`): Share of each class in each split; empty without classes.
        overlaps (`tuple[Overlap, ...]`): Content shared between splits.
        near_leaks (`tuple[NearLeak, ...]`): Prompts and candidates of the test split that training has as well.
        wins (`Wins`, *optional*): What candidates won and lost in training says about test; only without classes, and
            where it decides any test example.
        reasons (`tuple[str, ...]`): What could not be measured, and why.
        warnings (`tuple[str, ...]`): One line each; empty when nothing is wrong.
    """

    rows: Mapping[str, int]
    groups: Mapping[str, int]
    without_gold: Mapping[str, int]
    chance: float
    majority: Accuracy | None = None
    gold_first: Accuracy | None = None
    length_only: Accuracy | None = None
    bag_of_words: Accuracy | None = None
    balance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    overlaps: tuple[Overlap, ...] = ()
    near_leaks: tuple[NearLeak, ...] = ()
    wins: Wins | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def cross_split_duplicates(self) -> int:
        """Examples whose content occurs in another split, case and punctuation aside."""
        return sum(overlap.normalised for overlap in self.overlaps)

    @property
    def guessing(self) -> float:
        """Accuracy without looking at the example: chance, or that of the most frequent class where it is higher."""
        return max(self.chance, self.majority.value if self.majority else 0.0)

    def counts(self) -> dict[str, float]:
        """Return the numbers for a manifest: accuracies in [0, 1] where measured, and counts of leaks."""
        measured = {
            "length_only": self.length_only,
            "bag_of_words": self.bag_of_words,
            "majority_class": self.majority,
        }
        counts: dict[str, float] = {name: accuracy.value for name, accuracy in measured.items() if accuracy is not None}
        if self.wins is not None:
            counts |= {"wins_decided": self.wins.decided, "wins_right": self.wins.right.value}
        # These two are there in any case: none is a result too.
        counts["cross_split_duplicates"] = self.cross_split_duplicates
        counts["check_warnings"] = len(self.warnings)
        return counts

    def record(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {**asdict(self), "cross_split_duplicates": self.cross_split_duplicates, "guessing": self.guessing}
