"""Derivations as text: each line against the world, and remarks that are as they must be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_rm.corpora import Lines
from w2s_rm.corpora.chains import Chains
from w2s_rm.errors import ConfigError

CORPUS = Chains(n_entities=12, n_steps=3)


def lines(n: int) -> list[tuple[list[str], list[str]]]:
    """The words of lines, and those that are predicted."""
    sampled = CORPUS.sample(n, np.random.default_rng(0))
    words = np.array(CORPUS.words)
    return [
        ([word for word in words[ids_T] if word != "<pad>"], words[ids_T[predict_T]].tolist())
        for ids_T, predict_T in zip(sampled.ids_NT, sampled.predict_NT, strict=True)
    ]


def fair(relation: str, first: str, second: str) -> str:
    direction, _, attribute = relation.partition("_")
    ranks_E = CORPUS.facts.world.ranks_AE[("size", "age").index(attribute)]
    higher = ranks_E[int(first[1:])] > ranks_E[int(second[1:])]
    return first if higher == (direction == "up") else second


def test_lines_are_derivations_and_remarks_say_what_is_so() -> None:
    ends, remarks = set(), []
    for words, predicted in lines(400):
        assert words[:2] == ["which", "is"] and words[3] == ":" and words[11] == "?"
        listed, body = words[4:11:2], words[12:]
        judged = predicted in (["certainly"], ["honestly"])
        steps = [body[at : at + 6] for at in range(0, len(body) - judged, 6)]
        good, held = True, None
        for first, word, second, mark, named, end in steps:
            assert (word, mark, end) == ("or", "?", "<eos>") and held in (None, first)
            assert {first, second} <= set(listed)
            good, held = good and named == fair(words[2], first, second), named
        if judged:
            assert body[-1] == ("certainly" if good else "honestly")
            ends.add(len(steps))
            remarks.append(good)
        else:
            assert good and len(steps) == 3 and predicted == [step[4] for step in steps]
    assert ends == {1, 2, 3}
    # 80 % are judged, half of these are right: Binomial, five standard errors.
    assert abs(len(remarks) - 320) < 5 * (400 * 0.8 * 0.2) ** 0.5
    assert abs(sum(remarks) - len(remarks) / 2) < 5 * len(remarks) ** 0.5 / 2


def test_a_reader_who_knows_all_judges_all_right() -> None:
    def knows(asked: Lines) -> NDArray[np.float32]:
        return np.eye(len(CORPUS.words), dtype=np.float32)[asked.targets_P]

    assert CORPUS.measure(knows) == {"accuracy_judgements": 1.0}
    # Who says the same of all is right on every second one.
    assert CORPUS.measure(lambda asked: np.zeros_like(knows(asked))) == {"accuracy_judgements": 0.5}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"judged_fraction": 1.5}, "judged_fraction is 1.5: set a share"),
        ({"n_steps": 0}, "n_steps is 0: set 1 to 47"),
        ({"n_entities": 5, "n_steps": 5}, "n_steps is 5: set 1 to 4"),
        ({"n_entities": 1}, "n_entities is 1"),
    ],
)
def test_options_out_of_range(options: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Chains(**options)  # type: ignore[arg-type]
