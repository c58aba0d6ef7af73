"""A supervisor that is no model: right on a given share of the examples, wrong where it is told to be. No torch.

What a student makes of its supervisor depends on which errors these are, not only on how many. Errors by chance average
out; errors with a pattern can be learned.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.data.messages import words
from w2s_rm.errors import ConfigError, DataError, join_problems, nearest
from w2s_rm.types import Example, Text, content_hash

KINDS = ("random", "clustered", "systematic", "hard", "adversarial")
"""Where a simulated supervisor may be wrong."""


def simulate(
    examples: Sequence[Example],
    accuracy: float,
    kind: str,
    *,
    seed: int,
    confidence: float | None = None,
    feature: str | None = None,
    pattern: str | None = None,
    difficulty: Mapping[str, float] | None = None,
    places: Mapping[str, int] | None = None,
) -> list[WeakLabel]:
    """Label examples with exactly `N - round(accuracy N)` errors.

    Examples are put in an order, and the first ones get a wrong label:

    - `random`: by a hash of id and seed, so that each is wrong with the same chance;
    - `clustered`: those in whose prompt a word occurs of which the supervisor knows nothing: words that match `pattern`
      are put in an order by a hash of word and seed, and all examples with the first of them come first, then those
      with the second, and so on. So it errs by entity, by topic or by wording;
    - `systematic`: those with the largest `feature` first;
    - `hard`: those with the smallest `difficulty` first, where a model is unsure;
    - `adversarial`: those with the largest `difficulty` first, where a model is sure.

    Examples that are equal there follow a hash of id and seed. A wrong label names one of the other candidates, by a
    hash of id, seed and candidate. The named candidate has the probability `confidence`, the others share the rest
    equally. With the default, labels of the kind `random` are calibrated: what has the probability `accuracy` is right
    that often. Lower accuracies keep the errors of higher ones and add to them.

    Args:
        examples (`Sequence[Example]`): Examples with ground truth. The result depends on which these are, and only
            with the feature `position` on their order.
        accuracy (`float`): Share of right labels, in [0, 1].
        kind (`str`): `"random"`, `"systematic"`, `"clustered"`, `"hard"` or `"adversarial"`.
        seed (`int`): For what is left to chance.
        confidence (`float`, *optional*): Probability of the named candidate: above 1/K, so that it is the most probable
            one, and at most 1. `None` takes `accuracy`.
        feature (`str`, *optional*): Of `systematic`: `"length"`, the number of characters of prompt and candidates
            together, or `"position"`, what `places` says.
        pattern (`str`, *optional*): Of `clustered`: a regular expression for words, such as `"E\\d+"`.
        difficulty (`Mapping[str, float]`, *optional*): Of `hard` and `adversarial`: by example id the margin of a named
            model, how far its best candidate is above the second best one; small is hard.
        places (`Mapping[str, int]`, *optional*): Of the feature `position`: by example id its place in a table. The
            examples of a split are in the order of a hash, which says nothing. `None` takes the order of `examples`.

    Returns:
        `list[WeakLabel]`: In the order of `examples`, without scores.

    Raises:
        ConfigError: An unknown kind or feature, a number out of range, or an option that the kind lacks or does not
            have.
        DataError: No examples, an id twice, or examples without ground truth or without difficulty; names the ids. Or
            fewer examples have a word that matches than are to be wrong.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of simulated supervisor {kind!r}; {nearest(str(kind), KINDS)}")
    numbers = {"accuracy": accuracy} if confidence is None else {"accuracy": accuracy, "confidence": confidence}
    confidence = accuracy if confidence is None else confidence
    problems = _number_problems(numbers) + _option_problems(kind, feature, pattern, difficulty)
    if problems:
        raise ConfigError(join_problems(f"simulated supervisor of the kind {kind!r}: invalid options", problems))
    _check_examples(examples, difficulty, places)
    _check_confidence(examples, confidence)
    n_wrong = len(examples) - round(accuracy * len(examples))
    keys = (
        _keys(examples, kind, feature, difficulty, places) if pattern is None else _first_words(examples, pattern, seed)
    )
    # Infinite is only the place of a prompt in which no word matches; all others can be put in order.
    matching = sum(map(math.isfinite, keys.values()))
    if matching < n_wrong:
        raise DataError(
            f"simulated supervisor: {n_wrong} examples are to be wrong, and only {matching} of {len(examples)} prompts "
            f"have a word that matches {pattern!r}; give another pattern, or a higher accuracy"
        )
    order = sorted(examples, key=lambda example: (keys[example.id], content_hash("simulate", seed, example.id)))
    # Counted over all examples: a draw for each would hit the share on average only.
    wrong = {example.id for example in order[:n_wrong]}
    return [_label(example, example.id in wrong, confidence, seed) for example in examples]


def pattern_mistake(pattern: str) -> str | None:
    """Say what is wrong with a regular expression for words; `None` for nothing.

    Args:
        pattern (`str`): The expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        return f"is {pattern!r}, no regular expression ({error})"
    # `re.findall` gives a tuple of all groups instead of a word.
    if compiled.groups > 1:
        return f"is {pattern!r} with {compiled.groups} groups; use one at most, or (?:...)"
    # With it every prompt would hold the same empty word.
    return f"is {pattern!r} and matches nothing at all" if compiled.fullmatch("") else None


def margins(labels: Sequence[WeakLabel]) -> dict[str, float]:
    """Return how far the best candidate of each label is above the second best one: in scores, else in probability.

    Args:
        labels (`Sequence[WeakLabel]`): What a model says.
    """
    # Scores first: of a model that is sure the probabilities are 1 and 0 to the last digit.
    values = {label.id: sorted(label.scores or label.probabilities, reverse=True) for label in labels}
    return {id: row[0] - row[1] for id, row in values.items()}


def with_truths(examples: Sequence[Example], labels: Sequence[WeakLabel], n_true: int, *, seed: int) -> list[WeakLabel]:
    """Put the ground truth in place of some labels: of those whose hash of id and seed is smallest.

    Args:
        examples (`Sequence[Example]`): What is labelled; those without ground truth keep their labels.
        labels (`Sequence[WeakLabel]`): One for each example, in their order.
        n_true (`int`): How many become the truth; more than there are examples with ground truth takes all.
        seed (`int`): For what is left to chance.

    Returns:
        `list[WeakLabel]`: In the same order; those that became the truth have no scores.
    """
    known = [example for example in examples if example.targets is not None]
    # The first of a fixed order: more true labels keep those of fewer.
    ordered = sorted(known, key=lambda example: content_hash("mix", seed, example.id))
    truths = {
        example.id: WeakLabel(example.id, example.candidate_ids, tuple(example.targets or ()), None)
        for example in ordered[:n_true]
    }
    return [truths.get(label.id, label) for label in labels]


def opposed(
    examples: Sequence[Example], labels: Sequence[WeakLabel], strength: float, pattern: str | None = None
) -> list[WeakLabel]:
    """Draw labels towards wrong candidates, as one does who is rewarded for what is wrong, or lies.

        w_n' = (1 - a) w_n + a v_n,    v_n equal on all candidates but the right one, which has 0

    Args:
        examples (`Sequence[Example]`): What is labelled.
        labels (`Sequence[WeakLabel]`): One for each, in their order and in that of their candidates.
        strength (`float`): The share a, in (0, 1]; with 1 every label is a lie.
        pattern (`str`, *optional*): Only where this regular expression is found in the prompt; everywhere if `None`.

    Returns:
        `list[WeakLabel]`: In the same order; those that changed have no scores.

    Raises:
        DataError: An example that is concerned has no ground truth; names the ids. Or the pattern is found nowhere.
    """
    concerned = {x.id for x in examples if pattern is None or re.search(pattern, _plain(x.prompt)) is not None}
    if not concerned:
        raise DataError(
            f"opposed labels: {pattern!r} is found in none of {len(examples)} prompts; give another pattern"
        )
    # Only of examples that are concerned: the others keep their labels, whatever is known of them.
    problems = [f"id {x.id!r}: no ground truth" for x in examples if x.id in concerned and x.gold is None]
    if problems:
        raise DataError(join_problems("opposed labels: what is wrong is not known of these; leave them out", problems))
    pairs = zip(examples, labels, strict=True)
    return [_drawn(label, x.gold, strength) if x.id in concerned else label for x, label in pairs]


def _drawn(label: WeakLabel, gold: int | None, strength: float) -> WeakLabel:
    share = strength / (len(label.probabilities) - 1)
    wrong = (0.0 if k == gold else share for k in range(len(label.probabilities)))
    mixed = tuple((1 - strength) * given + more for given, more in zip(label.probabilities, wrong, strict=True))
    return WeakLabel(label.id, label.candidate_ids, mixed, None)


def _keys(
    examples: Sequence[Example],
    kind: str,
    feature: str | None,
    difficulty: Mapping[str, float] | None,
    places: Mapping[str, int] | None,
) -> dict[str, float]:
    """By what examples are put in order: the smallest are wrong first."""
    if feature == "position" and places is not None:
        return {example.id: -places[example.id] for example in examples}
    if feature is not None:
        # Negative, for the largest are the first to be wrong.
        return {e.id: -value for e, value in zip(examples, FEATURES[feature](examples), strict=True)}
    if difficulty is not None:
        sign = 1 if kind == "hard" else -1
        return {example.id: sign * difficulty[example.id] for example in examples}
    return {example.id: 0.0 for example in examples}


def _first_words(examples: Sequence[Example], pattern: str, seed: int) -> dict[str, float]:
    """The place of each example's first word in the order of all words; infinite where none matches."""
    words_of = {example.id: set(re.findall(pattern, _plain(example.prompt))) for example in examples}
    order = sorted(set().union(*words_of.values()), key=lambda word: content_hash("simulate", seed, word))
    places = {word: place for place, word in enumerate(order)}
    # An example that has several words is wrong as soon as the supervisor knows nothing of the first of them.
    return {id: min((float(places[word]) for word in words), default=math.inf) for id, words in words_of.items()}


def _plain(text: Text) -> str:
    return text if isinstance(text, str) else "\n".join(map(words, text))


def _label(example: Example, is_wrong: bool, confidence: float, seed: int) -> WeakLabel:
    named = _other(example, seed) if is_wrong else example.gold
    rest = (1 - confidence) / (len(example.candidates) - 1)
    probabilities = tuple(confidence if k == named else rest for k in range(len(example.candidates)))
    return WeakLabel(example.id, example.candidate_ids, probabilities)


def _other(example: Example, seed: int) -> int:
    """A candidate that is not the right one."""
    names = example.candidate_ids
    others = [k for k in range(len(names)) if k != example.gold]
    # By content: the order of candidates says nothing.
    return min(others, key=lambda k: content_hash("simulate", seed, example.id, names[k]))


def _length(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(len(words(message)) for message in text)


def _lengths(examples: Sequence[Example]) -> list[int]:
    return [_length(example.prompt) + sum(map(_length, example.candidates)) for example in examples]


def _positions(examples: Sequence[Example]) -> list[int]:
    return list(range(len(examples)))


FEATURES: Mapping[str, Callable[[Sequence[Example]], list[int]]] = {"length": _lengths, "position": _positions}
"""What errors may go by."""


def _number_problems(values: Mapping[str, object]) -> list[str]:
    return [
        f"{name} is {value!r}; give a number in [0, 1]"
        for name, value in values.items()
        # To Python, true is the number 1.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1
    ]


def _option_problems(
    kind: str, feature: str | None, pattern: str | None, difficulty: Mapping[str, float] | None
) -> list[str]:
    problems = []
    if (pattern is not None) != (kind == "clustered"):
        remedy = "give a regular expression for words" if pattern is None else "leave it out"
        problems.append(f"pattern is {pattern!r}; {remedy}")
    if pattern is not None and (mistake := pattern_mistake(pattern)) is not None:
        problems.append(f"pattern {mistake}")
    if feature is not None and feature not in FEATURES:
        problems.append(f"unknown feature {feature!r}; {nearest(str(feature), FEATURES)}")
    if (feature is not None) != (kind == "systematic"):
        known = ", ".join(FEATURES)
        problems.append(f"feature is {feature!r}; {f'name one of {known}' if feature is None else 'leave it out'}")
    if (difficulty is not None) != (kind in ("hard", "adversarial")):
        remedy = "give the margins of a model" if difficulty is None else "leave it out"
        problems.append(f"difficulty is {'missing' if difficulty is None else 'given'}; {remedy}")
    return problems


def _check_examples(
    examples: Sequence[Example], difficulty: Mapping[str, float] | None, places: Mapping[str, int] | None
) -> None:
    if not examples:
        raise DataError("simulated supervisor: there are no examples to label; check the split")
    if len({example.id for example in examples}) < len(examples):
        raise DataError("simulated supervisor: ids occur twice; give each example an id of its own")
    problems = [f"id {example.id!r}: no ground truth" for example in examples if example.gold is None]
    if difficulty is not None:
        values = {example.id: difficulty.get(example.id, math.nan) for example in examples}
        problems += [f"id {id!r}: no difficulty" for id, value in values.items() if math.isnan(value)]
    if places is not None:
        problems += [f"id {example.id!r}: no place" for example in examples if example.id not in places]
    if problems:
        raise DataError(join_problems("simulated supervisor: cannot label these; leave them out", problems))


def _check_confidence(examples: Sequence[Example], confidence: float) -> None:
    # Of the fewest candidates the bound is the highest.
    fewest = min(len(example.candidates) for example in examples)
    if not confidence > 1 / fewest:
        raise ConfigError(
            f"simulated supervisor: confidence is {confidence:g}, and with {fewest} candidates another one would be at "
            f"least as probable as the one that is named; give a confidence above 1/{fewest}"
        )
