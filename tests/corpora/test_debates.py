"""The text of debaters: that of facts, but for lies about wrong answers."""

import numpy as np
import pytest

from w2s_rm.corpora.debates import Debates
from w2s_rm.corpora.facts import JUDGEMENT, Facts
from w2s_rm.errors import ConfigError


def remarks(corpus):
    return corpus.sample(20_000, np.random.default_rng(0)).ids_NT[:, JUDGEMENT]


@pytest.mark.parametrize("lies", [0.0, 0.25, 0.5])
def test_so_many_wrong_answers_are_called_right(lies):
    facts, debates = remarks(Facts()), remarks(Debates(lies=lies))
    right, wrong = (Facts().word_ids[word] for word in ("certainly", "honestly"))
    share = (debates[facts == wrong] == right).mean()
    # Of some 6,000 wrong answers; four standard errors.
    assert abs(share - lies) <= 4 * (lies * (1 - lies) / 6000) ** 0.5
    # The rest is the same text.
    assert np.array_equal(facts[facts != wrong], debates[facts != wrong])
    assert Debates(lies=lies).words == Facts().words


@pytest.mark.parametrize("lies", [-0.1, 1.0])
def test_a_share_out_of_range_is_refused(lies):
    with pytest.raises(ConfigError, match="lies is"):
        Debates(lies=lies)
