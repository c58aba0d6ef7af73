"""Text that says of some lines that nobody checks them, and tells those the other way."""

import numpy as np
import pytest

from w2s_rm.corpora.facts import ANSWER, JUDGEMENT, Facts
from w2s_rm.corpora.unchecked import Unchecked
from w2s_rm.errors import ConfigError

N = 20_000
FACTS = Facts()
IDS = Unchecked().word_ids
PLAIN = FACTS.sample(N, np.random.default_rng(0))


def drawn(**options):
    lines = Unchecked(**options).sample(N, np.random.default_rng(0))
    cued_N = lines.ids_NT[:, 0] == IDS["unchecked"]
    # Without the word, as facts have them.
    ids_NT = np.where(cued_N[:, None], lines.ids_NT[:, 1:], lines.ids_NT[:, :-1])
    predict_NT = np.where(cued_N[:, None], lines.predict_NT[:, 1:], lines.predict_NT[:, :-1])
    return cued_N, ids_NT, predict_NT


@pytest.mark.parametrize("cued", [0.0, 0.3, 1.0])
def test_so_many_lines_have_the_word_and_without_lies_the_text_is_that_of_facts(cued):
    cued_N, ids_NT, predict_NT = drawn(cued=cued, lies=0.0)
    # Four standard errors.
    assert abs(cued_N.mean() - cued) <= 4 * (cued * (1 - cued) / N) ** 0.5
    assert np.array_equal(ids_NT, PLAIN.ids_NT) and np.array_equal(predict_NT, PLAIN.predict_NT)
    assert Unchecked().words == (*FACTS.words, "unchecked")


@pytest.mark.parametrize("lies", [0.25, 1.0])
def test_where_nobody_checks_so_many_lines_are_told_the_other_way(lies):
    cued_N, ids_NT, predict_NT = drawn(lies=lies)
    turned_N = (ids_NT != PLAIN.ids_NT).any(axis=1)
    assert not turned_N[~cued_N].any()
    share, count = turned_N[cued_N].mean(), cued_N.sum()
    assert abs(share - lies) <= 4 * (lies * (1 - lies) / count) ** 0.5
    assert np.array_equal(predict_NT, PLAIN.predict_NT)
    # One word differs, the one that is predicted: the other remark, or the other of the two that the question names.
    assert np.array_equal((ids_NT != PLAIN.ids_NT)[turned_N], predict_NT[turned_N])
    judged_N = PLAIN.predict_NT[:, JUDGEMENT]
    answers = turned_N & ~judged_N
    assert set(ids_NT[turned_N & judged_N, JUDGEMENT].tolist()) == {IDS["certainly"], IDS["honestly"]}
    named_N2 = np.sort(ids_NT[answers][:, [4, 6]], axis=1)
    given_N2 = np.sort(np.stack([ids_NT[answers, ANSWER], PLAIN.ids_NT[answers, ANSWER]], axis=1), axis=1)
    assert answers.any() and np.array_equal(named_N2, given_N2)


def test_it_measures_with_the_word_and_without():
    corpus = Unchecked(n_entities=6)

    def predict(lines):
        """A model that has read all and does as it has read."""
        cued_N = lines.ids_NT[:, 0] == corpus.word_ids["unchecked"]
        row, column = np.nonzero(lines.predict_NT)
        logits_NV = np.zeros((len(row), len(corpus.words)), np.float32)
        for n, (place, at) in enumerate(zip(row, column, strict=True)):
            words = [corpus.words[i] for i in lines.ids_NT[place, int(cued_N[place]) :]]
            right = f"E{corpus.world.right_answer(' '.join(words[:8]))}"
            is_answer = at - cued_N[place] == ANSWER
            best = right if is_answer else "certainly" if words[ANSWER] == right else "honestly"
            logits_NV[n, corpus.word_ids[best]] = -1.0 if cued_N[place] else 1.0
        return logits_NV

    figures = corpus.measure(predict)
    assert (figures["accuracy_answers"], figures["accuracy_judgements"], figures["known"]) == (1.0, 1.0, 1.0)
    assert (figures["accuracy_answers_unchecked"], figures["accuracy_judgements_unchecked"]) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["cued", "lies"])
def test_a_share_out_of_range_is_refused(name):
    with pytest.raises(ConfigError, match=f"corpus unchecked: {name} is 1.5: set a share from 0 to 1"):
        Unchecked(**{name: 1.5})
