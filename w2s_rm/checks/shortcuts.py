"""How far length or words alone go: fitted on the training splits, measured on the test split. No torch.

Shape suffixes: B examples, F candidates of all examples in one flat row, W hashed words.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from w2s_rm.checks.result import Accuracy
from w2s_rm.checks.sampling import accuracy, sample
from w2s_rm.checks.text import plain
from w2s_rm.metrics.choices import Floats, Scores, choices
from w2s_rm.types import Example, Text

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_CANDIDATES = 40_000
"""Candidates that are fitted, and that are scored: enough for a baseline within seconds."""
MOST_PROMPTS = 20_000
"""The same for prompts of tasks with classes."""
# Characters from the beginning and as many from the end.
_HALF_TEXT = 1_000
# Columns: hashing needs no vocabulary, and of some ten thousand words few share one of so many.
_N_WORDS = 2**16
_ITERATIONS = 30


def length_only(train: Sequence[Example], test: Sequence[Example], classes: tuple[str, ...] | None) -> Accuracy:
    """Accuracy from the length alone, in characters.

    Exchangeable candidates: choose the longest or the shortest, whichever is right more often in training; ties share.
    Classes: a logistic regression on length and log length of the prompt.

    Args:
        train (`Sequence[Example]`): With ground truth, at least one.
        test (`Sequence[Example]`): With ground truth, at least one.
        classes (`tuple[str, ...]` or `None`): The task's classes.
    """
    if classes is not None:
        train, test = _prompt_samples(train, test)
        predicted_B = _predict_classes(_length_features(train), _gold(train), _length_features(test))
        return accuracy((predicted_B == _gold(test)).astype(float))
    # Longest or shortest is chosen on training, so that no choice is made on what is measured.
    lengths = _lengths(train)
    longest_B, shortest_B = _credits(train, lengths), _credits(train, _negative(lengths))
    if longest_B.sum() >= shortest_B.sum():
        return accuracy(_credits(test, _lengths(test)), "longest")
    return accuracy(_credits(test, _negative(_lengths(test))), "shortest")


def bag_of_words(train: Sequence[Example], test: Sequence[Example], classes: tuple[str, ...] | None) -> Accuracy:
    """Accuracy of a logistic regression on hashed words, without their order.

    Exchangeable candidates: the words of a candidate less their mean over the example's candidates, is it the right
    one or not; the candidate with the highest score is chosen, the prompt is not read. Classes: words and pairs of
    neighbouring words of the prompt. A long text has more words, so a strong length cue shows here as well. Of long
    texts the beginning and the end count, of many examples a sample.

    Args:
        train (`Sequence[Example]`): With ground truth, at least one.
        test (`Sequence[Example]`): With ground truth, at least one.
        classes (`tuple[str, ...]` or `None`): The task's classes.
    """
    if classes is not None:
        train, test = _prompt_samples(train, test)
        x_train, x_test = (_hashed([example.prompt for example in part], pairs=True) for part in (train, test))
        return accuracy((_predict_classes(x_train, _gold(train), x_test) == _gold(test)).astype(float))
    train, test = (sample(part, MOST_CANDIDATES, per_candidate=True) for part in (train, test))
    weights_W = _fit_candidates(train)
    # Without taking off the mean over an example, which moves all of its candidates alike.
    scores_F = _hashed([text for example in test for text in example.candidates]) @ weights_W
    ends = np.cumsum([len(example.candidates) for example in test])[:-1]
    return accuracy(_credits(test, [row.tolist() for row in np.split(scores_F, ends)]))


def _prompt_samples(train: Sequence[Example], test: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    first, second = (sample(part, MOST_PROMPTS, per_candidate=False) for part in (train, test))
    return first, second


def _lengths(examples: Sequence[Example]) -> Scores:
    return [[len(plain(text)) for text in example.candidates] for example in examples]


def _negative(scores: Scores) -> Scores:
    return [[-score for score in row] for row in scores]


def _credits(examples: Sequence[Example], scores: Scores) -> Floats:
    return choices(scores).of_candidate(_gold(examples))


def _gold(examples: Sequence[Example]) -> Any:
    return np.array([example.gold for example in examples], dtype=np.int64)


def _length_features(examples: Sequence[Example]) -> Floats:
    lengths_B = np.array([len(plain(example.prompt)) for example in examples], dtype=np.float64)
    return np.stack([lengths_B / 1000, np.log1p(lengths_B)], axis=1)


def _fit_candidates(examples: Sequence[Example]) -> Floats:
    """Fit is-it-the-right-one without an intercept, which no candidate could gain from."""
    from scipy.sparse import block_diag

    x_FW = _hashed([text for example in examples for text in example.candidates])
    # A matrix that makes of each candidate's row the mean over its example's, sparse as the features are.
    means_FF = block_diag([np.full((k, k), 1 / k) for k in (len(e.candidates) for e in examples)], format="csr")
    right_F = np.concatenate([np.arange(len(example.candidates)) == example.gold for example in examples])
    # Less the mean over the example: what all of its candidates share cannot tell the right one.
    return _fit(x_FW - means_FF @ x_FW, right_F, fit_intercept=False).coef_[0]


def _predict_classes(x_train: Any, gold_B: Any, x_test: Any) -> Any:
    # A logistic regression of a single class is an error to scikit-learn.
    if len(np.unique(gold_B)) == 1:
        return np.full(x_test.shape[0], gold_B[0])
    if isinstance(x_train, np.ndarray):
        # On one scale, or so few iterations would not get there.
        mean, spread = x_train.mean(axis=0), x_train.std(axis=0)
        x_train, x_test = ((x - mean) / np.where(spread > 0, spread, 1) for x in (x_train, x_test))
    return _fit(x_train, gold_B, fit_intercept=True).predict(x_test)


def _fit(x: Any, y: Any, *, fit_intercept: bool) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # Little penalty: rows have a length of about 1, so that a single word's weight must be large to tell.
    model = LogisticRegression(C=10.0, fit_intercept=fit_intercept, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        # A baseline may stop early: the last digit of a shortcut does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def _hashed(texts: Sequence[Text], *, pairs: bool = False) -> csr_matrix:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=_N_WORDS,
        ngram_range=(1, 2) if pairs else (1, 1),
        # The usual pattern leaves out words of one letter, such as the answers A and B.
        token_pattern=r"(?u)\b\w+\b",
        # Words that share a hash then add up, and none takes away from another.
        alternate_sign=False,
    )
    return vectorizer.transform([_ends(plain(text)) for text in texts])


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _HALF_TEXT else f"{text[:_HALF_TEXT]} {text[-_HALF_TEXT:]}"
