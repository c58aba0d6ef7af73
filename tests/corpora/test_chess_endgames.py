"""Lines about endgames tell the truth, in the task's words, and nothing about the task's positions."""

import chess
import numpy as np
import pytest

from w2s_rm.corpora._base import PAD
from w2s_rm.corpora.chess_endgames import ChessEndgames
from w2s_rm.data.positions import piece_words
from w2s_rm.errors import ConfigError
from w2s_rm.tasks.mate_in_one import MateInOne

RESULT = {(False, False): "quiet", (True, False): "check", (True, True): "mate"}


@pytest.fixture(autouse=True, scope="module")
def _small_world():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("w2s_rm.testbed.endgames.MOST_POSITIONS", 10_000)
        yield


@pytest.fixture(scope="module")
def corpus():
    return ChessEndgames(pieces=["R", "QR"])


def read(corpus, lines):
    """Board, move, words after the position, and the word to predict, of each line."""
    for ids, predict in zip(lines.ids_NT, lines.predict_NT, strict=True):
        assert predict.sum() == 1
        words = [corpus.words[i] for i in ids if corpus.words[i] != PAD]
        end = next(i for i, word in enumerate(words) if word[0] == "k") + 1
        board = chess.Board(None)
        for word in words[4:end]:
            board.set_piece_at(chess.parse_square(word[1:]), chess.Piece.from_symbol(word[0]))
        assert piece_words(board) == " ".join(words[:end])
        yield board, board.parse_san(words[end]), words[end:], corpus.words[ids[predict][0]]


def after(board, move):
    board = board.copy(stack=False)
    board.push(move)
    return RESULT[board.is_check(), board.is_checkmate()]


def test_lines_are_true(corpus):
    seen = []
    mixed = ChessEndgames(pieces=["R", "QR"], judged_fraction=0.5)
    for board, move, words, target in read(mixed, mixed.sample(300, np.random.default_rng(0))):
        assert board.is_valid() and move in board.legal_moves
        assert words[-1] == target
        if len(words) == 2:
            assert words[1] == after(board, move)
            seen.append(words[1])
    assert set(seen) == set(RESULT.values()) and 100 < len(seen) < 200


def test_the_player_mates_as_often_as_its_skill_says():
    rng = np.random.default_rng(0)
    for skill, low, high in ((0.0, 0.0, 0.1), (0.5, 0.4, 0.6), (1.0, 1.0, 1.0)):
        corpus = ChessEndgames(pieces=["R"], skill=skill, habit=0.0, judged_fraction=0.0, mate_fraction=1.0)
        mates = [after(board, move) == "mate" for board, move, *_ in read(corpus, corpus.sample(200, rng))]
        assert low <= np.mean(mates) <= high


def test_the_habit_is_the_first_quiet_move():
    corpus = ChessEndgames(pieces=["R"], skill=0.0, habit=1.0, judged_fraction=0.0)
    for board, move, *_ in read(corpus, corpus.sample(100, np.random.default_rng(0))):
        king = [king for king in board.legal_moves if king.from_square == board.king(chess.WHITE)]
        quiet = [king for king in king if after(board, king) == "quiet"]
        assert not quiet or move == min(quiet, key=lambda king: king.to_square)


def test_judged_results_are_even_and_fractions_hold():
    corpus = ChessEndgames(pieces=["Q"], judged_fraction=1.0, mate_fraction=1.0)
    lines = corpus.sample(600, np.random.default_rng(0))
    words, counts = np.unique([corpus.words[i] for i in lines.targets_P], return_counts=True)
    # Every such position has mates, and with few exceptions quiet moves and checks.
    assert words.tolist() == ["check", "mate", "quiet"] and counts.min() > 150
    none = ChessEndgames(pieces=["R"], judged_fraction=0.0).sample(200, np.random.default_rng(0))
    assert not {"check", "mate", "quiet"} & {corpus.words[i] for i in none.targets_P}


def test_no_line_tells_of_a_position_of_the_task(corpus):
    task = MateInOne(pieces=["R", "QR"])
    asked = {task.to_example(row).prompt for row in task.rows()}
    told = corpus.sample(20_000, np.random.default_rng(0)).ids_NT
    words = [[corpus.words[i] for i in ids if corpus.words[i] != PAD] for ids in told]
    prompts = {" ".join(line[: next(i for i, word in enumerate(line) if word[0] == "k") + 1]) for line in words}
    assert len(prompts) > 2_000 and not asked & prompts


def test_the_vocabulary_has_all_words_of_the_task(corpus):
    task = MateInOne(pieces=["R", "QR"], n_examples=300)
    used = {
        word
        for row in task.rows()
        for e in [task.to_example(row)]
        for word in (e.prompt + "".join(e.candidates)).split()
    }
    assert used <= set(corpus.words)
    assert len(set(corpus.words)) == len(corpus.words) and not any(word.split() != [word] for word in corpus.words)


def test_line_length_and_padding(corpus):
    lines = corpus.sample(200, np.random.default_rng(0))
    assert lines.ids_NT.shape == (200, corpus.line_length) == (200, 4 + 4 + 2)
    assert not lines.predict_NT[:, 0].any()
    pad = corpus.words.index(PAD)
    assert not (lines.targets_P == pad).any()
    # Nothing stands after the word to predict, so that no answer is seen.
    column = lines.predict_NT.argmax(axis=1)
    assert all((ids[at + 1 :] == pad).all() for ids, at in zip(lines.ids_NT, column, strict=True))


def test_equal_generators_give_equal_lines(corpus):
    first, second = (corpus.sample(50, np.random.default_rng(7)) for _ in range(2))
    assert (first.ids_NT == second.ids_NT).all() and (first.predict_NT == second.predict_NT).all()
    again = ChessEndgames(pieces=["R", "QR"]).sample(50, np.random.default_rng(7))
    assert (again.ids_NT == first.ids_NT).all()


def test_measure_asks_for_the_mates_of_the_task(corpus):
    task = MateInOne(pieces=["R", "QR"])
    answers = {e.prompt: e.candidates[e.gold].strip() for e in map(task.to_example, task.rows())}

    def oracle(lines, wrong=0):
        logits_PV = np.zeros((len(lines.ids_NT), len(corpus.words)), dtype=np.float32)
        for p, (ids, predict) in enumerate(zip(lines.ids_NT, lines.predict_NT, strict=True)):
            prompt = " ".join(corpus.words[i] for i in ids[: predict.argmax()])
            word = answers[prompt] if p >= wrong else "mate"
            logits_PV[p, corpus.words.index(word)] = 1
        return logits_PV

    assert corpus.measure(oracle) == {"accuracy_mates": 1.0, "legal": 1.0}
    share = 1 - len(answers) // 4 / len(answers)
    found = corpus.measure(lambda lines: oracle(lines, wrong=len(answers) // 4))
    assert found == {"accuracy_mates": share, "legal": share}


def test_the_options_of_the_task_have_the_same_defaults():
    corpus, task = ChessEndgames(), MateInOne()
    assert (corpus.seed, corpus.pieces) == (task.seed, task.pieces)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skill": 1.5}, "skill is 1.5: set a share from 0 to 1"),
        ({"mate_fraction": -1, "judged_fraction": 2}, "mate_fraction is -1(.|\n)*judged_fraction is 2"),
        ({"pieces": ["B"]}, "'B' is not among"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        ChessEndgames(**options)
