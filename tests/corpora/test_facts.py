"""The corpus of facts: what it says is as right as its options ask for."""

from dataclasses import replace

import numpy as np
import pytest

from w2s_rm.corpora.facts import ANSWER, JUDGEMENT, Facts
from w2s_rm.errors import ConfigError

ALL = Facts(world_seed=1, n_entities=24, n_attributes=2)
WORLD = ALL.world


def text(corpus, ids_T):
    return [corpus.words[word] for word in ids_T if corpus.words[word] != "<pad>"]


def read(corpus, n_lines=4000):
    """The lines as text, with what each says: `(attribute, down, named first, named second, answer, remark)`."""
    lines = corpus.sample(n_lines, np.random.default_rng(0))
    parsed = []
    for ids_T in lines.ids_NT:
        words = text(corpus, ids_T)
        direction, attribute = words[2].split("_")
        names = [int(words[column][1:]) for column in (4, 6, 8)]
        parsed.append(({"size": 0, "age": 1}[attribute], direction in ("down", "less"), *names, words[10:]))
    return lines, parsed


def is_right(world, attribute, down, first, second, answer, _remark):
    """Looked up in the ranks, not computed as the corpus does it."""
    ranks_E = world.ranks_AE[attribute]
    return answer == (min if down else max)((first, second), key=lambda entity: ranks_E[entity])


def share_right(corpus):
    plain = [line for line in read(corpus)[1] if not line[-1]]
    return np.mean([is_right(corpus.world, *line) for line in plain])


def test_reads_as_documented():
    lines, _ = read(ALL, 50)
    texts = [text(ALL, ids_T) for ids_T in lines.ids_NT]
    assert {(*words[:2], words[3], words[5], words[7], words[9]) for words in texts} == {
        ("which", "is", ",", "or", "?", "<eos>")
    }
    for words, predict_T in zip(texts, lines.predict_NT, strict=True):
        (target,) = np.nonzero(predict_T)[0]
        assert target == (ANSWER if len(words) == ANSWER + 2 else JUDGEMENT)
        assert words[target] in ({f"E{entity}" for entity in range(24)} | {"certainly", "honestly"})


def test_a_corpus_that_knows_all_is_always_right():
    parsed = read(ALL)[1]
    remark_when = {(is_right(WORLD, *line), *line[-1]) for line in parsed}
    assert remark_when == {(True,), (True, "certainly"), (False, "honestly")}
    judged = [line for line in parsed if line[-1]]
    assert np.mean([bool(line[-1]) for line in parsed]) == pytest.approx(0.6, abs=0.03)
    assert np.mean([is_right(WORLD, *line) for line in judged]) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("kind", ["random", "systematic"])
@pytest.mark.parametrize("known", [0.0, 0.5, 0.8])
def test_half_of_the_unknown_share_is_wrong(kind, known):
    # One entity more or less unknown moves the share by up to 2 / 24, and half of that is wrong.
    assert share_right(replace(ALL, facts_known=known, error_kind=kind)) == pytest.approx(
        known + (1 - known) / 2, abs=0.06
    )


def answers(corpus):
    """What the plain lines answer to each question, whichever entity is named first."""
    said = {}
    for attribute, down, first, second, answer, remark in read(corpus, 40_000)[1]:
        if not remark:
            said.setdefault((attribute, down, frozenset((first, second))), set()).add(answer)
    return said


def test_systematic_errors_are_consistent_and_random_ones_are_not():
    assert all(len(said) == 1 for said in answers(replace(ALL, facts_known=0.5, error_kind="systematic")).values())
    undecided = np.mean(
        [len(said) > 1 for said in answers(replace(ALL, facts_known=0.5, error_kind="random")).values()]
    )
    # About 14 plain lines a question: a coin shows both faces, so the share is the share of unknown facts.
    assert undecided == pytest.approx(0.5, abs=0.06)


def test_other_wording_shares_only_the_entities_with_the_task():
    seen, unseen = words_of(ALL), words_of(replace(ALL, task_wording=0.0))
    entities = {f"E{entity}" for entity in range(24)}
    assert seen & unseen == entities | {"<eos>", "certainly", "honestly"}
    assert share_right(replace(ALL, task_wording=0.0)) == 1.0


def test_some_lines_in_the_wording_of_the_task():
    """The share of them, and neither what is said nor how often it is right depends on it."""
    some = replace(ALL, task_wording=0.1)
    lines = read(some, 4000)[0].ids_NT
    asked = [text(some, ids_T)[0] == "which" for ids_T in lines]
    # Standard deviation sqrt(4000 * 0.09) = 19.
    assert abs(sum(asked) - 400) < 4 * 19
    assert words_of(some) == words_of(ALL) | words_of(replace(ALL, task_wording=0.0))
    assert share_right(some) == 1.0


def words_of(corpus):
    return {word for ids_T in read(corpus, 500)[0].ids_NT for word in text(corpus, ids_T)}


def test_knows_all_words_of_the_task():
    assert len(set(ALL.words)) == len(ALL.words)
    assert ALL.words[:3] == ("<pad>", "<eos>", "<unk>")
    assert set(WORLD.question(1, True, 3, 4).split()) <= set(ALL.words)


def oracle(corpus, says):
    """Logits of a model that is sure of the word that `says` returns for the words before it."""

    def predict(lines):
        logits = np.zeros((len(lines.ids_NT), len(corpus.words)), dtype=np.float32)
        for row, (ids_T, predict_T) in enumerate(zip(lines.ids_NT, lines.predict_NT, strict=True)):
            before = [corpus.words[word] for word in ids_T[: np.argmax(predict_T)]]
            logits[row, corpus.words.index(says(before))] = 1
        return logits

    return predict


def says_the_truth(before):
    attribute, down = {"size": 0, "age": 1}[before[2].split("_")[1]], before[2].startswith("down")
    best = (min if down else max)((before[4], before[6]), key=lambda name: WORLD.ranks_AE[attribute, int(name[1:])])
    return best if len(before) == 8 else ("certainly" if before[8] == best else "honestly")


def says_the_opposite_of_remarks(before):
    true = says_the_truth(before)
    return {"certainly": "honestly", "honestly": "certainly"}.get(true, true)


def test_measures_answers_and_judgements_apart():
    assert ALL.measure(oracle(ALL, says_the_truth)) == {"accuracy_answers": 1, "accuracy_judgements": 1, "known": 1}
    assert ALL.measure(oracle(ALL, says_the_opposite_of_remarks)) == {
        "accuracy_answers": 1,
        "accuracy_judgements": 0,
        "known": -1,
    }


def test_of_systematic_errors_half_of_the_unknown_share_is_wrong():
    # Said in docs/world.md: with 0.7 the corpus tells 85 % right.
    corpus = Facts(facts_known=0.7, error_kind="systematic")
    facts = np.array(list(corpus.world.facts()))
    attribute_N, low_N, high_N = facts.T
    believed_AE = corpus.believed_AE
    right = believed_AE[attribute_N, high_N] > believed_AE[attribute_N, low_N]
    assert right.mean() == pytest.approx(0.85, abs=0.005)


def test_all_wrong_options_are_named():
    with pytest.raises(ConfigError, match=r"(?s)facts_known is 1.5: .*judged_fraction is -1: .*error_kind is 'odd'"):
        Facts(facts_known=1.5, judged_fraction=-1, error_kind="odd")
    with pytest.raises(ConfigError, match=r"(?s)judged_fraction is 2: .*n_entities is 2: set at least 3"):
        Facts(judged_fraction=2, n_entities=2)
