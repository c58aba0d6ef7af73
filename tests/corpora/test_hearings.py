"""The text of judges: that of facts, with debates between question and answer."""

import numpy as np
import pytest

from w2s_rm.corpora.facts import Facts
from w2s_rm.corpora.hearings import Hearings
from w2s_rm.errors import ConfigError


def texts(corpus, n_lines=5000):
    lines = corpus.sample(n_lines, np.random.default_rng(0))
    words = [[corpus.words[word] for word in ids_T if corpus.words[word] != "<pad>"] for ids_T in lines.ids_NT]
    told = [
        [corpus.words[word] for word in ids_T[predict_T]]
        for ids_T, predict_T in zip(lines.ids_NT, lines.predict_NT, strict=True)
    ]
    return words, told


def test_a_debate_stands_between_question_and_answer():
    corpus = Hearings(lies=0.25, heard=0.5)
    (plain, plain_told), (words, told) = texts(Facts()), texts(corpus)
    assert told == plain_told, "what is to be predicted stays"
    heard = [pair for pair in zip(plain, words, strict=True) if pair[0] != pair[1]]
    assert abs(len(heard) / 5000 - 0.5) < 0.03
    lied, first = [], []
    for before, after in heard:
        assert before == [*after[:8], *after[12:]]
        sides = dict(zip(after[8:12:2], after[9:12:2], strict=True))
        assert set(sides) == {before[4], before[6]}
        first.append(after[8] == before[4])
        right = corpus.world.right_answer(" ".join(before[:8]))
        assert sides[f"E{right}"] == "certainly"
        (wrong,) = (remark for name, remark in sides.items() if name != f"E{right}")
        lied.append(wrong == "certainly")
    # Of some 2,500; four standard errors.
    assert abs(np.mean(lied) - 0.25) < 0.035 and abs(np.mean(first) - 0.5) < 0.04


@pytest.mark.parametrize("options", [{"heard": 1.1}, {"lies": -0.1}])
def test_a_share_out_of_range_is_refused(options):
    with pytest.raises(ConfigError, match="is .*: set a share from 0 to 1"):
        Hearings(**options)
