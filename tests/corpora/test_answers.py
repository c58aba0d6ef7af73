"""Answers of mixed quality: the share that is right, and which tokens are to be predicted."""

import numpy as np
import pytest

from w2s_rm.corpora.answers import Answers
from w2s_rm.corpora.facts import ANSWER
from w2s_rm.errors import ConfigError


def split(corpus, n_lines=4000):
    """Lines that ask and lines that tell, with their tokens to predict."""
    ids_NT, predict_NT = corpus.sample(n_lines, np.random.default_rng(0))
    asked_N = ids_NT[:, 0] == corpus.words.index("which")
    return (ids_NT[asked_N], predict_NT[asked_N]), (ids_NT[~asked_N], predict_NT[~asked_N])


def right(corpus, ids_NT):
    """Whether each answer is the true one, by the world's ranks and the words of the line."""
    words = [[corpus.words[i] for i in row] for row in ids_NT]
    found = []
    for row in words:
        down, name = row[2].startswith(("down", "less")), row[2].split("_")[1]
        ranks_E = corpus.asked.world.ranks_AE[("size", "age").index(name)]
        named = [int(word[1:]) for word in row if word[0] == "E" and word[1:].isdigit()]
        first, second, answer = named
        assert answer in (first, second)
        best = min if down else max
        found.append(answer == best(first, second, key=lambda entity: ranks_E[entity]))
    return np.array(found)


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_share_of_the_answers_is_right_and_all_that_is_told(share):
    corpus = Answers(answers_right=share)
    (asked_NT, _), (told_NT, _) = split(corpus)
    assert right(corpus, asked_NT).mean() == pytest.approx(share, abs=0.04)
    assert right(corpus, told_NT).all()


def test_the_share_of_lines_that_tell():
    (_, _), (told_NT, _) = split(Answers(told_fraction=0.3))
    assert len(told_NT) / 4000 == pytest.approx(0.3, abs=0.03)


def test_an_answer_and_its_end_are_predicted_but_only_the_fact_of_a_line_that_tells():
    corpus = Answers()
    (asked_NT, predict_asked_NT), (_, predict_told_NT) = split(corpus)
    assert (asked_NT[:, ANSWER + 1] == corpus.words.index("<eos>")).all()
    assert all(np.flatnonzero(row).tolist() == [ANSWER, ANSWER + 1] for row in predict_asked_NT)
    assert all(np.flatnonzero(row).tolist() == [ANSWER] for row in predict_told_NT)


def test_it_shares_its_vocabulary_with_the_facts():
    from w2s_rm.corpora.facts import Facts

    assert Answers().words == Facts().words


def test_shares_outside_0_to_1_are_refused_all_at_once():
    with pytest.raises(ConfigError, match=r"(?s)answers_right is 1\.5: set.*told_fraction is -1: set a share"):
        Answers(answers_right=1.5, told_fraction=-1)
