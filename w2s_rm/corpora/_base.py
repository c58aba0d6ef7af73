"""What pretraining asks of a corpus. No torch.

Shape suffixes: N lines, T tokens of a line, P tokens to predict, V words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import OptionError

PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"


class Lines(NamedTuple):
    """Lines of a corpus, and which of their tokens a model learns to predict from those to their left.

    Attributes:
        ids_NT (`NDArray[np.int64]` of shape `(N, T)`): Word ids, each row padded with `PAD` on the right.
        predict_NT (`NDArray[np.bool_]` of shape `(N, T)`): The tokens to predict: never column 0, never padding.
    """

    ids_NT: NDArray[np.int64]
    predict_NT: NDArray[np.bool_]

    @property
    def targets_P(self) -> NDArray[np.int64]:
        """The tokens to predict, row by row."""
        return self.ids_NT[self.predict_NT]


def check_shares(corpus: str, shares: Mapping[str, float]) -> None:
    """Refuse shares that are none, all at once.

    Args:
        corpus (`str`): Whose options they are.
        shares (`Mapping[str, float]`): By the option's name.

    Raises:
        OptionError: One is outside of [0, 1].
    """
    problems = share_problems(shares)
    if problems:
        raise OptionError(f"corpus {corpus}", problems)


def share_problems(shares: Mapping[str, float]) -> dict[str, str]:
    """Say which shares are none.

    Args:
        shares (`Mapping[str, float]`): By the option's name.
    """
    # Written this way round, NaN is outside.
    return {name: f"is {share}: set a share from 0 to 1" for name, share in shares.items() if not 0 <= share <= 1}


Predict = Callable[[Lines], NDArray[np.float32]]
"""Gives the logits `(P, V)` of the tokens to predict, row by row."""


class Corpus(Protocol):
    """A text to pretrain on: a frozen dataclass in `corpora/<name>.py` whose fields are its recipe options.

    The class is found by its file name. All options have plain JSON values.
    """

    @property
    def words(self) -> tuple[str, ...]:
        """The vocabulary, a word's id being its position: different words without white space; has PAD, EOS, UNK."""
        ...

    @property
    def line_length(self) -> int:
        """Number of tokens of the longest line."""
        ...

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines; the same from equal generators. At most `line_length` columns."""
        ...

    def content_version(self) -> str:
        """Identify what the options do not: the version of a generator, the hash of a file. Quick; enters the hash."""
        ...

    def measure(self, predict: Predict) -> dict[str, float]:
        """Measure a trained model, such as its accuracy on lines kept back.

        Args:
            predict (`Predict`): Gives the logits `(P, V)` of the tokens to predict in lines.
        """
        ...
