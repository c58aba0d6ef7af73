"""What pretraining relies on, for every corpus there is: a new file is tested by being there."""

import dataclasses
import json

import numpy as np
import pytest

from w2s_rm import catalog

OPTIONS = {"chess_games": {"n_heldout": 1, "n_moves": 3}}


@pytest.fixture(scope="module", params=catalog.names("corpora"))
def corpus(request, shared_games):
    """One of each kind: drawing changes nothing in it, and a world takes its time."""
    options = dict(OPTIONS.get(request.param, {}))
    kind = catalog.lookup("corpora", request.param)
    if "path" in {option.name for option in dataclasses.fields(kind)}:
        options["path"] = str(shared_games)
    return kind(**options)


def draw(corpus, seed=0, n_lines=64):
    return corpus.sample(n_lines, np.random.default_rng(seed))


def test_words_are_different_and_without_white_space(corpus):
    assert len(set(corpus.words)) == len(corpus.words)
    assert {"<pad>", "<eos>", "<unk>"} <= set(corpus.words)
    assert all(word and word.split() == [word] for word in corpus.words)


def test_lines_have_the_shapes_and_types_they_say(corpus):
    ids_NT, predict_NT = draw(corpus)
    assert ids_NT.shape == predict_NT.shape and len(ids_NT) == 64 and ids_NT.shape[1] <= corpus.line_length
    assert ids_NT.dtype == np.int64 and predict_NT.dtype == np.bool_
    assert ids_NT.min() >= 0 and ids_NT.max() < len(corpus.words)
    assert corpus.words.index("<unk>") not in ids_NT


def test_padding_is_on_the_right_and_never_predicted(corpus):
    ids_NT, predict_NT = draw(corpus)
    padding_NT = ids_NT == corpus.words.index("<pad>")
    assert not np.any(padding_NT[:, :-1] & ~padding_NT[:, 1:])
    assert not np.any(predict_NT & padding_NT) and not predict_NT[:, 0].any()
    assert predict_NT.any(axis=1).all()


def test_equal_generators_draw_equal_lines_and_others_do_not(corpus):
    again = dataclasses.replace(corpus)
    assert all(np.array_equal(*pair) for pair in zip(draw(corpus), draw(again), strict=True))
    assert not np.array_equal(draw(corpus).ids_NT, draw(corpus, seed=1).ids_NT)


def test_options_survive_json_and_the_version_is_stable(corpus):
    again = type(corpus)(**json.loads(json.dumps(dataclasses.asdict(corpus))))
    assert again == corpus
    assert corpus.content_version() == again.content_version() != ""


def test_options_are_documented(corpus):
    assert all(f"{option.name} (`" in type(corpus).__doc__ for option in dataclasses.fields(corpus))


def test_measures_numbers_of_a_model_that_knows_nothing(corpus):
    figures = corpus.measure(lambda lines: np.zeros((int(lines.predict_NT.sum()), len(corpus.words)), np.float32))
    assert figures and all(np.isfinite(value) for value in figures.values())


def test_measures_in_portions_that_fit_in_memory(corpus):
    asked = []

    def predict(lines):
        asked.append(int(lines.predict_NT.sum()) * len(corpus.words))
        return np.zeros((int(lines.predict_NT.sum()), len(corpus.words)), np.float32)

    corpus.measure(predict)
    assert max(asked) < 1e8
